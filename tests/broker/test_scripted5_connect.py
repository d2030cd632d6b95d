"""MQTT 5, connecting, byte by byte: what CONNECT says, what CONNACK changes, other versions, other servers."""

import pytest

import packets
import packets5
import received5
from support import reference5
from support.scripted import ScriptedBroker
from support.scripted5 import connected, ends, said, start
from support.session5 import same_connect

_DISCONNECT = ("disconnect", {})


def _row(table: tuple, name: str) -> bytes:
    return next(row[-1] for row in table if row[0] == name)


@pytest.mark.parametrize("name", ["a session to be kept", "will with every property", "every property of CONNECT"])
def test_connect_and_disconnect(device, scripted_broker: ScriptedBroker, name: str) -> None:
    _, settings, will, will_properties, expected = next(row for row in packets5.SENT_CONNECT if row[0] == name)
    connack = reference5.connack(authentication_method="M") if "auth" in settings else received5.CONNACK
    steps = []
    if will:
        steps = [("will", dict(zip(("topic", "msg", "retain", "qos"), will)) | will_properties), ("connect", {})]
    client = start(device, scripted_broker, *steps, _DISCONNECT, **(packets5.ASKED | settings))
    if will:
        connected(scripted_broker, connack).expect(packets.DISCONNECT)
    peer = scripted_broker.accept()
    sent = peer.packet()
    assert same_connect(sent, expected), sent
    peer.send(connack)
    peer.expect(packets.DISCONNECT)
    peer.expect_end()
    client.finish()


@pytest.mark.parametrize("code", [0x86, 0x97])
def test_refused(device, scripted_broker: ScriptedBroker, code: int) -> None:
    client = start(device, scripted_broker, user="u", password="top-secret")
    peer = scripted_broker.accept()
    peer.packet()
    peer.send(reference5.connack(code, reason_string="not you", user_properties=[("k", "v"), ("k", "w")]))
    peer.expect_end()
    told = client.line("connect MQTTException")
    assert told.startswith(f"0x{code:02x} ")
    assert told.endswith("| not you | reason_string='not you' user_properties=[('k', 'v'), ('k', 'w')]"), told
    client.finish()
    assert "top-secret" not in client.said()


def test_what_connack_says(device, scripted_broker: ScriptedBroker) -> None:
    client = start(device, scripted_broker, ("limits", {}), _DISCONNECT, request_response_information=True)
    peer = connected(scripted_broker, _row(received5.RECEIVED_CONNACK, "everything said"))
    ends(peer)
    limits = client.line("limits")
    expected = next(row[3] for row in received5.RECEIVED_CONNACK if row[0] == "everything said")
    for name, value in expected.items():
        assert f"{name}={value!r}" in limits
    client.finish()


def test_assigned_client_identifier_is_kept(device, scripted_broker: ScriptedBroker) -> None:
    settings = {"client_id": "", "clean_session": False, "session_expiry": 60}
    client = start(device, scripted_broker, ("lost", {}), ("online", {}), _DISCONNECT, **settings)
    peer = scripted_broker.accept()
    assert said(peer, "CONNECT")["client_id"] == ""
    peer.send(_row(received5.RECEIVED_CONNACK, "an identifier assigned"))
    client.line("connect False")
    peer.close()
    peer = scripted_broker.accept()
    fields = said(peer, "CONNECT")
    assert (fields["client_id"], fields["clean_start"]) == ("a-1", 0)
    peer.send(received5.CONNACK_SESSION_PRESENT)
    client.line("online True")
    ends(peer)
    client.finish()


def test_clean_start_only_once(device, scripted_broker: ScriptedBroker) -> None:
    """A session that is to outlive the connection begins clean and is then gone on with."""
    steps = (("lost", {}), ("online", {}), _DISCONNECT, ("connect", {}), _DISCONNECT)
    client = start(device, scripted_broker, *steps, session_expiry=60)
    starts = []
    for connack in (received5.CONNACK, received5.CONNACK_SESSION_PRESENT, received5.CONNACK):
        peer = scripted_broker.accept()
        starts.append(said(peer, "CONNECT")["clean_start"])
        peer.send(connack)
        if len(starts) == 1:
            client.line("connect False")
            peer.close()
        else:
            ends(peer)
    assert starts == [1, 0, 1]
    client.finish()


def test_server_keep_alive(device, scripted_broker: ScriptedBroker) -> None:
    start(device, scripted_broker, ("work", 9), keepalive=60)
    peer = connected(scripted_broker, reference5.connack(server_keepalive=1))
    peer.expect(packets.PINGREQ, timeout=1.1)


_REFUSED_4 = [
    pytest.param(b"\x20\x02\x00\x01", id="as-3.1.1"),
    pytest.param(b"\x20\x03\x00\x84\x00", id="as-5"),
    pytest.param(b"\x20\x02\x00\x84", id="as-5-without-properties"),
]


@pytest.mark.parametrize("answer", [*_REFUSED_4, pytest.param(b"", id="closes")])
def test_falls_back_to_3_1_1(device, scripted_broker: ScriptedBroker, answer: bytes) -> None:
    steps = (("subscribe", {"topic": "t", "qos": 1}), ("publish", {"topic": "t", "msg": "hi", "qos": 1}), _DISCONNECT)
    client = start(device, scripted_broker, *steps, version=(5, 4), client_id="a")
    peer = scripted_broker.accept()
    assert said(peer, "CONNECT")["client_id"] == "a"
    peer.send(answer)
    peer.close()
    peer = scripted_broker.accept()
    peer.expect(packets.SENT_CONNECT[0][-1])
    peer.send(packets.CONNACK)
    peer.expect(b"\x82\x06\x00\x01\x00\x01t\x01")
    peer.send(b"\x90\x03\x00\x01\x01")
    peer.expect(b"\x32\x07\x00\x01t\x00\x02hi")
    peer.send(b"\x40\x02\x00\x02")
    peer.expect(packets.DISCONNECT)
    peer.expect_end()
    client.line("publish 2")
    client.finish()


@pytest.mark.parametrize("answer", _REFUSED_4)
def test_says_so_when_the_broker_does_not_know_mqtt_5(device, scripted_broker: ScriptedBroker, answer: bytes) -> None:
    client = start(device, scripted_broker)
    peer = scripted_broker.accept()
    peer.packet()
    peer.send(answer)
    peer.expect_end()
    assert "version" in client.line("connect MQTTException")
    client.finish()
    scripted_broker.expect_no_connection(0.1)


def test_no_fallback_where_mqtt_5_is_known(device, scripted_broker: ScriptedBroker) -> None:
    client = start(device, scripted_broker, ("connect", {}), _DISCONNECT, version=(5, 4))
    peer = scripted_broker.accept()
    said(peer, "CONNECT")
    peer.send(reference5.connack(0x87))
    peer.expect_end()
    assert client.line("connect MQTTException").startswith("0x87 ")
    ends(connected(scripted_broker))
    client.finish()


@pytest.mark.parametrize("code", [0x9C, 0x9D])
@pytest.mark.parametrize("when", ["connack", "online"])
def test_server_reference_is_followed(device, scripted_broker: ScriptedBroker, code: int, when: str) -> None:
    other = ScriptedBroker()
    reference = {"server_reference": f"127.0.0.1:{other.port}"}
    steps = [("lost", {}), ("online", {})] if when == "online" else []
    client = start(device, scripted_broker, *steps, _DISCONNECT)
    peer = scripted_broker.accept()
    said(peer, "CONNECT")
    if when == "connack":
        peer.send(reference5.connack(code, **reference))
    else:
        peer.send(received5.CONNACK, reference5.disconnect(code, **reference))
        assert client.line("lost MQTTException").startswith(f"0x{code:02x} ")
    peer.expect_end()
    ends(connected(other))
    client.finish()
    other.close()


def test_servers_that_refer_to_each_other(device, scripted_broker: ScriptedBroker) -> None:
    """No more than three hops in a row."""
    client = start(device, scripted_broker, timeout=3)
    refusal = reference5.connack(0x9C, server_reference=f"127.0.0.1:{scripted_broker.port}")
    for _ in range(4):
        peer = scripted_broker.accept()
        said(peer, "CONNECT")
        peer.send(refusal)
        peer.expect_end()
    scripted_broker.expect_no_connection(0.2)
    assert client.line("connect MQTTException").startswith("0x9c ")
    client.finish()


def test_server_disconnects(device, scripted_broker: ScriptedBroker) -> None:
    """Each time with another reason; the client tells of it and comes back. (All reasons: tests/unit.)"""
    client = start(device, scripted_broker, ("work", 9), backoff=(0.01, 0.02))
    for code in packets5.refusals("DISCONNECT")[::3]:
        peer = connected(scripted_broker)
        client.line("online False")
        peer.send(reference5.disconnect(code, reason_string="out", user_properties=[("k", "v")]))
        told = client.line("lost MQTTException")
        assert told.startswith(f"0x{code:02x} ")
        assert told.endswith(" | out | reason_string='out' user_properties=[('k', 'v')]"), told
        peer.expect_end()
    connected(scripted_broker)
    client.line("online False")


_BROKEN = (
    (0x81, b"\x30\x80\x80\x80\x80\x01"),
    (0x81, b"\x30\x08\x00\x01t\x02\x7f\x00hi"),
    (0x81, b"\x90\x04\x00\x07\x02\x00"),
    (0x82, b"\x20\x03\x00\x00\x00"),
    (0x82, b"\x30\x05\x00\x00\x00hi"),
    (0x93, reference5.publish("t", "x", 2, 1) + reference5.publish("t", "x", 2, 2)),
    (0x94, reference5.publish("t", "x", topic_alias=9)),
    (0x95, b"\x30\xff\xff\xff\x7f"),
)


def test_broken_packets(device, scripted_broker: ScriptedBroker) -> None:
    """Each on a connection of its own: DISCONNECT says what is wrong, then the client closes, and comes back."""
    client = start(device, scripted_broker, ("work", 9), receive_maximum=1, backoff=(0.01, 0.02))
    for code, broken in _BROKEN:
        peer = connected(scripted_broker)
        client.line("online False")
        peer.send(broken)
        if code == 0x93:
            assert said(peer, "PUBREC")["packet_id"] == 1
        ends(peer, code)
        assert client.line("lost MQTTException").startswith(f"0x{code:02x} "), broken
    connected(scripted_broker)
    client.line("online False")


@pytest.mark.parametrize("connack", [b"\x20\x03\x02\x00\x00", b"\x20\x06\x00\x00\x03\x21\x00\x00"])
def test_broken_connack(device, scripted_broker: ScriptedBroker, connack: bytes) -> None:
    client = start(device, scripted_broker)
    peer = scripted_broker.accept()
    peer.packet()
    peer.send(connack)
    assert client.line("connect MQTTException").split()[0] in ("0x81", "0x82")
    client.finish()
