"""WebSocket's frames, byte by byte: what is sent, what is taken, and what is refused. Runs on both interpreters."""

import sys

from support.answering import PINGREQ, PUBLISH
from support.fakews import WebSession
from support.framing import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close, frame
from support.session import raised

_PIECE = 512  # most bytes of a frame's payload that the client sends
_HI = b"\x30\x05\x00\x01thi"


def _session(**settings):
    return WebSession(backoff=(0, 0), **settings).connected()


def _single(**settings):
    """A session in which a lost connection raises."""
    return _session(auto_reconnect=False, **settings)


def _message(payload, qos=0, packet_id=7):
    """PUBLISH from the broker, topic t."""
    size = len(payload) + (5 if qos else 3)
    head = bytearray((0x30 | qos << 1,))
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    return bytes(head) + b"\x00\x01t" + (bytes((0, packet_id)) if qos else b"") + payload


def _sizes(session):
    return [len(payload) for opcode, payload, _ in session.wire.reader.frames if opcode == BINARY]


# --- Sending


def test_each_frame_is_masked_with_a_key_of_its_own():
    session = _session()
    for i in range(200):
        session.client.publish("t", b"%d" % i, qos=i % 3)
    keys = [key for _, _, key in session.wire.reader.frames]  # of which the reader knows that they are masked
    assert len(keys) > 250 and len(set(keys)) > len(keys) - 3
    for place in range(4):
        assert len({key[place] for key in keys}) > 100, "each byte is by chance"
    assert len(session.broker.of_type(PUBLISH)) == 200


def test_packets_of_every_size():
    for size in (7, 124, 125, 126, 127, 129, 511, 512, 513, 1023, 1024, 1025, 5000):
        for qos in (0, 1):
            session = _session(outbox=8192)
            already = len(session.wire.reader.frames)
            payload = bytes([i & 0xFF for i in range(size - (7 if qos else 5) - (1 if size > 129 else 0))])
            session.client.publish("t", payload, qos=qos)
            packet = session.broker.of_type(PUBLISH)[0]
            assert packet.endswith(payload) and len(packet) == size
            sizes = _sizes(session)[already:]
            assert sum(sizes) == size and max(sizes) <= _PIECE, sizes
            assert len(sizes) <= (size + _PIECE - 1) // _PIECE + (1 if size > 1024 else 0), sizes


def test_a_small_packet_is_one_frame():
    session = _session()
    already = len(session.wire.reader.frames)
    for _ in range(5):
        session.client.publish("t", "hi")
    assert session.wire.reader.frames[already:] and _sizes(session)[already:] == [7] * 5


def test_a_long_payload_is_left_as_it_is():
    session = _session()
    payload = bytearray(bytes(range(256)) * 40)
    before = bytes(payload)
    session.client.publish("t", payload)
    assert bytes(payload) == before and session.broker.of_type(PUBLISH)[0].endswith(before)


def test_disconnect_says_so_twice():
    session = _session()
    session.client.disconnect()
    assert session.wire.packets()[-1] == b"\xe0\x00"
    assert [frame[:2] for frame in session.wire.reader.frames][-1] == (CLOSE, b"\x03\xe8")
    assert session.sock.closed


class _Poor:
    """In the place of the module os, as long as the `with` lasts: there is no memory for a key."""

    def __enter__(self):
        self._module = sys.modules["fieldmqtt.websocket"]
        self._before, self._module.os = self._module.os, self

    def __exit__(self, *_):
        self._module.os = self._before

    def urandom(self, count):
        raise MemoryError


def test_no_memory_for_a_key():
    session = _session(network={"write_limit": 1 << 20})
    session.client.publish("t", "first")
    with _Poor():
        raised(MemoryError, session.client.publish, "t", "lost")
    session.client.publish("t", "third")
    session.client.publish("t", "last", qos=1)
    assert [packet[5:] for packet in session.broker.of_type(PUBLISH)] == [b"first", b"third", b"\x00\x01last"]
    assert len(session.network.sockets) == 1


def test_no_memory_to_close():
    session = _session()
    with _Poor():
        session.sock.hang_up()
        session.client.check_msg()
    assert session.gateway.wires[0].sock.closed
    session.pump(100)
    assert session.client.isconnected() and len(session.network.sockets) == 2


# --- Receiving


def test_lengths_in_every_form():
    for bits, sizes in ((7, (10, 125)), (16, (10, 125, 126, 300, 65535)), (64, (10, 126, 65536, 70000))):
        for size in sizes:
            session = _session(max_packet=80_000)
            packet = _message(b"x" * (size - (5 if size < 128 else 6)))
            packet = packet if size < 16384 else _message(b"x" * (size - 7))
            assert len(packet) == size or size == 128
            session.wire.raw(frame(packet, bits=bits))
            session.pump(100)
            assert [len(message[1]) for message in session.messages] == [packet.count(b"x")], (bits, size)


def _cut(stream, at):
    return [frame(stream[:at]), frame(stream[at:])]


def test_packets_split_anywhere():
    stream = _message(b"one") + _message(b"y" * 200, 1) + _message(b"three", 2)
    for at in range(len(stream)):
        session = _session()
        session.gateway.framed = lambda data, at=at: _cut(data, at) if len(data) > 100 else [frame(data)]
        session.sock.reply(stream)
        session.pump(50)
        assert [message[1] for message in session.messages] == [b"one", b"y" * 200, b"three"], at
        assert [packet[0] for packet in session.wire.packets()][1:3] == [0x40, 0x50], at


def test_many_packets_in_one_frame():
    session = _session()
    session.wire.raw(frame(_message(b"a", 1) * 300))
    session.pump(500)
    assert len(session.messages) == 300
    assert len([packet for packet in session.wire.packets() if packet[0] == 0x40]) == 300


def test_a_packet_in_fragments_with_others_between():
    stream = _message(b"z" * 300)
    session = _session()
    session.wire.raw(frame(stream[:10], fin=False) + frame(b"ping", PING) + frame(b"", CONTINUATION, fin=False))
    session.pump(20)
    assert session.messages == [] and session.wire.of_opcode(PONG) == [b"ping"]
    for at in range(10, len(stream)):
        session.wire.raw(frame(stream[at : at + 1], CONTINUATION, fin=False) + frame(b"", PONG) + frame(b"", PING))
    session.wire.raw(frame(b"", CONTINUATION) + frame(_HI))
    assert session.client.wait_msg(1) and session.client.wait_msg(1)
    assert [message[1] for message in session.messages] == [b"z" * 300, b"hi"]
    assert b"" in session.wire.of_opcode(PONG)


def test_byte_by_byte_with_empty_frames():
    session = _session()
    for byte in _message(b"x" * 30, 2):
        session.wire.raw(frame() + frame(bytes((byte,))) + frame(b"", bits=64))
    assert session.client.wait_msg(1)
    assert [message[1] for message in session.messages] == [b"x" * 30] and len(session.network.sockets) == 1


def test_frames_cut_at_every_byte():
    stream = frame(b"p" * 20, PING) + frame(_message(b"q" * 130, 1), bits=64) + frame(b"", PONG) + frame(_HI)
    for at in range(len(stream)):
        session = _session()
        session.wire.raw(stream[:at])
        session.pump(10)
        session.wire.raw(stream[at:])
        session.pump(20)
        assert [message[1] for message in session.messages] == [b"q" * 130, b"hi"], at
        assert session.wire.of_opcode(PONG) == [b"p" * 20], at


def test_ping_is_answered_with_its_payload():
    for payload in (b"", b"hello", bytes(range(125))):
        session = _session()
        session.wire.raw(frame(payload, PING))
        session.pump(20)
        assert session.wire.of_opcode(PONG) == [payload]
        session.wire.raw(frame(payload, PONG))
        session.pump(20)
        assert session.wire.of_opcode(PONG) == [payload] and session.wire.of_opcode(PING) == []
        assert len(session.network.sockets) == 1


class _Narrow:
    """The socket takes so many bytes of TCP, then none until `open` is set."""

    def __init__(self, sock, count):
        self.left = count
        self.open = False
        self._plain = sock.write
        sock.write = self.write

    def write(self, buf, *args):
        offset, n = args if len(args) == 2 else (0, args[0] if args else len(buf))
        if self.open:
            return self._plain(buf, offset, n)
        if not self.left:
            return None
        count = self._plain(buf, offset, min(n, self.left)) or 0
        self.left -= count
        return count or None


def test_ping_while_a_frame_is_half_written():
    for count in (0, 1, 2, 5, 6, 7, 100, 108):
        session = _session()
        narrow = _Narrow(session.sock, count)
        session.client.publish("t", b"d" * 98, wait=False)
        session.wire.raw(frame(b"first", PING) + frame(b"last", PING) + frame(_HI))
        session.pump(50)
        assert session.wire.of_opcode(PONG) == [] and [message[1] for message in session.messages] == [b"hi"], count
        narrow.open = True
        session.client.publish("t", b"after", qos=1)
        assert session.wire.of_opcode(PONG) == [b"last"], "the newest; the others need no answer (section 5.5.3)"
        published = session.broker.of_type(PUBLISH)
        assert [len(packet) for packet in published] == [103, 12], count
        assert published[0].endswith(b"d" * 98) and len(session.network.sockets) == 1


def test_a_pong_that_is_half_written():
    for count in range(10):
        for follows in (True, False):
            session = _session()
            narrow = _Narrow(session.sock, count)
            session.wire.raw(frame(b"1234", PING))
            session.pump(20)
            if follows:
                session.client.publish("t", b"hello", wait=False)
            narrow.open = True
            session.pump(50)
            assert session.wire.of_opcode(PONG) == [b"1234"], (count, follows)
            assert len(session.broker.of_type(PUBLISH)) == follows, count


def test_a_flood_of_pings_does_not_hide_a_dead_broker():
    session = _session(keepalive=2)
    session.broker.answers[PINGREQ] = None
    losses = []
    session.client.on_disconnect = losses.append

    def flood():
        if not session.sock.closed:
            session.wire.raw(frame(b"!", PING) * 3)
            session.clock.at(20, flood)

    flood()
    session.client.wait_msg(5)
    assert losses and losses[0].args[0] in (110, 116)


# --- The end


def test_close_codes():
    for code, reason, text in (
        (1000, b"", "1000 normal"),
        (1001, b"", "1001 going away"),
        (1002, b"", "1002 protocol error"),
        (1003, b"", "1003 data"),
        (1008, b"", "1008 against its policy"),
        (1008, b"no such user", "1008 no such user"),
        (1009, b"", "1009 too large"),
        (1011, b"", "1011 its own error"),
        (1006, b"", "1006"),
        (4321, b"", "4321"),
        (4321, b"\xff\xfe", "4321"),
        (65535, b"r" * 123, "65535 rrr"),
    ):
        session = _single()
        session.wire.raw(close(code, reason))
        error = raised(OSError, session.client.wait_msg, 5)
        assert error.args[0] == 104 and text in str(error) and session.clock.now < 500, error
        assert not isinstance(error, session.module.MQTTException)
        answers = session.wire.of_opcode(CLOSE)
        assert [answer[:2] for answer in answers] == [code.to_bytes(2, "big")] and session.sock.closed


def test_close_without_a_code():
    for payload in (b"", b"\x03"):
        session = _single()
        session.wire.raw(frame(payload, CLOSE))
        error = raised(OSError, session.client.wait_msg, 5)
        assert error.args[0] == 104 and "closed by the peer" in str(error)
        assert session.wire.of_opcode(CLOSE) == [b"\x03\xe8"] and session.sock.closed


def test_after_a_close_the_client_comes_back():
    session = _session(clean_session=False)
    session.client.publish("t", "kept", qos=1, wait=False)
    session.wire.raw(close(1001))
    session.pump(100)
    assert len(session.network.sockets) == 2 and session.client.isconnected() and not session.client.pending()


# What no server may say (RFC 6455, sections 5.1 to 5.5); each is refused by its first bytes.
_WRONG = (
    ("a text frame", frame(b"hi", TEXT)),
    ("a bit is reserved", b"\xc2\x02"),
    ("another one", b"\xa2\x02"),
    ("the third", b"\x92\x02"),
    ("masked", b"\x82\x85"),
    ("masked, 16 bits", b"\x82\xfe"),
    ("masked, 64 bits", b"\x82\xff"),
    ("a masked ping", b"\x89\x80"),
    ("an unknown opcode", b"\x83\x00"),
    ("7", b"\x87\x00"),
    ("11", b"\x8b\x00"),
    ("15", b"\x8f\x00"),
    ("a long ping", b"\x89\x7e\x00\x7e"),
    ("a longer ping", b"\x89\x7f"),
    ("a long close", b"\x88\x7e"),
    ("a fragment of a ping", b"\x09\x00"),
    ("a fragment of a close", b"\x08\x02\x03\xe8"),
    ("2^63 bytes", b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"),
    ("2^64 - 1 bytes", b"\x02\x7f\xff\xff\xff\xff\xff\xff\xff\xff"),
)


def test_frames_that_no_server_may_send():
    for what, data in _WRONG:
        session = _single()
        start = session.clock.now
        session.wire.raw(frame(_HI) + data)
        assert session.client.wait_msg(5), what
        error = raised(session.module.MQTTException, session.client.wait_msg, 5)
        assert error.reason_code == 0x82 and "WebSocket" in str(error), (what, error)
        assert session.wire.of_opcode(CLOSE) == [b"\x03\xea"], what
        assert session.sock.closed and session.clock.now - start < 100, what


def test_a_frame_of_2_to_the_63_bytes_has_no_end_but_costs_nothing():
    session = _session()
    session.wire.raw(b"\x82\x7f\x7f" + b"\xff" * 7 + _HI * 3)
    session.pump(50)
    session.wire.raw(_HI)
    session.pump(50)
    assert len(session.messages) == 4 and len(session.network.sockets) == 1


def test_mqtt_that_is_wrong_closes_the_socket_too():
    session = _single()
    session.wire.raw(frame(b"\xf0\x00"))
    error = raised(session.module.MQTTException, session.client.wait_msg, 5)
    assert "WebSocket" not in str(error) and session.sock.closed
    assert session.wire.of_opcode(CLOSE) == [b"\x03\xe8"]


def test_a_close_does_not_come_into_a_frame_that_is_half_written():
    for count in (1, 7, 50):
        session = _single()
        _Narrow(session.sock, count)
        session.client.publish("t", b"d" * 98, wait=False)
        session.wire.raw(close(1001))
        raised(OSError, session.client.wait_msg, 5)
        assert session.sock.closed and session.wire.of_opcode(CLOSE) == []


def test_nothing_is_written_to_a_connection_that_has_failed():
    # lwIP's fake asserts it: there a write would use memory that has been freed.
    for text in (b"", b"\x82", b"\x82\x0a\x30"):
        session = _session()
        session.wire.raw(text)
        session.pump(10)
        session.sock.reset()
        session.pump(100)
        assert len(session.network.sockets) == 2 and session.client.isconnected()


def test_pings_keep_nobody_awake():
    session = _session(keepalive=100)
    before = session.clock.polls
    for i in range(20):
        session.clock.at(i * 1000, lambda: session.wire.raw(frame(b"x", PING)))
    session.client.wait_msg(30)
    assert session.clock.polls - before < 100 and len(session.wire.of_opcode(PONG)) == 20
