"""Messages over a connection, byte by byte, and over one that is lost."""

import time

import pytest

import packets
from support.scripted import ScriptedBroker

_BODY = b"\x00\x0bz\xc3\xa4hler/\xc2\xb0C"
_TEXT = b"21\xc2\xb0C"


def test_publish_qos_0(device, scripted_broker: ScriptedBroker) -> None:
    client = device("scripted", "publish", scripted_broker.port, qos=0)
    scripted_broker.online().expect(b"\x30\x12" + _BODY + _TEXT, packets.DISCONNECT)
    client.line("published None")
    client.line("pending 0")
    client.finish()


def test_publish_qos_1(device, scripted_broker: ScriptedBroker) -> None:
    client = device("scripted", "publish", scripted_broker.port, qos=1)
    peer = scripted_broker.online()
    peer.expect(b"\x32\x14" + _BODY + b"\x00\x01" + _TEXT)
    peer.expect_silence(0.2)
    peer.send(packets.PUBACK)
    peer.expect(packets.DISCONNECT)
    client.line("published 1")
    client.line("pending 0")
    client.finish()


def test_publish_qos_2(device, scripted_broker: ScriptedBroker) -> None:
    client = device("scripted", "publish", scripted_broker.port, qos=2)
    peer = scripted_broker.online()
    peer.expect(b"\x34\x14" + _BODY + b"\x00\x01" + _TEXT)
    peer.send(packets.PUBREC)
    peer.expect(packets.PUBREL)
    peer.expect_silence(0.2)
    peer.send(packets.PUBCOMP)
    peer.expect(packets.DISCONNECT)
    client.line("published 1")
    client.finish()


def test_receive_every_qos(device, scripted_broker: ScriptedBroker) -> None:
    client = device("scripted", "receive", scripted_broker.port, count=3)
    peer = scripted_broker.online()
    peer.send(b"\x31\x03\x00\x01a")
    peer.send(b"\x3a\x08\x00\x01b\x00\x07one")
    peer.expect(b"\x40\x02\x00\x07")
    peer.send(b"\x34\x08\x00\x01c\x00\x09two")
    peer.expect(b"\x50\x02\x00\x09")
    peer.send(b"\x3c\x08\x00\x01c\x00\x09two")
    peer.expect(b"\x50\x02\x00\x09")
    peer.send(b"\x62\x02\x00\x09")
    peer.expect(b"\x70\x02\x00\x09", packets.DISCONNECT)
    client.line("message a  qos 0 retain 1 dup 0")
    client.line("message b one qos 1 retain 0 dup 1")
    client.line("message c two qos 2 retain 0 dup 0")
    client.finish()
    assert client.said().count("message c") == 1


def test_receive_byte_by_byte(device, scripted_broker: ScriptedBroker) -> None:
    client = device("scripted", "receive", scripted_broker.port, count=2)
    peer = scripted_broker.online()
    for byte in b"\x32\x08\x00\x01b\x00\x07one\x30\x06\x00\x01ctwo":
        peer.send(bytes((byte,)))
        time.sleep(0.01)
    client.line("message b one qos 1")
    peer.expect(b"\x40\x02\x00\x07")
    client.close()


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("session_present", [True, False], ids=["session-present", "session-gone"])
@pytest.mark.parametrize("end", ["close", "reset"])
def test_resend(device, scripted_broker: ScriptedBroker, qos: int, session_present: bool, end: str) -> None:
    first = bytes((0x30 | qos << 1,)) + b"\x07\x00\x01t\x00\x01hi"
    client = device("scripted", "resend", scripted_broker.port, qos=qos)
    peer = scripted_broker.online()
    peer.expect(first)
    getattr(peer, end)()
    peer = scripted_broker.online(packets.CONNACK_SESSION_PRESENT if session_present else packets.CONNACK)
    peer.expect(bytes((first[0] | (8 if session_present else 0),)) + first[1:])
    if qos == 2:
        peer.send(packets.PUBREC)
        peer.expect(packets.PUBREL)
        peer.send(packets.PUBCOMP)
    else:
        peer.send(packets.PUBACK)
    peer.expect(packets.DISCONNECT)
    client.line("lost")
    client.line(f"online {session_present}")
    client.line("done 1")
    client.finish()


def test_pubrel_again(device, scripted_broker: ScriptedBroker) -> None:
    client = device("scripted", "resend", scripted_broker.port, qos=2)
    peer = scripted_broker.online()
    peer.expect(b"\x34\x07\x00\x01t\x00\x01hi")
    peer.send(packets.PUBREC)
    peer.expect(packets.PUBREL)
    peer.reset()
    peer = scripted_broker.online(packets.CONNACK_SESSION_PRESENT)
    peer.expect(packets.PUBREL)
    peer.send(packets.PUBCOMP)
    peer.expect(packets.DISCONNECT)
    client.finish()


_SUBSCRIBE = b"\x82\x0e\x00\x01\x00\x03a/#\x01\x00\x03b/+\x01"
_LAST = b"\x30\x0a\x00\x04a/.1last"


@pytest.mark.parametrize("session_present", [True, False], ids=["session-present", "session-gone"])
def test_subscriptions(device, scripted_broker: ScriptedBroker, session_present: bool) -> None:
    client = device("scripted", "subscribe", scripted_broker.port)
    peer = scripted_broker.online()
    peer.expect(_SUBSCRIBE)
    peer.send(b"\x90\x04\x00\x01\x01\x00")
    client.line("subscribed")
    peer.close()
    peer = scripted_broker.online(packets.CONNACK_SESSION_PRESENT if session_present else packets.CONNACK)
    if session_present:
        peer.expect_silence(0.3)
        number = b"\x00\x02"
    else:
        peer.expect(_SUBSCRIBE.replace(b"\x00\x01\x00\x03", b"\x00\x02\x00\x03"))
        peer.send(b"\x90\x04\x00\x02\x01\x00")
        number = b"\x00\x03"
    peer.send(_LAST)
    peer.expect(b"\xa2\x07" + number + b"\x00\x03a/#")
    peer.send(b"\xb0\x02" + number)
    peer.expect(packets.DISCONNECT)
    client.finish()


def test_subscription_refused(device, scripted_broker: ScriptedBroker) -> None:
    client = device("scripted", "subscribe", scripted_broker.port)
    peer = scripted_broker.online()
    peer.expect(_SUBSCRIBE)
    peer.send(b"\x90\x04\x00\x01\x01\x80")
    assert client.line("MQTTException").startswith("128 ")
    peer.send(_LAST)
    peer.expect(b"\xa2")
    client.close()


def test_unknown_acks_change_nothing(device, scripted_broker: ScriptedBroker) -> None:
    client = device("scripted", "publish", scripted_broker.port, qos=1)
    peer = scripted_broker.online()
    peer.expect(b"\x32\x14" + _BODY + b"\x00\x01" + _TEXT)
    for _name, received, answer in packets.RECEIVED_UNKNOWN_ACK:
        peer.send(received)
        peer.expect(answer)
    peer.send(packets.PUBACK, packets.PUBACK)
    peer.expect(packets.DISCONNECT)
    client.finish()


@pytest.mark.parametrize("name", ["subscribe", "unsubscribe", "qos 1", "qos 2", "pubrel"])
def test_operation_never_answered(device, scripted_broker: ScriptedBroker, name: str) -> None:
    qos = 1 if name == "qos 1" else 2
    client = device("scripted", "operation", scripted_broker.port, name=name, qos=qos)
    peer = scripted_broker.online()
    peer.packet()
    if name == "pubrel":
        peer.send(packets.PUBREC)
        peer.expect(packets.PUBREL)
    assert client.line("OSError", 3) == "110"
    client.finish()


@pytest.mark.parametrize("half", [b"", b"\x30\x05\x00\x01"], ids=["between-packets", "mid-packet"])
@pytest.mark.parametrize("end", ["close", "reset"])
def test_broker_goes(device, scripted_broker: ScriptedBroker, half: bytes, end: str) -> None:
    client = device("scripted", "lose", scripted_broker.port)
    peer = scripted_broker.online()
    peer.send(half)
    time.sleep(0.1)
    start = time.monotonic()
    getattr(peer, end)()
    client.line("OSError")
    assert time.monotonic() - start < 1, "the end of a connection is noticed at once"
    client.line("isconnected False")
    client.finish()


def test_half_a_packet_then_silence(device, scripted_broker: ScriptedBroker) -> None:
    client = device("scripted", "lose", scripted_broker.port, keepalive=2)
    peer = scripted_broker.online()
    peer.send(b"\x30\x05\x00\x01")
    peer.expect(packets.PINGREQ, timeout=2.2)
    start = time.monotonic()
    assert client.line("OSError") == "110"
    assert time.monotonic() - start <= 2
    client.finish()


def test_malformed_packet(device, scripted_broker: ScriptedBroker) -> None:
    client = device("scripted", "lose", scripted_broker.port)
    peer = scripted_broker.online()
    peer.send(b"\x30\xff\xff\xff\xff\x7f")
    assert client.line("MQTTException").split()[0] == "129"  # malformed packet
    peer.expect_end()
    client.finish()


def test_pingreq_in_time(device, scripted_broker: ScriptedBroker) -> None:
    client = device("scripted", "stay", scripted_broker.port, keepalive=1)
    peer = scripted_broker.online()
    for _ in range(2):
        start = time.monotonic()
        peer.expect(packets.PINGREQ, timeout=1.2)
        assert time.monotonic() - start <= 1.1
        peer.send(packets.PINGRESP)
    start = time.monotonic()
    peer.expect(packets.PINGREQ)
    peer.expect_end(2)
    assert time.monotonic() - start <= 1.6
    client.line("lost OSError")
    scripted_broker.online()
    client.line("online")


def test_answers_from_a_callback(device, scripted_broker: ScriptedBroker) -> None:
    client = device("scripted", "in_callback", scripted_broker.port)
    peer = scripted_broker.online()
    peer.send(b"\x32\x07\x00\x03ask\x00\x05")
    packets_seen = sorted([peer.packet(), peer.packet()])
    assert packets_seen == [b"\x32\x0d\x00\x06answer\x00\x01yes", b"\x40\x02\x00\x05"]
    peer.send(packets.PUBACK)
    peer.expect(packets.DISCONNECT)
    client.finish()
