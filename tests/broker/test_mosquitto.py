"""The library against mosquitto with its default configuration; paho is the other client."""

import time

import pytest

from support.mosquitto import listener, store
from tools.broker import Broker


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_1000_publishes_in_a_loop(device, shared_mosquitto: Broker, qos: int) -> None:
    with listener(shared_mosquitto.port, "many") as receiver:
        client = device("live", "publish_many", shared_mosquitto.port, qos=qos, count=1000)
        payloads = receiver.payloads(1000, 40)
        client.line("pending 0")
        client.finish()
        assert payloads == [b"%d" % i for i in range(1000)], "each once, in order"
        receiver.expect_nothing()


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_100_publishes_awaited(device, shared_mosquitto: Broker, qos: int) -> None:
    with listener(shared_mosquitto.port, "many") as receiver:
        client = device("live", "publish_each", shared_mosquitto.port, qos=qos, count=100)
        assert receiver.payloads(100) == [b"%d" % i for i in range(100)]
        client.finish()


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_1000_received(device, shared_mosquitto: Broker, qos: int) -> None:
    client = device("live", "receive_many", shared_mosquitto.port, qos=qos, count=1000)
    client.line("subscribed")
    with listener(shared_mosquitto.port) as sender:
        for i in range(1000):
            sender.client.publish("many", str(i), qos)
        assert client.line("in order", 30) == "True"
    client.finish()


def test_persistent_session(device, shared_mosquitto: Broker, face: str) -> None:
    name = {"client_id": f"keeper-{face}"}
    port = shared_mosquitto.port
    with listener(port) as sender:
        first = device("live", "session", port, subscribe="news", **name)
        first.line("session False")
        first.finish()
        for qos in (1, 2):
            sender.publish("news", f"qos {qos}", qos=qos)
        again = device("live", "session", port, **name)
        again.line("session True")
        again.line("message news qos 1 qos 1")
        again.line("message news qos 2 qos 2")
        again.finish()
    clean = device("live", "try_connect", port, **name)
    clean.finish()


def test_backlog_at_qos_2(device) -> None:
    """mosquitto has all of it in flight after a reconnect: more than there are identifiers to remember."""
    with Broker(extra=["max_queued_messages 0"]) as broker, listener(broker.port) as sender:
        client = device("live", "session", broker.port, subscribe="many")
        client.line("subscribed")
        client.finish()
        for i in range(1500):
            sender.client.publish("many", str(i), 2)
        sender.publish("another", "", qos=2)  # they are all there
        client = device("live", "take_backlog", broker.port, count=1500)
        assert client.line("once and in order", 40) == "True"
        client.finish()
        assert 1 <= client.said().count("lost MQTTException (147") <= 2
        assert "lost OSError" not in client.said()


def test_retained(device, shared_mosquitto: Broker) -> None:
    client = device("live", "retained", shared_mosquitto.port)
    client.finish()
    messages = [line for line in client.output if line.startswith("message")]
    assert messages == [
        "message kept 1 qos 0 retain 1 dup 0",  # kept by the broker
        "message kept 2 qos 0 retain 0 dup 0",  # just published
        "message kept  qos 0 retain 0 dup 0",  # cleared, and no longer there for a new subscription
    ]


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("retain", ["yes", "no"])
def test_last_will_on_kill_9(device, mosquitto: Broker, qos: int, retain: str) -> None:
    with listener(mosquitto.port, "state") as receiver:
        client = device("live", "stay", mosquitto.port, will="offline", qos=qos, retain=retain)
        client.line("ready")
        client.kill()
        message = receiver.next()
        assert (message.topic, message.payload, message.qos) == ("state", b"offline", qos)
    with listener(mosquitto.port, "state") as latecomer:
        if retain == "yes":
            message = latecomer.next()
            assert message.retain and message.payload == b"offline" and message.qos == qos
        else:
            latecomer.expect_nothing()


def test_no_will_after_disconnect(device, mosquitto: Broker) -> None:
    with listener(mosquitto.port, "#") as receiver:
        client = device("scripted", "connect", mosquitto.port, will="state")
        client.line("connected")
        client.finish()
        receiver.expect_nothing()


def test_takeover(device, mosquitto: Broker) -> None:
    client = device("live", "stay", mosquitto.port)
    client.line("ready")
    with listener(mosquitto.port, client_id="device-1"):
        client.line("lost")
        client.line("online", 5)  # both fight over the name; neither may do so without a pause
        time.sleep(3)
    assert client.said().count("lost") <= 15


@pytest.mark.parametrize("clean_session", [0, 1], ids=["session", "clean"])
def test_broker_killed_and_restarted(device, mosquitto: Broker, clean_session: int) -> None:
    client = device("live", "stay", mosquitto.port, subscribe="news/#", clean_session=clean_session)
    client.line("ready")
    with listener(mosquitto.port) as sender:
        sender.publish("news/1", "before", qos=1)
        client.line("message news/1 before")
    store(mosquitto)
    mosquitto.kill()
    client.line("lost")
    mosquitto.start()
    assert client.line("online", 10) == ("True" if clean_session == 0 else "False")
    with listener(mosquitto.port) as sender:
        sender.publish("news/2", "after", qos=1, retain=True)  # whether it has subscribed already or not
        client.line("message news/2 after")


@pytest.mark.parametrize("qos", [1, 2])
def test_nothing_lost_over_a_restart(device, mosquitto: Broker, qos: int) -> None:
    with listener(mosquitto.port, "many", client_id="keeper", clean=False) as receiver:
        client = device("live", "publish_over_restart", mosquitto.port, qos=qos, count=60)
        client.line("ready")
        time.sleep(0.4)
        mosquitto.stop()
        client.line("lost")
        time.sleep(0.4)
        mosquitto.start()
        client.line("pending 0", 20)
        client.finish()
        expected = {b"%d" % i for i in range(60)}
        seen: list[bytes] = []
        while set(seen) != expected:
            seen.append(receiver.next().payload)
        # A broker that stops may deliver again what it could not store: that is its own business, the order is ours.
        assert list(dict.fromkeys(seen)) == sorted(expected, key=int)


def test_wrong_password(device, face: str) -> None:
    with Broker(users={"device": "right"}) as broker:
        for password in ("wrong", "right"):
            client = device("live", "try_connect", broker.port, user="device", password=password)
            client.finish()
            if password == "right":
                assert client.output[-2] == "connected"
            else:
                assert client.output[-2].startswith(("MQTTException 4", "MQTTException 5"))
                assert "wrong" not in client.said()


def test_acl(device, tmp_path) -> None:
    """mosquitto says nothing in 3.1.1 when it refuses a message; the client must not stumble over it."""
    rules = tmp_path / "acl"
    rules.write_text("user admin\ntopic readwrite #\nuser device\ntopic readwrite mine/#\n")
    users = {"admin": "a", "device": "d"}
    with (
        Broker(users=users, extra=[f"acl_file {rules}"]) as broker,
        listener(broker.port, "#", login=("admin", "a")) as admin,
    ):
        client = device("live", "acl", broker.port, user="device", password="d")
        client.line("ready")
        admin.publish("secret/b", "2", qos=1)
        admin.publish("mine/b", "2", qos=1)
        client.line("message mine/b 2 qos 1")
        client.finish()
        assert [message.topic for message in (admin.next(), admin.next(), admin.next())] == [
            "mine/a",
            "secret/b",
            "mine/b",
        ]
        assert "message secret" not in client.said()


def test_ten_tasks_publish_at_once(run_client, shared_mosquitto: Broker) -> None:
    with listener(shared_mosquitto.port, "many") as receiver:
        client = run_client("live", "concurrent", "asyncio", shared_mosquitto.port)
        payloads = receiver.payloads(200)
        client.finish()
        assert sorted(map(int, payloads)) == list(range(200))


def test_async_for(run_client, shared_mosquitto: Broker) -> None:
    client = run_client("live", "iterate", "asyncio", shared_mosquitto.port)
    client.line("subscribed")
    with listener(shared_mosquitto.port) as sender:
        for i in range(30):
            sender.publish(f"in/{i}", f"{i}")
        sender.publish("in/x", "stop", qos=1)
    client.finish()
    messages = [line for line in client.output if line.startswith("message")]
    assert messages[:-1] == [f"message b'in/{i}' b'{i}' 0" for i in range(30)]


def test_publish_can_be_cancelled(run_client, shared_mosquitto: Broker) -> None:
    with listener(shared_mosquitto.port, "many") as receiver:
        client = run_client("live", "cancel_publish", "asyncio", shared_mosquitto.port)
        payloads = []
        while b"last" not in payloads:
            payloads.append(receiver.next().payload)
        client.line("pending 0")
        client.finish()
        assert len(set(payloads)) == len(payloads), "exactly once"
        assert {b"1", b"3", b"5", b"7", b"9"} <= set(payloads)


def test_disconnect_ends_the_iteration(run_client, shared_mosquitto: Broker) -> None:
    client = run_client("live", "disconnect_ends_iteration", "asyncio", shared_mosquitto.port)
    client.line("iteration ended")
    client.line("again True")
    client.finish()


def test_waiting_for_a_message_can_be_cancelled(run_client, shared_mosquitto: Broker) -> None:
    client = run_client("live", "one_task_stops", "asyncio", shared_mosquitto.port)
    client.line("nothing came")
    client.line("b'after'")
    client.finish()
