"""MQTT 5: what a broker says it cannot do is not asked of it, byte by byte."""

import pytest

import packets
import received5
from support import reference5
from support.reference5 import ack, connack, publish
from support.scripted import ScriptedBroker
from support.scripted5 import connected, ends, said, start, subscribes

_DISCONNECT = ("disconnect", {})


def _publish(**arguments: object) -> tuple[str, dict]:
    return ("publish", {"topic": "t", "msg": "hi", **arguments})


def _subscribe(**arguments: object) -> tuple[str, dict]:
    return ("subscribe", {"topic": "t", **arguments})


_NOT_SENT = (
    ({"maximum_qos": 0}, _publish(qos=1)),
    ({"maximum_qos": 1}, _publish(qos=2)),
    ({"retain_available": 0}, _publish(retain=True)),
    ({"retain_available": 0}, _publish(retain=True, qos=1)),
    ({"wildcard_available": 0}, _subscribe(topic="a/#")),
    ({"wildcard_available": 0}, _subscribe(topic="+/a")),
    ({"wildcard_available": 0}, _subscribe(topic=["a", "b/+"])),
    ({"shared_available": 0}, _subscribe(topic="$share/g/t")),
    ({"shared_available": 0}, _subscribe(topic=["a", "$share/g/t"])),
    ({"maximum_packet_size": 40}, _publish(msg="x" * 35)),
    ({"maximum_packet_size": 40}, _publish(msg="x" * 33, qos=1)),
    ({"maximum_packet_size": 40}, _publish(content_type="x" * 30)),
)


def _refused_by_the_client(device, broker: ScriptedBroker, rows: tuple) -> None:
    """Each limit on a connection of its own: the step beyond it is a ValueError, and nothing of it is sent."""
    steps = []
    for _, step in rows:
        steps += [step, _publish(msg="ok"), _DISCONNECT, ("connect", {})]
    client = start(device, broker, *steps)
    for limit, step in rows:
        peer = connected(broker, connack(**limit))
        peer.expect(b"\x30\x06\x00\x01t\x00ok", packets.DISCONNECT)
        peer.expect_end()
        assert client.line(step[0]).startswith("ValueError"), (limit, step)
        client.line("publish None")
    connected(broker)
    client.finish()


def test_not_sent(device, scripted_broker: ScriptedBroker) -> None:
    _refused_by_the_client(device, scripted_broker, _NOT_SENT)


def test_a_filter_larger_than_the_server_takes(device, scripted_broker: ScriptedBroker) -> None:
    _refused_by_the_client(device, scripted_broker, (({"maximum_packet_size": 40}, _subscribe(topic="x" * 33)),))


def test_up_to_the_limit(device, scripted_broker: ScriptedBroker) -> None:
    """Messages to the byte; a filter may be refused a few bytes before."""
    steps = (
        _publish(qos=1),
        _publish(msg="x" * 24),
        _publish(msg="x" * 22, qos=1),
        _subscribe(topic="x" * 19),
        ("unsubscribe", {"topic": "x" * 19}),
        _DISCONNECT,
    )
    client = start(device, scripted_broker, *steps)
    peer = connected(
        scripted_broker, connack(maximum_qos=1, maximum_packet_size=30, subscription_identifiers_available=0)
    )
    peer.expect(b"\x32\x08\x00\x01t\x00\x01\x00hi")
    peer.send(ack(0x40, 1))
    peer.expect(b"\x30\x1c\x00\x01t\x00" + b"x" * 24)
    peer.expect(b"\x32\x1c\x00\x01t\x00\x02\x00" + b"x" * 22)
    peer.send(ack(0x40, 2))
    peer.expect(b"\x82\x19\x00\x03\x00\x00\x13" + b"x" * 19 + b"\x00")
    peer.send(reference5.suback(3, 0))
    peer.expect(b"\xa2\x18\x00\x04\x00\x00\x13" + b"x" * 19)
    peer.send(reference5.unsuback(4, 0))
    ends(peer)
    client.finish()


@pytest.mark.parametrize(
    ("maximum", "sent"), [(0, b"\x30\x06\x00\x01t\x00hi"), (1, b"\x32\x08\x00\x01t\x00\x01\x00hi")]
)
def test_lower_qos(device, scripted_broker: ScriptedBroker, maximum: int, sent: bytes) -> None:
    client = start(device, scripted_broker, _publish(qos=2), _DISCONNECT, lower_qos=True)
    peer = connected(scripted_broker, connack(maximum_qos=maximum))
    peer.expect(sent)
    if maximum:
        peer.send(ack(0x40, 1))
    ends(peer)
    client.line("publish 1" if maximum else "publish None")
    client.finish()


def test_queued_before_the_limit_was_known(device, scripted_broker: ScriptedBroker) -> None:
    """Accepted while other limits held: the server gets only what it takes now, the program hears of the rest."""
    steps = (
        _publish(msg="first", qos=1, wait=False),
        ("lost", {}),
        _publish(msg="x" * 40, qos=1, wait=False),
        _publish(qos=1, retain=True, wait=False),
        _publish(qos=2, wait=False),
        _publish(msg="last", qos=1),
        _DISCONNECT,
    )
    client = start(device, scripted_broker, *steps, clean_session=False, session_expiry=60)
    peer = connected(scripted_broker)
    said(peer, "PUBLISH")
    peer.close()
    peer = scripted_broker.accept()
    said(peer, "CONNECT")
    client.line("publish 4")
    peer.send(connack(maximum_packet_size=40, retain_available=0, maximum_qos=1))
    for payload in (b"first", b"last"):
        fields = said(peer, "PUBLISH")
        assert fields["payload"] == payload
        peer.send(ack(0x40, fields["packet_id"]))
    ends(peer)
    for code in ("0x95", "0x9a", "0x9b"):
        assert client.line("refused").split()[2] == code
    client.finish()


def test_will_larger_than_the_server_takes(device, scripted_broker: ScriptedBroker) -> None:
    will = ("will", {"topic": "w", "msg": "x" * 100})
    client = start(device, scripted_broker, _DISCONNECT, will, ("connect", {}))
    ends(connected(scripted_broker, connack(maximum_packet_size=80)))
    assert client.line("connect ValueError")
    client.finish()
    scripted_broker.expect_no_connection(0.1)


def test_subscription_identifiers_not_available(device, scripted_broker: ScriptedBroker) -> None:
    steps = (_subscribe(topic="a/#", callback="one"), ("until", 1), _DISCONNECT)
    client = start(device, scripted_broker, *steps)
    peer = connected(scripted_broker, connack(subscription_identifiers_available=0))
    peer.expect(b"\x82\x09\x00\x01\x00\x00\x03a/#\x00")
    peer.send(reference5.suback(1, 0), publish("a/b", "hi"))
    client.line("callback one a/b b'hi'")
    ends(peer)
    client.finish()


def _identifier(fields: dict) -> int:
    return fields["properties"].get("subscription_identifier", 0)


def test_several_subscription_identifiers(device, scripted_broker: ScriptedBroker) -> None:
    """One copy of a message that matches two filters: each callback has it once, a third one not."""
    steps = [_subscribe(topic=topic, callback=topic) for topic in ("a/#", "+/b", "c")]
    client = start(device, scripted_broker, *steps, ("until", 2), ("until", 3), _DISCONNECT)
    peer = connected(scripted_broker)
    identifiers = [_identifier(subscribes(peer)) for _ in steps]
    told = [identifier for identifier in identifiers[:2] if identifier]
    assert len(set(told)) == len(told), "an identifier for each"
    peer.send(publish("a/b", "hi", **({"subscription_identifier": told} if told else {})))
    client.line("until")
    peer.send(publish("c", "ho", **({"subscription_identifier": identifiers[2:]} if told else {})))
    ends(peer)
    client.finish()
    callbacks = [line for line in client.output if line.startswith("callback")]
    assert sorted(callbacks[:2]) == ["callback +/b a/b b'hi'", "callback a/# a/b b'hi'"]
    assert callbacks[2:] == ["callback c c b'ho'"]


@pytest.mark.parametrize("maximum", [1, 3])
@pytest.mark.parametrize("qos", [1, 2])
def test_receive_maximum_of_the_server(device, scripted_broker: ScriptedBroker, qos: int, maximum: int) -> None:
    count = 2 * maximum + 2
    steps = [_publish(msg=str(number), qos=qos, wait=False) for number in range(count)]
    client = start(device, scripted_broker, *steps, ("flush", {}), _DISCONNECT)
    peer = connected(scripted_broker, connack(receive_maximum=maximum))
    waiting = []
    for number in range(count):
        if len(waiting) == maximum:
            peer.expect_silence(0.03)
            packet_id = waiting.pop(0)
            if qos == 2:
                peer.send(ack(0x50, packet_id))
                peer.expect(ack(0x62, packet_id))
                peer.expect_silence(0.03)  # only PUBCOMP makes room
            peer.send(ack(0x40 if qos == 1 else 0x70, packet_id))
        fields = said(peer, "PUBLISH")
        assert fields["payload"] == b"%d" % number
        waiting.append(fields["packet_id"])
    client.close()


def test_receive_maximum_holds_back_nothing_but_messages(device, scripted_broker: ScriptedBroker) -> None:
    """[MQTT-3.3.4-8]; and a PUBREC that refuses makes room."""
    steps = [_publish(msg=str(number), qos=2, wait=False) for number in range(2)]
    client = start(
        device, scripted_broker, *steps, _subscribe(), ("ping", {}), _publish(msg="now"), ("flush", {}), _DISCONNECT
    )
    peer = connected(scripted_broker, connack(receive_maximum=1))
    first = said(peer, "PUBLISH")
    subscribes(peer)
    peer.expect(packets.PINGREQ)
    peer.send(packets.PINGRESP)
    assert said(peer, "PUBLISH")["payload"] == b"now"
    peer.send(ack(0x50, first["packet_id"], 0x97))
    second = said(peer, "PUBLISH")
    assert second["payload"] == b"1"
    peer.send(ack(0x50, second["packet_id"]))
    peer.expect(ack(0x62, second["packet_id"]))
    peer.send(ack(0x70, second["packet_id"]))
    ends(peer)
    client.line("refused 1 MQTTException 0x97")
    client.finish()


def test_resent_within_the_receive_maximum(device, scripted_broker: ScriptedBroker) -> None:
    steps = [_publish(msg=str(number), qos=1, wait=False) for number in range(4)]
    client = start(device, scripted_broker, *steps, ("flush", {}), _DISCONNECT, clean_session=False, session_expiry=60)
    peer = connected(scripted_broker)
    for _ in range(4):
        said(peer, "PUBLISH")
    peer.close()
    peer = connected(scripted_broker, connack(session_present=1, receive_maximum=1))
    for number in range(4):
        fields = said(peer, "PUBLISH")
        assert (fields["dup"], fields["payload"]) == (1, b"%d" % number)
        peer.expect_silence(0.03)
        peer.send(ack(0x40, fields["packet_id"]))
    ends(peer)
    client.finish()


def test_response_information(device, scripted_broker: ScriptedBroker) -> None:
    """A request asks below the topic that the server has given; the answer comes back to who asked."""
    request = ("request", {"topic": "ask", "payload": "what?", "content_type": "text"})
    client = start(device, scripted_broker, request, request, _DISCONNECT, request_response_information=True)
    peer = connected(scripted_broker, connack(response_information="reply/a-1"))
    topic_filter = subscribes(peer)["filters"][0][0]
    assert topic_filter.startswith("reply/a-1")
    seen = set()
    for answer in (b"this", b"that"):
        fields = said(peer, "PUBLISH")
        values = fields["properties"]
        assert (fields["topic"], fields["payload"], values["content_type"]) == ("ask", b"what?", "text")
        assert reference5.text(values["response_topic"].encode()).startswith("reply/a-1")
        seen.add(values["correlation_data"])
        peer.send(publish(values["response_topic"], b"wrong", correlation_data=b"other"))
        peer.send(publish(values["response_topic"], answer, correlation_data=values["correlation_data"]))
    assert len(seen) == 2
    ends(peer)
    client.line("request b'this'")
    client.line("request b'that'")
    client.finish()


def test_reply(device, scripted_broker: ScriptedBroker) -> None:
    client = start(device, scripted_broker, ("until", 1), ("reply", {"payload": "yes", "qos": 1}), _DISCONNECT)
    peer = connected(scripted_broker)
    peer.send(publish("ask", "?", response_topic="answers/7", correlation_data=b"\x00\xff"))
    peer.expect(b"\x32\x16\x00\x09answers/7\x00\x01\x05\x09\x00\x02\x00\xffyes")
    peer.send(ack(0x40, 1))
    ends(peer)
    client.finish()


def test_limits_of_one_connection_do_not_bind_the_next(device, scripted_broker: ScriptedBroker) -> None:
    steps = (_DISCONNECT, ("connect", {}), _publish(retain=True, qos=2, msg="x" * 50, wait=False), ("work", 0.05))
    client = start(device, scripted_broker, *steps, _DISCONNECT)
    ends(connected(scripted_broker, connack(maximum_qos=0, retain_available=0, maximum_packet_size=40)))
    peer = connected(scripted_broker, received5.CONNACK)
    peer.expect(b"\x35\x38\x00\x01t\x00\x01\x00" + b"x" * 50)
    ends(peer)
    client.finish()
