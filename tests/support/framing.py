"""WebSocket (RFC 6455) as a server sees it: HTTP's request, then frames, strictly. For both interpreters."""

from binascii import b2a_base64
from hashlib import sha1

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_FIN = 0x80
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(payload=b"", opcode=BINARY, fin=True, bits=None):
    """A frame of a server. bits: in which form the length is told, 7, 16 or 64; the shortest unless given."""
    size = len(payload)
    head = bytes((opcode | (_FIN if fin else 0),))
    bits = bits or (7 if size < 126 else 16 if size < 65536 else 64)
    if bits == 7:
        return head + bytes((size,)) + payload
    count = bits // 8
    return head + bytes((126 if bits == 16 else 127,)) + size.to_bytes(count, "big") + payload


def close(code, reason=b""):
    """A close frame of a server."""
    return frame(code.to_bytes(2, "big") + reason, CLOSE)


def headers(request):
    """Of HTTP's request: name in lower case -> value; "" -> its first line."""
    first, *lines = request.decode().split("\r\n")
    found = {"": first}
    for line in lines:
        if line:
            name, value = line.split(":", 1)
            assert name.lower() not in found, line
            found[name.lower()] = value.strip()
    return found


def accept(request):
    """What Sec-WebSocket-Accept has to be for a request (section 4.2.2)."""
    key = headers(request)["sec-websocket-key"].encode()
    return b2a_base64(sha1(key + _GUID).digest())[:-1]


def agreement(request):
    """The answer 101 to a request."""
    answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    return answer + b"Sec-WebSocket-Accept: " + accept(request) + b"\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"


class Reader:
    """Takes what one side says: `http`, its first lines, then `frames`, each (opcode, payload, key); `mqtt`: the bytes.

    A client has to mask its frames, a server must not. What is against the rules is an AssertionError."""

    def __init__(self, is_client=True):
        self.http = b""
        self.frames = []
        self.mqtt = bytearray()
        self._is_client = is_client
        self._rest = b""

    def feed(self, data):
        self._rest += bytes(data)
        if not self.http:
            end = self._rest.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            self.http, self._rest = self._rest[:end], self._rest[end:]
        while self._frame():
            pass

    # Take a frame from the front of what has come; False: it is not there as a whole.
    def _frame(self):
        rest = self._rest
        if len(rest) < 2:
            return False
        opcode, size, at = rest[0] & 15, rest[1] & 127, 2
        assert rest[0] & 0x70 == 0, "reserved bits"
        assert bool(rest[1] & 128) == self._is_client, "masked by the client only"
        if size > 125:
            at = 4 if size == 126 else 10
            size = int.from_bytes(rest[2:at], "big")
            assert len(rest) < at or size > (125 if at == 4 else 65535), "the shortest length that does"
        key = rest[at : at + 4] if self._is_client else b"\0\0\0\0"
        at += 4 if self._is_client else 0
        if len(rest) < at + size:
            return False
        payload = masked(rest[at : at + size], key)
        self._rest = rest[at + size :]
        self._take(opcode, payload, key)
        return True

    def _take(self, opcode, payload, key):
        assert opcode in (CONTINUATION, BINARY, CLOSE, PING, PONG), opcode
        assert opcode < CLOSE or len(payload) < 126
        self.frames.append((opcode, payload, key))
        if opcode < CLOSE:
            self.mqtt += payload


def masked(payload, key):
    """Mask, or take the mask away (section 5.3)."""
    return bytes([byte ^ key[i & 3] for i, byte in enumerate(payload)])
