"""WebSocket with a server that somebody else wrote, strict about every frame; and with one that never stops talking."""

import queue
import time
from collections.abc import Callable, Iterator
from threading import Thread

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

import packets
from support.device import CLIENTS, Device
from support.scripted import WAIT_S, ScriptedBroker

_ANSWER = b"\x32\x0b\x00\x01t\x00\x07answer"


class Server:
    """Takes one connection at a time; `go` is called with it, what it raises comes out at the end."""

    def __init__(self, go: Callable[[ServerConnection], None]) -> None:
        self._go = go
        self._failed: queue.Queue[BaseException | None] = queue.Queue()

    def __enter__(self) -> "Server":
        self._server = serve(self._handle, "127.0.0.1", 0, subprotocols=["mqtt"], ping_interval=None)  # type: ignore[list-item]
        self.port = self._server.socket.getsockname()[1]
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def _handle(self, connection: ServerConnection) -> None:
        try:
            self._go(connection)
            self._failed.put(None)
        except BaseException as error:
            self._failed.put(error)

    def check(self) -> None:
        error = self._failed.get(timeout=WAIT_S)
        if error:
            raise error

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()


def _heard(connection: ServerConnection, count: int) -> bytes:
    """The client's next `count` bytes of MQTT, in whatever frames."""
    data = b""
    while len(data) < count:
        part = connection.recv(WAIT_S)
        assert isinstance(part, bytes)
        data += part
    return data


@pytest.fixture
def hears(run_client: Callable[..., Device], face: str) -> Iterator[Callable[[int], Device]]:
    yield lambda port: run_client("web", CLIENTS / "frames.py", "hear", face, port, f"url=ws://127.0.0.1:{port}/mqtt")


def test_a_server_of_others(hears: Callable[[int], Device]) -> None:
    """Fragments, pings and a close with a reason from its side; what the client sends is checked by it."""

    def go(connection: ServerConnection) -> None:
        assert connection.subprotocol == "mqtt" and connection.request and connection.request.path == "/mqtt"
        assert connection.recv(WAIT_S)[:1] == b"\x10"
        connection.send([bytes((byte,)) for byte in packets.CONNACK])  # one message, in fragments
        assert connection.ping(b"are you there?").wait(WAIT_S)
        connection.send(_ANSWER[:4])
        assert connection.ping(b"x" * 125).wait(WAIT_S)
        connection.send([_ANSWER[4:6], b"", _ANSWER[6:]])
        assert _heard(connection, 4) == b"\x40\x02\x00\x07"
        publish = _heard(connection, 3 + 10 + 1000)
        assert publish.startswith(b"\x32\xf2\x07\x00\x06answer") and publish.endswith(b"a" * 1000)
        connection.send(b"\x40\x02" + publish[11:13])
        connection.ping(b"last").wait(WAIT_S)
        connection.close(1008, "that is enough")
        assert connection.close_code == 1008, "the client has answered the close frame"

    with Server(go) as server:
        client = hears(server.port)
        client.line("answered")
        assert client.line("OSError").endswith("closed by the peer: WebSocket 1008 that is enough")
        client.line("isconnected False")
        client.finish()
        server.check()


def test_a_text_frame_is_answered_with_1002(hears: Callable[[int], Device]) -> None:
    def go(connection: ServerConnection) -> None:
        connection.recv(WAIT_S)
        connection.send(packets.CONNACK)
        connection.send("text")
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(WAIT_S)
        assert closed.value.rcvd and closed.value.rcvd.code == 1002

    with Server(go) as server:
        client = hears(server.port)
        assert "WebSocket: wrong frame" in client.line("lost MQTTException")
        server.check()


def test_an_answer_without_an_end(run_client, face: str, scripted_broker: ScriptedBroker) -> None:
    """As fast as it comes: the heap does not grow, and the deadline is kept."""
    url = f"url=ws://127.0.0.1:{scripted_broker.port}"
    client = run_client("web", CLIENTS / "live.py", "try_connect", face, 1, url, "timeout=0.5")
    peer = scripted_broker.accept()
    peer.read(100)
    start = time.monotonic()
    peer.send(b"HTTP/1.1 101 Switching Protocols\r\n")
    try:
        while True:
            peer.send(b"X-Header: 1\r\n" * 80 + b"y" * 1000)
    except OSError:
        pass  # closed, in time
    assert 0.3 < time.monotonic() - start < 3
    assert "ETIMEDOUT" in client.line("OSError")
    client.finish()
