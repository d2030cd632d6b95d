"""A message larger than max_packet that comes in pieces: whole, once, acknowledged when it is there."""

from support.answering import PUBLISH, body
from support.session import Session, raised
from support.session5 import Session5
from support.streaming import (
    MAX_PACKET,
    PUBACK,
    PUBREC,
    PUBREL,
    VERSIONS,
    Pieces,
    ack,
    acks,
    broker_of,
    content,
    listening,
    published,
    session,
)


def test_every_qos():
    for version in VERSIONS:
        for qos in (0, 1, 2):
            for size in (MAX_PACKET, MAX_PACKET + 1, 2 * MAX_PACKET, 3000, 16379, 16384):
                made = listening(version)
                payload = content(size)
                made.sock.reply(published(version, "t", payload, qos, 7, retain=1))
                made.pump()
                assert made.pieces.messages == [(b"t", payload, 1, qos, 0)], (version, qos, size)
                assert acks(made) == ([], [ack(PUBACK, 7)], [ack(PUBREC, 7)])[qos]
                assert not made.messages


def test_what_fits_goes_to_the_ordinary_callbacks():
    for version in VERSIONS:
        made = listening(version)
        fits = MAX_PACKET - len(published(version, "t", content(200))) + 200
        for size in (0, 1, fits, fits + 1):
            made.sock.reply(published(version, "t", content(size)))
        made.pump()
        assert [message[1] for message in made.messages] == [content(size) for size in (0, 1, fits)]
        assert [message[1] for message in made.pieces.messages] == [content(fits + 1)]


def test_split_at_every_byte_of_the_head():
    properties = ({}, {"content_type": "x" * 100, "user_properties": [("a", "b")]})
    for version in VERSIONS:
        for values in properties[: 2 if version is Session5 else 1]:
            for qos in (0, 2):
                packet = published(version, "topic", content(700), qos, 7, **values)
                for at in range(1, 160 if values else 24):
                    made = listening(version)
                    made.sock.reply(packet[:at])
                    made.pump(10)
                    made.sock.reply(packet[at:])
                    made.pump(10)
                    assert made.pieces.messages == [(b"topic", content(700), 0, qos, 0)], (version, qos, at)
                    if version is Session5:
                        assert made.pieces.properties == (values or None)


def test_dribbled_and_in_one_read_with_its_neighbours():
    for version in VERSIONS:
        for network in ({"read_limit": 1}, {"read_limit": 7, "stall": 50}, {}, {"stall": 80, "seed": 3}):
            made = listening(version, network=network)
            sent = []
            for i, size in enumerate((0, 600, 3, 300, 1000, 0)):
                sent.append((b"t%d" % i, content(size), 0, i % 3, 0))
                made.sock.reply(published(version, "t%d" % i, content(size), i % 3, i + 1))
            made.pump(4000 if network else 100)
            while made.sock.unread():
                made.pump(1000)
            large = [message for message in sent if len(message[1]) > MAX_PACKET]
            assert made.pieces.messages == large, network
            assert [message[:5] for message in made.messages] == [message for message in sent if message not in large]
            expected = [ack(PUBACK, 2), ack(PUBREC, 3), ack(PUBACK, 5), ack(PUBREC, 6)]
            assert acks(made) == expected


def test_acknowledged_behind_the_last_piece():
    for version in VERSIONS:
        for qos, head in ((1, PUBACK), (2, PUBREC)):
            made = listening(version)
            packet = published(version, "t", content(1000), qos, 7)
            made.sock.reply(packet[:-1])
            made.pump(1000)
            assert made.sent() == b"" and sum(made.pieces.sizes) == 999
            made.sock.reply(packet[-1:])
            made.pump(10)
            assert acks(made) == [ack(head, 7)]


def test_a_callback_that_raises():
    for version in VERSIONS:
        for qos in (0, 1, 2):
            made = listening(version, callback=False)
            pieces = Pieces(made.client)

            def callback(topic, piece, offset, size, pieces=pieces):
                pieces(topic, piece, offset, size)
                raise RuntimeError("in the callback")

            made.module.receive_large(made.client, callback)
            made.sock.reply(published(version, "t", content(700), qos, 7))
            for _ in range(3):
                error = raised(RuntimeError, lambda made=made: [made.client.check_msg() for _ in range(9)])
                assert "in the callback" in str(error)
            made.pump(10)
            assert pieces.messages == [(b"t", content(700), 0, qos, 0)]
            assert acks(made) == ([], [ack(PUBACK, 7)], [ack(PUBREC, 7)])[qos]
            assert made.client.isconnected()


def test_a_callback_that_publishes():
    """The piece itself: at QoS 0 it is larger than tx, and must not change before it is written."""
    for version in VERSIONS:
        for limit in (None, 50):
            for qos in (0, 1):
                made = listening(version, callback=False, tx_size=100, network={"write_limit": limit})
                client = made.client

                def callback(topic, piece, offset, size, client=client, qos=qos):
                    client.publish("echo", piece, qos=qos, wait=False)

                made.module.receive_large(client, callback)
                made.sock.reply(published(version, "t", content(1000), 1, 7))
                made.pump(500)
                client.flush(5)
                before = 6 + 2 * qos + (version is Session5)  # the topic's field, packet identifier, properties
                echo = [body(packet)[before:] for packet in made.broker.of_type(PUBLISH)]
                assert len(echo) > 3 and b"".join(echo) == content(1000), (limit, qos)


def test_no_callback_skips_and_acknowledges():
    for version in VERSIONS:
        for qos in (0, 1, 2):
            made = listening(version, callback=False)
            made.sock.reply(published(version, "t", content(3000), qos, 7))
            made.pump(20)
            assert acks(made) == ([], [ack(PUBACK, 7)], [ack(PUBREC, 7)])[qos]
            made.sock.reply(published(version, "u", b"small"))
            made.pump(20)
            assert [message[1] for message in made.messages] == [b"small"]


def test_without_it_they_are_refused():
    for version in VERSIONS:
        made = session(version, broker_of(version), max_packet=MAX_PACKET, auto_reconnect=False)
        made.sent()
        made.sock.reply(published(version, "t", content(1000)))
        error = raised(made.module.MQTTException, made.client.wait_msg, 1)
        assert error.reason_code == 0x95
        assert made.sent() == (b"" if version is Session else b"\xe0\x02\x95\x00")


def test_version_5_has_properties_aliases_and_text():
    made = listening(Session5)
    properties = {"content_type": "text/plain", "payload_format": 1}
    text = ("é" * 900).encode()
    made.sock.reply(published(Session5, "t", text, topic_alias=3, **properties))
    made.sock.reply(published(Session5, "", text + b"\xff", topic_alias=3, **properties))
    made.pump()
    assert [message[:2] for message in made.pieces.messages] == [(b"t", text), (b"t", text + b"\xff")]
    assert made.pieces.properties == properties


def test_version_5_counts_them_as_any_other_message():
    """Receive Maximum: two may be open, the third is one too many."""
    made = listening(Session5, receive_maximum=2, auto_reconnect=False)
    for packet_id in (1, 2, 3):
        made.sock.reply(published(Session5, "t", content(1000), 1, packet_id))
    made.pump(30)
    assert len(made.pieces.messages) == 3, "each was acknowledged before the next one came"
    for packet_id in (4, 5, 6):
        made.sock.reply(published(Session5, "t", content(1000), 2, packet_id))
    error = raised(made.module.MQTTException, lambda: [made.client.wait_msg(0.1) for _ in range(99)])
    assert error.reason_code == 0x93 and len(made.pieces.messages) == 5


def test_version_5_announces_no_maximum_packet_size():
    for large in (False, True):
        made = session(Session5, connect=False, max_packet=MAX_PACKET)
        if large:
            made.module.receive_large(made.client, None)
        made.connected()
        assert ("maximum_packet_size" in made.broker.said("CONNECT")[0]["properties"]) is not large


def test_wait_msg_returns_for_each_piece():
    for version in VERSIONS:
        made = listening(version)
        made.sock.reply(published(version, "t", content(700)))
        pieces = 0
        while made.client.wait_msg(1):
            pieces += 1
        assert pieces == len(made.pieces.sizes) > 2


def test_another_callback_while_the_first_one_gets_a_message():
    for version in VERSIONS:
        made = listening(version)
        packet = published(version, "t", content(1000))
        made.sock.reply(packet[:500])
        made.pump(10)
        later = Pieces(made.client)
        made.module.receive_large(made.client, later)
        made.sock.reply(packet[500:] + packet)
        made.pump(10)
        assert len(made.pieces.messages) == len(later.messages) == 1


def test_disconnected_from_the_callback():
    for version in VERSIONS:
        for last in (False, True):
            made = listening(version, callback=False)
            seen = []

            def callback(topic, piece, offset, size, made=made, seen=seen, last=last):
                seen.append(offset)
                if not last or offset + len(piece) == size:
                    made.client.disconnect()

            made.module.receive_large(made.client, callback)
            made.sock.reply(published(version, "t", content(1000), 1, 7))
            raised(OSError, lambda made=made: [made.client.check_msg() for _ in range(9)])
            before = len(seen)
            made.client.connect()
            made.client.publish("t", "x", qos=1)
            made.sock.reply(published(version, "t", content(1000), 1, 7, dup=1))
            made.client.wait_msg(1)
            assert seen[before] == 0


def test_a_callback_of_many():
    """Twenty in a row, and nothing is kept of them."""
    for version in VERSIONS:
        made = listening(version)
        for i in range(20):
            made.sock.reply(published(version, "t", content(900 + i), i % 3, i + 1))
            made.pump(20)
            made.sock.reply(ack(PUBREL, i + 1) if i % 3 == 2 else b"")
            made.pump(10)
        assert [len(message[1]) for message in made.pieces.messages] == list(range(900, 920))
        assert made.client.isconnected() and made.client.pending() == 0
