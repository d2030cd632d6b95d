"""Exactly once over a loss of power: QoS 2 with the outbox on flash, cut at each point of both exchanges."""

from flash.kit import Board, Folder, SessionBroker, drain, library, put, take, take_all
from support.answering import PUBLISH, PUBREC, PUBREL, packet_id

_TO_PUBREL = b"\x62\x02"
_PAYLOADS = [b"one", b"two", b"three"]

# Where the power is lost: what does not reach the broker, what does not reach the board; what is sent afterwards.
_POINTS = (
    ((PUBLISH,), (), "PUBLISH"),
    ((), (PUBLISH,), "PUBLISH"),
    ((PUBREL,), (), "PUBREL"),
    ((), (PUBREL,), "PUBREL"),
    ((), (), "nothing or PUBREL"),
)


def _cut(folder, point, payloads=_PAYLOADS, **flash):
    """A broker, and the identifiers of messages whose exchange had come to this point when the power was lost."""
    broker = SessionBroker()
    board = Board(folder, broker, flash).connected()
    broker.unseen, broker.unanswered = point[0], point[1]
    numbers = board.publish_all(payloads, qos=2)
    board.pump(60)
    broker.unseen = broker.unanswered = ()
    return broker, numbers


def test_cut_at_each_point_with_the_session():
    for point in _POINTS:
        with Folder() as folder:
            broker, numbers = _cut(folder, point)
            board = Board(folder, broker).connected()
            board.pump(60)
            sent = board.packets()[: len(_PAYLOADS)]
            if point[2] == "PUBLISH":
                assert [packet[0] for packet in sent] == [0x3C] * 3, "PUBLISH at QoS 2 with DUP"
            else:
                assert [packet for packet in sent if packet[:2] != _TO_PUBREL] == [], point
                assert len(sent) == 3 or point is _POINTS[-1]
            assert [packet_id(packet) for packet in sent] == numbers[len(numbers) - len(sent) :]
            assert broker.delivered == _PAYLOADS, point
            assert board.client.pending() == 0 and board.outbox.orphans == []


def test_cut_at_each_point_without_the_session():
    for point in _POINTS:
        with Folder() as folder:
            broker, _ = _cut(folder, point)
            before = len(broker.delivered)
            broker.forget()
            board = Board(folder, broker).connected()
            board.pump(60)
            assert [p for p in board.packets() if p[0] >> 4 == PUBLISH and p[0] & 8] == [], "all are new"
            again = broker.delivered[before:]
            assert again == _PAYLOADS[3 - len(again) :], point
            assert before == 3 or len(again) == 3, point
            assert board.client.pending() == 0 and board.outbox.orphans == []


def test_cut_again_and_again():
    for first in _POINTS:
        for second in _POINTS:
            with Folder() as folder:
                broker, _ = _cut(folder, first)
                broker.unseen, broker.unanswered = second[0], second[1]
                board = Board(folder, broker).connected()
                board.publish_all([b"four", b"five"], qos=2)
                board.pump(60)
                broker.unseen = broker.unanswered = ()
                board = Board(folder, broker).connected()
                board.pump(60)
                assert broker.delivered == _PAYLOADS + [b"four", b"five"], (first, second)
                assert board.client.pending() == 0


def test_cut_with_messages_behind():
    payloads = [b"%060d" % i for i in range(60)]
    for point in _POINTS:
        with Folder() as folder:
            broker, _ = _cut(folder, point, payloads, ram=512)
            for life in range(5):
                broker.unseen, broker.unanswered = _POINTS[life % len(_POINTS)][:2]
                Board(folder, broker, {"ram": 512}).connected().pump(30)
            broker.unseen = broker.unanswered = ()
            board = Board(folder, broker, {"ram": 512}).connected()
            board.client.flush(20)
            assert broker.delivered == payloads, point


def test_finished_while_an_older_one_at_qos_1_waits():
    with Folder() as folder:
        broker = SessionBroker()
        board = Board(folder, broker).connected()
        answer = broker.answers[PUBLISH]
        broker.answers[PUBLISH] = lambda packet: answer(packet) if packet[0] & 4 else b""
        board.publish_all([b"slow"], qos=1)
        broker.delivered.clear()
        for payload in _PAYLOADS:
            board.publish_all([payload], qos=2)
            board.pump(50)
        assert board.client.pending() == 1 and broker.delivered == _PAYLOADS
        broker.answers[PUBLISH] = answer
        again = Board(folder, broker).connected()
        again.client.flush(20)
        assert [payload for payload in broker.delivered if payload != b"slow"] == _PAYLOADS


def test_an_identifier_that_is_used_again():
    """65535 messages later: what was once noted of an identifier is not true of the message that has it now."""
    for qos in (1, 2):
        with Folder() as folder:
            outbox = library().FlashOutbox(folder.path)
            put(outbox, 10, 2)
            assert drain(outbox) == [10]
            for number in (11, 12):
                put(outbox, number)
            assert drain(outbox) == [11, 12]
            put(outbox, 10, qos)
            outbox = library().FlashOutbox(folder.path)
            outbox.rewind(True)
            number, data = take(outbox)
            assert number == 10 and data, (qos, "it was never sent, and PUBREL would be all of it")


def test_acknowledgements_of_another_kind_are_not_taken():
    with Folder() as folder:
        outbox = library().FlashOutbox(folder.path)
        for number in (1, 2):
            put(outbox, number, number)
        take_all(outbox)
        assert not outbox.pubrec(1) and not outbox.pubcomp(2) and not outbox.puback(2) and not outbox.pubcomp(1)
        assert not outbox.pubrec(3)
        assert outbox.pending == 2


def test_dropped_in_an_exchange_and_cut():
    for point in _POINTS[:-1]:
        with Folder() as folder:
            flash = {"count": 3, "full": "drop"}
            broker, numbers = _cut(folder, point, **flash)
            board = Board(folder, broker, flash)
            newer = board.publish_all([b"four", b"five", b"six"], qos=2)
            assert board.outbox.dropped == 3
            board = Board(folder, broker, flash)
            assert [number for number in numbers if not board.outbox.uses(number)] == [], "not to be used again"
            board.connected().pump(200)
            sent = board.packets()
            assert [packet_id(p) for p in sent if p[:2] == _TO_PUBREL][:3] == numbers
            assert [packet_id(p) for p in sent if p[0] >> 4 == PUBLISH] == newer
            assert broker.delivered[-3:] == [b"four", b"five", b"six"]
            assert board.outbox.orphans == [] and [n for n in numbers if board.outbox.uses(n)] == []
            assert len(broker.delivered) == len(set(broker.delivered)), "none twice"


def test_dropped_in_an_exchange_and_the_session_lost():
    with Folder() as folder:
        flash = {"count": 3, "full": "drop"}
        broker, _ = _cut(folder, _POINTS[1], **flash)
        board = Board(folder, broker, flash)
        board.publish_all([b"four", b"five", b"six"], qos=2)
        broker.forget()
        board = Board(folder, broker, flash).connected()
        board.pump(60)
        assert broker.delivered == [b"four", b"five", b"six"] and board.outbox.orphans == []
        board = Board(folder, broker, flash)
        assert board.outbox.orphans == [], "and that is remembered"


def _incoming(number, payload, dup=0):
    return bytes((0x34 | dup << 3, 5 + len(payload), 0, 1)) + b"t" + bytes((0, number)) + payload


def _pubrel(number):
    return bytes((0x62, 2, 0, number))


def test_received_and_cut():
    """Up to the delivery, to PUBREC, to PUBREL, to PUBCOMP; what the broker then repeats."""
    for point in ("PUBREC lost", "PUBREL sent", "PUBCOMP lost", "done"):
        with Folder() as folder:
            broker = SessionBroker()
            broker.answers[PUBREC] = None  # this test is the broker
            board = Board(folder, broker).connected()
            board.sock.reply(_incoming(7, b"switch on"))
            board.pump(20)
            assert [message[1] for message in board.messages] == [b"switch on"]
            if point in ("PUBCOMP lost", "done"):
                board.sock.reply(_pubrel(7))
                board.pump(20)
                assert board.packets()[-1] == b"\x70\x02\x00\x07"

            board = Board(folder, broker).connected()
            if point == "PUBREC lost":
                board.sock.reply(_incoming(7, b"switch on", 1))
                board.pump(20)
                assert board.packets() == [b"\x50\x02\x00\x07"]
            if point != "done":
                board.sock.reply(_pubrel(7))
                board.pump(20)
                assert board.packets()[-1] == b"\x70\x02\x00\x07", point
            assert board.messages == [], (point, "delivered before")

            board = Board(folder, broker).connected()
            board.sock.reply(_incoming(7, b"switch off"))
            board.pump(20)
            assert [message[1] for message in board.messages] == [b"switch off"], "another under the same identifier"


def test_received_and_the_session_lost():
    with Folder() as folder:
        broker = SessionBroker()
        broker.answers[PUBREC] = None
        board = Board(folder, broker).connected()
        board.sock.reply(_incoming(7, b"switch on"))
        board.pump(20)
        broker.forget()
        board = Board(folder, broker).connected()
        board.sock.reply(_incoming(7, b"another"))
        board.pump(20)
        assert [message[1] for message in board.messages] == [b"another"], "a new session knows no identifiers"


def test_as_many_received_as_may_be():
    with Folder() as folder:
        outbox = library().FlashOutbox(folder.path)
        for number in range(1, 1025):
            assert outbox.receive(number)
        assert outbox.receive(1025) is None
        outbox = library().FlashOutbox(folder.path)
        assert [number for number in range(1, 1025) if outbox.receive(number)] == []
        assert outbox.receive(1025) is None
        for number in range(1, 1025, 2):
            outbox.release(number)
        outbox = library().FlashOutbox(folder.path)
        assert [number for number in range(1, 1025) if outbox.receive(number)] == list(range(1, 1025, 2))


_PUBREC = 0x50 << 16


def test_waiting_to_be_taken_and_cut():
    with Folder() as folder:
        outbox = library().FlashOutbox(folder.path)
        assert outbox.receive(1) and outbox.receive(2, False) and outbox.receive(3, False) and outbox.receive(4, False)
        assert outbox.receive(1) is False and outbox.receive(2, False) is None, "it came before"
        outbox.take(_PUBREC | 3)
        outbox.take(0x40 << 16 | 4)  # PUBACK: another message
        outbox.release(1)
        put(outbox, 1, 2)
        drain(outbox)  # what else is noted notes no more of it
        outbox = library().FlashOutbox(folder.path)
        assert outbox.received == {3}, "the others come again"


def test_waiting_to_be_taken_over_connections():
    with Folder() as folder:
        outbox = library().FlashOutbox(folder.path)
        for number in (1, 2, 3):
            assert outbox.receive(number, False)
        outbox.rewind(True)
        assert not outbox.take(_PUBREC | 1), "the broker has not sent it again: it would not know what PUBREC is for"
        assert outbox.receive(1) is False
        assert outbox.receive(2, False) is None and outbox.receive(3, False) is None
        assert outbox.take(_PUBREC | 2), "the broker waits for PUBREC on this connection"
        outbox.rewind(True)
        assert not outbox.take(_PUBREC | 3)
        assert library().FlashOutbox(folder.path).received == {1, 2, 3}


def test_waiting_to_be_taken_and_the_session_lost():
    with Folder() as folder:
        outbox = library().FlashOutbox(folder.path)
        assert outbox.receive(1, False) and outbox.receive(2, False)
        outbox.release(2)  # by a broker that is wrong
        outbox.rewind(False)
        assert not outbox.take(_PUBREC | 1) and not outbox.take(_PUBREC | 2)
        assert outbox.receive(1) and outbox.receive(2), "others, of a new session"


def test_both_directions_at_once():
    with Folder() as folder:
        broker = SessionBroker()
        broker.answers[PUBREC] = None
        board = Board(folder, broker).connected()
        board.sock.reply(_incoming(7, b"a"))
        broker.unseen = (PUBREL,)
        numbers = board.publish_all(_PAYLOADS, qos=2)
        board.sock.reply(_incoming(8, b"b"), 10)
        board.pump(100)
        broker.unseen = ()
        board = Board(folder, broker).connected()
        board.sock.reply(_incoming(7, b"a", 1) + _incoming(8, b"b", 1))
        board.pump(100)
        assert board.messages == []
        assert [p for p in board.packets() if p[0] >> 4 == PUBREL] == [
            _TO_PUBREL + bytes(divmod(n, 256)) for n in numbers
        ]
        assert broker.delivered == _PAYLOADS and board.client.pending() == 0


def test_qos_1_beside_qos_2():
    for point in _POINTS:
        with Folder() as folder:
            broker = SessionBroker()
            board = Board(folder, broker).connected()
            broker.unseen, broker.unanswered = point[0], point[1]
            for i in range(12):
                board.publish_all([b"%d" % i], qos=1 + i % 2)
            board.pump(100)
            broker.unseen = broker.unanswered = ()
            board = Board(folder, broker).connected()
            board.client.flush(20)
            once = [payload for payload in broker.delivered if int(payload) % 2]
            assert once == [b"%d" % i for i in range(1, 12, 2)], point
            seen = [p for i, p in enumerate(broker.delivered) if p not in broker.delivered[:i] and not int(p) % 2]
            assert seen == [b"%d" % i for i in range(0, 12, 2)], point
