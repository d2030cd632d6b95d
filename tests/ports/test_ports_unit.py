"""The protocol's tests, tests/unit, on the sockets of each port under CPython, and without TLS under MicroPython too.

One file with another seed:
    PYTHONPATH=lib:tests:tests/unit:tests/stubs .venv/bin/python tests/support/run_unit.py --port lwip --seed 7 FILE
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import ports
from tools import toolchain

_HERE = Path(__file__).parent
_TESTS = _HERE.parent
_UNIT = _TESTS / "unit"
_PROTOCOL = sorted(path for path in _UNIT.glob("test_*.py") if "Session(" in path.read_text())
_OTHERS = sorted(set(_HERE.glob("test_*.py")) - {Path(__file__)})
_PORTS = [name for name in ports.STOCK if name != "unix"]


def _on(port: str) -> list[str]:
    return ["--port", port, "--seed", "1", *map(str, _PROTOCOL)]


# What run_unit.py is told, by interpreter and port; the other files of this folder go through the ports themselves.
_RUNS = {f"cpython-{name}": _on(name) for name in _PORTS}
_RUNS |= {f"micropython-{name}": _on(name) for name in _PORTS if not ports.PORTS[name].tls}
_RUNS["micropython-each"] = [*map(str, _OTHERS)]


def _run(name: str) -> subprocess.CompletedProcess[str]:
    path = ":".join(map(str, (toolchain.ROOT / "lib", _TESTS, _UNIT, _HERE)))
    environment = {**os.environ, "PYTHONPATH": f"{path}:{_TESTS / 'stubs'}", "MICROPYPATH": f"{path}:.frozen"}
    interpreter = [sys.executable]
    if name.startswith("micropython"):
        newest = max(toolchain.micropythons(), key=lambda path: toolchain.version_of(path) or ())
        interpreter = [str(newest), "-X", "heapsize=4M"]
    command = [*interpreter, str(_TESTS / "support" / "run_unit.py"), *_RUNS[name]]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize("name", _RUNS)
def test_protocol(name: str) -> None:
    result = _run(name)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("passed") > 30
