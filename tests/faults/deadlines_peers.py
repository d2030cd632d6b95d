"""The peers of deadlines.py: each lets one call wait for ever, in its own way.

A peer is a function of the connection or the broker, and of `go`, which lets the device make its call.
"""

import ctypes
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import packets
from support.certificates import Pair
from support.scripted import Peer, ScriptedBroker
from support.scripted_ws import ScriptedWebBroker

Go = Callable[[], None]
Script = Callable[[ScriptedBroker, Go, Pair], None]

_SO_ATTACH_FILTER = 26  # Linux; Python has no name for it
_DROP_ALL = struct.pack("HBBI", 6, 0, 0, 0)  # a filter of one instruction: return 0 bytes of each segment
_PUBLISH = b"\x30\x05\x00\x01tho"


def swallow(sock: socket.socket) -> None:
    """From now on nothing that is sent to this socket arrives, and nothing is acknowledged: the cable is out."""
    program = ctypes.create_string_buffer(_DROP_ALL)
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program)))


@contextmanager
def swallowed_syn() -> Iterator[int]:
    """A port that swallows every SYN, as an address does at which there is nobody. Yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        swallow(listener)
        yield listener.getsockname()[1]


class Narrow(ScriptedBroker):
    """A broker with the segments and the window of a small device: some 100 KB fill the client's buffer, not 4 MB."""

    def __init__(self) -> None:
        super().__init__()
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1460)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)


class NarrowWeb(Narrow, ScriptedWebBroker):
    """The same behind WebSocket."""


class Tls:
    """The server's side of TLS upon a Peer, its bytes in the hand of the test."""

    def __init__(self, peer: Peer, pair: Pair) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.pem, pair.key_pem)
        self.peer = peer
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)

    def flight(self) -> bytes:
        """Read the client's records until the handshake has an answer; return it, do not send it."""
        while not (answer := self._out.read()):
            self._take_record()
            with suppress(ssl.SSLWantReadError):
                self._tls.do_handshake()
        return answer

    def accept_connect(self) -> None:
        """The whole handshake, then CONNECT and CONNACK."""
        for _ in range(2):
            self.peer.send(self.flight())
        while True:
            try:
                assert self._tls.read(1000)[:1] == b"\x10", "expected CONNECT"
                break
            except ssl.SSLWantReadError:
                self._take_record()
        self.peer.send(self.record(packets.CONNACK))

    def record(self, data: bytes) -> bytes:
        self._tls.write(data)
        return self._out.read()

    def _take_record(self) -> None:
        head = self.peer.read(5)
        assert len(head) == 5, "the client went away"
        self._in.write(head + self.peer.read(int.from_bytes(head[3:], "big")))


# Connecting


def accepts(broker: ScriptedBroker, go: Go, _pair: Pair) -> None:
    go()
    broker.accept()


def half_a_connack(broker: ScriptedBroker, go: Go, _pair: Pair) -> None:
    go()
    broker.online(packets.CONNACK[:2])


def half_an_agreement(broker: ScriptedBroker, go: Go, _pair: Pair) -> None:
    """HTTP's answer stops in the middle of a line."""
    go()
    peer = broker.accept()
    peer.read(100)
    peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConn")


def half_a_flight(broker: ScriptedBroker, go: Go, pair: Pair) -> None:
    go()
    tls = Tls(broker.accept(), pair)
    flight = tls.flight()
    tls.peer.send(flight[: len(flight) // 2])


def no_finished(broker: ScriptedBroker, go: Go, pair: Pair) -> None:
    go()
    tls = Tls(broker.accept(), pair)
    tls.peer.send(tls.flight())
    tls.flight()


# Connected


def silent(broker: ScriptedBroker, go: Go, _pair: Pair) -> None:
    """Answers CONNECT, reads nothing more."""
    broker.online()
    go()


def silent_tls(broker: ScriptedBroker, go: Go, pair: Pair) -> None:
    Tls(broker.accept(), pair).accept_connect()
    go()


def half_a_publish(broker: ScriptedBroker, go: Go, _pair: Pair) -> None:
    broker.online().send(_PUBLISH[:5])
    go()


def half_a_frame(broker: ScriptedBroker, go: Go, _pair: Pair) -> None:
    """Pings until then, and the first byte of a frame."""
    broker.online()._socket.raw.sendall(b"\x89\x04ping" * 20 + b"\x82")  # type: ignore[attr-defined]
    go()


def half_a_record(broker: ScriptedBroker, go: Go, pair: Pair) -> None:
    tls = Tls(broker.accept(), pair)
    tls.accept_connect()
    record = tls.record(_PUBLISH)
    tls.peer.send(record[: len(record) // 2])
    go()


def half_a_puback(broker: ScriptedBroker, go: Go, _pair: Pair) -> None:
    peer = broker.online()
    go()
    peer.packet()
    peer.send(packets.PUBACK[:3])


def no_pubcomp(broker: ScriptedBroker, go: Go, _pair: Pair) -> None:
    peer = broker.online()
    go()
    peer.packet()
    peer.send(packets.PUBREC)
    peer.expect(packets.PUBREL)


def cable_out(broker: ScriptedBroker, go: Go, _pair: Pair) -> None:
    swallow(broker.online()._socket)
    go()
