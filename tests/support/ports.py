"""The sockets of MicroPython's ports, as far as they differ: numbers, buffers, what poll says, how a connection breaks.

To add a port, derive a class that names what differs. Sources: extmod/modlwip.c (rp2: Pico W, W5100S, W5500),
ports/esp32/modsocket.c with ESP-IDF's lwIP, extmod/modtls_mbedtls.c, of MicroPython 1.23 to 1.28.
"""

POLLIN = 1
POLLOUT = 4
POLLERR = 8
POLLHUP = 16
POLLNVAL = 32

_ALWAYS = POLLERR | POLLHUP | POLLNVAL  # reported whether asked for or not
_ALL = POLLIN | POLLOUT | POLLERR | POLLHUP

# The names that MicroPython's module errno has, no more, with the numbers of Linux, which are MicroPython's own too.
_ERRNO = {
    "EPERM": 1,
    "ENOENT": 2,
    "EIO": 5,
    "EBADF": 9,
    "EAGAIN": 11,
    "ENOMEM": 12,
    "EACCES": 13,
    "EEXIST": 17,
    "ENODEV": 19,
    "EISDIR": 21,
    "EINVAL": 22,
    "EOPNOTSUPP": 95,
    "EADDRINUSE": 98,
    "ECONNABORTED": 103,
    "ECONNRESET": 104,
    "ENOBUFS": 105,
    "ENOTCONN": 107,
    "ETIMEDOUT": 110,
    "ECONNREFUSED": 111,
    "EHOSTUNREACH": 113,
    "EALREADY": 114,
    "EINPROGRESS": 115,
}

_EPIPE = 32


class Port:
    """A port: this class is unix. `errno`: the numbers; `nodelay`: socket.TCP_NODELAY, if the port has that name."""

    name = "unix"
    errno = _ERRNO
    nodelay = None
    buffer = 0  # bytes that the send buffer holds, 0: as many as you like. Else writes are short, at random.
    latencies = (1,)  # ms that a connection takes, one of these
    connect_waits = 0  # ms that connect() waits for it all the same
    no_address = "[addrinfo error -2]"  # what getaddrinfo's OSError says
    answers_closed = False  # a write after the peer has closed is taken, and makes the next one fail
    raises_eagain = False  # where others return None
    tls = False
    record = 4096  # bytes that a TLS record sent holds at most
    tls_names_errors = True
    poll_sees_decrypted = True  # every mbedTLS port since 1.23 does

    # What an attempt to connect can fail with: (from connect() itself; later).
    unreachable = (101, 110, 111, 113)
    refused = 111
    unconnected = POLLHUP | POLLOUT  # what poll says of a new socket

    def room(self, random, turn):
        """Bytes that the send buffer has room for: any number, few as often as many. Every third time all."""
        return min(self.buffer, 1 + random.below(1 << 1 + random.below(13))) if turn % 3 else self.buffer

    def error(self, sock, writing):
        """What a read or a write of a connection that is broken raises: a number, or 0 for the end of the stream."""
        if sock.state == "reset":
            return _EPIPE if writing else self.errno["ECONNRESET"]
        return sock.error

    def broken(self, sock, flags):
        """What poll says of a broken connection."""
        return _ALL & (flags | _ALWAYS)


class Lwip(Port):
    """rp2: Pico W, W5100S, W5500."""

    name = "lwip"
    nodelay = 64
    buffer = 6400
    latencies = (1, 2, 3)
    connect_waits = 1
    no_address = -2
    answers_closed = True
    unreachable = (113, 103, 104, -1)  # no route, no answer to SYN, refused, an error of the driver
    refused = 104  # RST
    unconnected = POLLHUP

    def error(self, sock, writing):
        """An error is read once. Then a reset stream is at its end, and any other is no socket any more."""
        if sock.told:
            if writing and sock.error == self.refused:
                raise AssertionError("a write after a read has said ECONNRESET: lwIP has freed the connection")
            return 0 if sock.error == self.refused else self.errno["EBADF"]
        sock.told = not writing
        return sock.error

    def broken(self, sock, flags):
        """Only of a reset connection does it say more than POLLERR."""
        return (_ALL if sock.error == self.refused else POLLERR) & (flags | _ALWAYS)


class Esp32(Port):
    """ESP32: the IDF's lwIP, with newlib's numbers. poll never says POLLERR, nor POLLHUP unless asked."""

    name = "esp32"
    errno = dict(_ERRNO)
    errno.update(
        EADDRINUSE=112, ECONNABORTED=113, ETIMEDOUT=116, EHOSTUNREACH=118, EINPROGRESS=119, EALREADY=120, ENOTCONN=128
    )
    nodelay = 1
    buffer = 5760
    latencies = (1, 2, 3)
    no_address = -2
    answers_closed = True
    unreachable = (118, 113, 104, -1)
    refused = 104

    def error(self, sock, writing):
        """An error is told once, then there is no connection."""
        if sock.told:
            return self.errno["ENOTCONN"]
        sock.told = True
        return sock.error

    def broken(self, sock, flags):
        return (POLLIN | POLLOUT) & flags


class LwipTls(Lwip):
    """TLS as it was up to MicroPython 1.26: errors are bare negative numbers, the socket's own too (-104, -110)."""

    name = "lwip-tls"
    tls = True
    tls_names_errors = False


class Esp32Tls(Esp32):
    """TLS since MicroPython 1.27: the socket's errors are positive, mbedTLS's negative and named."""

    name = "esp32-tls"
    tls = True


class Eagain(Port):
    """A stream that raises EAGAIN where the others return None, as `recv` and `send` do, and sockets of CPython."""

    name = "eagain"
    raises_eagain = True


PORTS = {kind.name: kind for kind in (Port, Lwip, Esp32, LwipTls, Esp32Tls, Eagain)}
STOCK = ("unix", "lwip", "esp32", "lwip-tls", "esp32-tls")  # those that exist
