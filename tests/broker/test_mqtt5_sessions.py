"""MQTT 5 against mosquitto: sessions, expiry, wills, limits, how connections end. paho is the other client."""

from collections.abc import Callable

import pytest

from support.device import Device
from support.mosquitto5 import Ear, described, listener5
from tools.broker import Broker

WILL = {
    "MessageExpiryInterval": 600,
    "PayloadFormatIndicator": 1,
    "ContentType": "text/plain",
    "ResponseTopic": "wake/1",
    "CorrelationData": b"\0\1",
    "UserProperty": [("why", "power"), ("why", "who knows")],
}
LIMITS = ("max_packet_size 300", "max_qos 1", "retain_available false", "max_keepalive 20", "max_topic_alias 0")


def test_expiry(run_client: Callable[..., Device]) -> None:
    """Both clients at the same time: most of it is waiting."""
    with Broker() as one, Broker() as two:
        brokers = {"sync": one, "asyncio": two}
        with listener5(one.port, "late") as late_sync, listener5(two.port, "late") as late_asyncio:
            clients = {
                face: run_client("five_sessions", "expiry", face, brokers[face].port, heap="512k") for face in brokers
            }
            for face, client in clients.items():
                client.line("session kept True")
                remaining = client.line("message b'for/kept' b'expiry 60' 0 1 message_expiry=")
                assert 50 <= int(remaining) <= 58, "what is left of it"
                client.line("message b'for/kept' b'expiry None' 0 1")
                for line in ("expired False", "shortened False", "lengthened True", "ended False", "none False"):
                    client.line(f"session {line}")
                client.line("not sent 1 pending 0")
                client.finish()
                assert "expiry 1'" not in client.said()
                late = {"sync": late_sync, "asyncio": late_asyncio}[face]
                first, second = late.next(), late.next()
                assert (first.payload, second.payload) == (b"expiry 60", b"expiry None")
                assert 50 <= described(first)["MessageExpiryInterval"] <= 58 and described(second) == {}


def test_clean_start_is_apart_from_session_expiry(device: Callable[..., Device], shared_mosquitto: Broker) -> None:
    client = device("five_sessions", "clean_start", shared_mosquitto.port)
    client.finish()
    assert client.output == [
        "first False",
        "clean start False",
        "gone on with True",
        "ValueError",
        "end",
    ]


def test_a_lost_connection_goes_on_with_its_session(device: Callable[..., Device], shared_mosquitto: Broker) -> None:
    with Ear(shared_mosquitto.port) as ear, listener5(shared_mosquitto.port) as sender:
        client = device("five_sessions", "cut", ear.port)
        client.line("ready")
        ear.cut()
        client.line("online True")
        sender.publish("news", "after", qos=1)
        client.line("message b'news' b'after' 0 1")
        client.finish()
        assert [packet["clean_start"] for packet in ear.packets(True, "CONNECT")] == [1, 0]
        assert len(ear.packets(True, "SUBSCRIBE")) == 1, "the broker still knows"


def test_will_delay(run_client: Callable[..., Device]) -> None:
    """A board that is back in time was never gone; one that is not is gone later."""
    with Broker() as one, Broker() as two:
        brokers = {"sync": one, "asyncio": two}
        for face, broker in brokers.items():
            first = run_client("five_sessions", "will", face, broker.port, "delay=1")
            first.line("session False")
            first.kill()
            run_client("five_sessions", "will", face, broker.port, "delay=1").line("session True")
        with listener5(one.port, "state") as state_sync, listener5(two.port, "state") as state_asyncio:
            state_sync.expect_nothing(2.2)
            state_asyncio.expect_nothing(0.1)


@pytest.mark.parametrize("delay", [0, 1])
def test_will_with_all_its_properties(run_client: Callable[..., Device], delay: int) -> None:
    with Broker() as one, Broker() as two:
        brokers = {"sync": one, "asyncio": two}
        with listener5(one.port, "state") as state_sync, listener5(two.port, "state") as state_asyncio:
            arguments = {face: ("five_sessions", "will", face, broker.port) for face, broker in brokers.items()}
            clients = [run_client(*arguments[face], f"delay={delay}") for face in arguments]
            for client in clients:
                client.line("session False")
            for client in clients:
                client.kill()
            if delay:
                state_sync.expect_nothing(0.3)
            for state in (state_sync, state_asyncio):
                message = state.next()
                assert (message.payload.decode(), message.qos, message.retain) == ("gone, 0 °C", 1, False)
                assert described(message) == WILL


@pytest.mark.parametrize(("how", "published"), [("with will", True), ("without", False)])
def test_disconnect_with_will_message(
    device: Callable[..., Device], shared_mosquitto: Broker, how: str, published: bool
) -> None:
    with listener5(shared_mosquitto.port, "state") as state:
        device("five_sessions", "will", shared_mosquitto.port, delay=0, how=how).finish()
        if published:
            assert state.next().payload.decode() == "gone, 0 °C"
        state.expect_nothing(0.2)


def test_our_maximum_packet_size(device: Callable[..., Device], shared_mosquitto: Broker) -> None:
    """What is larger is dropped by the broker: the connection lives on."""
    with Ear(shared_mosquitto.port) as ear, listener5(shared_mosquitto.port) as sender:
        client = device("five_sessions", "large", ear.port)
        client.line("ready")
        # Around the payload are a fixed header of 3 bytes, 7 of topic, 2 of identifier, 4 of subscription identifier.
        for size in (200 - 15, 200 - 16, 10):
            sender.publish("sized", b"x" * size, qos=1)
        client.finish()
        assert [len(packet["payload"]) for packet in ear.packets(False, "PUBLISH")] == [184, 10]
        assert len(ear.packets(True, "CONNECT")) == 1


def test_what_the_server_has(device: Callable[..., Device]) -> None:
    with Broker(extra=LIMITS) as broker, Ear(broker.port) as ear:
        client = device("five_sessions", "limits", ear.port)
        client.finish()
        assert client.output == [
            "limit maximum_packet_size 300",
            "limit maximum_qos 1",
            "limit receive_maximum 20",
            "limit retain_available 0",
            "limit server_keepalive 20",
            "limit shared_available 1",
            "limit subscription_identifiers_available 1",
            "limit topic_alias_maximum 0",
            "limit wildcard_available 1",
            "something to do within True",
            *["ValueError"] * 2,
            "result 1",
            *["ValueError"] * 3,
            "end",
        ]
        sent = ear.packets(True, "PUBLISH")
        assert [(len(packet["payload"]), packet["qos"]) for packet in sent] == [(270, 1), (7, 1)], "nothing else"


def test_assigned_client_identifier(device: Callable[..., Device], shared_mosquitto: Broker) -> None:
    with Ear(shared_mosquitto.port) as ear:
        client = device("five_sessions", "nameless", ear.port)
        name = client.line("name")
        client.line("session True")
        client.finish()
        assert [packet["client_id"] for packet in ear.packets(True, "CONNECT")] == ["", name]


def test_refused_at_connect(device: Callable[..., Device]) -> None:
    with Broker(users={"guest": "right"}) as broker:
        client = device("five_sessions", "login", broker.port)
        client.finish()
    assert client.output == ["refused 0x87 not authorised", "result False", "end"]


def test_reason_of_the_servers_disconnect(device: Callable[..., Device]) -> None:
    with Broker(extra=["retain_available false"]) as broker:
        client = device("five_sessions", "thrown_out", broker.port)
        client.line("lost 0x9a retain not supported")
        client.line("on_refused 0x9a retain not supported")
        client.line("error 0x9a pending 0")
        client.finish()


def test_two_clients_of_one_name(device: Callable[..., Device], shared_mosquitto: Broker) -> None:
    """mosquitto 2.0.11 does not say why it closes; what a broker says that does is for the scripted one."""
    client = device("five_sessions", "taken_over", shared_mosquitto.port)
    client.line("lost ")
    client.finish()
