"""`provision` for a broker behind a web server: `--check` connects as the board does, and explains HTTP's answers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from support.certificates import Certificates
from support.webbroker import LOGIN, WebBroker
from tools import provision, provision_check, provision_schema
from tools.provision_tls import NO_LOGIN, NO_TLS, Settings

_PATIENCE_S = 30.0
_NO_ANSWER_S = 0.3


@pytest.fixture(scope="module")
def web(certificates: Certificates) -> Iterator[WebBroker]:
    with WebBroker(certificates.server) as broker:
        yield broker


def settings(port: int | None, certificates: Certificates | None = None, **mqtt: Any) -> Settings:
    """Those of a board «shed»; with `certificates` it uses TLS."""
    tls = {"tls": {"ca": "ca"}} if certificates else {}
    mqtt = {"server": "localhost", "port": port, "user": LOGIN[0], "password": LOGIN[1], **tls, **mqtt}
    whole = provision_schema.complete({"name": "shed", "mqtt": mqtt}, "unix")
    return Settings("shed", whole["mqtt"], {"ca": certificates.ca.der.read_bytes()} if certificates else {})


def complaint(made: Settings, timeout: float = _PATIENCE_S) -> tuple[int, str, str, str]:
    """The exit code, and of the step that failed its name, what was found, the advice."""
    result = provision_check.check(made, timeout)
    failed = result.failed
    assert failed, [step.found for step in result.steps]
    return result.code, failed.name, failed.found, failed.advice


def test_all_is_well(web: WebBroker, certificates: Certificates) -> None:
    for made, version in (
        (settings(web.ws, websocket="/mqtt"), "p2"),
        (settings(web.wss, certificates, websocket="/", version=5), "p5"),
    ):
        before = len(web.log())
        result = provision_check.check(made, _PATIENCE_S)
        assert (result.code, [step.ok for step in result.steps]) == (0, [True] * 7)
        assert result.steps[3].found == f"as shed-check, WebSocket {made.path}"
        assert f"as shed-check ({version}" in web.log()[before:]


@pytest.mark.parametrize(("tls", "path", "port"), [(0, None, 1883), (1, None, 8883), (0, "/", 80), (1, "/", 443)])
def test_the_usual_port(certificates: Certificates, tls: int, path: str | None, port: int) -> None:
    """That of the library; HTTP names no other one."""
    made = settings(None, certificates if tls else None, websocket=path)
    assert (made.port, made.place) == (port, "localhost")


@pytest.mark.parametrize(
    ("listener", "secure", "path", "code", "found", "advice"),
    [
        ("port", False, "/mqtt", NO_LOGIN, "the broker hung up without HTTP", "a port for MQTT without WebSocket?"),
        ("wss", False, "/mqtt", NO_LOGIN, "the broker hung up without HTTP", "or it is a port for TLS: --ca"),
        ("ws", True, "/mqtt", NO_TLS, "no TLS connection: wrong version number", "with mqtt.websocket 443"),
        ("ws", False, None, NO_LOGIN, "the broker hung up", "Or for WebSocket: --set mqtt.websocket=/mqtt?"),
    ],
)
def test_ports_that_are_mixed_up(
    web: WebBroker,
    certificates: Certificates,
    listener: str,
    secure: bool,
    path: str | None,
    code: int,
    found: str,
    advice: str,
) -> None:
    made = settings(getattr(web, listener), certificates if secure else None, websocket=path)
    told = complaint(made)
    assert told[:3] == (code, "TLS" if code == NO_TLS else "login", found)
    assert advice in told[3]


class WebServer(BaseHTTPRequestHandler):
    """/404 is answered by that status, /silent not at all, /ssh by something else; `heard` are the requests."""

    heard: list[dict[str, str]]
    over: threading.Event

    def do_GET(self) -> None:
        self.heard.append({"path": self.path, **self.headers})
        wanted = self.path.strip("/")
        if wanted == "silent":
            self.over.wait(_PATIENCE_S)
        elif wanted == "ssh":
            self.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n")
        else:
            self.send_response(int(wanted[:3]), "\x1b[31mRed" if wanted == "418" else None)
            if wanted.startswith("3"):
                self.send_header("Location", "https://other.example/mqtt")
            self.end_headers()

    def log_message(self, *args: object) -> None:
        """Not to the tests' output."""


@contextmanager
def web_server() -> Iterator[ThreadingHTTPServer]:
    handler = type("Heard", (WebServer,), {"heard": [], "over": threading.Event()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        handler.over.set()
        server.shutdown()


@pytest.mark.parametrize(
    ("answer", "found", "advice"),
    [
        ("200", "HTTP 200 OK", "a web page is there: is mqtt.websocket right?"),
        ("301", "HTTP 301 Moved Permanently, moved to https://other.example/mqtt", "say where to in mqtt.server"),
        ("400", "HTTP 400 Bad Request", "or it is a port for TLS: --ca"),
        ("401", "HTTP 401 Unauthorized", "wants a login of its own"),
        ("403", "HTTP 403 Forbidden", "does not allow it"),
        ("404", "HTTP 404 Not Found", "no such path: is mqtt.websocket right? Often it is /mqtt, /ws or /"),
        ("418", "HTTP 418 [31mRed", "takes no WebSocket there"),
        ("502", "HTTP 502 Bad Gateway", "the broker behind it does not answer"),
        ("ssh", "there is something else than HTTP", "a port for MQTT without WebSocket?"),
        ("silent", f"no answer to HTTP within {_NO_ANSWER_S} s", "a port for MQTT without WebSocket?"),
    ],
)
def test_what_a_web_server_answers(answer: str, found: str, advice: str) -> None:
    with web_server() as server:
        made = settings(server.server_port, websocket=f"/{answer}")
        told = complaint(made, _NO_ANSWER_S if answer == "silent" else _PATIENCE_S)
    assert told[:3] == (NO_LOGIN, "login", found)
    assert advice in told[3]


def test_requests_are_the_boards() -> None:
    """By the name, as a web server wants it that serves several; and one that only seems to do WebSocket is told."""
    with web_server() as server:
        told = complaint(settings(server.server_port, websocket="/101"))
        heard = server.RequestHandlerClass.heard  # type: ignore[attr-defined]
    assert told[:2] == (NO_LOGIN, "login")
    assert "cannot do WebSocket right" in told[3]
    assert len(heard) >= 2, "HTTP's answer is looked at first, then paho connects"
    for headers in heard:
        assert headers["path"] == "/101"
        assert headers["Host"] == f"localhost:{server.server_port}"
        assert headers["Upgrade"] == "websocket"
        assert "Origin" not in headers
        assert {key.lower(): value for key, value in headers.items()}["sec-websocket-protocol"] == "mqtt"


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ("mqtt.websocket=/mqtt", 0, ""),
        ("mqtt.websocket=/mqtt mqtt.port=8080", 0, ""),
        ("mqtt.port=80", 0, ""),
        ("mqtt.websocket=/mqtt mqtt.port=1883", 0, "the port without WebSocket; with mqtt.websocket 80 is usual"),
        ("mqtt.websocket=/mqtt mqtt.port=8883", 0, "mqtt.port is 8883, which is the port without WebSocket"),
        ("mqtt.websocket=/mqtt mqtt.port=443", 0, "443, which is a port for TLS, and there is no --ca"),
        ("mqtt.websocket=mqtt", 2, "begins with / and has no space; for example --set 'mqtt.websocket=/mqtt'"),
        ("mqtt.server=wss://broker/mqtt", 2, "a path is mqtt.websocket"),
    ],
)
def test_settings(tmp_path: Path, options: str, code: int, said: str) -> None:
    app = typer.Typer()
    app.command()(provision.main)
    arguments = [word for option in ["mqtt.server=broker", *options.split()] for word in ("--set", option)]
    run = CliRunner().invoke(app, ["--output", str(tmp_path / "config.json"), *arguments])
    shown = " ".join(run.output.split())
    assert run.exit_code == code, shown
    assert said in shown
    assert ("warning" in shown) is bool(said and not code)
