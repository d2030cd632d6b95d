"""The boards' links against a fake `network` that has the traps of the real drivers.

Each trap is run twice: our link gets through, a link written as usual (naive.py) does not. Time is virtual.
"""

import ast
import os
import subprocess
from pathlib import Path

import pytest

from tools.toolchain import ROOT

HERE = Path(__file__).resolve().parent
BOARDS = {"wiznet": "W5100S_EVB_PICO", "esp32": "ESP32_GENERIC", "picow": "RPI_PICO_W"}


def scenarios() -> list[tuple[str, str, str]]:
    """(kind, name, port) of each row of the tables SCENARIOS."""
    found = []
    for kind in ("wired", "wifi"):
        tree = ast.parse((HERE / f"scenarios_{kind}.py").read_text(encoding="utf-8"))
        table = next(
            node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SCENARIOS"
        )
        assert isinstance(table, ast.Dict)
        for key, value in zip(table.keys, table.values, strict=True):
            assert isinstance(key, ast.Constant) and isinstance(value, ast.Tuple)
            found.append((kind, key.value, ast.literal_eval(value.elts[1])))
    return found


def run(micropython: Path, folder: Path, board: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script of this folder as on `board`, in `folder`, with the fake modules."""
    path = [HERE / "fake", HERE, ROOT / "boards" / "common", ROOT / "boards" / board, ".frozen"]
    environment = {**os.environ, "MICROPYPATH": os.pathsep.join(map(str, path))}
    command = [str(micropython), str(HERE / arguments[0]), *arguments[1:]]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("kind", "name", "port"), scenarios(), ids=lambda value: value)
def test_trap(micropython: Path, tmp_path: Path, kind: str, name: str, port: str) -> None:
    ours = run(micropython, tmp_path, BOARDS[port], "scenario.py", kind, name, "ours")
    assert ours.returncode == 0, ours.stdout + ours.stderr
    (tmp_path / "laninfo.txt").unlink(missing_ok=True)
    naive = run(micropython, tmp_path, BOARDS[port], "scenario.py", kind, name, "naive")
    assert naive.returncode == 3, f"the naive link got through\n{naive.stdout}{naive.stderr}"
