"""The outbox on flash: what is accepted is there after a restart, in order, and files come and go as they should."""

from errno import ENOBUFS, ETIMEDOUT

from flash.kit import Board, Folder, SessionBroker, drain, library, packet, put, take, take_all
from support.answering import PUBLISH, packet_id
from support.session import raised

_HEADER = 14  # bytes of a record before its packet
_DUP = 8


def _outbox(folder, size=8192, ram=512, **arguments):
    return library().FlashOutbox(folder.path, size, ram, **arguments)


def _identifiers(records):
    return [number for number, _ in records]


def test_what_was_accepted_is_there_after_a_restart():
    for count in (1, 5, 9, 10, 40, 100):  # nine are in the ring, the others stay behind it
        with Folder() as folder:
            outbox = _outbox(folder)
            for number in range(1, count + 1):
                assert put(outbox, number, 1 + number % 2)
            for _ in range(3):
                outbox = _outbox(folder)
                assert outbox.pending == count and outbox.newest == count
                assert outbox.damaged == outbox.failures == 0
                assert outbox.in_flight == 0
            sent = []
            while outbox.pending:
                number, data = take(outbox)
                qos = 1 + number % 2
                assert data == packet(number, qos) or data == bytes((data[0] | _DUP,)) + packet(number, qos)[1:]
                assert data[0] & 6 == qos << 1
                outbox.puback(number) if qos == 1 else outbox.pubrec(number) and outbox.pubcomp(number)
                sent.append(number)
            assert sent == list(range(1, count + 1))
            assert outbox.unsent == outbox.in_flight == 0


def test_packets_of_every_size():
    with Folder() as folder:
        outbox = _outbox(folder, 20000, 600)
        for number in range(14, 130):
            assert put(outbox, number, 1, number)
        outbox = _outbox(folder, 20000, 600)
        for number in range(14, 130):
            sent = take(outbox)
            assert sent[0] == number and sent[1][1:] == packet(number, 1, number)[1:], number
            assert outbox.puback(number)
        assert outbox.pending == 0


def test_dup_is_set_on_what_may_have_been_sent():
    for acknowledged in range(1, 60):
        with Folder() as folder:
            outbox = _outbox(folder)
            for number in range(1, 101):
                put(outbox, number)
            sent = []
            for _ in range(acknowledged):
                sent += _identifiers(take_all(outbox))
                assert outbox.puback(sent[-outbox.in_flight])
            outbox = _outbox(folder)
            while outbox.pending:
                for number, data in take_all(outbox):
                    assert number not in sent or data[0] & _DUP, (acknowledged, number)
                    assert outbox.puback(number)


def test_no_dup_on_what_was_accepted_since():
    with Folder() as folder:
        outbox = _outbox(folder)
        put(outbox, 1)
        outbox = _outbox(folder)
        put(outbox, 2)
        assert [data[0] & _DUP for _, data in take_all(outbox)] == [_DUP, 0]
        outbox.rewind(False)
        assert [data[0] & _DUP for _, data in take_all(outbox)] == [0, 0], "a new session has had neither"
        for number in range(3, 31):
            put(outbox, number)
        outbox = _outbox(folder)
        outbox.rewind(False)
        for _ in range(30):
            assert not take(outbox)[1][0] & _DUP and outbox.puback(outbox.newest - outbox.pending + 1)


def test_the_client_sends_what_an_earlier_life_accepted():
    with Folder() as folder:
        board = Board(folder)
        board.client.connect(wait=False)
        payloads = [b"%d" % i for i in range(150)]
        numbers = board.publish_all(payloads)
        board = Board(folder, board.broker).connected()
        board.client.flush(20)
        assert board.broker.delivered == payloads
        assert [packet_id(packet) for packet in board.broker.of_type(PUBLISH)] == numbers
        assert board.client.publish("t", "next", qos=1) == numbers[-1] % 65535 + 1
        board = Board(folder, board.broker).connected()
        number = board.client.publish("t", "and next", qos=1)
        assert number == numbers[-1] % 65535 + 2, "identifiers go on after an empty log"


def test_acknowledged_in_any_order_while_more_are_behind():
    for which in (0, 1, -1):  # of those in flight: the oldest, the second, the newest
        with Folder() as folder:
            outbox = _outbox(folder)
            for number in range(1, 81):
                put(outbox, number)
            in_flight, sent = [], []
            while outbox.pending:
                new = _identifiers(take_all(outbox))
                sent += new
                in_flight += new
                assert outbox.in_flight == len(in_flight) > 0
                assert outbox.puback(in_flight.pop(which % len(in_flight)))
            assert sent == list(range(1, 81))


def test_segments_come_and_go():
    with Folder() as folder:
        outbox = _outbox(folder)
        for number in range(1, 141):
            put(outbox, number)
        assert len(folder.segments()) == 2
        for number in range(1, 77):  # 75 records of 54 bytes are in the first
            assert take(outbox)[0] == number and outbox.puback(number)
        assert len(folder.segments()) == 1, "deleted as soon as its last message is finished"
        drain(outbox)
        assert len(folder.segments()) == 1
        for number in range(141, 1000):
            put(outbox, number)
            assert len(folder.segments()) == 1, "nor is a new one begun beside one that is not needed"
            drain(outbox)
        assert _outbox(folder).pending <= 1, "the head is in the last record"


def test_bounded_by_size():
    for size in (8192, 20000, 100000):
        for message in (14, 40, 120):
            with Folder() as folder:
                outbox = _outbox(folder, size, full="drop", ram=800)
                for number in range(1, 1 + 3 * size // (message + _HEADER)):
                    assert put(outbox, number, 1, message)
                    assert number % 50 or folder.size() <= size
                assert outbox.dropped > 0
                assert outbox.pending * (message + _HEADER) > size - max(4096, size // 16) - 1000, (
                    "little room is wasted"
                )
                pending, newest = outbox.pending, outbox.newest
                outbox = _outbox(folder, size, ram=800)
                assert outbox.pending == pending, (size, message)
                assert drain(outbox) == list(range(newest - pending + 1, newest + 1))


def test_full_on_flash_waits_or_refuses():
    for full, errno in (("wait", ETIMEDOUT), ("refuse", ENOBUFS)):
        with Folder() as folder:
            board = Board(folder, flash={"size": 8192, "full": full}, timeout=3)
            board.client.connect(wait=False)
            board.broker.accepts = lambda sock: "refused"
            accepted = []
            while True:
                error = _error(board.client.publish, "t", b"%090d" % len(accepted), qos=1, wait=False)
                if error:
                    break
                accepted.append(b"%090d" % len(accepted))
            assert error.args[0] == errno
            assert 65 < len(accepted) < 80 and board.client.pending() == len(accepted)
            assert _error(board.client.publish, "t", b"x" * 90, qos=1).args[0] == errno
            board.broker.accepts = lambda sock: None
            board.pump(70_000)
            assert board.broker.delivered == accepted and board.outbox.dropped == 0
            board.client.publish("t", "there is room again", qos=1)


def test_full_on_flash_drops_the_oldest():
    with Folder() as folder:
        board = Board(folder, flash={"size": 8192, "full": "drop", "ram": 1024})
        board.client.connect(wait=False)
        board.broker.accepts = lambda sock: "refused"
        payloads = [b"%090d" % i for i in range(200)]
        board.publish_all(payloads)
        pending, dropped = board.client.pending(), board.outbox.dropped
        assert pending + dropped == 200 and 30 < pending < 80
        board = Board(folder, board.broker)
        assert board.client.pending() == pending
        board.broker.accepts = lambda sock: None
        board.connected().client.flush(20)
        assert board.broker.delivered == payloads[-pending:]


def test_count_is_the_most_messages():
    with Folder() as folder:
        outbox = _outbox(folder, count=20)
        while put(outbox, outbox.newest + 1):
            pass
        assert outbox.pending == 20
        outbox = _outbox(folder, count=10)
        assert outbox.pending == 20 and not put(outbox, 21), "what is there stays"
        outbox = _outbox(folder, count=20, full="drop")
        assert put(outbox, 21) and outbox.pending == 20 and outbox.dropped == 1
        assert drain(outbox) == list(range(2, 22))


def test_dropping_while_messages_are_behind():
    with Folder() as folder:
        outbox = _outbox(folder, count=60, full="drop")
        for number in range(1, 500):
            assert put(outbox, number)
            if number % 7 == 0:
                take(outbox)
            assert outbox.pending == min(number, 60)
            assert outbox.uses(number) and outbox.uses(max(1, number - 59)) and not outbox.uses(number - 60)
        assert outbox.dropped == 499 - 60
        assert _outbox(folder).pending == 60
        outbox.rewind(True)
        assert drain(outbox) == list(range(440, 500))


def test_sync_and_what_is_sent_again_without_it():
    for synced in (False, True):
        with Folder() as folder:
            board = Board(folder).connected()
            board.publish_all([b"%d" % i for i in range(50)])
            board.client.flush(20)
            before = folder.copy()
            if synced:
                board.outbox.sync()
                assert {name: folder.copy()[name] for name in before if name != "state"} == {
                    name: before[name] for name in before if name != "state"
                }
            again = Board(folder, board.broker)
            assert (again.client.pending() == 0) == synced
            assert again.client.pending() <= 50
            assert synced or again.client.pending() > 0, "acknowledgements cost no writes"
            again.connected().client.flush(20)
            assert again.broker.delivered[:50] == [b"%d" % i for i in range(50)]


def _waiting_if_the_power_went(folder, **arguments):
    with Folder() as other:
        other.restore(folder.copy())
        return _outbox(other, **arguments).pending


def test_sent_again_at_most_a_segment():
    with Folder() as folder:
        outbox = _outbox(folder, 30000)
        for number in range(1, 401):
            put(outbox, number)
        for number in range(1, 401):
            assert take(outbox)[0] == number and outbox.puback(number)
            if number % 7 == 0:
                waiting = _waiting_if_the_power_went(folder, size=30000)
                assert 400 - number <= waiting <= 400 - number + 75, "as many as a segment has"
        for number in range(401, 420):
            put(outbox, number)
            drain(outbox)
            assert _waiting_if_the_power_went(folder) == 1, "one by one: the last"
            outbox.sync()
            assert _waiting_if_the_power_went(folder) == 0


def test_sync_with_messages_left():
    with Folder() as folder:
        outbox = _outbox(folder)
        for number in range(1, 101):
            put(outbox, number)
        for number in range(1, 81):
            assert take(outbox)[0] == number and outbox.puback(number)
        outbox.sync()
        assert drain(_outbox(folder)) == list(range(81, 101))


def test_close():
    with Folder() as folder:
        outbox = _outbox(folder)
        outbox.close()
        for number in range(1, 31):
            assert put(outbox, number)
        outbox.close()
        outbox.close()
        again = _outbox(folder)
        assert drain(again) == list(range(1, 31))
        again.close()
        put(again, 31)
        assert drain(_outbox(folder))[-1] == 31, "who publishes after close() opens it again"


def test_a_hundred_restarts_without_progress():
    with Folder() as folder:
        outbox = _outbox(folder)
        for number in range(1, 101):
            put(outbox, number)
        outbox.rewind(True)
        before = folder.copy()
        for _ in range(100):
            outbox = _outbox(folder)
            assert outbox.pending == 100
            take(outbox)
            outbox.rewind(True)
        assert folder.copy() == before
        assert drain(outbox) == list(range(1, 101))


def test_identifiers_wrap_while_messages_are_behind():
    for first in (65500, 65534, 65535):
        with Folder() as folder:
            numbers = [(first + i - 1) % 65535 + 1 for i in range(80)]
            outbox = _outbox(folder)
            for number in numbers:
                assert put(outbox, number)
            again = _outbox(folder)
            for box in (outbox, again):
                assert box.newest == numbers[-1]
                assert [number for number in numbers if not box.uses(number)] == [], first
                assert not box.uses(numbers[-1] + 1) and not box.uses(first - 1)
            assert drain(again) == numbers


def test_settings_that_cannot_work():
    with Folder() as folder:
        for arguments in ({"size": 8191}, {"size": 1000001}, {"ram": 255}, {"ram": 0xFF00}, {"full": "block"}):
            raised(ValueError, _outbox, folder, **arguments)


def test_a_message_that_never_fits():
    for full in ("wait", "refuse", "drop"):
        for ram in (256, 4096, 65000):
            with Folder() as folder:
                outbox = _outbox(folder, ram=ram, full=full)
                assert put(outbox, 1)
                for size in (ram // 4 + 1, 20000, 100000):
                    raised(ValueError, outbox.reserve, size)
                assert outbox.reserve(min(ram // 4, 4000)) >= 0
                raised(ValueError, outbox.reserve, 8192)
                assert outbox.pending == 1, (full, ram, "nothing was dropped for it")


def test_messages_as_large_as_they_may_be():
    for ram in (1000, 16000, 32000):
        with Folder() as folder:
            outbox = _outbox(folder, size=30000, ram=ram)
            largest = ram // 4
            accepted = 0
            while outbox.reserve(largest) >= 0:
                accepted += 1
                at = outbox.reserve(largest)
                outbox.buffer[at : at + largest] = (
                    b"\x32" + b"%d" % accepted + b"x" * (largest - 1 - len(b"%d" % accepted))
                )
                outbox.commit(accepted, largest)
            assert accepted * largest <= 30000 and (accepted + 2) * (largest + _HEADER) > 30000 - 4096
            assert drain(_outbox(folder, size=30000, ram=ram)) == list(range(1, accepted + 1))


def _error(function, *arguments, **keywords):
    try:
        function(*arguments, **keywords)
    except OSError as error:
        return error
    return None


def test_any_number_of_clients_may_follow_each_other():
    with Folder() as folder:
        broker = SessionBroker()
        for life in range(20):
            board = Board(folder, broker).connected()
            board.publish_all([b"%d/%d" % (life, i) for i in range(5)])
            board.pump(life)
        board.client.flush(20)
        seen = []
        for payload in broker.delivered:
            if payload not in seen:
                seen.append(payload)
        assert seen == [b"%d/%d" % (life, i) for life in range(20) for i in range(5)], "in order, none missing"
