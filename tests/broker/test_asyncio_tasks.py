"""asyncio's tasks against mosquitto: queues, callbacks that raise, disconnecting, several tasks at once."""

from collections.abc import Callable

import pytest

import packets
from support.device import Device
from support.mosquitto import listener
from support.scripted import Peer, ScriptedBroker
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


def _incoming(number: int, dup: int = 0, qos: int = 2) -> bytes:
    return bytes((0x30 | dup << 3 | qos << 1, 6, 0, 1)) + b"t" + bytes((0, number)) + b"%d" % number


def _ack(head: int, number: int) -> bytes:
    return bytes((head, 2, 0, number))


@pytest.fixture
def taking(tasks, scripted_broker: ScriptedBroker, tmp_path) -> Callable[..., tuple[Device, Peer]]:
    """Start a device that takes messages when it is told to, its outbox on flash, in a session that is kept."""

    def start(**settings: object) -> tuple[Device, Peer]:
        client = tasks("take_when_told", scripted_broker.port, folder=tmp_path / "outbox", **settings)
        return client, scripted_broker.online(packets.CONNACK_SESSION_PRESENT)

    return start


def _take(client: Device, number: int) -> None:
    client.tell("")
    assert client.line("taken") == str(number)


def test_qos_1_is_acknowledged_when_the_next_is_asked_for(taking) -> None:
    """Whoever works with a message when the power goes gets it again."""
    client, peer = taking()
    peer.send(_incoming(1, qos=1), _incoming(2, qos=1))
    _take(client, 1)
    peer.expect_silence(0.1)
    _take(client, 2)
    peer.expect(_ack(0x40, 1))
    client.tell("")
    peer.expect(_ack(0x40, 2))
    peer.send(_incoming(3, qos=1))
    assert client.line("taken") == "3"
    client.tell("disconnect")
    peer.expect(_ack(0x40, 3), packets.DISCONNECT)


def test_qos_1_when_the_loop_is_left(tasks, scripted_broker: ScriptedBroker) -> None:
    client = tasks("fail_with_a_message", scripted_broker.port)
    peer = scripted_broker.online(packets.CONNACK_SESSION_PRESENT)
    peer.send(_incoming(1, qos=1), _incoming(2, qos=1), _incoming(3, qos=1))
    client.line("acknowledged")
    peer.expect(_ack(0x40, 1), _ack(0x40, 2))
    client.line("failed")
    peer.expect(packets.DISCONNECT)  # and no acknowledgement of the message with which it failed
    client.finish()


def test_qos_1_in_async_for_when_the_connection_is_lost(taking, scripted_broker: ScriptedBroker) -> None:
    client, peer = taking()
    peer.send(_incoming(1, qos=1), _incoming(2, qos=1))
    _take(client, 1)
    peer.close()
    client.line("lost")
    peer = scripted_broker.online(packets.CONNACK_SESSION_PRESENT)
    peer.send(_incoming(1, 1, qos=1), _incoming(2, 1, qos=1))
    _take(client, 2)  # it had come before
    _take(client, 1)
    peer.expect_silence(0.1)
    _take(client, 2)
    peer.expect(_ack(0x40, 1))


def test_qos_2_waiting_for_async_for_when_the_power_goes(taking) -> None:
    client, peer = taking()
    peer.send(_incoming(1), _incoming(2), _incoming(3))
    _take(client, 1)
    peer.expect(_ack(0x50, 1))
    peer.expect_silence(0.1)
    client.kill()
    client, peer = taking()
    peer.send(_incoming(1, 1), _incoming(2, 1), _incoming(3, 1))
    peer.expect(_ack(0x50, 1))
    for number in (2, 3):
        _take(client, number)
        peer.expect(_ack(0x50, number))
    peer.send(*[_ack(0x62, number) for number in (1, 2, 3)])
    peer.expect(*[_ack(0x70, number) for number in (1, 2, 3)])
    client.kill()
    client, peer = taking()
    peer.send(_incoming(3))
    _take(client, 3)  # another one


def test_qos_2_waiting_for_async_for_when_the_connection_is_lost(taking, scripted_broker: ScriptedBroker) -> None:
    client, peer = taking()
    peer.send(_incoming(1), _incoming(2), _incoming(3))
    _take(client, 1)
    peer.expect(_ack(0x50, 1))
    peer.close()
    client.line("lost")
    _take(client, 2)  # there is nobody who could be told
    peer = scripted_broker.online(packets.CONNACK_SESSION_PRESENT)
    peer.send(_ack(0x62, 1), _incoming(2, 1), _incoming(3, 1), _incoming(4))
    peer.expect(_ack(0x70, 1), _ack(0x50, 2))
    peer.expect_silence(0.1)
    for number in (3, 4):
        _take(client, number)
        peer.expect(_ack(0x50, number))


def test_qos_2_waiting_for_async_for_when_the_session_is_lost(taking, scripted_broker: ScriptedBroker) -> None:
    client, peer = taking()
    peer.send(_incoming(1))
    peer.close()
    client.line("lost")
    peer = scripted_broker.online()
    peer.send(_incoming(2))
    _take(client, 1)
    _take(client, 2)
    peer.expect(_ack(0x50, 2))


def test_qos_2_in_a_callback_when_the_power_goes(taking) -> None:
    client, peer = taking(callback="yes")
    peer.send(_incoming(1))
    assert client.line("called") == "1"
    client.kill()
    client, peer = taking(callback="yes")
    peer.send(_incoming(1, 1))
    peer.expect(_ack(0x50, 1))
    assert "called" not in client.said()


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
