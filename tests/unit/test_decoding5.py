"""Every packet of an MQTT 5 broker: whole, cut at every byte, ending at every byte."""

import packets5
import received5
from support import reference5
from support.answering import CONNECT, PUBLISH, PUBREL, SUBSCRIBE, UNSUBSCRIBE
from support.session import raised
from support.session5 import Auth, Broker5, Session5, connack_with

_BIG = {"max_packet": 20000}


def _cuts(data):
    """Where to cut: everywhere, but not at each of thousands of equal bytes."""
    return list(range(1, min(len(data), 70))) + ([len(data) - 1] if len(data) > 70 else [])


def _plain(message):
    """A message without its topic alias, which need not be told."""
    properties = dict(message[5] or {})
    properties.pop("topic_alias", None)
    return tuple([int(part) if isinstance(part, bool) else part for part in message[:5]]) + (properties,)


def _is(messages, message):
    return [_plain(each) for each in messages] == [_plain(message)]


def test_publish_whole():
    for name, message, received, answer in received5.RECEIVED_PUBLISH:
        session = Session5(**_BIG).connected()
        assert session.received(received) == answer, name
        assert _is(session.messages, message), (name, session.messages)
        if message[5] is None:
            assert session.messages[0][5] is None, name


def test_publish_cut_at_every_byte():
    for name, message, received, answer in received5.RECEIVED_PUBLISH:
        session = Session5(**_BIG).connected()
        for cut in _cuts(received):
            assert session.received(received[:cut]) == b"", (name, cut)
            assert session.messages == [], (name, cut)
            assert session.received(received[cut:]) == answer, (name, cut)
            assert _is(session.messages, message), (name, cut, session.messages)
            del session.messages[:]
            if message[3] == 2:
                session.received(b"\x62\x02" + answer[2:4])


def test_publish_that_ends_with_the_connection():
    for name, _message, received, _answer in received5.RECEIVED_PUBLISH:
        for cut in _cuts(received):
            session = Session5(auto_reconnect=False, **_BIG).connected()
            session.sock.reply(received[:cut])
            session.sock.hang_up()
            error = raised(OSError, session.client.wait_msg, 5)
            assert not isinstance(error, session.module.MQTTException), (name, cut)
            assert session.messages == [] and not session.client.isconnected(), (name, cut)


def test_many_packets_in_one_read():
    for network in ({}, {"read_limit": 1}, {"read_limit": 5, "stall": 40, "seed": 4}):
        session = Session5(network=network, receive_maximum=30, max_packet=60000).connected()
        rows = [row for row in received5.RECEIVED_PUBLISH if len(row[2]) < 1000]
        answers = session.received(b"".join([received for _, _, received, _ in rows]))
        session.pump(15000)
        assert [_plain(each) for each in session.messages] == [_plain(message) for _, message, _, _ in rows]
        assert answers + session.sent() == b"".join([answer for _, _, _, answer in rows])


def test_connack():
    for name, settings, session_present, limits, connack in received5.RECEIVED_CONNACK:
        for network in ({}, {"read_limit": 1}, {"read_limit": 3, "stall": 70}):
            session = Session5(Broker5(connack), network=network, **settings)
            assert session.client.connect() == session_present, name
            for key, value in limits.items():
                assert session.client.server_limits[key] == value, (name, key, session.client.server_limits)


def test_what_connack_says_holds_for_one_connection():
    session = Session5(Broker5(received5.RECEIVED_CONNACK[4][-1])).connected()
    session.broker.answers[CONNECT] = lambda packet: received5.CONNACK
    session.client.connect()
    for key, value in packets5.DEFAULT_LIMITS.items():
        assert session.client.server_limits[key] == value, key


def _told(session, error, code, properties):
    """Whether the exception says what the broker has said."""
    assert isinstance(error, session.module.MQTTException), repr(error)
    assert isinstance(error, OSError)
    assert error.reason_code == code, error
    name = {each: name for each, name, _ in packets5.REASON_CODES}[code]
    assert error.name.lower().replace("authorised", "authorized") == name.lower(), error.name
    assert error.reason == properties.get("reason_string", error.name), error.reason
    assert (error.properties or {}) == properties, error.properties
    assert error.reason in str(error)


def test_connack_refused():
    for code in packets5.refusals("CONNACK"):
        for _name, properties, behind in received5.REFUSALS[1:] if code in (0x87, 0x97) else received5.REFUSALS[1:2]:
            session = Session5(Broker5(reference5.packet(0x20, b"\0", bytes((code,)), behind)))
            error = raised(OSError, session.client.connect)
            _told(session, error, code, properties)
            assert session.sock.closed and not session.client.isconnected()


def test_a_refusal_without_properties_is_understood():
    for code in (0x87, 0x85, 0x80):  # some brokers leave the property length out
        session = Session5(Broker5(bytes((0x20, 2, 0, code))))
        assert raised(session.module.MQTTException, session.client.connect).reason_code in (code, 0x81)


def test_acknowledgements():
    for qos, heads in ((1, (0x40,)), (2, (0x50, 0x70))):
        for head in heads:
            for name, code, properties, data in received5.ACKNOWLEDGEMENTS:
                for network in ({}, {"read_limit": 1}):
                    session = Session5(network=network)
                    ack = reference5.packet(head, data)
                    session.broker.answers[PUBREL if head == 0x70 else PUBLISH] = lambda packet, ack=ack: ack
                    session.client.connect()
                    done = []
                    session.client.on_publish = done.append
                    assert session.client.publish("t", "x", qos=qos) == 1, name
                    assert session.client.pending() == 0 and done == [1], name
                    if properties:
                        assert session.client.acknowledged == (1, code, properties), name


def test_acknowledgements_cut_at_every_byte():
    for _name, _code, _properties, data in received5.ACKNOWLEDGEMENTS:
        ack = reference5.packet(0x40, data)
        for cut in _cuts(ack):
            broker = Broker5()
            broker.answers[PUBLISH] = None
            session = Session5(broker).connected()
            session.client.publish("t", "x", qos=1, wait=False)
            session.received(ack[:cut])
            assert session.client.pending() == 1
            session.received(ack[cut:])
            assert session.client.pending() == 0


def test_no_matching_subscribers():
    for qos, head in ((1, 0x40), (2, 0x50)):
        session = Session5()
        session.broker.answers[PUBLISH] = lambda packet, head=head: reference5.ack(head, 1, 0x10)
        session.client.connect()
        assert session.client.publish("t", "x", qos=qos) == 1
        packet_id, code, properties = session.client.acknowledged
        assert (packet_id, code, properties or {}) == (1, 0x10, {})


def test_publish_refused():
    for qos, head, name in ((1, 0x40, "PUBACK"), (2, 0x50, "PUBREC")):
        for code in packets5.refusals(name):
            for _name, properties, behind in received5.REFUSALS:
                session = Session5()
                refusal = reference5.packet(head, b"\0\1", bytes((code,)), behind)
                session.broker.answers[PUBLISH] = lambda packet, refusal=refusal: refusal
                session.client.connect()
                error = raised(OSError, session.client.publish, "t", "x", qos=qos)
                _told(session, error, code, properties)
                assert session.client.pending() == 0 and session.client.isconnected()
                assert not session.broker.of_type(PUBREL), "[MQTT-4.3.3-4]: only for less than 0x80"
                session.broker.answers[PUBLISH] = Broker5().answers[PUBLISH]
                session.client.publish("t", "x", qos=qos)


def test_publish_refused_that_nobody_waits_for():
    for qos, head in ((1, 0x40), (2, 0x50)):
        session = Session5()
        session.broker.answers[PUBLISH] = lambda packet, head=head: reference5.ack(head, 1, 0x97, reason_string="full")
        told, done = [], []
        session.client.on_refused = lambda packet_id, error, told=told: told.append((packet_id, error))
        session.client.on_publish = done.append
        session.client.connect()
        assert session.client.publish("t", "x", qos=qos, wait=False) == 1
        session.pump()
        assert [(packet_id, error.reason_code, error.reason) for packet_id, error in told] == [(1, 0x97, "full")]
        assert session.client.error.reason_code == 0x97
        assert session.client.pending() == 0 and session.client.isconnected() and done == []


def test_subscription_refused():
    for code in packets5.refusals("SUBACK"):
        for _name, properties, behind in received5.REFUSALS[1:]:
            session = Session5()
            refusal = reference5.packet(0x90, b"\0\1", behind, bytes((code,)))
            session.broker.answers[SUBSCRIBE] = lambda packet, refusal=refusal: refusal
            session.client.connect()
            error = raised(OSError, session.client.subscribe, "forbidden/#", 1)
            _told(session, error, code, properties)
            assert session.client.isconnected()


def test_unsubscribe_refused():
    for code in packets5.refusals("UNSUBACK"):
        for _name, properties, behind in received5.REFUSALS[1:]:
            session = Session5().connected()
            session.client.subscribe("t")
            refusal = reference5.packet(0xB0, b"\0\2", behind, bytes((code,)))
            session.broker.answers[UNSUBSCRIBE] = lambda packet, refusal=refusal: refusal
            error = raised(OSError, session.client.unsubscribe, "t")
            _told(session, error, code, properties)
            assert session.client.isconnected()


def test_one_of_three_subscriptions_refused():
    def answer(packet):
        fields = reference5.decode(packet)
        codes = [0x87 if name == "secret" else options & 3 for name, options in fields["filters"]]
        return reference5.suback(fields["packet_id"], *codes)

    session = Session5()
    session.broker.answers[SUBSCRIBE] = answer
    session.client.connect()
    error = raised(session.module.MQTTException, session.client.subscribe, ["a", "secret", "b"], 2)
    assert error.reason_code == 0x87
    assert "secret" in str(error) or b"secret" in getattr(error, "topic_filter", b"")
    assert session.client.isconnected()


def test_server_disconnects():
    for code in packets5.refusals("DISCONNECT") + [0]:
        for _name, properties, behind in received5.REFUSALS if code in (0x8B, 0x8E) else received5.REFUSALS[:1]:
            session = Session5(auto_reconnect=False).connected()
            reasons = []
            session.client.on_disconnect = reasons.append
            session.sock.reply(reference5.packet(0xE0, bytes((code,)), behind))
            error = raised(OSError, session.client.wait_msg, 5)
            assert error.args[0] == code
            assert len(reasons) == 1 and session.sock.closed
            if code:
                _told(session, reasons[0], code, properties)
            assert not session.broker.of_type(14), "a DISCONNECT is not answered"


def test_server_disconnects_without_a_word():
    session = Session5(auto_reconnect=False).connected()
    session.sock.reply(b"\xe0\x00")
    assert raised(OSError, session.client.wait_msg, 5)
    assert session.sock.closed


def test_every_property_in_every_packet_that_may_have_it():
    for frame in received5.FRAMES:
        for name, data, value, carriers in packets5.PROPERTIES:
            if frame[0] in carriers.split():
                found = _FOUND[frame[0]](frame, data)
                assert name == "topic_alias" or found.get(name) == value, (name, frame[0], found)


def _in_connack(frame, data):
    settings = {"request_response_information": True, "session_expiry": 60}
    if data[0] in (0x15, 0x16):
        settings["auth"] = None
        data = data if data[0] == 0x15 else b"\x15\x00\x01M" + data
    session = Session5(Broker5(received5.framed(frame, data)), **settings).connected()
    return session.client.server_limits


def _in_publish(frame, data):
    session = Session5().connected()
    session.received(received5.framed(frame, data))
    return session.messages[0][5] or {}


def _in_acknowledgement(frame, data):
    session = Session5()
    ack = received5.framed(frame, data)
    session.broker.answers[PUBREL if frame[0] == "PUBCOMP" else PUBLISH] = lambda packet: ack
    session.client.connect()
    session.client.publish("t", "x", qos=1 if frame[0] == "PUBACK" else 2)
    return session.client.acknowledged[2]


def _in_pubrel(frame, data):
    session = Session5().connected()
    assert session.received(received5.framed(frame, data))[:1] == b"\x70"
    return reference5.decode(received5.framed(frame, data))["properties"]  # nobody is told of them


def _in_suback(frame, data):
    session = Session5()
    name, head, before, _ = frame
    refusal = received5.framed((name, head, before, b"\x80"), data)
    session.broker.answers[SUBSCRIBE] = lambda packet: refusal
    session.client.connect()
    return raised(OSError, session.client.subscribe, "t").properties


def _in_unsuback(frame, data):
    session = Session5().connected()
    session.client.subscribe("t")
    name, head, _, _ = frame
    refusal = received5.framed((name, head, b"\0\2", b"\x80"), data)
    session.broker.answers[UNSUBSCRIBE] = lambda packet: refusal
    return raised(OSError, session.client.unsubscribe, "t").properties


def _in_disconnect(frame, data):
    if data[0] == 0x11:  # [MQTT-3.14.2-2]: only a client says so
        return {"session_expiry": 86400}
    session = Session5(auto_reconnect=False).connected()
    session.sock.reply(received5.framed(frame, data))
    return raised(OSError, session.client.wait_msg, 5).properties


def _in_auth(frame, data):
    data = data if data[0] == 0x15 else b"\x15\x00\x01M" + data
    auth = Auth()
    session = Session5(connack_with(authentication_method="M"), auth=auth)
    connack = session.broker.answers[CONNECT]
    session.broker.answers[CONNECT] = lambda packet: received5.framed(frame, data)
    session.broker.answers[15] = connack
    session.client.connect()
    found = reference5.decode(received5.framed(frame, data))["properties"]
    assert next(said for said in auth.said if said != "start") == found.get("authentication_data")
    return found


_FOUND = {
    "CONNACK": _in_connack,
    "PUBLISH": _in_publish,
    "PUBACK": _in_acknowledgement,
    "PUBREC": _in_acknowledgement,
    "PUBREL": _in_pubrel,
    "PUBCOMP": _in_acknowledgement,
    "SUBACK": _in_suback,
    "UNSUBACK": _in_unsuback,
    "DISCONNECT": _in_disconnect,
    "AUTH": _in_auth,
}


def test_unknown_acks_are_answered_or_ignored():
    session = Session5().connected()
    for name, received, answers in received5.RECEIVED_UNKNOWN_ACK:
        assert session.received(received) in answers, name
        sent = session.received(received + received)
        assert sent[: len(sent) // 2] in answers and sent[len(sent) // 2 :] in answers, name
    session.received(b"\x30\x06\x00\x01t\x00hi")
    assert len(session.messages) == 1
    session.client.publish("t", "x", qos=2)
