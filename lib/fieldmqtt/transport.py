"""A non-blocking TCP or TLS stream. What differs between the ports' sockets is hidden here.

A socket is never given a timeout: it is non-blocking from the start, and whoever waits polls with a
deadline of its own. Only resolve() can block: no port's `getaddrinfo` knows a deadline.
"""

import gc
import select
import socket

from micropython import const

from .wire import not_yet

_TCP = const(6)


def resolve(host, port):
    """Return what Transport needs to reach host (str). Blocks as long as the resolver does; raises OSError."""
    try:
        found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    except OSError as error:
        raise OSError(error.args[0], "no address for " + host) from None
    for address in found:
        if address[0] == socket.AF_INET:
            return address
    return found[0]


class Transport:
    """One connection: `stream` with readinto and write, and a way to wait for it. See websocket.py for another one."""

    def __init__(self, address, *_):
        """Begin to connect to what resolve() found. Raises OSError and leaves nothing open then."""
        gc.collect()  # the socket lost before, and one piece of heap large enough for TLS
        self.stream = self._socket = stream = socket.socket(*address[:3])
        try:
            stream.setblocking(False)
            # lwIP has its own number for this option, and takes a wrong one in silence.
            stream.setsockopt(_TCP, getattr(socket, "TCP_NODELAY", 1), 1)
            stream.connect(address[-1])
        except OSError as error:
            if not not_yet(error):
                stream.close()
                raise
        self._poll = select.poll()
        self._register(select.POLLOUT)

    # Also to change the flags of a stream that is registered.
    def _register(self, flags):
        self._flags = flags
        self._poll.register(self.stream, flags)

    def connected(self):
        """True when connecting has come to an end. If it failed, the first write says why."""
        return self._poll.poll(0)

    def begin(self, context, hostname):
        """Put TLS on the stream if there is a context. Return what to read from and to write to.

        The handshake happens in the reads and writes that follow."""
        if context:
            self._poll.unregister(self.stream)
            self.stream = context.wrap_socket(self.stream, server_hostname=hostname, do_handshake_on_connect=False)
            self._register(select.POLLIN)
        return self.stream

    def wait(self, ms, writing, reading=True):
        """Wait at most ms for data when `reading`, for room when `writing`. Allocates nothing."""
        flags = (select.POLLIN if reading else 0) | (select.POLLOUT if writing else 0)
        if flags != self._flags:
            self._register(flags)
        for _ in self._poll.ipoll(ms):
            pass

    def close(self):
        """Close the stream, whatever state it is in."""
        for stream in (self.stream, self._socket):  # a TLS stream that has failed leaves its socket open
            try:
                stream.close()
            except OSError:
                pass  # it says so once more
