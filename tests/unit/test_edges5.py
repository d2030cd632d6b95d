"""MQTT 5: what brokers do that is odd but no crime, and what happens between the versions."""

import received5
from support import answering, reference5
from support.answering import CONNECT, PUBLISH, PUBREL, SUBSCRIBE, Broker
from support.reference5 import ack, connack, disconnect, packet, publish, suback
from support.session import raised
from support.session5 import Broker5, Session5, connack_with

_KEPT = {"clean_session": False, "session_expiry": 600, "backoff": (0.01, 0.01)}


def test_reason_codes_that_nobody_knows():
    session = Session5(connack_with(code=0xF3))
    assert raised(session.module.MQTTException, session.client.connect).reason_code == 0xF3
    session = Session5()
    session.broker.answers[PUBLISH] = lambda packet: ack(0x40, 1, 0xF4)
    session.client.connect()
    error = raised(session.module.MQTTException, session.client.publish, "t", "x", qos=1)
    assert error.reason_code == 0xF4 and error.name and error.reason
    session.broker.answers[SUBSCRIBE] = lambda packet: suback(2, 0xF5)
    error = raised(session.module.MQTTException, session.client.subscribe, "t")
    assert error.reason_code == 0xF5 and error.name
    session = Session5(auto_reconnect=False).connected()
    session.sock.reply(disconnect(0xF6))
    assert raised(session.module.MQTTException, session.client.wait_msg, 5).reason_code == 0xF6


def test_pubcomp_that_knows_nothing_ends_the_exchange():
    session = Session5()
    session.broker.answers[PUBREL] = lambda packet: ack(0x70, 1, 0x92)
    session.client.connect()
    session.client.publish("t", "x", qos=2)
    assert session.client.pending() == 0 and session.client.acknowledged[:2] == (1, 0x92)


def test_pubrec_of_success_with_a_reason_code():
    session = Session5()
    session.broker.answers[PUBLISH] = lambda packet: ack(0x50, 1, 0x10)
    session.client.connect()
    session.client.publish("t", "x", qos=2)
    assert session.broker.of_type(PUBREL) == [ack(0x62, 1)]


def test_lengths_of_more_bytes_than_necessary():
    """[MQTT-1.5.5-1] forbids them to who sends; who receives may refuse them or take them."""
    for data in (
        b"\x30\x07\x00\x01t\x80\x00hi",
        b"\x30\x86\x00\x00\x01t\x00hi",
        b"\x30\x0a\x00\x01t\x83\x00\x0b\x81\x00hi",
    ):
        session = Session5(auto_reconnect=False).connected()
        session.sock.reply(data)
        try:
            session.client.wait_msg(1)
        except session.module.MQTTException as error:
            assert error.reason_code == 0x81 and session.messages == []
        else:
            assert [message[:2] for message in session.messages] in ([(b"t", b"hi")], [])


def test_nothing_counts_behind_a_disconnect():
    session = Session5(auto_reconnect=False).connected()
    session.sock.reply(disconnect(0x8B) + publish("t", "late") + publish("t", "later", 1, 4))
    assert raised(OSError, session.client.wait_msg, 5).args[0] == 0x8B
    assert session.messages == [] and session.broker.said("PUBACK") == []


def test_a_packet_full_of_properties():
    pairs = [("", "")] * 800
    session = Session5().connected()
    session.received(publish("t", "x", user_properties=pairs))
    assert session.messages[0][5] == {"user_properties": pairs[:64]}  # memory is bounded


def test_one_copy_for_each_subscription():
    """Section 3.3.4: a server may send a copy for each, with its identifier; each callback has its own."""
    session = Session5().connected()
    calls = []
    for topic_filter in ("a/#", "+/b", "a/b"):
        session.client.subscribe(topic_filter, callback=lambda topic, msg, name=topic_filter: calls.append(name))
    said = session.broker.said("SUBSCRIBE")
    identifiers = [fields["properties"].get("subscription_identifier") for fields in said]
    if identifiers[0] is None:  # who gives no identifiers gets none
        return
    assert len(set(identifiers)) == 3 and all(0 < each < 268435456 for each in identifiers)
    for identifier in identifiers[::-1]:
        session.received(publish("a/b", "x", subscription_identifier=identifier))
    assert calls == ["a/b", "+/b", "a/#"]
    del calls[:]
    session.received(publish("a/b", "x", subscription_identifier=identifiers))
    assert sorted(calls) == ["+/b", "a/#", "a/b"]


def test_identifiers_that_are_not_ours():
    session = Session5().connected()
    calls = []
    session.client.subscribe("a", callback=lambda topic, msg: calls.append(topic))
    session.received(publish("a", "x", subscription_identifier=[268435455]))
    session.received(publish("b", "x", subscription_identifier=[268435455]))
    assert calls == [b"a"] and [message[0] for message in session.messages] == [b"b"]


def test_the_identifier_is_the_same_when_subscribed_again():
    session = Session5(**_KEPT).connected()
    session.client.subscribe("a/#", 1, callback=lambda topic, msg: None)
    session.sock.reset()
    session.pump(500)
    first, again = session.broker.said("SUBSCRIBE")
    assert first["properties"] == again["properties"] and first["filters"] == again["filters"]


def test_a_farewell_larger_than_tx_size():
    session = Session5(tx_size=128).connected()
    start = session.clock.now
    raised(ValueError, session.client.disconnect, user_properties=[("k", "v" * 200)])
    assert session.clock.now == start and session.client.isconnected()


def test_connect_properties_larger_than_tx_size():
    session = Session5(tx_size=128, user_properties=[("k", "v" * 200)])
    assert "tx_size" in str(raised(ValueError, session.client.connect))
    assert session.network.sockets == []


def test_a_will_with_properties_larger_than_tx_size():
    session = Session5(tx_size=128)

    def both():
        session.client.set_last_will("w", "x", user_properties=[("k", "v" * 200)])
        session.client.connect()

    assert "tx_size" in str(raised(ValueError, both))


def _old(session):
    """From now on the broker knows only 3.1.1."""
    broker = session.broker
    broker.strict = False
    broker.answers.update(Broker().answers)
    broker.answers[CONNECT] = lambda packet: b"\x20\x02\x00\x01" if packet[8] == 5 else b"\x20\x02\x00\x00"


def test_a_backlog_goes_to_a_broker_of_3_1_1():
    """Properties are lost, messages are not."""
    session = Session5(version=(5, 4), **_KEPT)
    session.broker.answers[PUBLISH] = None
    session.client.connect()
    session.client.publish("t", "one", qos=1, wait=False, content_type="text", message_expiry=1000)
    session.client.publish("t", "two", qos=2, wait=False, user_properties=[("k", "v")])
    session.client.publish("t", "three", qos=1, wait=False)
    _old(session)
    del session.broker.received[:]
    session.sock.reset()
    session.pump(2000)
    assert session.client.pending() == 0
    sent = [answering.body(each) for each in session.broker.of_type(PUBLISH)]
    assert sent == [b"\x00\x01t\x00\x01one", b"\x00\x01t\x00\x02two", b"\x00\x01t\x00\x03three"]


def test_a_backlog_of_3_1_1_goes_to_a_broker_of_mqtt_5():
    session = Session5(version=(5, 4), **_KEPT)
    _old(session)
    session.broker.answers[PUBLISH] = None
    session.client.connect()
    session.client.publish("t", "one", qos=1, wait=False, content_type="text")
    session.client.publish("t", "two", qos=2, wait=False)
    session.broker.strict = True
    session.broker.answers.update(Broker5().answers)
    session.client.connect()
    session.client.flush()
    said = session.broker.said("PUBLISH")
    assert [fields["payload"] for fields in said] == [b"one", b"two"]
    assert said[0]["properties"] in ({}, {"content_type": "text"})  # it was accepted for a broker that has none


def test_incoming_messages_of_3_1_1_after_the_fallback():
    session = Session5(version=(5, 4))
    _old(session)
    session.client.connect()
    assert session.received(b"\x32\x07\x00\x01t\x00\x01hi") == b"\x40\x02\x00\x01"
    assert session.messages[0][:2] == (b"t", b"hi") and session.messages[0][5] is None
    session.client.subscribe("a/#", 1)
    assert session.broker.of_type(SUBSCRIBE) == [b"\x82\x08\x00\x01\x00\x03a/#\x01"]
    session.client.disconnect(reason_code=4)
    assert session.broker.of_type(14) == [b"\xe0\x00"]


def test_a_request_is_answered_late_or_never():
    session = Session5(timeout=2).connected()
    error = raised(OSError, session.client.request, "ask", "?", timeout=1)
    assert error.args[0] == session.network.port.errno["ETIMEDOUT"]
    values = session.broker.said("PUBLISH")[0]["properties"]
    late = publish(values["response_topic"], "late", correlation_data=values["correlation_data"])
    session.received(late)
    session.sock.reply(publish(values["response_topic"], "no correlation at all"))
    raised(OSError, session.client.request, "ask", "?", timeout=1)
    asked = [fields["properties"]["correlation_data"] for fields in session.broker.said("PUBLISH")]
    assert asked[0] != asked[1]
    session.client.publish("t", "x", qos=1)


def test_requests_that_overlap():
    session = Session5().connected()
    keys = [session.client.request("ask", str(number), wait=False) for number in range(3)]
    for fields in session.broker.said("PUBLISH")[::-1]:
        values = fields["properties"]
        answer = b"answer to " + fields["payload"]
        session.received(publish(values["response_topic"], answer, correlation_data=values["correlation_data"]))
    for number in (1, 2, 0):
        assert session.client.response(keys[number], 1).payload == b"answer to %d" % number
    assert len(session.broker.said("SUBSCRIBE")) == 1


def test_a_reply_to_what_was_no_request():
    session = Session5().connected()
    session.received(publish("t", "x"))
    raised(ValueError, session.client.reply, session.client.message, "yes")


def test_what_a_program_may_answer_in_a_callback():
    session = Session5().connected()
    session.client.subscribe("ask", callback=lambda topic, msg: session.client.reply(session.client.message, b"yes", 1))
    session.received(publish("ask", "?", response_topic="r", correlation_data=b"7"))
    said = session.broker.said("PUBLISH")[0]
    assert (said["topic"], said["payload"], said["properties"]) == ("r", b"yes", {"correlation_data": b"7"})
    assert session.client.pending() == 0


def test_properties_of_one_message_are_not_those_of_the_next():
    session = Session5().connected()
    session.received(publish("t", "x", content_type="text", user_properties=[("k", "v")]) + publish("t", "y"))
    assert [message[5] for message in session.messages] == [
        {"content_type": "text", "user_properties": [("k", "v")]},
        None,
    ]
    session.client.publish("t", "x", qos=1, content_type="text")
    session.client.publish("t", "x", qos=1)
    session.client.publish("t", "x")
    session.pump()
    assert [fields["properties"] for fields in session.broker.said("PUBLISH")] == [{"content_type": "text"}, {}, {}]


def test_frames():
    """The bytes that these tests put together are those of the specification."""
    assert publish("t", "hi", 1, 7) == b"\x32\x08\x00\x01t\x00\x07\x00hi"
    assert connack() == received5.CONNACK
    assert packet(0xE0, b"\x8b") == disconnect(0x8B) == b"\xe0\x01\x8b"
    assert reference5.auth(0x18, authentication_method="M") == b"\xf0\x06\x18\x04\x15\x00\x01M"
