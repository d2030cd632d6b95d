"""A payload that is published from a stream: the same bytes on the wire as any other, and nothing left behind."""

from support.answering import CONNECT, DISCONNECT, PINGREQ, PUBLISH, Broker
from support.session import Session, raised
from support.session5 import Broker5, Session5, connack_with
from support.streaming import VERSIONS, Stream, content, published, session, source

_TX = 1024  # unless given
_PIECE = 512
_SIZES = [0, 1, 2, 124, 125, 126]  # Remaining Length 127 and 128
_SIZES += [_PIECE - 1, _PIECE, _PIECE + 1, 2 * _PIECE]
_SIZES += range(_TX - 10, _TX + 2)  # where tx is full, with either version's header
_SIZES += [3 * _PIECE, 3 * _PIECE + 1]
_SIZES += [16379, 16380, 16381, 20000]  # Remaining Length 16383 and 16384
_NETWORKS = ({}, {"write_limit": 100}, {"write_limit": 1}, {"write_limit": 333, "stall": 70, "seed": 9})


def _broker(version):
    """One that looks at packets no closer than it must: decoding takes long."""
    broker = Broker5() if version is Session5 else Broker()
    broker.strict = False
    return broker


def _session(version, broker=None, **settings):
    """One that is idle: what it publishes now is written at once."""
    made = session(version, broker or _broker(version), **settings)
    if made.client.isconnected():
        made.pump(10)
    return made


def test_every_size_over_streams_of_every_sort():
    for version in VERSIONS:
        for size in _SIZES:
            for network in _NETWORKS if size < 600 else _NETWORKS[:2]:
                made = session(version, _broker(version), network=network)
                if size % 3:  # else right behind CONNACK
                    made.client.publish("t", "before")
                del made.broker.received[:]
                payload, retain = content(size), size & 1
                made.client.publish("t", source(made, payload), retain=bool(retain))
                made.client.publish("t", "after")
                made.client.flush(5)
                large, small = made.broker.of_type(PUBLISH)
                assert large == published(version, "t", payload, retain=retain), (version, size, network)
                assert small == published(version, "t", b"after"), (version, size)


def test_a_small_buffer():
    for version in VERSIONS:
        for size in range(70):
            made = _session(version, tx_size=64)
            made.client.publish("topic", source(made, content(size)))
            made.client.publish("topic", "after")
            sent = made.broker.of_type(PUBLISH)
            assert sent == [published(version, "topic", payload) for payload in (content(size), b"after")], size


def test_a_stream_that_gives_little():
    for version in VERSIONS:
        for turns in ((1, 7, 600), (100,), (511, 1), (1,)):
            made = _session(version)
            payload = content(3000)
            made.client.publish("t", source(made, payload, *turns))
            assert made.broker.of_type(PUBLISH) == [published(version, "t", payload)], turns


_BREAKS = (0, None, OSError(11), OSError(5, "EIO"), ValueError("damaged"), MemoryError(), KeyError("x"))


def test_a_stream_that_breaks_costs_the_connection_and_nothing_else():
    for version in VERSIONS:
        for end in _BREAKS:
            for wait in (True, False):
                made = _session(version, backoff=(0.1, 0.1))
                losses = []
                made.client.on_disconnect = losses.append
                broken = source(made, content(3000), 700, 700, end)
                if wait:
                    raised(OSError, made.client.publish, "t", broken)
                else:
                    made.client.publish("t", broken, wait=False)
                made.pump(1000)
                assert len(losses) == 1 and "Source" in str(losses[0]), (end, losses)
                assert isinstance(losses[0], OSError)
                assert made.broker.of_type(PUBLISH) == [], "never a packet that is whole and wrong"
                _works(made, version)


# On the connection of now everything arrives as it was meant.
def _works(made, version):
    del made.broker.received[:]
    long = content(5000)
    made.client.publish("t", long)
    made.client.publish("t", "x", qos=1)
    made.client.publish("u", source(made, long))
    made.client.publish("u", "last")
    made.client.flush(5)
    sent = made.broker.of_type(PUBLISH)
    identifier = sent[1][-2] if version is Session else sent[1][-3]
    assert sent == [
        published(version, "t", long),
        published(version, "t", b"x", 1, identifier),
        published(version, "u", long),
        published(version, "u", b"last"),
    ]


def test_a_short_payload_whose_stream_breaks_is_never_sent_with_a_gap():
    """What fits into the buffer may be read before it is sent, and is asked for again after a failure."""
    for version in VERSIONS:
        for end in _BREAKS:
            made = _session(version, timeout=2, backoff=(0.1, 0.1))
            made.client.publish("t", "before")
            for topic in ("t", "t", "u"):
                del made.broker.received[:]
                data = source(made, content(500), 100, end, *[400] * 40, size=300)
                try:
                    made.client.publish(topic, data)
                    raise AssertionError("it was sent")
                except ValueError as error:
                    assert str(error).startswith("Source: "), error
                made.pump(1000)
                assert len(made.network.sockets) == 1, "nothing had been sent"
                assert made.broker.of_type(PUBLISH) == []
            _works(made, version)


def test_a_short_payload_that_ends_too_early():
    for version in VERSIONS:
        made = _session(version, backoff=(0.1, 0.1))
        made.client.publish("t", "before")
        for topic in ("t", "t", "u"):
            raised(ValueError, made.client.publish, topic, source(made, content(299), size=300))
        assert len(made.broker.of_type(PUBLISH)) == len(made.network.sockets) == 1
        _works(made, version)


def test_while_it_goes_out():
    """Other calls meanwhile: each comes behind it, and none into it."""
    for version in VERSIONS:
        made = _session(version, network={"write_limit": 100})
        payload = content(5000)
        made.client.publish("t", "before")
        del made.broker.received[:]
        made.client.publish("t", source(made, payload, 90), wait=False)
        identifier = made.client.publish("t", "1", qos=1, wait=False)
        made.client.publish("t", "0")
        made.client.publish("t", "1", qos=1)
        sent = made.broker.of_type(PUBLISH)
        assert sent[0] == published(version, "t", payload)
        assert sorted(sent[1:]) == sorted(
            [
                published(version, "t", b"0"),
                published(version, "t", b"1", 1, identifier),
                published(version, "t", b"1", 1, identifier + 1),
            ]
        )


def test_pingreq_comes_behind_it():
    for version in VERSIONS:
        made = _session(version, network={"write_limit": 100})
        made.client.publish("t", source(made, content(5000)), wait=False)
        made.client.ping()
        made.pump(2000)
        assert made.broker.of_type(PUBLISH) == [published(version, "t", content(5000))]
        assert made.broker.of_type(PINGREQ)


def test_disconnect_lets_it_finish():
    for version in VERSIONS:
        made = _session(version, network={"write_limit": 100})
        made.client.publish("t", source(made, content(5000)), wait=False)
        made.client.disconnect()
        assert made.broker.received[1] == published(version, "t", content(5000))
        assert [packet[0] >> 4 for packet in made.broker.received] == [CONNECT, PUBLISH, DISCONNECT]


def test_one_behind_the_other():
    for version in VERSIONS:
        made = _session(version, network={"write_limit": 100})
        expected = []
        for i in range(4):
            payload = content(600 * i + 900)
            made.client.publish("t", source(made, payload), wait=False)
            expected.append(published(version, "t", payload))
        made.client.flush(5)
        assert made.broker.of_type(PUBLISH) == expected


class _Stalling(Stream):
    """When 2,000 bytes were asked for the socket takes nothing any more, for a second."""

    network = None

    def readinto(self, buf):
        if self.at == 2000:
            self.network.write_limit = 0
            self.network.clock.at(1000, lambda: setattr(self.network, "write_limit", None))
        return super().readinto(buf)


def _stalling(made):
    stream = _Stalling(content(5000), 100)
    stream.network = made.network
    return made.module.Source(stream, 5000)


def test_the_connection_is_lost_in_the_middle():
    for version in VERSIONS:
        for wait in (True, False):
            made = _session(version, backoff=(0.1, 0.1))
            data = _stalling(made)
            made.network.clock.at(1000, made.sock.reset)
            if wait:
                raised(OSError, made.client.publish, "t", data)
            else:
                made.client.publish("t", data, wait=False)
            made.pump(30000)
            assert len(made.network.sockets) == 2 and made.client.isconnected(), (version, wait)
            assert not made.broker.of_type(PUBLISH) and 2000 < len(made.network.sockets[0].sent) < 5000
            made.network.write_limit = None
            _works(made, version)


def test_one_that_has_served_is_a_value_error():
    for version in VERSIONS:
        for size in (5000, 300):
            made = session(version, _broker(version), network={"write_limit": 100})
            data = source(made, content(size), 50)
            made.client.publish("t", data)
            made.network.write_limit = None
            for _ in range(2):
                raised(ValueError, made.client.publish, "t", data)
                made.client.publish("t", "between")
            assert made.client.isconnected() and len(made.network.sockets) == 1
            _works(made, version)


def test_a_deadline_gives_the_connection_up():
    """As with any payload that is half written."""
    for version in VERSIONS:
        made = _session(version, timeout=0.5)
        start = made.clock.now
        raised(OSError, made.client.publish, "t", _stalling(made))
        made.network.write_limit = None
        assert 490 <= made.clock.now - start <= 600
        made.pump(3000)
        _works(made, version)


def test_offline_it_waits_for_a_connection():
    for version in VERSIONS:
        made = _session(version, timeout=3, backoff=(1, 1))
        made.sock.hang_up()
        while made.client.isconnected():
            made.pump(1)
        data = source(made, content(3000))
        raised(OSError, made.client.publish, "t", data, wait=False)
        made.client.publish("t", data)
        assert made.broker.of_type(PUBLISH) == [published(version, "t", content(3000))]
        made.broker.accepts = lambda sock: "refused"
        made.sock.reset()
        while made.client.isconnected():
            made.pump(1)
        start = made.clock.now
        data = source(made, content(3000))
        raised(OSError, made.client.publish, "t", data)
        assert 2900 <= made.clock.now - start <= 3200
        made.broker.accepts = lambda sock: None
        made.client.publish("t", data)
        assert len(made.broker.of_type(PUBLISH)) == 2, "nothing had been read of it"


def test_at_qos_1_and_2_it_is_a_value_error_before_anything_changes():
    for version in VERSIONS:
        for qos in (1, 2):
            made = _session(version, connect=False, outbox=100)
            outbox = made.module.Outbox(100, full="drop")
            made = _session(version, outbox=outbox)
            made.broker.answers[PUBLISH] = None
            for _ in range(3):
                made.client.publish("t", "x" * 20, qos=1, wait=False)
            made.sent()
            raised(ValueError, made.client.publish, "t", source(made, content(3000)), qos=qos)
            assert (outbox.dropped, made.client.pending(), made.sent()) == (0, 3, b"")


def test_a_size_that_cannot_be():
    made = _session(Session)
    for size in (-1, 268435455):
        raised(ValueError, source, made, b"", size=size)
    assert made.client.isconnected() and made.broker.of_type(PUBLISH) == []
    _works(made, Session)


def test_version_5_has_its_properties_and_aliases():
    made = _session(Session5, connack_with(topic_alias_maximum=1))
    properties = {"content_type": "image/jpeg", "message_expiry": 60}
    for size in (3000, 300, 0):
        made.client.publish("camera/1", source(made, content(size)), **properties)
    first, second, third = made.broker.said("PUBLISH")
    assert first["topic"] == "camera/1" and second["topic"] == third["topic"] == ""
    assert [fields["payload"] for fields in (first, second, third)] == [content(3000), content(300), b""]
    for fields in (first, second, third):
        assert fields["properties"] == dict(properties, topic_alias=1)


def test_more_than_the_server_takes_is_a_value_error():
    made = _session(Session5, connack_with(maximum_packet_size=2000))
    made.sent()
    fits = 2000 - 3 - 4  # fixed header; the topic's field, the length of the properties
    raised(ValueError, made.client.publish, "t", source(made, content(fits + 1)))
    assert made.sent() == b""
    made.client.publish("t", source(made, content(fits)))
    assert made.broker.of_type(PUBLISH) == [published(Session5, "t", content(fits))]


def test_a_server_without_qos_1():
    made = _session(Session5, connack_with(maximum_qos=0), lower_qos=True)
    made.client.publish("t", source(made, content(2000)), qos=1)
    assert made.broker.of_type(PUBLISH) == [published(Session5, "t", content(2000))]


def test_from_a_callback():
    for version in VERSIONS:
        made = _session(version, network={"write_limit": 100})
        payload = content(3000)
        data = source(made, payload)
        publish = made.client.publish
        made.client.set_callback(lambda topic, msg, publish=publish, data=data: publish("t", data, wait=False))
        made.sock.reply(published(version, "in", b"1"))
        made.pump(100)
        made.client.flush(5)
        assert made.broker.of_type(PUBLISH) == [published(version, "t", payload)]
