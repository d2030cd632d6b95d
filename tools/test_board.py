"""`make test-board`: the tests that run under MicroPython, on a real board.

The same files as on unix, compiled; the board sees them in a folder of this computer (mpremote's mount), so nothing of
them is written to its flash. Each file has a fresh interpreter. The network in these tests is made of Python, so the
board needs none; its files, its heap and its arithmetic are the real ones. The program on the board starts again at the
end.
"""

import ast
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from tools import deploy_build, remote
from tools.deploy_build import DeployError
from tools.remote import Info, Remote, RemoteError, RemoteExecError
from tools.toolchain import ROOT

_TESTS = ROOT / "tests"
_UNIT = _TESTS / "unit"
_FILE_S = 600.0
_TEMPORARY = "tmp"  # where the tests of the outbox make their folders

_RUN = """
import sys
sys.path[:0] = ["/remote"]
from support import fakenet, run_unit
fakenet.use("unix", 1)
print("failures", len(run_unit.run({!r})))
"""

# A test that fails may leave files behind.
_REMOVE = """
import os
def remove(path):
    try:
        names = os.listdir(path)
    except OSError:
        return os.remove(path)
    for name in names:
        remove(path + "/" + name)
    os.rmdir(path)
remove({!r})
"""


def names(wanted: Sequence[str] = ()) -> list[str]:
    """The files that can be run, without test_ and .py; all, or those that are wanted. Raises RemoteError."""
    found = [path.stem.removeprefix("test_") for path in sorted(_UNIT.glob("test_*.py"))]
    found = [name for name in found if name != "same_on_micropython"]  # starts the others, under CPython
    if unknown := set(wanted) - set(found):
        raise RemoteError(f"There is no file of tests {', '.join(sorted(unknown))}; there are {', '.join(found)}")
    return [name for name in found if name in wanted or not wanted]


def lay_out(folder: Path, info: Info, chosen: Sequence[str]) -> None:
    """The library as it is deployed, and these files with all that they import, asserts included."""
    deploy_build.check(info)
    for path in sorted((ROOT / "lib").rglob("*.py")):
        _compile(path, folder / path.relative_to(ROOT / "lib"), info, 3)
    for path in _with_imports([_TESTS / "support" / "run_unit.py", *(_UNIT / f"test_{name}.py" for name in chosen)]):
        _compile(path, folder / path.relative_to(_UNIT if path.parent == _UNIT else _TESTS), info, 0)


def _compile(path: Path, target: Path, info: Info, level: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.with_suffix(".mpy").write_bytes(deploy_build.compile_file(path, info, level))


def _with_imports(paths: list[Path]) -> list[Path]:
    """These files and those of tests/ that they import, and so on."""
    found = list(paths)
    for path in found:  # grows meanwhile
        for name in _imports(ast.parse(path.read_text(encoding="utf-8"))):
            places = (base / f"{name.replace('.', '/')}.py" for base in (_TESTS, _UNIT))
            found += [place for place in places if place.is_file() and place not in found]
    return found


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@dataclass
class Count:
    """Tests. `unfit`: those that ended with a MemoryError; what they put beside the library is too much."""

    passed: int = 0
    failed: int = 0
    unfit: int = 0

    def add(self, said: str) -> None:
        """What the board printed for one file; a file that did not come to its end is a failure, too."""
        self.passed += len(re.findall(r"^passed ", said, re.M))
        unfit = len(re.findall(r"^MemoryError", said, re.M))
        finished = re.search(r"^failures (\d+)$", said, re.M)
        failures = int(finished[1]) if finished else max(1, unfit)
        self.unfit += min(unfit, failures)
        self.failed += max(0, failures - unfit)


def run(port: str, folder: Path, name: str) -> str:
    """Run one file; show and return what the board prints."""
    with Remote(port) as board:
        made = not board.exists(_TEMPORARY)
        if made:
            board.exec(f"import os; os.mkdir({_TEMPORARY!r})")
        try:
            board.mount(folder)
            said = board.exec(_RUN.format(f"test_{name}.py"), _FILE_S, _show)
        except RemoteExecError as error:
            typer.echo(error.traceback)
            said = error.traceback
    if made:
        with Remote(port) as board:
            board.exec(_REMOVE.format(_TEMPORARY))
    return said


def _show(data: bytes) -> None:
    typer.echo(data.replace(b"\x04", b"").replace(b"\r", b"").decode(errors="replace"), nl=False)


def run_all(port: str, wanted: Sequence[str] = ()) -> Count:
    """Run these files, or all."""
    chosen = names(wanted)
    with Remote(port, soft_reset=False) as board:
        info = board.info()
    count = Count()
    try:
        with tempfile.TemporaryDirectory(prefix="fieldmqtt-board-tests-") as temporary:
            lay_out(Path(temporary), info, chosen)
            for name in chosen:
                typer.echo(f"{name}:")
                count.add(run(port, Path(temporary), name))
    finally:
        _start(port)
    return count


def _start(port: str) -> None:
    """The board's own program, whatever became of the tests."""
    with suppress(RemoteError), Remote(port, soft_reset=False) as board:
        board.restart()


Port = Annotated[str | None, typer.Option(help="The board's port; else the only one.")]
Files = Annotated[list[str] | None, typer.Argument(help="Files of tests/unit, such as topics; else all.")]


def main(files: Files = None, port: Port = None) -> None:
    """The tests that run under MicroPython, on a board; its own program starts again afterwards."""
    try:
        count = run_all(remote.choose(port or None), files or ())
    except (DeployError, RemoteError) as error:
        typer.echo(f"test-board: {error}", err=True)
        raise typer.Exit(1) from None
    unfit = f", {count.unfit} need more memory than this board has" if count.unfit else ""
    typer.echo(f"test-board: {count.passed} passed, {count.failed} failed{unfit}")
    raise typer.Exit(1 if count.failed or not count.passed else 0)
