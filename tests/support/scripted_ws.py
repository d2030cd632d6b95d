"""The scripted broker behind WebSocket: its tests say and expect MQTT, and the client's frames are checked."""

import socket
from typing import Any

from support.framing import CLOSE, Reader, agreement, frame
from support.scripted import WAIT_S, Peer, ScriptedBroker


class Framed:
    """In the place of a connection's socket: what is sent goes out in one frame, what is received came in any."""

    def __init__(self, connection: socket.socket) -> None:
        self.raw = connection
        self.reader = Reader()
        self._taken = 0

    def agree(self) -> None:
        """Read HTTP's request and answer it."""
        self.raw.settimeout(WAIT_S)
        while not self.reader.http:
            data = self.raw.recv(1000)
            assert data, "the client closes before its request is whole"
            self.reader.feed(data)
        self.raw.sendall(agreement(self.reader.http))

    def recv(self, n: int) -> bytes:
        """Bytes of MQTT; the client's close frame is the end."""
        while len(self.reader.mqtt) == self._taken:
            data = self.raw.recv(65536)
            self.reader.feed(data)
            if not data or CLOSE in [opcode for opcode, _, _ in self.reader.frames[-1:]]:
                break
        data = bytes(self.reader.mqtt[self._taken : self._taken + n])
        self._taken += len(data)
        return data

    def sendall(self, data: bytes) -> None:
        self.raw.sendall(frame(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


class ScriptedWebBroker(ScriptedBroker):
    """As ScriptedBroker; `accept` agrees to speak WebSocket as well."""

    def accept(self, timeout: float = WAIT_S) -> Peer:
        peer = super().accept(timeout)
        framed = Framed(peer._socket)
        framed.agree()
        peer._socket = framed  # type: ignore[assignment]
        return peer
