"""What a program may do inside a callback, and what happens when it fails there."""

import packets
from support import fakenet
from support.answering import PUBACK, PUBLISH, PUBREL, SUBSCRIBE, Broker
from support.session import Session, raised

_ASK = b"\x32\x07\x00\x03ask\x00\x05"  # QoS 1, packet identifier 5


def _session(callback, broker=None, **settings):
    """A connected session whose callback is `callback(client, topic, msg)`."""
    session = Session(broker, **settings).connected()
    session.client.set_callback(lambda topic, msg: callback(session.client, topic, msg))
    session.sent()
    return session


def _answer_at(qos):
    answers = []
    session = _session(lambda client, topic, msg: answers.append(client.publish("answer", b"yes", qos=qos)))
    session.sock.reply(_ASK)
    session.pump(100)
    assert session.client.pending() == 0
    return answers, sorted([packet[0] >> 4 for packet in session.sock.packets()])


def test_publishing_in_a_callback_does_not_wait():
    assert _answer_at(0) == ([None], [PUBLISH, PUBACK])
    assert _answer_at(1) == ([1], [PUBLISH, PUBACK])
    assert _answer_at(2) == ([1], [PUBLISH, PUBACK, PUBREL])


def test_publishing_in_a_callback_while_publish_waits():
    broker = Broker(delay=30)
    session = _session(lambda client, topic, msg: client.publish("answer", b"yes", qos=1), broker)
    session.sock.reply(_ASK, 10)
    assert session.client.publish("t", "x", qos=1) == 1
    session.client.flush(5)
    assert session.client.pending() == 0
    assert len(session.broker.of_type(PUBLISH)) == 2


def test_subscribing_in_a_callback_does_not_wait():
    session = _session(lambda client, topic, msg: client.subscribe("more/#", 1))
    session.sock.reply(_ASK)
    session.pump(100)
    assert len(session.broker.of_type(SUBSCRIBE)) == 1
    assert session.client.isconnected()


def test_waiting_in_a_callback_is_an_error_not_a_hang():
    errors = []

    def callback(client, topic, msg):
        for call in (client.wait_msg, client.check_msg):
            errors.append(raised(OSError, call))

    session = _session(callback)
    session.sock.reply(_ASK)
    session.pump(100)
    assert len(errors) == 2
    assert session.sock.packets() == [b"\x40\x02\x00\x05"]
    assert session.client.isconnected()


class _Mistake(Exception):
    pass


def _fail(client, topic, msg):
    raise _Mistake


def test_a_callback_that_raises():
    for received, answer in (
        (_ASK, b"\x40\x02\x00\x05"),
        (b"\x34\x07\x00\x03ask\x00\x05", b"\x50\x02\x00\x05"),
        (b"\x30\x05\x00\x03ask", b""),
    ):
        session = _session(_fail)
        session.sock.reply(received)
        raised(_Mistake, session.client.wait_msg, 5)
        session.pump(20)
        assert session.sent() == answer, "the program has had the message; the broker waits for the answer"
        assert session.client.isconnected()
        session.client.set_callback(lambda topic, msg: None)
        session.sock.reply(b"\x30\x03\x00\x01t")
        assert session.client.wait_msg(5) is True
        assert session.client.publish("t", "x", qos=1) == 1


def test_disconnecting_in_a_callback():
    session = _session(lambda client, topic, msg: client.disconnect(), network=fakenet.ROOMY)
    session.sock.reply(_ASK)
    try:
        session.pump(100)
    except OSError:
        pass  # it is disconnected, and says so
    assert packets.DISCONNECT in session.sock.packets()
    assert not session.client.isconnected()
    assert session.network.open_sockets() == []


def test_subscribing_and_publishing_when_the_connection_is_made():
    session = Session()
    client = session.client

    def on_connect(session_present):
        if not session_present:
            client.subscribe("in/#", 1)
            client.publish("state", "online", True, 1)

    client.on_connect = on_connect
    client.connect()
    session.pump(100)
    assert len(session.broker.of_type(SUBSCRIBE)) == 1
    assert len(session.broker.of_type(PUBLISH)) == 1
    session.sock.hang_up()
    session.pump(10_000)
    assert client.isconnected()
    assert len(session.broker.of_type(PUBLISH)) == 2
    assert client.pending() == 0


def test_publishing_when_the_connection_is_lost():
    session = Session().connected()
    client = session.client
    client.on_disconnect = lambda reason: client.publish("log", str(reason), qos=1)
    session.sock.hang_up()
    session.pump(10_000)
    assert client.isconnected()
    assert len(session.broker.of_type(PUBLISH)) == 1


def test_publishing_from_on_publish():
    session = Session().connected()
    client = session.client
    client.on_publish = lambda number: client.publish("next", "x", qos=1) if number < 5 else None
    client.publish("first", "x", qos=1)
    session.pump(200)
    assert client.pending() == 0
    assert len(session.broker.of_type(PUBLISH)) == 5


def test_message_is_complete_in_a_callback_of_a_filter():
    seen = []
    session = Session().connected()
    session.client.subscribe("a/#", callback=lambda topic, msg: seen.append(session.client.message))
    session.sock.reply(b"\x3b\x08\x00\x03a/b\x00\x07x")
    session.pump(20)
    message = seen[0]
    assert (message.topic, message.payload, message.qos) == (b"a/b", b"x", 1)
    assert message.retain and message.dup
