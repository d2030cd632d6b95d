"""A full outbox: wait until the deadline, refuse at once, or drop the oldest."""

import gc
from errno import ENOBUFS

from flash.kit import SessionBroker, library
from support.answering import PUBLISH, PUBREC, PUBREL, Broker, body, packet_id
from support.session import Session, raised

_ROOM = 3  # messages of _PAYLOAD that an outbox of _SIZE bytes holds
_SIZE = 100
_PAYLOAD = b"x" * 20
_PUBCOMP = 7


def _session(broker=None, connect=True, **outbox):
    """A client whose outbox holds _ROOM messages, unless `outbox` says otherwise."""
    values = {"size": _SIZE}
    values.update(outbox)
    box = library().Outbox(**values)
    box.newest = 65535  # so the first packet identifier is 1
    session = Session(broker or _silent(), outbox=box, timeout=3, keepalive=0, clean_session=False)
    session.outbox = box
    return session.connected() if connect else session


def _silent():
    broker = SessionBroker()
    broker.unanswered = (PUBLISH,)
    return broker


def _publish(session, payload=_PAYLOAD, qos=1, **arguments):
    return session.client.publish("t", payload, qos=qos, wait=False, **arguments)


def _payloads(packets):
    return [bytes(body(packet)[5:]) for packet in packets if packet[0] >> 4 == PUBLISH]


def test_wait_until_the_deadline_and_nothing_accepted():
    session = _session(full="wait")
    for _ in range(_ROOM):
        _publish(session)
    start = session.clock.now
    for wait in (False, True):
        error = raised(OSError, session.client.publish, "t", _PAYLOAD, qos=1, wait=wait)
        assert error.args[0] == session.network.port.errno["ETIMEDOUT"]
        assert session.client.pending() == _ROOM
    assert 5900 <= session.clock.now - start <= 6500
    session.broker.unanswered = ()
    assert len(_payloads(session.reconnected())) == _ROOM
    assert session.client.isconnected() and session.client.pending() == 0
    assert session.outbox.dropped == 0


def test_refuse_at_once_and_nothing_accepted():
    for count in (1000, _ROOM):
        session = _session(full="refuse", count=count, size=_SIZE if count == 1000 else 4096)
        accepted = [_publish(session, b"%019d " % i) for i in range(_ROOM)]
        assert accepted == [1, 2, 3]
        start = session.clock.now
        for wait in (False, True):
            error = raised(OSError, session.client.publish, "t", _PAYLOAD, qos=1, wait=wait)
            assert error.args[0] == ENOBUFS
        assert session.clock.now == start, "nobody waits"
        assert session.client.pending() == _ROOM and session.client.isconnected()
        session.broker.unanswered = ()
        assert _payloads(session.reconnected()) == [b"%019d " % i for i in range(_ROOM)]
        assert session.outbox.dropped == 0
        assert _publish(session) == 4, "there is room again, and no identifier was used up"


def test_a_message_that_never_fits_is_no_question_of_policy():
    for full in ("wait", "refuse", "drop"):
        session = _session(full=full)
        _publish(session)
        raised(ValueError, session.client.publish, "t", b"x" * _SIZE, qos=1)
        assert session.client.pending() == 1, full


def test_drop_the_oldest():
    for count in (1000, _ROOM):
        session = _session(full="drop", count=count, size=_SIZE if count == 1000 else 4096, connect=False)
        session.client.connect(wait=False)
        for i in range(10):
            assert _publish(session, b"%019d " % i) == i + 1
            assert session.client.pending() == min(i + 1, _ROOM)
            assert session.outbox.dropped == max(0, i + 1 - _ROOM)
        session.broker.unanswered = ()
        session.pump(200)
        assert session.broker.delivered == [b"%019d " % i for i in (7, 8, 9)], "the newest, in order"
        assert session.client.pending() == 0


def test_drop_what_was_sent_and_not_acknowledged():
    session = _session(full="drop")
    for i in range(5):
        _publish(session, b"%019d " % i)
        session.pump(20)
    assert session.outbox.dropped == 2
    assert [packet_id(packet) for packet in session.reconnected()] == [3, 4, 5]
    session.sock.reply(b"\x40\x02\x00\x01")
    session.pump(20)
    assert session.client.isconnected(), "a late PUBACK for what was dropped is no fault"
    assert session.client.pending() == 3


def test_drop_as_many_as_a_large_message_needs():
    session = _session(full="drop", connect=False)
    session.client.connect(wait=False)
    for i in range(_ROOM):
        _publish(session, b"%019d " % i)
    _publish(session, b"y" * 50)
    assert session.outbox.dropped == 2
    session.broker.unanswered = ()
    session.pump(200)
    assert session.broker.delivered == [b"%019d " % 2, b"y" * 50]


def _write_once(session, size):
    """Let the network take `size` bytes and no more."""
    written = session.network.written

    def stop(sock):
        session.network.write_limit = 0
        session.network.written = written
        written(sock)

    session.network.written = stop
    session.network.write_limit = size
    session.pump(1)


def test_a_record_that_is_being_written_is_never_dropped():
    first = b"\x32\x19\x00\x01t\x00\x01" + _PAYLOAD[1:] + b"1"
    for written in list(range(1, len(first), 4)) + [len(first) - 1]:
        session = _session(full="drop")
        session.network.write_limit = 0
        _publish(session, _PAYLOAD[1:] + b"1")
        _write_once(session, written)
        for _ in range(_ROOM - 1):
            _publish(session)
        error = raised(OSError, _publish, session)
        assert error.args[0] == ENOBUFS, written
        assert session.outbox.dropped == 0 and session.client.pending() == _ROOM
        session.network.write_limit = None
        session.pump(20)
        packets = session.sock.packets()[1:]
        assert packets[0] == first, written
        assert len(packets) == _ROOM, "nothing on the wire is out of step"


def _dropped_in_exchange(broker, sent=2):
    """A session of which `sent` messages at QoS 2 were sent and then dropped."""
    session = _session(broker, full="drop")
    for _ in range(sent):
        _publish(session, qos=2)
    session.pump(20)
    session.network.write_limit = 0
    for _ in range(_ROOM):
        _publish(session, b"%-20d" % session.outbox.dropped)
    assert session.outbox.dropped == sent
    session.network.write_limit = None
    return session


def test_dropped_in_a_qos_2_exchange_is_released():
    for lost in ("unseen", "unanswered"):
        for kind in (PUBLISH, PUBREL):
            broker = SessionBroker()
            setattr(broker, lost, (kind,))
            session = _dropped_in_exchange(broker)
            assert sorted(session.outbox.orphans) == [1, 2], (lost, kind)
            broker.unseen = broker.unanswered = ()
            sent = session.reconnected()
            assert sent[:2] == [b"\x62\x02\x00\x01", b"\x62\x02\x00\x02"], (lost, kind)
            assert [packet_id(packet) for packet in sent[2:]] == [3, 4, 5]
            assert session.outbox.orphans == [] and session.client.pending() == 0
            assert len([p for p in broker.delivered if p == _PAYLOAD]) <= 2, "none of them twice"


def test_dropped_between_publish_and_pubrec_on_one_connection():
    broker = SessionBroker()
    broker.delay = 300
    session = _dropped_in_exchange(broker)
    session.pump(2000)
    assert len(session.network.sockets) == 1
    assert session.outbox.orphans == [] and session.client.pending() == 0
    assert len(broker.delivered) == 5


def test_a_new_session_forgets_the_exchanges():
    session = _dropped_in_exchange(_silent())
    session.broker.forget()
    assert all(packet[0] >> 4 == PUBLISH for packet in session.reconnected())
    assert session.outbox.orphans == []


def test_identifiers_of_an_exchange_are_not_used_again():
    session = _dropped_in_exchange(_silent())
    session.broker.unseen = (PUBREL,)
    session.broker.unanswered = ()
    session.reconnected()
    assert session.client.pending() == 0 and session.outbox.orphans == [1, 2]
    session.outbox.newest = 65534  # where 65529 more messages would bring it
    again = Session(session.broker, outbox=session.outbox, keepalive=0, clean_session=False).connected()
    assert [_publish(again) for _ in range(3)] == [65535, 3, 4]
    again.broker.unseen = ()
    again.reconnected()
    assert session.outbox.orphans == []


def test_exchanges_of_dropped_messages_are_bounded():
    session = _session(full="drop", size=8000)
    refused = 0
    for _ in range(1000):
        try:
            _publish(session, qos=2)
        except OSError as error:
            assert error.args[0] == ENOBUFS
            refused += 1
    assert session.outbox.dropped + session.client.pending() + refused == 1000
    assert len(session.outbox.orphans) <= 256, "as many as are open in the other direction"
    session.broker.unanswered = ()
    for _ in range(2):
        session.reconnected()
        session.pump(500)
    assert session.outbox.orphans == [] and session.client.pending() == 0
    assert _publish(session, qos=2)


def test_who_waits_for_a_dropped_message_is_told():
    for qos in (1, 2):
        session = _session(full="drop")

        def on_message(_topic, _payload, session=session):
            for _ in range(_ROOM):
                _publish(session)

        session.client.set_callback(on_message)
        session.sock.reply(b"\x30\x03\x00\x01t", 100)
        start = session.clock.now
        error = raised(OSError, session.client.publish, "t", _PAYLOAD, qos=qos)
        assert error.args[0] == ENOBUFS, (qos, error)
        assert session.clock.now - start < 1000, qos
        assert session.client.pending() == _ROOM


def test_who_waits_for_one_that_was_not_dropped_is_not_told():
    session = _session(full="drop")
    _publish(session)
    session.pump(20)

    def on_message(_topic, _payload):
        for _ in range(_ROOM - 1):
            _publish(session)
        session.sock.reply(b"\x40\x02\x00\x02", 10)

    session.client.set_callback(on_message)
    session.sock.reply(b"\x30\x03\x00\x01t", 100)
    assert session.client.publish("t", _PAYLOAD, qos=1) == 2
    assert session.outbox.dropped == 1


def test_count_waits_as_well():
    broker = Broker(delay=100)
    session = _session(broker, full="wait", size=4096, count=2)
    for i in range(10):
        assert _publish(session) == i + 1
        assert session.client.pending() <= 2
    session.client.flush(5)
    assert len(broker.of_type(PUBLISH)) == 10


def test_settings_that_cannot_work():
    raised(ValueError, library().Outbox, full="block")
    raised(ValueError, library().Outbox, full=None)


def test_a_full_churning_outbox_allocates_nothing_for_good():
    for full in ("wait", "refuse", "drop"):
        session = _session(full=full)
        session.network.write_limit = 1000  # one write takes it all
        session.client.on_publish = None
        before = 0
        for i in range(60):
            for _ in range(_ROOM + (full == "drop")):
                session.client.publish(b"t", _PAYLOAD, qos=1, wait=False)
            if full == "refuse":
                raised(OSError, session.client.publish, b"t", _PAYLOAD, qos=1, wait=False)
            session.pump(5)
            for packet in session.sock.packets()[-_ROOM:]:
                session.sock.reply(b"\x40\x02" + packet[5:7])
            session.pump(20)
            assert session.client.pending() == 0, full
            _forget_what_the_test_keeps(session)
            if hasattr(gc, "mem_alloc"):  # MicroPython
                gc.collect()
                before = before or gc.mem_alloc() if i >= 10 else 0
                assert not before or gc.mem_alloc() <= before + 64, (full, i)


def _forget_what_the_test_keeps(session):
    session.sent()
    session.sock.writes.clear()
    broker = session.broker
    for kept in (broker.received, broker.times, broker.delivered):
        kept.clear()


def test_late_answers_to_dropped_messages_are_harmless():
    session = _dropped_in_exchange(_silent())
    for answer in (PUBREC, _PUBCOMP, _PUBCOMP):
        session.sock.reply(bytes((answer << 4, 2, 0, 1)), 5)
        session.pump(20)
    assert session.client.isconnected() and session.client.pending() == _ROOM
    assert session.outbox.orphans == [2]
