"""A message that comes in pieces, and what goes wrong meanwhile: lost and dead links, malformed packets, resets."""

from flash.kit import Board, Folder, SessionBroker
from support import fakenet, reference5
from support.answering import CONNECT, PINGREQ
from support.session import Session, raised
from support.session5 import Session5
from support.streaming import (
    PUBACK,
    PUBCOMP,
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
)

_CONNACKS = {
    Session: (b"\x20\x02\x00\x00", b"\x20\x02\x01\x00"),
    Session5: (reference5.connack(), reference5.connack(0, 1)),
}


def _back(made, version, session_present=True):
    """The peer hangs up and the client comes back."""
    made.broker.answers[CONNECT] = lambda packet: _CONNACKS[version][session_present]
    made.reconnected()
    made.sent()


def test_a_known_message_at_qos_2_is_skipped_and_answered():
    for version in VERSIONS:
        made = listening(version, clean_session=False)
        packet = published(version, "t", content(1000), 2, 7)
        made.sock.reply(packet)
        made.pump(10)
        _back(made, version)
        made.sock.reply(published(version, "t", content(1000), 2, 7, dup=1))
        made.pump(10)
        assert acks(made) == [ack(PUBREC, 7)]
        assert made.pieces.begun == len(made.pieces.messages) == 1
        made.sock.reply(ack(PUBREL, 7) + packet)
        made.pump(10)
        assert acks(made) == [ack(PUBCOMP, 7), ack(PUBREC, 7)]
        assert len(made.pieces.messages) == 2, "the identifier was free again"


def test_lost_in_the_middle_and_sent_again():
    for version in VERSIONS:
        for qos in (1, 2):
            made = listening(version, clean_session=False)
            packet = published(version, "t", content(2000), qos, 7)
            for at in (3, 8, 500, 1999):
                made.sock.reply(packet[:at])
                made.pump(10)
                _back(made, version)
                packet = published(version, "t", content(2000), qos, 7, dup=1)
            assert not made.pieces.messages and made.pieces.begun >= 2
            made.sock.reply(packet + published(version, "u", b"small"))
            made.pump(10)
            assert made.pieces.messages == [(b"t", content(2000), 0, qos, 1)]
            assert [message[:2] for message in made.messages] == [(b"u", b"small")]
            assert acks(made) == [ack(PUBACK if qos == 1 else PUBREC, 7)]


def test_lost_in_the_middle_then_something_else():
    """Whatever was cut off, empty messages and small ones are not taken for a piece of it."""
    for version in VERSIONS:
        for callback in (True, False):
            packet = published(version, "t", content(2000))
            for at in range(1, 14):
                made = listening(version, callback=callback)
                made.sock.reply(packet[:at])
                made.pump(10)
                _back(made, version, False)
                for payload in (b"", content(8)[:1], b"small"):
                    made.sock.reply(published(version, "u", payload))
                made.pump(10)
                assert [message[1] for message in made.messages] == [b"", content(8)[:1], b"small"], at
                assert not made.pieces.messages


_CUTS = (1000, 30, 6)  # so much of a malformed packet comes at once


def _malformed(version):
    """Packets that are larger than max_packet and wrong before their payload begins."""
    right = published(version, "topic", content(1000), 1, 7)
    yield "QoS 3", bytes((right[0] | 6,)) + right[1:]
    yield "packet identifier 0", published(version, "topic", content(1000), 2, 0)
    yield "wildcard", published(version, "a/#", content(1000))
    yield "NUL", published(version, "a\0b", content(1000))
    yield "a topic that does not fit", published(version, "t" * 300, content(1000))
    yield "a topic that is longer than the packet", right[:3] + b"\xff\xff" + right[5:]
    if version is Session:
        yield "no topic", published(version, "", content(1000))
        return
    head, rest = right[:12], content(990)
    yield "no topic and no alias", published(version, "", content(1000))
    yield "unknown alias", published(version, "", content(1000), topic_alias=5)
    yield "alias above the maximum", published(version, "t", content(1000), topic_alias=500)
    yield "length of the properties", head + b"\xff\xff\xff\xff\x01" + rest
    yield "length of the properties, beginning with 0", head + b"\x80\x80\x80\x80\x01" + rest
    yield "properties beyond the packet", head + b"\xff\xff\xff\x7f" + rest
    yield "properties that do not fit", head + b"\xff\x01" + rest
    yield "unknown property", head + b"\x02\x7f\x01" + rest
    yield "property of another packet", published(version, "t", content(1000), reason_string="no")
    yield "one property twice", head + b"\x04\x01\x01\x01\x01" + rest


def test_malformed_heads():
    for version in VERSIONS:
        for name, packet in _malformed(version):
            for cut in _CUTS:
                made = listening(version, auto_reconnect=False, keepalive=0)
                made.sock.reply(packet[:cut])
                made.sock.reply(packet[cut:], 5)
                raised(made.module.MQTTException, lambda made=made: [made.client.wait_msg(0.1) for _ in range(9)])
                assert not made.pieces.messages and not made.client.isconnected(), name
                made.client.auto_reconnect = True
                made.client.connect()
                made.sock.reply(published(version, "t", content(1000)) + published(version, "t", b"small"))
                made.pump(50)
                assert len(made.pieces.messages) == len(made.messages) == 1, name


def test_before_connack():
    for version in VERSIONS:
        broker = broker_of(version)
        broker.answers[CONNECT] = lambda packet, version=version: published(version, "t", content(1000))
        error = raised(OSError, listening, version, broker)
        assert getattr(error, "reason_code", 0) == 0x95, error


def test_keep_alive_goes_on_while_a_message_comes_slowly():
    """The answer to PINGREQ stands behind it."""
    for version in VERSIONS:
        broker = broker_of(version)
        made = listening(version, broker, keepalive=10)
        answer, losses = broker.answers[PINGREQ], []
        made.client.on_disconnect = losses.append
        broker.answers[PINGREQ] = None
        packet = published(version, "t", content(3000), 1, 7)
        for at in range(0, len(packet), 50):
            made.sock.reply(packet[at : at + 50])
            made.pump(997)
        pings = broker.times_of(PINGREQ)
        assert len(pings) >= 6 and max([b - a for a, b in zip(pings, pings[1:])]) <= 10000, pings
        broker.answers[PINGREQ] = answer
        made.sock.reply(b"\xd0\x00" * len(pings))
        made.pump(30000)
        assert not losses and len(made.pieces.messages) == 1


def test_a_link_that_dies_in_the_middle_is_noticed():
    for version in VERSIONS:
        made = listening(version, keepalive=10)
        made.broker.answers[PINGREQ] = None
        losses = []
        made.client.on_disconnect = lambda reason, made=made, losses=losses: losses.append(made.clock.now)
        made.sock.reply(published(version, "t", content(3000), 1, 7)[:1000])
        made.pump(5000)
        heard = made.clock.now
        made.pump(30000)
        assert losses and losses[0] - heard <= 15000


def _board(folder, broker):
    """A board with its outbox on flash that receives pieces."""
    board = Board(folder, broker, max_packet=256)
    fakenet.load("receive_large")
    board.pieces = Pieces(board.client)
    board.module.receive_large(board.client, board.pieces)
    return board.connected()


def test_the_power_is_lost_in_the_middle():
    """At QoS 2 with the outbox on flash: until the last piece is there the message is the broker's."""
    with Folder() as folder:
        broker = SessionBroker()
        packet = published(Session, "t", content(2000), 2, 7)
        again = published(Session, "t", content(2000), 2, 7, dup=1)
        for at in (3, 300, 1999):
            board = _board(folder, broker)
            board.sock.reply(packet[:at])
            board.pump(20)
            assert not board.pieces.messages and not board.packets()
            packet = again
        board = _board(folder, broker)
        broker.answers[5] = None  # PUBREC
        board.sock.reply(packet)
        board.pump(20)
        assert board.pieces.messages == [(b"t", content(2000), 0, 2, 1)]
        assert board.packets() == [ack(PUBREC, 7)]
        board = _board(folder, broker)
        board.sock.reply(again)
        board.pump(20)
        assert board.pieces.begun == 0 and board.packets() == [ack(PUBREC, 7)], "it was delivered before"
        board.sock.reply(ack(PUBREL, 7))
        board.pump(20)
        assert board.packets()[-1] == ack(PUBCOMP, 7)
