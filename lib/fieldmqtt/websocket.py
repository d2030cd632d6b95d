"""MQTT over WebSocket (RFC 6455; MQTT 3.1.1, section 6): a Transport that frames what goes through it.

Loaded for transport="ws" only. MQTT packets need not keep to the frames ([MQTT-6.0.0-2]), so what is received goes
from the stream straight into the client's buffer, whatever frames and fragments it comes in. What is sent is masked
into one buffer of our own, a frame at a time: the caller's bytes stay as they are, for a message in the outbox may
have to be sent again. EAGAIN that readinto() raises is for the caller, who takes it for None.
"""

import os
from binascii import b2a_base64
from hashlib import sha1

from micropython import const

from .transport import Transport
from .url import problem
from .wire import not_yet

_PIECE = const(512)  # most bytes of a frame's payload that is sent
_LINE = const(256)  # of the server's HTTP answer; what goes beyond it is left out
# What a frame begins with: FIN and opcode (section 5.2).
_BINARY = const(0x82)
_CLOSE = const(0x88)
_PING = const(0x89)
_PONG = const(0x8A)
_CONTROL = const(8)  # the bit that control frames have


class WebSocket(Transport):
    """One connection: HTTP's upgrade, then frames. `readinto` and `write` are those of a non-blocking stream."""

    def __init__(self, address, host, path):
        """host, path: str, as HTTP has them."""
        key = b2a_base64(os.urandom(16))[:-1]
        self._accept = b2a_base64(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())[:-1]
        request = (
            "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n" % (path, host, key.decode())
        )
        # What is being written is out[start:end].
        self._out = request.encode()  # type: bytearray  # type: ignore[assignment]
        self._start, self._end = 0, len(self._out)
        self._in = memoryview(bytearray(_LINE))  # a line of HTTP; the header of a frame, and all of a control frame
        self._have = 0  # bytes in it
        self._open = None  # True: the server has agreed; False: it has begun to, or the stream has failed
        self._taken = 0  # bytes of the caller's in the frame that is being written
        self._left = 0  # bytes of a frame's payload that have not been read
        self._pong = None  # the payload of a ping that has not been answered
        self._code = b"\x03\xe8"  # to close with (section 7.4): 1000, all is well
        super().__init__(address)  # last: whatever there is no memory for leaves no socket open

    def begin(self, context, hostname):
        """As Transport's; what is read and written goes through this object."""
        super().begin(context, hostname)
        return self

    def wait(self, ms, writing, reading=True):
        """As Transport's, for what this object itself waits for."""
        super().wait(ms, self._start < self._end or (writing and self._open), reading or not self._open)

    def write(self, buf, offset, size):
        """Return how many bytes have gone out as one frame, None: not yet; then ask again with the same bytes.

        Allocates the masking key, 4 bytes."""
        if not self._sent() or not (self._open or self._answered()):
            return None
        if not self._taken:
            size = min(size, _PIECE)
            self._frame(_BINARY, buf, offset, size)
            self._taken = size  # not before: there may have been no memory for the key
            if not self._sent():
                return None
        size, self._taken = self._taken, 0
        return size

    def readinto(self, buf):
        """Return how many bytes have been read, None: none yet, 0: the server has closed. Reads at most one frame."""
        self._sent()
        if not self._left:
            self._header()
            if not self._left:
                return None
        size = self._get(buf, min(len(buf), self._left))
        self._left -= size or 0
        return size

    def close(self):
        """Say so if there is room, and close."""
        try:
            if self._open and self._sent():
                self._frame(_CLOSE, self._code, 0, 2)
                self._sent()
        except (OSError, MemoryError):
            pass  # nobody is there to hear it
        super().close()

    # --- Writing ---------------------------------------------------------------------------

    # Go on writing; true when all is out.
    def _sent(self):
        while True:
            if self._start == self._end:
                if self._pong is None:
                    return True
                self._frame(_PONG, self._pong, 0, len(self._pong))
                self._pong = None
            size = None
            try:
                size = self.stream.write(self._out, self._start, self._end - self._start)  # type: ignore[call-arg]
            except OSError as error:
                if not not_yet(error):
                    raise
            if not size:
                return False
            self._start += size

    # A frame of buf[offset:offset + size], masked with a key of its own (section 5.3).
    def _frame(self, first, buf, offset, size):
        out, key = self._out, os.urandom(4)
        out[0] = first
        out[1] = 0x80 | min(size, 126)
        at = 2
        if size > 125:
            at = 4
            out[2] = size >> 8
            out[3] = size & 0xFF
        out[at : at + 4] = key
        at += 4
        self._start, self._end = 0, at + size
        for i in range(size):
            out[at + i] = buf[offset + i] ^ key[i & 3]

    # --- Reading ---------------------------------------------------------------------------

    # Read at most `size` bytes. lwIP has freed a connection once it has told that it failed: no write may follow.
    def _get(self, buf, size):
        try:
            return self.stream.readinto(buf, size)
        except OSError as error:
            if not not_yet(error):
                self._open = False
            raise

    # Read until `have` is `end`; true when it is.
    def _read(self, end):
        while self._have < end:
            size = self._get(self._in[self._have :], end - self._have)
            if size is None:
                return False
            if not size:
                raise problem(b"" if self._open else b"HTTP")
            self._have += size
        return True

    # Read a line of HTTP's answer (section 4.1), of a longer one a piece; true when it was the last one.
    def _answered(self):
        have = self._have
        while self._read(have + 1):
            have += 1
            if self._in[have - 1] == 10:
                self._have = 0
                line = bytes(self._in[:have]).strip()
                if self._open is None:
                    if line[9:12] != b"101":
                        raise problem(b"HTTP " + line)
                    self._open = False
                elif not line:
                    if self._accept:
                        raise problem(b"accept")
                    self._out = bytearray(_PIECE + 8)
                    self._open = True
                elif line.endswith(self._accept):  # no other header can
                    self._accept = b""
                break
            if have == _LINE:
                self._have = 1  # so that what is left of it is no empty line
                break
        return self._open

    # Read the header of a frame (section 5.2), or all of a control frame.
    def _header(self):
        head = self._in
        if not self._read(2):
            return
        first, size = head[0], head[1]
        control = first & _CONTROL
        wrong = first not in b"\x00\x02\x80\x82\x88\x89\x8a" or size > (125 if control else 127)
        extra = size if control else 0 if size < 126 else 2 if size == 126 else 8
        if not (wrong or self._read(2 + extra)):
            return
        if wrong or (size == 127 and head[2] > 127):
            self._code = b"\x03\xea"  # 1002
            raise problem(b"frame")
        self._have = 0
        rest = bytes(head[2 : 2 + extra])
        if first == _PING:
            self._pong = rest
            self._sent()
        elif first == _CLOSE:
            if extra > 1:
                self._code = rest
            raise problem(rest)
        elif not control:
            self._left = int.from_bytes(rest, "big") if extra else size
