"""The ring of messages at QoS 1 and 2, beside a plain list that does the same."""

from fieldmqtt import Outbox
from support.fakenet import Random
from support.session import raised


def _packet(packet_id, qos, size):
    """A PUBLISH of `size` bytes in all (at least 8)."""
    head = bytes((0x30 | qos << 1, size - 2, 0, 1)) + b"t" + bytes((packet_id >> 8, packet_id & 0xFF))
    return head + b"x" * (size - len(head))


def _put(outbox, packet_id, qos=1, size=20):
    """Accept a message; False: there is no room."""
    at = outbox.reserve(size)
    if at < 0:
        return False
    outbox.buffer[at : at + size] = _packet(packet_id, qos, size)
    outbox.commit(packet_id, size)
    return True


def _next(outbox):
    """(packet identifier, bytes to send) of the next record, None: there is none."""
    packet_id = outbox.next()
    return (packet_id, bytes(outbox.buffer[outbox.start : outbox.end])) if packet_id else None


def _all(outbox):
    found = []
    while True:
        record = _next(outbox)
        if record is None:
            return found
        found.append(record)


def test_a_message_from_publish_to_puback():
    outbox = Outbox(100)
    assert _put(outbox, 1) and outbox.pending == 1 and outbox.unsent == 1 and outbox.in_flight == 0
    assert _next(outbox) == (1, _packet(1, 1, 20))
    assert outbox.pending == 1 and outbox.unsent == 0 and outbox.in_flight == 1
    assert outbox.puback(1)
    assert outbox.pending == 0 and outbox.in_flight == 0
    assert not outbox.puback(1)


def test_qos_2_needs_pubrec_then_pubcomp():
    outbox = Outbox(100)
    _put(outbox, 1, qos=2)
    _next(outbox)
    assert not outbox.pubcomp(1) and not outbox.puback(1)
    assert outbox.pubrec(1)
    assert outbox.pending == 1
    assert outbox.pubrec(1), "a second PUBREC is answered as the first"
    assert not outbox.puback(1)
    assert outbox.pubcomp(1)
    assert outbox.pending == 0


def test_acks_of_other_messages_are_not_taken():
    outbox = Outbox(200)
    for packet_id in (5, 6, 8):
        _put(outbox, packet_id)
    _all(outbox)
    for unknown in (1, 4, 7, 9, 65535):
        assert not outbox.puback(unknown) and not outbox.pubrec(unknown) and not outbox.pubcomp(unknown)
    assert outbox.pending == 3


def test_acks_in_any_order():
    for order in ((1, 2, 3), (1, 3, 2), (2, 1, 3), (2, 3, 1), (3, 1, 2), (3, 2, 1)):
        outbox = Outbox(75)
        for packet_id in (1, 2, 3):
            assert _put(outbox, packet_id)
        _all(outbox)
        assert not _put(outbox, 4), "75 bytes hold three records of 25"
        for packet_id in order:
            assert outbox.puback(packet_id), order
        assert outbox.pending == 0
        for packet_id in (4, 5, 6):
            assert _put(outbox, packet_id), order
        assert [record[0] for record in _all(outbox)] == [4, 5, 6]


def test_not_acked_before_it_was_sent():
    outbox = Outbox(100)
    _put(outbox, 1)
    assert not outbox.puback(1)
    assert outbox.pending == 1


def test_sent_again_with_dup_when_the_session_is_present():
    outbox = Outbox(200)
    for packet_id in (1, 2, 3, 4):
        _put(outbox, packet_id, qos=1 + packet_id % 2)
    for _ in range(3):
        _next(outbox)
    outbox.puback(2)
    outbox.pubrec(3)
    outbox.rewind(True)
    assert outbox.in_flight == 0 and outbox.pending == 3
    again = _all(outbox)
    assert again[0] == (1, b"\x3c" + _packet(1, 2, 20)[1:])
    assert again[1] == (3, b""), "the broker has it: PUBREL only"
    assert again[2] == (4, _packet(4, 1, 20)), "never sent before: no DUP"
    assert outbox.pubcomp(3) and outbox.pubrec(1) and outbox.puback(4)


def test_sent_as_new_when_the_session_is_gone():
    outbox = Outbox(200)
    for packet_id in (1, 2):
        _put(outbox, packet_id, qos=2)
    _all(outbox)
    outbox.rewind(True)
    _all(outbox)
    outbox.pubrec(1)
    outbox.rewind(False)
    assert _all(outbox) == [(1, _packet(1, 2, 20)), (2, _packet(2, 2, 20))]
    assert not outbox.pubcomp(1), "it waits for PUBREC again"


def test_received_identifiers_are_known_until_released():
    outbox = Outbox(100)
    assert outbox.receive(7)
    assert not outbox.receive(7)
    outbox.rewind(True)
    assert not outbox.receive(7)
    outbox.release(7)
    assert outbox.receive(7)
    outbox.rewind(False)
    assert outbox.receive(7), "a new session knows none"


def test_received_identifiers_are_bounded():
    outbox = Outbox(100)
    for packet_id in range(1, 1025):
        assert outbox.receive(packet_id)
    assert outbox.receive(1025) is None


def test_a_message_that_never_fits():
    outbox = Outbox(100)
    raised(ValueError, outbox.reserve, 96)
    assert outbox.reserve(95) >= 0
    raised(ValueError, Outbox, 0xFF00)


def test_wrap_at_every_offset():
    for space in range(60, 130):
        outbox = Outbox(space)
        waiting = []
        for packet_id in range(1, 60):
            size = 8 + packet_id % 19
            while not _put(outbox, packet_id, size=size):
                if waiting:
                    oldest = waiting.pop(0)
                    assert outbox.puback(oldest[0]), (space, packet_id)
                else:
                    raise AssertionError((space, packet_id))
            record = _next(outbox)
            assert record == (packet_id, _packet(packet_id, 1, size)), (space, packet_id)
            waiting.append(record)
            assert outbox.pending == len(waiting)


def _check(outbox, model, seed):
    assert outbox.pending == len(model), seed
    assert outbox.in_flight == len([entry for entry in model if entry["sent"]]), seed


def _act(outbox, model, random, next_id):
    """One random step in the ring and in the list beside it. Returns the next packet identifier."""
    step = random.below(10)
    if step < 4:
        qos, size = 1 + random.below(2), 8 + random.below(30)
        if _put(outbox, next_id, qos, size):
            model.append({"id": next_id, "qos": qos, "size": size, "state": "new", "sent": False})
            return next_id % 65535 + 1
    elif step < 7:
        _send_one(outbox, model)
    elif step < 9 and model:
        _ack_one(outbox, model, model[random.below(len(model))])
    elif random.below(4) == 0:
        present = random.below(3) > 0
        outbox.rewind(present)
        for entry in model:
            entry["sent"] = False
            if not present:
                entry["state"] = "new"
    return next_id


def _send_one(outbox, model):
    expected = None
    for entry in model:
        if not entry["sent"]:
            data = bytearray(_packet(entry["id"], entry["qos"], entry["size"]))
            if entry["state"] == "again":
                data[0] |= 8
            expected = (entry["id"], b"" if entry["state"] == "release" else bytes(data))
            entry["sent"] = True
            if entry["state"] == "new":
                entry["state"] = "again"
            break
    assert _next(outbox) == expected


def _ack_one(outbox, model, entry):
    packet_id, waits = entry["id"], entry["sent"]
    assert bool(outbox.puback(packet_id)) == (waits and entry["qos"] == 1)
    if entry["qos"] == 2:
        releasing = entry["state"] == "release"
        assert bool(outbox.pubcomp(packet_id)) == (waits and releasing)
        if not releasing:
            assert bool(outbox.pubrec(packet_id)) == waits
            if waits:
                entry["state"] = "release"
            return
    if waits:
        model.remove(entry)


def test_like_a_list_whatever_happens():
    for seed in range(1, 60):
        random = Random(seed)
        outbox = Outbox(60 + random.below(200))
        model = []
        next_id = 65535 - random.below(40)
        for _ in range(150):
            next_id = _act(outbox, model, random, next_id)
            _check(outbox, model, seed)
