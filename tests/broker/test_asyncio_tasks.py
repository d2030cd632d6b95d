"""asyncio's tasks against mosquitto: queues, callbacks that raise, disconnecting, several tasks at once."""

from collections.abc import Callable

import pytest

from support.device import Device
from support.mosquitto import listener
from support.scripted import ScriptedBroker
from tools.broker import Broker


@pytest.fixture
def tasks(run_client: Callable[..., Device]) -> Callable[..., Device]:
    """Start a case of `clients/tasks.py` with the asyncio client: tasks(case, port, key=value…)."""

    def start(case: str, port: int, **settings: object) -> Device:
        return run_client("tasks", case, "asyncio", port, *(f"{key}={value}" for key, value in settings.items()))

    return start


def test_a_callback_that_raises_does_not_end_the_client(tasks, shared_mosquitto: Broker) -> None:
    port = shared_mosquitto.port
    client = tasks("callback_raises", port)
    client.line("subscribed")
    with listener(port, "out") as other:
        for payload in ("bad", "good", "bad"):
            other.publish("in/a", payload, qos=1)
            client.line(f"message {payload}")
        assert other.payloads(1) == [b"alive"]
    client.finish()
    assert "the callback's own" in client.said(), "the loop's exception handler has told it"


@pytest.mark.parametrize("count", [8, 9, 40])
@pytest.mark.parametrize("qos", [0, 1])
def test_publishing_in_async_for_while_messages_queue(tasks, shared_mosquitto: Broker, qos: int, count: int) -> None:
    port = shared_mosquitto.port
    client = tasks("answer_each", port, qos=qos, count=count)
    client.line("subscribed")
    with listener(port, "out") as other:
        for i in range(count):
            other.publish("in/a", str(i), qos=qos)
        assert other.payloads(count) == [b"%d" % i for i in range(count)]
    assert client.line("dropped") == "0"
    client.finish()


def test_disconnect_ends_async_for_after_an_outage(tasks, mosquitto: Broker) -> None:
    client = tasks("ends_after_outage", mosquitto.port)
    client.line("ready")
    mosquitto.kill()
    client.line("lost")
    mosquitto.start()
    client.line("back")
    client.line("iteration ended")
    assert client.line("error") == "None"
    client.finish()


def test_two_tasks_subscribe_at_once(tasks, shared_mosquitto: Broker) -> None:
    client = tasks("subscribe_at_once", shared_mosquitto.port)
    assert [client.line("results") for _ in range(2)] == ["1 1", "1 1"]
    client.finish()


def test_two_tasks_are_refused_at_once(tasks, scripted_broker: ScriptedBroker) -> None:
    client = tasks("subscribe_at_once", scripted_broker.port)
    peer = scripted_broker.online()
    while (packet := peer.packet())[:1] == b"\x82":
        codes = b"\x80" * ((packet[1] - 2) // 4)  # filters of one letter
        peer.send(bytes((0x90, 2 + len(codes))) + packet[2:4] + codes)
    assert [client.line("results") for _ in range(2)] == ["refused refused"] * 2
    client.finish()


def test_a_flood_with_a_slow_consumer(tasks, shared_mosquitto: Broker) -> None:
    client = tasks("slow_consumer", shared_mosquitto.port, count=300)
    client.line("subscribed")
    with listener(shared_mosquitto.port) as sender:
        for i in range(300):
            sender.client.publish("in/a", str(i), 1)
        assert client.line("in order", 30) == "True"
    client.finish()
