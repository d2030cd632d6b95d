"""Every program of docs/websocket.md prints what the page says it prints; its tables are those of the code."""

import ast
import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from docs_programs import blocks, table

from support.certificates import Certificates
from support.device import Device
from support.webbroker import WebBroker
from tools.broker import free_port
from tools.toolchain import ROOT

PAGE = ROOT / "docs" / "websocket.md"
URL, ARGUMENTS, LIST, WRONG = blocks(PAGE, "python")
_CODE = ast.parse((ROOT / "lib" / "fieldmqtt" / "url.py").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def web(certificates: Certificates) -> Iterator[WebBroker]:
    with WebBroker(certificates.server) as broker:
        yield broker


class NotFound(BaseHTTPRequestHandler):
    """A web server that knows no path."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *args: object) -> None:
        """Not to the tests' output."""


@pytest.fixture(scope="module")
def web_server() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), NotFound) as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_port
        server.shutdown()


def _check(run: Callable[[str], Device], program: str) -> None:
    assert run(program).finish() == re.findall(r"^ *#> (.*)$", program, flags=re.M)


def _moved(program: str, places: list[tuple[str, str]]) -> str:
    for there, here in places:
        assert program.count(there) == 1, there
        program = program.replace(there, here)
    return program


def test_url(run: Callable[[str], Device], web: WebBroker, certificates: Certificates) -> None:
    here = [("broker.example", f"localhost:{web.wss}"), ("ca.der", str(certificates.ca.der))]
    _check(run, _moved(URL, here))


def test_arguments(run: Callable[[str], Device], web: WebBroker, certificates: Certificates) -> None:
    here = [('"broker.example"', f'("localhost", {web.wss})'), ("ca.der", str(certificates.ca.der))]
    _check(run, _moved(ARGUMENTS, here))


def test_list(run: Callable[[str], Device], web: WebBroker) -> None:
    here = [("first.example", f"localhost:{free_port()}"), ("broker.example:8080", f"localhost:{web.ws}")]
    _check(run, _moved(LIST, here))


def test_wrong_path(run: Callable[[str], Device], web_server: int) -> None:
    _check(run, _moved(WRONG, [("192.168.1.10", f"127.0.0.1:{web_server}")]))


def _dictionary(name: str) -> dict[object, object]:
    for node in _CODE.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            found: dict[object, object] = ast.literal_eval(node.value)
            return found
    raise AssertionError(name)


def test_tables() -> None:
    statuses = {int(status.rstrip(".")): text for status, text in table(PAGE, "status")}
    assert statuses == _dictionary("_HINTS")
    assert {int(code): text for code, text in table(PAGE, "code")} == _dictionary("_CLOSED")
    ports = {re.findall(r"`(\w+)://", url)[0]: int(port) for url, port, _ in table(PAGE, "URL")}
    assert ports == _dictionary("_PORTS")
