"""The ways in which a connection of reconnects.py comes to its end: each is a peer that knows only this one."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from support.certificates import Certificates, Pair
from support.scripted import Peer

# In place of a ServerHello: the end, something else, an alert, its first bytes.
_BROKEN = (b"", b"HTTP/1.0 400 Bad Request\r\n\r\n", b"\x15\x03\x03\0\2\2\x28", b"\x16\x03\x03\0\x7a\2\0\0\x76\3\3")
_LOOK_S = 0.1  # how often a port looks whether it is to close
_PATIENCE_S = 5.0  # with a handshake


@dataclass(frozen=True)
class End:
    """`peer(connection, n)` ends the nth connection. None: nobody listens."""

    name: str
    peer: Callable[[socket.socket, int], None] | None
    tls: bool = False


def _leave(peer: Peer, number: int) -> None:
    peer.close() if number % 2 else peer.reset()


def _hang_up(connection: socket.socket, number: int) -> None:
    _leave(Peer(connection), number)


def _cut_off(connection: socket.socket, number: int) -> None:
    peer = Peer(connection)
    peer.accept_connect()
    _leave(peer, number)


def _refuse(connection: socket.socket, number: int) -> None:
    peer = Peer(connection)
    peer.accept_connect(bytes((0x20, 2, 0, 1 + number % 5)))
    _leave(peer, number)


def _break_handshake(connection: socket.socket, number: int) -> None:
    peer = Peer(connection)
    head = peer.read(5)
    peer.read(int.from_bytes(head[3:], "big"))
    peer.send(_BROKEN[number % len(_BROKEN)])
    peer.close()


def _with_tls(pairs: list[Pair]) -> Callable[[socket.socket, int], None]:
    """Cut off behind a handshake with one certificate after the other, if the client agrees to it."""
    contexts = []
    for pair in pairs:
        contexts.append(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        contexts[-1].load_cert_chain(pair.pem, pair.key_pem)

    def peer(connection: socket.socket, number: int) -> None:
        with contexts[number % len(contexts)].wrap_socket(connection, server_side=True) as stream:
            _cut_off(stream, number)

    return peer


def ends(certificates: Certificates) -> list[End]:
    """All of them."""
    false = [certificates.wrong_host, certificates.expired, certificates.self_signed]
    return [
        End("cut off by the broker", _cut_off),
        End("refused by the computer", None),
        End("accepted and closed", _hang_up),
        End("refused by CONNACK", _refuse),
        End("TLS: cut off by the broker", _with_tls([certificates.server]), tls=True),
        End("TLS: handshake broken", _break_handshake, tls=True),
        End("TLS: certificate not good", _with_tls(false), tls=True),
    ]


class Port:
    """A port at which connections come to their end, in a thread; `connections` counts them. A context manager."""

    def __init__(self, end: End) -> None:
        self._end = end
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))  # without listen() it refuses, and nobody else gets the number
        self._listener.settimeout(_LOOK_S)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.number: int = self._listener.getsockname()[1]
        self.connections = 0

    def __enter__(self) -> "Port":
        if self._end.peer:
            self._listener.listen()
            self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._closing.set()
        if self._end.peer:
            self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        assert self._end.peer
        while not self._closing.is_set():
            with suppress(OSError):  # nobody has come, or who came has gone
                connection, _ = self._listener.accept()
                self.connections += 1
                with connection:
                    connection.settimeout(_PATIENCE_S)
                    self._end.peer(connection, self.connections)
