"""MQTT 5, messages, subscriptions and authentication over a connection, byte by byte."""

import pytest

import packets
import packets5
import received5
from support import reference5
from support.reference5 import ack, auth, connack, disconnect, publish
from support.scripted import Peer, ScriptedBroker
from support.scripted5 import connected, ends, said, start, subscribes
from support.session5 import same

_DISCONNECT = ("disconnect", {})
_METHOD = {"authentication_method": "M"}
_REASON = {"reason_string": "no room", "user_properties": [("k", "v"), ("k", "w")]}
_TOLD = "| no room | reason_string='no room' user_properties=[('k', 'v'), ('k', 'w')]"


def _publish(**arguments: object) -> tuple[str, dict]:
    return ("publish", {"topic": "t", "msg": "hi", **arguments})


def test_publish_every_property(device, scripted_broker: ScriptedBroker) -> None:
    rows = [row for row in packets5.SENT_PUBLISH if row[2] is None and len(row[-1]) < 200]
    client = start(device, scripted_broker, *[("publish", row[1]) for row in rows], _DISCONNECT)
    peer = connected(scripted_broker)
    for name, _, _, expected in rows:
        sent = peer.packet()
        assert same(sent, expected), (name, sent)
    ends(peer)
    client.finish()


def test_receive_every_property(device, scripted_broker: ScriptedBroker) -> None:
    rows = [row for row in received5.RECEIVED_PUBLISH if len(row[2]) < 200]
    client = start(device, scripted_broker, ("until", len(rows)), _DISCONNECT)
    peer = connected(scripted_broker)
    for name, message, received, answer in rows:
        peer.send(received)
        told = client.line("message")
        topic, payload, _, qos, _, values = message
        assert told.startswith(f"{topic.decode()} {payload!a} qos {qos}"), name
        for key in values or {}:
            assert f"{key}={values[key]!a}" in told, name
        peer.expect(answer)
    client.close()


@pytest.mark.parametrize("ending", [{}, {"reason_code": 4}, {"session_expiry": 7, "user_properties": [("k", "v")]}])
def test_disconnect(device, scripted_broker: ScriptedBroker, ending: dict) -> None:
    client = start(device, scripted_broker, ("disconnect", ending), session_expiry=60)
    peer = connected(scripted_broker)
    values = {name: value for name, value in ending.items() if name != "reason_code"}
    assert same(peer.packet(), disconnect(ending.get("reason_code", 0), **values))
    peer.expect_end()
    client.finish()


@pytest.mark.parametrize(("qos", "head"), [(1, 0x40), (2, 0x50)])
def test_refused_message(device, scripted_broker: ScriptedBroker, qos: int, head: int) -> None:
    client = start(
        device, scripted_broker, _publish(qos=qos), _publish(qos=qos, wait=False), ("flush", {}), _DISCONNECT
    )
    peer = connected(scripted_broker)
    for code in (0x97, 0x87):
        packet_id = said(peer, "PUBLISH")["packet_id"]
        peer.send(ack(head, packet_id, code, **_REASON))
    ends(peer)
    assert client.line("publish MQTTException") == f"0x97 quota exceeded {_TOLD}"
    told = client.line("refused")
    assert told.startswith("2 MQTTException 0x87 ") and told.endswith(_TOLD)
    client.finish()


@pytest.mark.parametrize(("qos", "head"), [(1, 0x40), (2, 0x50)])
def test_no_matching_subscribers(device, scripted_broker: ScriptedBroker, qos: int, head: int) -> None:
    client = start(device, scripted_broker, _publish(qos=qos), ("acknowledged", {}), _DISCONNECT)
    peer = connected(scripted_broker)
    said(peer, "PUBLISH")
    peer.send(ack(head, 1, 0x10, reason_string="nobody"))
    if qos == 2:
        peer.expect(ack(0x62, 1))
        peer.send(ack(0x70, 1))
    ends(peer)
    client.line("publish 1")
    client.line("acknowledged 1 0x10 reason_string='nobody'")
    client.finish()


def test_subscribe_with_options(device, scripted_broker: ScriptedBroker) -> None:
    rows = [row for row in packets5.SENT_SUBSCRIBE if not isinstance(row[1]["topic"], list)]
    client = start(device, scripted_broker, *[("subscribe", row[1]) for row in rows], _DISCONNECT)
    peer = connected(scripted_broker, connack(subscription_identifiers_available=0))
    for number, (name, _, expected, suback) in enumerate(rows, 1):
        sent = peer.packet()
        assert same(sent, expected[:2] + bytes((0, number)) + expected[4:]), (name, sent)
        peer.send(suback[:2] + bytes((0, number)) + suback[4:])
        client.line(f"subscribe {suback[-1]}")
    ends(peer)
    client.finish()


def test_subscription_refused(device, scripted_broker: ScriptedBroker) -> None:
    steps = (("subscribe", {"topic": "t"}), ("unsubscribe", {"topic": "u"}), _publish(), _DISCONNECT)
    client = start(device, scripted_broker, *steps)
    peer = connected(scripted_broker)
    said(peer, "SUBSCRIBE")
    peer.send(reference5.suback(1, 0x97, **_REASON))
    said(peer, "UNSUBSCRIBE")
    peer.send(reference5.unsuback(2, 0x87, **_REASON))
    said(peer, "PUBLISH")
    ends(peer)
    assert client.line("subscribe MQTTException") == f"0x97 quota exceeded {_TOLD}"
    told = client.line("unsubscribe MQTTException")
    assert told.startswith("0x87 ") and told.endswith(_TOLD)
    client.finish()


def test_subscribed_again_with_their_options(device, scripted_broker: ScriptedBroker) -> None:
    """When the session is gone; and nothing is when it is there."""
    options = {
        "qos": 1,
        "no_local": True,
        "retain_as_published": True,
        "retain_handling": 2,
        "user_properties": [("k", "v")],
    }
    steps = (("subscribe", {"topic": "a/#", **options}), ("subscribe", {"topic": "b"}), ("until", 1), _DISCONNECT)
    client = start(device, scripted_broker, *steps, clean_session=False, session_expiry=60)
    peer = connected(scripted_broker)
    first = [subscribes(peer), subscribes(peer)]
    client.line("subscribe 0")
    peer.close()
    peer = connected(scripted_broker)
    again = [subscribes(peer), subscribes(peer)]
    for fields in first + again:
        fields.pop("packet_id")
    assert again == first
    assert first[0]["filters"] == [("a/#", 0x2D)]
    client.line("online False")
    peer.close()
    peer = connected(scripted_broker, received5.CONNACK_SESSION_PRESENT)
    peer.expect_silence(0.1)
    peer.send(publish("b", "end"))
    ends(peer)
    client.finish()


def test_incoming_topic_aliases(device, scripted_broker: ScriptedBroker) -> None:
    """Set, used, set anew, each by itself; the next connection knows none of them."""
    client = start(device, scripted_broker, ("until", 6), ("work", 9), topic_alias_maximum=2)
    peer = connected(scripted_broker)
    for topic, alias in (("one", 1), ("", 1), ("two", 2), ("", 1), ("other", 1), ("", 1)):
        peer.send(publish(topic, str(alias), topic_alias=alias))
    for expected in ("one '1'", "one '1'", "two '2'", "one '1'", "other '1'", "other '1'"):
        topic, payload = expected.split()
        client.line(f"message {topic} b{payload}")
    peer.close()
    peer = connected(scripted_broker)
    client.line("online False")
    peer.send(publish("", "1", topic_alias=1))
    ends(peer, 0x82)
    client.line("lost MQTTException 0x82")


def test_outgoing_topic_aliases(device, scripted_broker: ScriptedBroker) -> None:
    """Within the server's maximum; the next connection begins without."""
    steps = [_publish(topic=topic) for topic in ("one", "one", "two", "three", "two", "one")]
    client = start(device, scripted_broker, *steps, ("lost", {}), ("online", {}), _publish(topic="two"), _DISCONNECT)
    peer = connected(scripted_broker, connack(topic_alias_maximum=2))
    known: dict[int, str] = {}
    for _, given in steps:
        assert _topic(peer, known, 2) == given["topic"]
    assert known, "a long topic may well be sent once"
    client.line("publish")
    peer.close()
    peer = connected(scripted_broker, connack(topic_alias_maximum=1))
    assert _topic(peer, {}, 1) == "two"
    ends(peer)
    client.finish()


def _topic(peer: Peer, known: dict[int, str], maximum: int) -> str:
    """The topic of the client's next message, as a server finds it."""
    fields = said(peer, "PUBLISH")
    alias = fields["properties"].get("topic_alias")
    if alias:
        assert alias <= maximum
        known[alias] = fields["topic"] or known[alias]
    return fields["topic"] or known[alias]


def _accept_auth(broker: ScriptedBroker, first: bytes | None) -> Peer:
    peer = broker.accept()
    values = said(peer, "CONNECT")["properties"]
    assert (values["authentication_method"], values.get("authentication_data")) == ("M", first)
    return peer


def test_authentication(device, scripted_broker: ScriptedBroker) -> None:
    client = start(device, scripted_broker, _DISCONNECT, auth=b"\x00\xff")
    peer = _accept_auth(scripted_broker, b"\x00\xff")
    for challenge in (b"1", b"\xfe"):
        peer.send(auth(0x18, authentication_data=challenge, **_METHOD))
        client.line(f"auth step {challenge!r}")
        assert same(peer.packet(), auth(0x18, authentication_data=b"re:" + challenge, **_METHOD))
    peer.send(connack(authentication_data=b"proof", **_METHOD))
    client.line("auth done b'proof'")
    client.line("connect False")
    ends(peer)
    client.finish()


def test_authentication_that_the_server_begins(device, scripted_broker: ScriptedBroker) -> None:
    client = start(device, scripted_broker, _DISCONNECT, auth=None)
    peer = _accept_auth(scripted_broker, None)
    peer.send(auth(0x18, **_METHOD))
    client.line("auth step None")
    peer.expect(b"\xf0\x06\x18\x04\x15\x00\x01M")
    peer.send(connack(**_METHOD))
    client.line("auth done None")
    ends(peer)
    client.finish()


def test_authentication_refused(device, scripted_broker: ScriptedBroker) -> None:
    client = start(device, scripted_broker, auth=b"one")
    peer = _accept_auth(scripted_broker, b"one")
    peer.send(auth(0x18, authentication_data=b"1", **_METHOD))
    said(peer, "AUTH")
    peer.send(connack(0x87))
    assert client.line("connect MQTTException").startswith("0x87 ")
    peer.expect_end()
    client.finish()


def test_server_that_cannot_prove_itself(device, scripted_broker: ScriptedBroker) -> None:
    client = start(device, scripted_broker, auth=b"one")
    peer = _accept_auth(scripted_broker, b"one")
    peer.send(auth(0x18, authentication_data=b"forged", **_METHOD))
    assert "does not know the secret" in client.line("connect MQTTException")
    client.finish()
    rest = peer.read(20, 0.2)
    assert rest == b"" or reference5.decode(rest)["packet"] == "DISCONNECT"


def test_reauthentication(device, scripted_broker: ScriptedBroker) -> None:
    """Messages flow meanwhile (section 4.12.1)."""
    client = start(device, scripted_broker, ("reauthenticate", {}), _publish(), _DISCONNECT, auth=b"one")
    peer = _accept_auth(scripted_broker, b"one")
    peer.send(connack(**_METHOD))
    assert same(peer.packet(), auth(0x19, authentication_data=b"one", **_METHOD))
    peer.send(publish("t", "meanwhile", 1, 5), auth(0x18, authentication_data=b"again", **_METHOD))
    client.line("message t b'meanwhile'")
    assert same(peer.packet() + peer.packet(), ack(0x40, 5) + auth(0x18, authentication_data=b"re:again", **_METHOD))
    peer.expect_silence(0.05)
    peer.send(auth(0, authentication_data=b"fine", **_METHOD))
    client.line("auth done b'fine'")
    client.line("reauthenticate None")
    said(peer, "PUBLISH")
    ends(peer)
    client.finish()


def test_reauthentication_refused(device, scripted_broker: ScriptedBroker) -> None:
    steps = (("reauthenticate", {}), ("work", 9))
    client = start(device, scripted_broker, *steps, auth=b"one", auto_reconnect=False)
    peer = _accept_auth(scripted_broker, b"one")
    peer.send(connack(**_METHOD))
    said(peer, "AUTH")
    peer.send(disconnect(0x87, reason_string="no more"))
    peer.expect_end()
    client.line("lost MQTTException 0x87")
    client.line("reauthenticate MQTTException 0x87")


def test_reauthentication_without_a_method(device, scripted_broker: ScriptedBroker) -> None:
    client = start(device, scripted_broker, ("reauthenticate", {}), _DISCONNECT)
    peer = connected(scripted_broker)
    client.line("reauthenticate ValueError")
    peer.expect(packets.DISCONNECT)
    client.finish()
