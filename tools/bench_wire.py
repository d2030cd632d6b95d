"""A relay in front of the broker that counts what messages cost on the wire: PUBLISH and its acknowledgements."""

import selectors
import socket
import threading
from contextlib import suppress

_PUBLISH, _LAST_ACK = 3, 7  # packet types: PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP
_CHUNK = 65536


class Relay:
    """Carries one connection at a time to a port on 127.0.0.1. A context manager; `port` is where it listens."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.size = self.messages = 0  # bytes of all those packets, and how many of them were PUBLISH
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def __enter__(self) -> "Relay":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._listener.close()
        self._thread.join(1)

    def per_message(self) -> int:
        """Bytes, both ways together."""
        return round(self.size / max(self.messages, 1))

    def _run(self) -> None:
        with suppress(OSError):  # the client has ended, or never came
            self._relay(self._listener.accept()[0])

    def _relay(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._target)) as broker:
            for end in (client, broker):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._carry({client: broker, broker: client})

    def _carry(self, other: dict[socket.socket, socket.socket]) -> None:
        unread = {end: bytearray() for end in other}
        with selectors.DefaultSelector() as selector:
            for end in other:
                selector.register(end, selectors.EVENT_READ, end)
            while True:
                for key, _ in selector.select():
                    ready: socket.socket = key.data
                    data = ready.recv(_CHUNK)
                    if not data:
                        return
                    unread[ready] += data
                    self._count(unread[ready])
                    other[ready].sendall(data)

    def _count(self, buffer: bytearray) -> None:
        """Take the whole packets from the front of the buffer."""
        while size := _size(buffer):
            kind = buffer[0] >> 4
            if _PUBLISH <= kind <= _LAST_ACK:
                self.size += size
                self.messages += kind == _PUBLISH
            del buffer[:size]


def _size(buffer: bytearray) -> int:
    """Of the packet at the front; 0 while a part of it is missing."""
    length = shift = 0
    for at in range(1, min(len(buffer), 5)):
        length |= (buffer[at] & 0x7F) << shift
        shift += 7
        if not buffer[at] & 0x80:
            size = at + 1 + length
            return size if len(buffer) >= size else 0
    return 0
