"""Streams that take a part, break in the middle or stay silent: whole packets, every one once, and errors in time."""

import packets
from support.answering import CONNECT, DISCONNECT, PINGREQ, PUBLISH, Broker
from support.session import Session, raised

_LONG = b"0123456789" * 20
_LONG_PUBLISH = b"\x30\xcd\x01\x00\x03big" + _LONG


def _takes(session, n):
    """The stream takes n bytes in one write more, then none until `_takes_all`."""
    network = session.network
    network.write_limit = n

    def written(sock):
        network.write_limit = 0
        _forget(network)
        network.written(sock)

    if n:
        network.written = written


def _takes_all(session):
    _forget(session.network)
    session.network.write_limit = None


def _forget(network):
    if "written" in network.__dict__:
        del network.written


def _small(**settings):
    """A connected session whose long payloads do not fit into the buffer."""
    session = Session(tx_size=64, keepalive=settings.pop("keepalive", 0), **settings).connected()
    session.sent()
    return session


def test_an_acknowledgement_while_a_long_payload_is_half_written():
    for taken in (0, 1, 30, 64, 100):
        for received, answer in ((b"\x32", b"\x40\x02\x00\x05"), (b"\x34", b"\x50\x02\x00\x05")):
            session = _small()
            client = session.client
            client.set_callback(lambda topic, msg, client=client: client.publish("big", _LONG))
            _takes(session, taken)
            session.sock.reply(received + b"\x06\x00\x01t\x00\x05p")
            session.pump(100)
            _takes_all(session)
            session.pump(100)
            assert session.sent() == _LONG_PUBLISH + answer, taken
            assert client.isconnected() and len(session.network.sockets) == 1


def test_acknowledgements_over_streams_that_stall():
    for seed in range(1, 30):
        session = _small(network={"stall": 80, "write_limit": 30, "seed": seed})
        client, seen = session.client, []

        def callback(topic, msg, client=client, seen=seen):
            if not seen:
                client.publish("big", _LONG)
            seen.append(msg)

        client.set_callback(callback)
        session.sock.reply(b"\x32\x06\x00\x01t\x00\x05p" + b"\x32\x06\x00\x01t\x00\x06q")
        session.pump(3000)
        assert session.sent() == _LONG_PUBLISH + b"\x40\x02\x00\x05\x40\x02\x00\x06", seed
        assert seen == [b"p", b"q"], seed


def test_pingreq_does_not_come_into_a_long_payload():
    session = _small(keepalive=2)
    _takes(session, 100)
    session.client.publish("big", _LONG, wait=False)
    session.pump(1700)
    _takes_all(session)
    session.pump(1200)
    assert session.sock.packets() == [_LONG_PUBLISH, packets.PINGREQ]
    assert session.client.isconnected()


def _break_writes(sock, after):
    """Writing takes nothing `after` times, then fails; what the broker has sent can still be read."""
    left = [after]

    def write(*_):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(104)

    sock.write = write


def test_qos_2_received_as_the_writes_break_is_delivered_once():
    for after in range(5):
        for busy in (True, False):
            session = Session(clean_session=False, backoff=(0, 0)).connected()
            session.broker.answers[CONNECT] = lambda packet: packets.CONNACK_SESSION_PRESENT
            if busy:
                session.network.write_limit = 0
                session.client.publish("t", "x", qos=1, wait=False)
            _break_writes(session.sock, after)
            session.network.write_limit = None
            session.sock.reply(b"\x34\x06\x00\x01t\x00\x05p")
            session.clock.at(40, session.sock.reset)
            session.pump(200)
            assert len(session.network.sockets) == 2 and session.client.isconnected(), after
            session.sock.reply(b"\x3c\x06\x00\x01t\x00\x05p")
            session.pump(50)
            session.sock.reply(b"\x62\x02\x00\x05")
            session.pump(50)
            assert [message[1] for message in session.messages] == [b"p"], (after, busy)
            assert b"\x70\x02\x00\x05" in session.sock.packets(), (after, busy)


def test_asking_again_and_again_does_not_hide_a_dead_link():
    for first in (0, 6000):
        broker = Broker()
        broker.answers[PINGREQ] = None
        session = Session(broker, keepalive=10, auto_reconnect=False).connected()
        losses = []
        session.client.on_disconnect = lambda reason, session=session, losses=losses: losses.append(session.clock.now)
        start = session.clock.now
        session.pump(first)
        while not losses and session.clock.now - start < 60_000:
            session.client.ping()
            session.client.check_msg()
            session.clock.sleep_ms(300)
        assert losses and 5000 <= losses[0] - start <= 15_000, losses


def test_a_message_at_qos_0_that_went_down_half_written_raises():
    for auto_reconnect in (True, False):
        session = _small(auto_reconnect=auto_reconnect, timeout=5)
        _takes(session, 100)
        sock, start = session.sock, session.clock.now
        session.clock.at(50, sock.reset)
        raised(OSError, session.client.publish, "big", _LONG)
        assert session.clock.now - start < 1000, "as soon as it is known"
        assert bytes(sock.sent) == _LONG_PUBLISH[:64], "it was indeed half written"


def test_every_raise_has_an_exception_of_its_own():
    session = Session(auto_reconnect=False).connected()
    session.sock.hang_up()
    lost = [raised(OSError, session.client.wait_msg, 5)] + [raised(OSError, session.client.check_msg) for _ in range(3)]
    refused = Session(Broker(b"\x20\x02\x00\x05"))
    kind = refused.module.MQTTException
    refusals = [raised(kind, refused.client.connect)] + [raised(kind, refused.client.check_msg) for _ in range(3)]
    assert [error.reason_code for error in refusals] == [5] * 4
    for errors, stored in ((lost, session.client.error), (refusals, refused.client.error)):
        for i, error in enumerate(errors):
            assert error is not stored and str(error) == str(stored) and type(error) is type(stored)
            assert all(error is not other for other in errors[:i])


def _after_failures(**settings):
    """A client that has tried in vain for so long that its pauses are long, then lost b, of the list a, b, c."""
    broker = Broker()
    broker.accepts = lambda sock: "refused"
    session = Session(broker, server=["a", "b", "c"], **settings)
    session.client.connect(wait=False)
    session.client.wait_msg(400)
    broker.accepts = lambda sock: None if sock.address[0] == "b" else "refused"
    while not session.client.isconnected():
        session.pump(1000)
    session.sock.hang_up()
    session.pump(10)
    broker.accepts = lambda sock: "refused"
    return session


def test_connect_tries_every_broker_in_time_whatever_failed_before():
    for verdict in ("refused", "connecting"):
        for good in "abc":
            session = _after_failures(timeout=3)
            session.broker.accepts = lambda sock, good=good, verdict=verdict: (
                None if sock.address[0] == good else verdict
            )
            start = session.clock.now
            session.client.connect()
            assert session.client.isconnected() and session.sock.address[0] == good
            assert session.clock.now - start <= 3000, (verdict, good)


def test_connect_tries_every_broker_once_before_it_gives_up():
    session = _after_failures(timeout=3)
    before = len(session.network.sockets)
    start = session.clock.now
    raised(OSError, session.client.connect)
    assert sorted([sock.address[0] for sock in session.network.sockets[before:]]) == ["a", "b", "c"]
    assert session.clock.now - start <= 3000


def test_nothing_follows_disconnect():
    for taken in (0, 3, 11, 1000):
        session = Session(keepalive=0, clean_session=False).connected()
        session.broker.answers[PUBLISH] = None
        session.sent()
        _takes(session, taken)
        for i in range(3):
            session.client.publish("a", str(i), qos=1, wait=False)
        session.clock.at(50, lambda session=session: _takes_all(session))
        session.client.disconnect()
        types = [packet[0] >> 4 for packet in session.sock.packets()]
        assert types[-1] == DISCONNECT and types.count(DISCONNECT) == 1, taken
        assert sum([len(packet) for packet in session.sock.packets()]) == len(session.sock.sent), "whole packets"
        assert session.client.pending() == 3
        session.broker.answers[PUBLISH] = Broker().answers[PUBLISH]
        session.client.connect()
        session.client.flush(5)


def test_disconnect_waits_for_a_long_payload():
    for taken in (0, 1, 64, 100):
        session = _small()
        _takes(session, taken)
        session.client.publish("big", _LONG, wait=False)
        session.clock.at(50, lambda session=session: _takes_all(session))
        session.client.disconnect()
        assert session.sent() == _LONG_PUBLISH + packets.DISCONNECT, taken
        assert session.network.open_sockets() == []


def test_disconnect_from_a_stream_that_takes_nothing_has_a_deadline():
    session = _small(timeout=2)
    _takes(session, 100)
    session.client.publish("big", _LONG, wait=False)
    start = session.clock.now
    session.client.disconnect()
    assert session.clock.now - start <= 2500
    assert session.network.open_sockets() == []


def _publish(topic, payload, retain=False):
    """The bytes of a PUBLISH at QoS 0."""
    topic = topic.encode() if isinstance(topic, str) else bytes(topic)
    rest = bytes((len(topic) >> 8, len(topic) & 0xFF)) + topic + payload
    n = len(rest)
    length = bytes((n,)) if n < 128 else bytes((n & 127 | 128, n >> 7))
    return (
        (b"\x31" if retain else b"\x30")
        + (length if n < 16384 else bytes((n & 127 | 128, n >> 7 & 127 | 128, 1)))
        + rest
    )


def test_a_topic_that_is_changed_in_place():
    session = Session().connected()
    session.sent()
    topic = bytearray(b"ab")
    for content in (b"ab", b"xy", b"xyz/long", b"q", b"q", b"ab"):
        topic[:] = content
        session.client.publish(topic, b"1")
        assert session.sent() == _publish(content, b"1")
    topic[:] = b"a/+"
    raised(ValueError, session.client.publish, topic, b"1")


def test_topics_in_turn_and_lengths_around_the_second_byte_of_the_length():
    topics = (b"t", b"t", "t", b"sensors/1/temperature", bytearray(b"of/bytes"), b"t", "\xfc\x62\x65r")
    for network in ({}, {"write_limit": 5}, {"stall": 50, "seed": 3}):
        session = Session(network=network, keepalive=0).connected()
        session.sent()
        for length in range(95, 135):
            payload = bytes(range(length))
            for i, topic in enumerate(topics):
                session.client.publish(topic, payload, retain=i % 2 > 0)
                assert session.sent() == _publish(topic, payload, i % 2 > 0), (topic, length)
            session.client.publish(topics[length % 7], b"", qos=1 + length % 2)
            session.sent()
            for kept in (session.broker.received, session.broker.times, session.sock.writes):
                kept.clear()


def test_lengths_around_the_third_byte_of_the_length():
    session = Session(tx_size=20_000).connected()
    session.sent()
    for length in (16379, 16380, 16381, 16382, 16380, 1, 16381, 16383, 16390):
        payload = b"x" * length
        session.client.publish(b"t", payload)
        assert session.sent() == _publish(b"t", payload), length


def test_a_short_message_that_is_taken_in_parts():
    for taken in range(12):
        session = Session(keepalive=0).connected()
        session.client.publish(b"t", b"first")
        session.sent()
        _takes(session, taken)
        for payload in (b"one", b"two", b"three"):
            session.client.publish(b"t", payload, wait=False)
        _takes_all(session)
        session.pump(50)
        session.client.publish(b"t", b"last")
        assert session.sent() == b"".join([_publish(b"t", p) for p in (b"one", b"two", b"three", b"last")]), taken
