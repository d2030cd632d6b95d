"""The unmodified mpremote and a virtual board; `mpremote mip install` of this project, from a folder and from hosts."""

import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from mpremote import main as mpremote_main

from board.conftest import Plug, files
from support.vboard import VirtualBoard
from tools.toolchain import ROOT

pytestmark = pytest.mark.xdist_group("board-mpremote")

_PACKAGE = "github:someone/fieldmqtt"
_RAW = "raw.githubusercontent.com/someone/fieldmqtt/HEAD/"


def mpremote(board: VirtualBoard, *arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "mpremote", "connect", board.port, *arguments]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == code, run.stdout + run.stderr
    return run.stdout + run.stderr


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    """This project at a host."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=ROOT))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def library() -> dict[str, bytes]:
    """What is to be on the board."""
    return {f"lib/fieldmqtt/{path.name}": path.read_bytes() for path in (ROOT / "lib" / "fieldmqtt").glob("*.py")}


def test_code_and_files(plug: Plug):
    board = plug({"main.py": "print('main begins')\nwhile True: pass\n"})
    assert mpremote(board, "exec", "print(1 + 1)") == "2\n"
    assert "ZeroDivisionError" in mpremote(board, "exec", "1 / 0", code=1)
    mpremote(board, "cp", "README.md", ":")
    assert files(board)["README.md"] == (ROOT / "README.md").read_bytes()
    assert "Up to date" in mpremote(board, "cp", "README.md", ":")
    size = (ROOT / "README.md").stat().st_size
    assert f"{size} README.md" in mpremote(board, "fs", "ls")
    mpremote(board, "fs", "rm", "README.md")
    assert "README.md" not in files(board)


def test_boot_before_main_and_both_after_a_reset(plug: Plug):
    board = plug({"boot.py": "print('boot')\nx = 41\n", "main.py": "print('main', x + 1)\n"})
    board.wait_for("boot\nmain 42\nMicroPython")
    mpremote(board, "exec", "print('hello')")
    assert board.output.count("boot\n") == 2 and board.output.count("main 42") == 1  # main.py not for the raw REPL
    mpremote(board, "reset")
    board.wait_until(lambda: board.output.count("main 42") == 2)
    assert board.resets == 1


def test_a_mistake_in_boot_py_keeps_main_py_from_starting(plug: Plug):
    board = plug({"boot.py": "1 / 0\n", "main.py": "print('main')\n"})
    board.wait_for(">>> ")
    assert "ZeroDivisionError" in board.output and "main\n" not in board.output


def test_the_bootloader_takes_the_port_away(plug: Plug):
    board = plug()
    mpremote(board, "bootloader")
    assert board.in_bootloader.wait(5)


def test_mip_from_a_folder(plug: Plug):
    board = plug()
    mpremote(board, "mip", "install", "package.json")
    assert files(board) == library()
    code = "from fieldmqtt import MQTTClient, AsyncMQTTClient; print(MQTTClient('a', '127.0.0.1').isconnected())"
    assert mpremote(board, "exec", code) == "False\n"


def test_mip_from_a_git_host(plug: Plug, url: str, monkeypatch: pytest.MonkeyPatch):
    """mpremote asks the right addresses; a web server with this folder answers in their place."""
    board, asked, really = plug(), [], urllib.request.urlopen

    def urlopen(address: str) -> object:
        host, _, path = address.removeprefix("https://").partition("/HEAD/")
        asked.append(f"{host}/HEAD/")
        return really(f"{url}/{path}")

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    monkeypatch.setattr(sys, "argv", ["mpremote", "connect", board.port, "mip", "install", _PACKAGE])
    assert not mpremote_main.main()
    assert set(asked) == {_RAW}
    assert files(board) == library()
