# mypy: ignore-errors
"""A network that takes everything at once and says nothing but CONNACK: what is left is the client's own work."""

SOCK_STREAM = 1
AF_INET = 2

_CONNACK = b"\x20\2\0\0"


def getaddrinfo(host, port, *rest):
    """As the real one's first answer."""
    return [(AF_INET, SOCK_STREAM, 0, "", (host, port))]


class socket:
    """One connection."""

    def __init__(self, *args):
        self._unread = _CONNACK

    def setblocking(self, flag):
        """Nothing blocks."""

    def setsockopt(self, *args):
        """No options."""

    def connect(self, address):
        """At once."""

    def close(self):
        """Nothing to close."""

    def write(self, buf, off=0, size=0):
        """Take all of it, with as little work as can be. Who gives no size does not look at the answer."""
        return size

    def read(self, size):
        """A blocking client reads as much as it expects."""
        unread = self._unread
        self._unread = unread[size:]
        return unread[:size]

    def readinto(self, buf):
        """A client that does not block reads what there is."""
        size = len(self._unread)
        if not size:
            return None
        buf[:size] = self._unread
        self._unread = b""
        return size
