"""The files of this folder, which pytest runs under CPython, run again under every MicroPython."""

import os
import subprocess
from pathlib import Path

import pytest

from tools import toolchain

_HERE = Path(__file__).parent
_TESTS = _HERE.parent
_FILES = [path for path in sorted(_HERE.glob("test_*.py")) if path != Path(__file__)]


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem.removeprefix("test_"))
def test_file(micropython: Path, path: Path) -> None:
    environment = {**os.environ, "MICROPYPATH": f"{toolchain.ROOT / 'lib'}:{_TESTS}:{_HERE}:.frozen"}
    command = [micropython, "-X", "heapsize=2M", _TESTS / "support" / "run_unit.py", path]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "passed" in run.stdout
