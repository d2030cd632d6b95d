"""TLS upon a socket of `fakenet`, as extmod/modtls_mbedtls.c does it: nothing is encrypted, but all is in records.

A record goes into the socket piece by piece: a write that is refused has been taken by mbedTLS all the same, and must
come again as it was. Records that arrive are read in two parts, header and content.
"""

from support.ports import POLLIN, POLLNVAL, POLLOUT

ALERT, HANDSHAKE, DATA = 21, 22, 23
_VERSION = b"\x03\x03"
_OVERHEAD = 24  # of AES-GCM: explicit nonce and tag
_LARGEST = 16384  # content of a record that arrives

CONN_EOF = -0x7280
FATAL_ALERT = -0x7780
_NAMES = {CONN_EOF: "MBEDTLS_ERR_SSL_CONN_EOF", FATAL_ALERT: "MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE"}
_CLOSE_NOTIFY = b"\x01\x00"

# What the two sides say in turn until the handshake is over, bytes.
_CLIENT_HELLO, _SERVER_HELLO, _CLIENT_FINISHED, _SERVER_FINISHED = 120, 400, 90, 40


class _NotYet(Exception):
    """MBEDTLS_ERR_SSL_WANT_READ (POLLIN) or _WRITE (POLLOUT)."""


def seal(kind, data, overhead=_OVERHEAD):
    """One record."""
    size = len(data) + overhead
    return bytes((kind,)) + _VERSION + bytes((size >> 8, size & 0xFF)) + bytes(data) + b"." * overhead


class Context:
    """An SSLContext. fault: what goes wrong in the handshake: "certificate", "alert", "end" or "silence"."""

    def __init__(self, fault=None):
        self.fault = fault
        self.hostname = None

    def wrap_socket(self, sock, *, server_side=False, do_handshake_on_connect=True, server_hostname=None):
        if do_handshake_on_connect:
            raise AssertionError("the handshake must not block")
        if not server_hostname:
            raise ValueError("CERT_REQUIRED requires server_hostname")
        self.hostname = server_hostname
        sock.tls = _Server(sock, self.fault)
        return Stream(sock, self.fault)


class _Server:
    """The broker's side: unpacks what the client has sent into `sock.sent`, and answers the handshake."""

    def __init__(self, sock, fault):
        self.sock = sock
        self.fault = fault
        self._received = bytearray()
        self._answers = [_SERVER_HELLO, _SERVER_FINISHED]

    def received(self, data):
        self._received += data
        while len(self._received) >= 5:
            end = 5 + (self._received[3] << 8 | self._received[4])
            if len(self._received) < end:
                return
            kind, content = self._received[0], self._received[5 : end - _OVERHEAD]
            self._received = self._received[end:]
            if kind == HANDSHAKE:
                self._answer()
            else:
                self.sock.sent += content
                self.sock.writes.append(len(content))

    def _answer(self):
        size = self._answers.pop(0)
        if self.fault == "end":
            self.sock.hang_up()
        elif self.fault == "alert":
            self.sock.arrives(seal(ALERT, b"\x02\x2e", 0), 1)
        elif self.fault != "silence":
            self.sock.arrives(seal(HANDSHAKE, bytes(size)), 1)

    def sealed(self, data):
        """What the broker sends for `data`: records, each as large as may be."""
        return b"".join([seal(DATA, data[at : at + _LARGEST]) for at in range(0, len(data), _LARGEST)])


class Stream:
    """An SSLSocket: no settimeout, no fileno. Its methods are py/stream.c's: they go on until the socket says no."""

    def __init__(self, sock, fault=None):
        self._sock = sock
        self._port = sock.network.port
        self._fault = fault
        self._handshake = [self._hello, self._hear, self._finish, self._hear]
        self._out = b""  # what is left of the record that is being written
        self._taken = None  # the bytes that are in it
        self._record = bytearray()  # what has come of a record
        self._plain = b""  # what has been read of a record, but not by the program
        self._mask = 0  # what the protocol waits for, if that is another thing than the caller thinks
        self._error = 0

    def setblocking(self, flag):
        self._sock.setblocking(flag)

    def read(self, n):
        buf = bytearray(n)
        count = self.readinto(buf)
        return None if count is None else bytes(buf[:count])

    def readinto(self, buf, n=None):
        return self._repeat(self._read, POLLIN, memoryview(buf), 0, len(buf) if n is None else n)

    def write(self, buf, *args):
        offset, n = args if len(args) == 2 else (0, args[0] if args else len(buf))
        return self._repeat(self._write, POLLOUT, memoryview(buf), offset, min(len(buf), offset + n))

    # mp_stream_rw: until all is done or nothing more goes; what an error follows is lost with it.
    def _repeat(self, step, usual, view, start, end):
        if self._error:
            self._raise(self._error, self._port.tls_names_errors)
        self._mask = 0
        at = start
        while at < end:
            try:
                self._shake_hands()
                n = step(view[at:end])
            except _NotYet as want:
                self._mask = want.args[0] if want.args[0] != usual else 0
                return at - start or None
            except OSError as error:
                self._fail(error.args[0])
            if not n:
                break
            at += n
        return at - start

    def _shake_hands(self):
        while self._handshake:
            self._handshake[0]()
            self._handshake.pop(0)

    def _read(self, view):
        while not self._plain:
            kind, self._plain = self._next_record()
            if kind != DATA:
                self._plain = b""
                return 0
        n = min(len(view), len(self._plain))
        view[:n] = self._plain[:n]
        self._plain = self._plain[n:]
        return n

    def _write(self, view):
        data = bytes(view[: self._port.record])
        if self._taken is None:
            self._taken = data
            self._out = seal(DATA, data)
        elif data != self._taken:
            raise AssertionError("%d bytes were refused, now there are %d others" % (len(self._taken), len(data)))
        self._flush()
        self._taken = None
        return len(data)

    def _flush(self):
        while self._out:
            n = self._sock.write(self._out)
            if not n:
                raise _NotYet(POLLOUT)
            self._out = self._out[n:]

    # Return kind and content of the next record; (0, b"") at the end of the stream.
    def _next_record(self):
        if not (self._gather(5) and self._gather(5 + (self._record[3] << 8 | self._record[4]))):
            return 0, b""
        kind, content = self._record[0], bytes(self._record[5:])
        self._record = bytearray()
        if kind != ALERT:
            return kind, content[:-_OVERHEAD]
        if content != _CLOSE_NOTIFY:
            raise OSError(FATAL_ALERT)
        return kind, content

    # Have `size` bytes of a record; False: the stream has ended.
    def _gather(self, size):
        missing = size - len(self._record)
        if missing > 0:
            buf = bytearray(missing)
            n = self._sock.readinto(buf)
            if n == 0:
                return False
            self._record += buf[: n or 0]
            if (n or 0) < missing:
                raise _NotYet(POLLIN)
        return True

    # --- Handshake, in the reads and writes that come first

    def _hello(self):
        self._say(_CLIENT_HELLO)

    def _finish(self):
        if self._fault == "certificate":
            self._lose_socket()
            raise ValueError("\nThe certificate is not correctly signed by the trusted CA\n")
        self._say(_CLIENT_FINISHED)

    def _say(self, size):
        if self._taken is None:
            self._taken = size
            self._out = seal(HANDSHAKE, bytes(size))
        self._flush()
        self._taken = None

    def _hear(self):
        if not self._next_record()[0]:
            raise OSError(CONN_EOF)

    # --- Errors

    # The handshake has failed: mbedTLS lets go of the socket, which nobody closes then.
    def _lose_socket(self):
        self._error = self._error or -0x2700  # MBEDTLS_ERR_X509_CERT_VERIFY_FAILED
        self._sock = None

    def _fail(self, number):
        self._error = -number if number > 0 else number
        named = self._port.tls_names_errors
        if self._handshake and self._error != CONN_EOF:
            self._lose_socket()
            named = True
        self._raise(self._error, named)

    def _raise(self, number, named):
        if not named:
            raise OSError(number)
        if number > -256:
            raise OSError(-number)
        raise OSError(number, _NAMES.get(number, "MBEDTLS_ERR"))

    def ready(self, flags):
        if self._sock is None or self._error or self._sock.closed:
            return POLLNVAL
        asked = flags & (POLLIN | POLLOUT)
        if self._mask and asked:
            flags = flags & ~asked | self._mask
        pending = POLLIN if self._plain and flags & POLLIN and self._port.poll_sees_decrypted else 0
        if pending and flags == POLLIN:
            return POLLIN
        events = pending | self._sock.ready(flags)
        return events | asked if events & self._mask else events

    def close(self):
        if self._sock is not None:
            sock, self._sock = self._sock, None
            sock.close()
