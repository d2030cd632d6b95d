"""A broker that does what the test says, byte by byte: accept, expect, send, close, reset, or nothing at all."""

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

import packets

WAIT_S = 8.0  # how long a test waits for what must come


class Peer:
    """One connection of a client, seen by the broker."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self, n: int, timeout: float = WAIT_S) -> bytes:
        """Read n bytes; fewer only if the client closed or the time is over."""
        data = b""
        end = time.monotonic() + timeout
        while len(data) < n:
            self._socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                more = self._socket.recv(n - len(data))
            except (TimeoutError, ConnectionError):
                break
            if not more:
                break
            data += more
        return data

    def expect(self, *expected: bytes, timeout: float = WAIT_S) -> None:
        """The client's next bytes are exactly these."""
        for data in expected:
            got = self.read(len(data), timeout)
            assert got == data, f"expected {data!r}, got {got!r}"

    def packet(self, timeout: float = WAIT_S) -> bytes:
        """The client's next packet, whole; empty when it closed instead or sent nothing in time."""
        data = self.read(1, timeout)
        length, shift = 0, 0
        while data:
            byte = self.read(1, timeout)
            assert byte, f"the packet that begins with {data!r} ends within its length"
            data += byte
            length |= (byte[0] & 0x7F) << shift
            shift += 7
            if not byte[0] & 0x80:
                return data + self.read(length, timeout)
        return data

    def accept_connect(self, connack: bytes = packets.CONNACK) -> bytes:
        """Read CONNECT, answer it, return it."""
        connect = self.packet()
        assert connect[:1] == b"\x10", f"expected CONNECT, got {connect!r}"
        self.send(connack)
        return connect

    def expect_silence(self, seconds: float) -> None:
        got = self.read(1, seconds)
        assert got == b"", f"expected nothing for {seconds} s, got {got!r}"

    def expect_end(self, timeout: float = WAIT_S) -> None:
        """The client closes, and sends nothing before it does."""
        self._socket.settimeout(timeout)
        try:
            got = self._socket.recv(1000)
        except ConnectionError:
            got = b""
        assert got == b"", f"expected the end, got {got!r}"

    def send(self, *data: bytes) -> None:
        self._socket.sendall(b"".join(data))

    def close(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        """Close with RST, as a broker does that crashed and came back."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


class ScriptedBroker:
    """Listens on 127.0.0.1; each `accept` gives the next connection."""

    def __init__(self, backlog: int = 8) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self._peers: list[Peer] = []
        self.port: int = self._listener.getsockname()[1]

    def accept(self, timeout: float = WAIT_S) -> Peer:
        self._listener.settimeout(timeout)
        peer = Peer(self._listener.accept()[0])
        self._peers.append(peer)
        return peer

    def online(self, connack: bytes = packets.CONNACK) -> Peer:
        """The next connection, its CONNECT answered."""
        peer = self.accept()
        peer.accept_connect(connack)
        return peer

    def expect_no_connection(self, seconds: float) -> None:
        self._listener.settimeout(seconds)
        try:
            connection, _ = self._listener.accept()
        except TimeoutError:
            return
        connection.close()
        raise AssertionError("a connection that should not have come")

    def stop_listening(self) -> None:
        self._listener.close()

    def close(self) -> None:
        self._listener.close()
        for peer in self._peers:
            peer.close()


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that never answers a connection attempt: its backlog is full and nobody accepts. Yields the port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        fillers.append(filler)
    try:
        yield listener.getsockname()[1]
    finally:
        for each in [*fillers, listener]:
            each.close()
