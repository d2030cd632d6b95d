"""Connecting, byte by byte: what CONNECT says, what every CONNACK means, and what happens when none comes."""

import time

import pytest

import packets
from support.scripted import ScriptedBroker, black_hole

_CONNECT = b"\x10\x14\x00\x04MQTT\x04\x02\x00\x3c\x00\x08device-1"


@pytest.mark.parametrize(
    ("settings", "connect"),
    [
        pytest.param({}, _CONNECT, id="plain"),
        pytest.param({"keepalive": 300}, _CONNECT.replace(b"\x00\x3c", b"\x01\x2c"), id="keepalive"),
        pytest.param({"clean_session": 0}, _CONNECT.replace(b"\x04\x02\x00", b"\x04\x00\x00"), id="session"),
        pytest.param(
            {"client_id": "zähler", "user": "müller", "password": "€"},
            b"\x10\x21\x00\x04MQTT\x04\xc2\x00\x3c\x00\x07z\xc3\xa4hler\x00\x07m\xc3\xbcller\x00\x03\xe2\x82\xac",
            id="beyond-ascii",
        ),
        pytest.param(
            {"will": "state"},
            b"\x10\x21\x00\x04MQTT\x04\x2e\x00\x3c\x00\x08device-1\x00\x05state\x00\x04gone",
            id="will",
        ),
    ],
)
def test_connect_and_disconnect(device, scripted_broker: ScriptedBroker, settings: dict, connect: bytes) -> None:
    client = device("scripted", "connect", scripted_broker.port, **settings)
    peer = scripted_broker.accept()
    peer.expect(connect)
    peer.send(packets.CONNACK)
    peer.expect(packets.DISCONNECT)
    peer.expect_end()
    client.line("connected False")
    client.line("isconnected True")
    client.finish()


def test_session_present(device, scripted_broker: ScriptedBroker) -> None:
    client = device("scripted", "connect", scripted_broker.port, clean_session=0)
    scripted_broker.online(packets.CONNACK_SESSION_PRESENT).expect(packets.DISCONNECT)
    client.line("connected True")
    client.finish()


@pytest.mark.parametrize(
    ("code", "meaning", "connack"), packets.RECEIVED_REFUSAL, ids=[f"code-{row[0]}" for row in packets.RECEIVED_REFUSAL]
)
def test_refused(device, scripted_broker: ScriptedBroker, code: int, meaning: str, connack: bytes) -> None:
    client = device("scripted", "connect", scripted_broker.port, user="u", password="top-secret")
    scripted_broker.online(connack).expect_end()
    said = client.line("MQTTException")
    assert said.startswith(f"{code} ")
    assert meaning in said.lower()
    client.line("isconnected False")
    assert "top-secret" not in client.said()
    client.finish()
    scripted_broker.expect_no_connection(0.2)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="silence"),
        pytest.param(b"\x20", id="one-byte"),
        pytest.param(b"\x20\x02\x00", id="three-bytes"),
    ],
)
def test_connack_never_comes(device, scripted_broker: ScriptedBroker, answer: bytes) -> None:
    start = time.monotonic()
    client = device("scripted", "connect", scripted_broker.port, timeout=0.5)
    peer = scripted_broker.accept()
    peer.packet()
    peer.send(answer)
    peer.expect_end()
    assert client.line("OSError") == "110"  # ETIMEDOUT
    client.finish()
    assert 0.4 <= time.monotonic() - start <= 3


@pytest.mark.parametrize("answer", [b"", b"\x20\x02\x00"], ids=["at-once", "mid-packet"])
def test_closed_in_place_of_connack(device, scripted_broker: ScriptedBroker, answer: bytes) -> None:
    client = device("scripted", "connect", scripted_broker.port, timeout=0.5)
    while "OSError" not in client.said():
        try:
            peer = scripted_broker.accept(0.3)
        except TimeoutError:
            continue
        peer.packet()
        peer.send(answer)
        peer.close()
    client.line("OSError")
    client.line("isconnected False")
    client.finish()


def test_black_hole(device) -> None:
    with black_hole() as port:
        start = time.monotonic()
        client = device("scripted", "connect", port, timeout=0.5)
        assert client.line("OSError") == "110"
        client.finish()
        assert 0.4 <= time.monotonic() - start <= 3


def test_nobody_listens(device, scripted_broker: ScriptedBroker) -> None:
    scripted_broker.stop_listening()
    client = device("scripted", "connect", scripted_broker.port, timeout=0.5)
    assert client.line("OSError") in ("111", "110")  # ECONNREFUSED, or the deadline after trying again
    client.finish()


def test_list_of_brokers(device, scripted_broker: ScriptedBroker) -> None:
    with black_hole() as nowhere:
        other = ScriptedBroker()
        other.stop_listening()
        client = device("scripted", "brokers", 0, ports=f"{other.port},{scripted_broker.port},{nowhere}", timeout=5)
        scripted_broker.online().expect(b"\x30\x04\x00\x01tx", packets.DISCONNECT)
        client.finish()
