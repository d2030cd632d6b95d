"""WebSocket and URLs against mosquitto: its listeners for MQTT, MQTT with TLS, WebSocket, WebSocket with TLS."""

import hashlib
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from support.certificates import Certificates
from support.device import CLIENTS, HEAP, Device
from support.mosquitto import WAIT_S, listener
from tools.broker import Broker, free_port

LOGIN = ("board@1", "p@ss:/%?#")
_IN_URL = "board%401:p%40ss%3A%2F%25%3F%23"
_LARGE = bytes(i % 251 for i in range(65536))


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Web(Broker):
    """Listeners of four kinds. Before 2.0.12 WebSocket's cannot be bound to this computer: all have to log in."""

    def __init__(self, certificates: Certificates) -> None:
        server = certificates.server
        secure = [f"certfile {server.pem}", f"keyfile {server.key_pem}"]
        self.ports = {name: free_port() for name in ("mqtts", "ws", "wss")}
        extra = ["max_queued_messages 0", f"listener {self.ports['mqtts']} 127.0.0.1", *secure]
        extra += [f"listener {self.ports['ws']}", "protocol websockets"]
        extra += [f"listener {self.ports['wss']}", "protocol websockets", *secure]
        super().__init__(users=dict([LOGIN]), extra=extra)

    def start(self) -> None:
        """Returns when all listeners are open."""
        super().start()
        end = time.monotonic() + WAIT_S
        for port in self.ports.values():
            while not _is_open(port):
                assert time.monotonic() < end, self.log()
                time.sleep(0.02)

    def url(self, scheme: str, login: str = _IN_URL) -> str:
        port = self.ports.get(scheme, self.port)
        return f"{scheme}://{login}@localhost:{port}" + ("/mqtt" if scheme[0] == "w" else "")


@pytest.fixture(scope="module")
def web(certificates: Certificates) -> Iterator[Web]:
    with Web(certificates) as broker:
        yield broker


@pytest.fixture
def start(run_client: Callable[..., Device], face: str, certificates: Certificates) -> Callable[..., Device]:
    """start(script, case, urls, key=value…) with a URL or several."""

    def go(script: str, case: str, *urls: str, heap: str = HEAP, **settings: object) -> Device:
        if urls[0].partition("://")[0] in ("wss", "mqtts"):
            settings = {"cafile": certificates.ca.der, **settings}
        given = [f"url={','.join(urls)}", *(f"{key}={value}" for key, value in settings.items())]
        return run_client("web", CLIENTS / f"{script}.py", case, face, 1, *given, heap=heap)

    return go


@pytest.mark.parametrize("scheme", ["mqtt", "mqtts"])  # the others are in what follows
def test_url_with_a_login(start, web: Web, scheme: str) -> None:
    client = start("live", "try_connect", web.url(scheme))
    client.line("connected")
    client.finish()


def test_refused_login(start, web: Web) -> None:
    client = start("live", "try_connect", web.url("ws", "board%401:wrong"))
    assert client.line("MQTTException").startswith("5 ")
    client.finish()
    assert "wrong" not in client.said()


@pytest.mark.parametrize(("scheme", "version"), [("ws", 4), ("wss", 5)])
def test_messages_both_ways(start, web: Web, scheme: str, version: int) -> None:
    with listener(web.port, "large", login=LOGIN) as receiver:
        client = start("frames", "both_ways", web.url(scheme), version=version, heap="512k")
        assert client.line("same") == "True"
        client.finish()
        received = receiver.next().payload
    assert hashlib.sha256(received).digest() == hashlib.sha256(_LARGE).digest()


def test_many(start, web: Web) -> None:
    with listener(web.port, "many", login=LOGIN) as receiver:
        client = start("live", "publish_many", web.url("ws"), qos=2, count=300)
        assert receiver.payloads(300) == [b"%d" % i for i in range(300)]
        client.line("pending 0")
        client.finish()


def test_will_and_keep_alive(start, web: Web) -> None:
    with listener(web.port, "state", login=LOGIN) as receiver:
        client = start("live", "stay", web.url("ws"), will="offline", qos=1, retain="no", keepalive=1)
        client.line("ready")
        receiver.expect_nothing(2.2)  # the broker would have closed after 1.5 s
        client.kill()
        assert receiver.next().payload == b"offline"
    assert "lost" not in client.said()


def test_comes_back_after_the_broker(start, certificates: Certificates) -> None:
    with Web(certificates) as broker:
        client = start("live", "publish_over_restart", broker.url("wss"), qos=2, count=30)
        client.line("ready")
        broker.stop()
        client.line("lost")
        broker.start()
        client.line("online")
        client.line("pending 0", 25)
        client.finish()


def test_the_next_url(start, web: Web) -> None:
    nobody = f"ws://{_IN_URL}@localhost:{free_port()}/mqtt"
    client = start("live", "try_connect", nobody, web.url("ws"))
    client.line("connected")
    client.finish()


def test_not_trusted(start, web: Web) -> None:
    """The name in the certificate is not that of the URL: nothing is said to the server, HTTP's request neither."""
    client = start("live", "try_connect", web.url("wss"), server_hostname="broker.example")
    assert "TLS" in client.line("OSError")
    client.finish()
