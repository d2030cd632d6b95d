"""MQTT 5: messages that this server, or this client, does not take, and who is told."""

import received5
from support.answering import CONNECT, PUBLISH, PUBREL, packet_id
from support.reference5 import ack, publish
from support.session import raised
from support.session5 import Session5, connack_with

_KEPT = {"clean_session": False, "session_expiry": 600, "backoff": (0.01, 0.01)}


def _refusals(session):
    """What on_refused is told: (packet identifier, reason code)."""
    told = []
    session.client.on_refused = lambda number, error: told.append((number, error.reason_code))
    return told


# --- Who is told -------------------------------------------------------------------------


def test_everybody_is_told_whose_message_is_refused_in_one_step():
    session = Session5(connack_with(maximum_qos=1), outbox=8000)
    told = _refusals(session)
    numbers = [session.client.publish("t", "x", qos=2, wait=False) for _ in range(16)]
    session.connected().client.flush()
    assert told == [(number, 0x9B) for number in numbers]
    assert session.broker.of_type(PUBLISH) == []


def _waits_among(before, behind):
    """Wait for a message that expires, with so many others that do so in the same step."""
    session = Session5(outbox=8000, backoff=(1, 1))
    session.broker.accepts = lambda sock: None if session.clock.now > 3000 else "refused"
    session.client.connect(wait=False)

    def others(count):
        for _ in range(count):
            session.client.publish("t", "other", qos=1, wait=False, message_expiry=1)

    others(before)
    session.clock.at(10, lambda: others(behind))  # as from another task
    error = raised(OSError, session.client.publish, "t", "x", qos=1, message_expiry=1)
    return session, error


def test_who_waits_for_a_message_is_told_that_it_has_expired():
    """However many expire in the same step, the first of them and the last."""
    for before in (0, 8, 15):
        session, error = _waits_among(before, 15 - before)
        assert "expired" in str(error) and session.client.isconnected(), before
        assert session.client.expired == 16 and session.client.pending() == 0
        assert session.broker.of_type(PUBLISH) == []


def test_on_publish_comes_beside_a_message_that_expires():
    session = Session5(connack_with(receive_maximum=1)).connected()
    done = []
    session.client.on_publish = done.append
    first = session.client.publish("t", "1", qos=1, wait=False)
    session.client.publish("t", "2", qos=1, wait=False, message_expiry=0)
    session.pump(100)
    assert done == [first] and session.client.expired == 1


def test_on_publish_comes_beside_a_message_that_is_refused():
    session = Session5(connack_with(receive_maximum=1, maximum_qos=1))
    done, told = [], _refusals(session)
    session.client.on_publish = done.append
    first = session.client.publish("t", "1", qos=1, wait=False)
    second = session.client.publish("t", "2", qos=2, wait=False)
    third = session.client.publish("t", "3", qos=1, wait=False)
    session.connected().pump(100)
    assert (done, told) == ([first, third], [(second, 0x9B)])


def test_a_refused_message_is_no_published_one():
    for first_byte, qos in ((0x40, 1), (0x50, 2)):
        session = Session5()
        session.broker.answers[PUBLISH] = lambda packet, head=first_byte: ack(head, packet_id(packet), 0x97)
        done, told = [], _refusals(session)
        session.client.on_publish = done.append
        session.connected().client.publish("t", "x", qos=qos, wait=False)
        session.pump(100)
        assert (done, told) == ([], [(1, 0x97)])


def test_a_refused_message_that_was_dropped_frees_its_identifier():
    """Its exchange is over: on the next connection no PUBREL asks for an end."""
    outbox = Session5().module.Outbox(60, full="drop")
    session = Session5(outbox=outbox, **_KEPT)
    session.broker.answers[PUBLISH] = None
    session.connected()
    for payload in ("x" * 20, "y" * 20):
        session.client.publish("t", payload, qos=2, wait=False)
        session.pump()
    first, second = [packet_id(packet) for packet in session.broker.of_type(PUBLISH)]
    assert outbox.dropped == 1
    assert session.received(ack(0x50, first, 0x97)) == b""
    session.broker.answers[CONNECT] = lambda packet: received5.CONNACK_SESSION_PRESENT
    session.sock.hang_up()
    session.pump(500)
    assert session.client.isconnected() and session.broker.of_type(PUBREL) == []
    assert [packet_id(packet) for packet in session.broker.of_type(PUBLISH)] == [first, second, second]


# --- What the server takes ---------------------------------------------------------------


def test_an_alias_makes_no_packet_larger_than_the_server_takes():
    for qos in (0, 1):
        for size in range(30, 50):
            session = Session5(connack_with(maximum_packet_size=60, topic_alias_maximum=5)).connected()
            plain = 2 + 14 + 2 * qos + 1 + size
            call = [session.client.publish, "topic/number", "x" * size]
            if plain > 60:
                raised(ValueError, *call, qos=qos)
                continue
            call[0](*call[1:], qos=qos)
            session.pump()
            said = session.broker.said("PUBLISH")[0]
            assert (said["topic"], said["payload"]) == ("topic/number", b"x" * size)
            length = len(session.broker.of_type(PUBLISH)[0])
            assert length <= 60 and length - plain in (0, 3), (qos, size, length)
            assert plain > 56 or said["properties"] == {"topic_alias": 1}, "where there is room"


def test_an_alias_does_not_make_a_stored_message_too_large():
    """It would be refused on every connection, and hold up all behind it."""
    for size in range(40, 46):
        session = Session5(connack_with(maximum_packet_size=60, topic_alias_maximum=5))
        for payload in ("x" * size, "next"):
            session.client.publish("topic/number", payload, qos=1, wait=False)
        told = _refusals(session)
        session.connected().client.flush()
        assert max([len(packet) for packet in session.broker.of_type(PUBLISH)]) <= 60
        fits = size + 19 <= 60
        assert told == ([] if fits else [(1, 0x95)]), (size, told)
        assert [fields["payload"] for fields in session.broker.said("PUBLISH")][-1] == b"next"


def test_qos_0_that_has_waited_for_the_connection_is_checked_by_its_server():
    limits = {"retain_available": 0, "maximum_packet_size": 40}
    for payload, values in (("x", {"retain": True}), ("x" * 100, {}), ("x", {"content_type": "c" * 40})):
        session = Session5(connack_with(**limits), **_KEPT)
        session.client.connect(wait=False)
        raised(ValueError, session.client.publish, "t", payload, **values)
        assert session.client.isconnected() and session.broker.of_type(PUBLISH) == []
        session.client.publish("t", "small")
        assert len(session.broker.of_type(PUBLISH)) == 1


def test_message_expiry_after_a_long_silence():
    """ticks_ms cannot tell how long it was when it was more than 6.2 days; from then on seconds count again."""
    session = Session5(keepalive=0, clean_session=False, session_expiry=600, backoff=(1, 1)).connected()
    session.clock.sleep_ms((1 << 29) + 50_000_000)
    session.broker.accepts = lambda sock: "refused"
    session.sock.hang_up()
    session.pump(20)
    for seconds in (5, 60):
        session.client.publish("t", "%d" % seconds, qos=1, wait=False, message_expiry=seconds)
    session.pump(30_000)
    session.broker.accepts = lambda sock: None
    session.client.flush()
    said = session.broker.said("PUBLISH")
    assert [fields["payload"] for fields in said] == [b"60"] and session.client.expired == 1
    assert 25 <= said[0]["properties"]["message_expiry"] <= 35


def test_a_backlog_that_tx_size_has_become_too_small_for():
    """Whatever of it a client of that size would have taken is sent, the rest refused, and tx does not grow."""
    for length in (150, 231, 243, 246, 252, 300):
        outbox = Session5().module.Outbox(2000)
        before = Session5(outbox=outbox, tx_size=512)
        for topic in ("t" * length, "short"):
            before.client.publish(topic, "payload", qos=1, wait=False)
        session = Session5(connack_with(topic_alias_maximum=5), outbox=outbox, tx_size=256)
        told = _refusals(session)
        session.connected().client.flush()
        said = [(fields["topic"], fields["payload"]) for fields in session.broker.said("PUBLISH")]
        first = [("t" * length, b"payload")] if length < 250 else []
        assert said == first + [("short", b"payload")], (length, told)
        assert told == ([] if first else [(1, 0x95)])
        raised(ValueError, session.client.publish, "t" * 233, "")


# --- What the caller gives ---------------------------------------------------------------


def test_a_topic_in_a_bytearray():
    for qos in (0, 1):
        session = Session5(connack_with(topic_alias_maximum=5)).connected()
        topic = bytearray(b"topic/a")
        for letter in b"aabba":
            topic[-1] = letter
            session.client.publish(topic, "x", qos=qos)
        session.pump()
        said = [(fields["topic"], fields["properties"]["topic_alias"]) for fields in session.broker.said("PUBLISH")]
        assert said == [("topic/a", 1), ("", 1), ("topic/b", 2), ("", 2), ("", 1)]


_MISUSE = (
    {"user_properties": {"a": "b"}},
    {"user_properties": ("a", "b")},
    {"user_properties": [("a",)]},
    {"user_properties": ["ab"]},
    {"user_properties": [("a", 5)]},
    {"content_type": 5},
    {"correlation_data": 5},
    {"message_expiry": [1, 2]},
    {"response_topic": 7},
    {"user_properties": 5},
)


def test_properties_of_the_wrong_type():
    session = Session5().connected()
    for values in _MISUSE:
        name = next(iter(values))
        for qos in (0, 1):
            assert name in str(raised(ValueError, session.client.publish, "t", "x", qos=qos, **values)), values
        raised(ValueError, session.client.set_last_will, "t", "x", **values)
        if name == "user_properties":
            raised(ValueError, session.client.subscribe, "t", **values)
            raised(ValueError, session.client.unsubscribe, "t", **values)
            raised(ValueError, session.client.disconnect, **values)
    session.pump()
    assert [fields["packet"] for fields in session.broker.decoded] == ["CONNECT"]
    assert session.client.pending() == 0 and session.client.isconnected()


# --- Whose message it is -----------------------------------------------------------------


def test_the_message_of_a_filter_without_callback():
    """It is for the callback of set_callback(), and for no other filter that matches as well."""
    session = Session5().connected()
    calls = []
    session.client.subscribe("a/#", callback=lambda topic, msg: calls.append(msg))
    session.client.subscribe("a/b")
    said = [fields["properties"]["subscription_identifier"] for fields in session.broker.said("SUBSCRIBE")]
    session.received(publish("a/b", "plain", subscription_identifier=said[1]))
    assert [message[1] for message in session.messages] == [b"plain"] and calls == []
    session.received(publish("a/b", "own", subscription_identifier=said[0]))
    session.received(publish("a/b", "both", subscription_identifier=said[0] + said[1]))
    assert len(session.messages) == 1 and calls == [b"own", b"both"]
