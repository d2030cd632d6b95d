"""Pull the cable out in the middle of a deploy, with it the power: the old version starts, or the new one.

    python tests/board/cuts.py              at every 16th byte that goes to the board; exit code 1 when one is half
    python tests/board/cuts.py --step 1     at every byte (half an hour)

A small project stands for the firmware, with the firmware's own main.py at its beginning: each of its files tells its
version when it is run.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Annotated

if __name__ == "__main__":
    _ROOT = Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(_ROOT), str(_ROOT / "tests")]

import typer
from rich.progress import track

from support.vboard import VirtualBoard
from tools import deploy_plan, deploy_put
from tools.remote import Remote, RemoteError
from tools.toolchain import ROOT

NEW = "runs 2 2 2 2"
BARE = "nothing"

_FINISH = (ROOT / "firmware" / "main.py").read_text().partition("import board")[0]
_RUNS = "import one, two, fieldmqtt\nprint('runs', {}, one.V, two.V, fieldmqtt.V)\n"
_THEIRS = {
    "config.json": "{}",
    "one.py": "V = 0\n",
    "two.py": "V = 0\n",
    "main.py": "import one, two\nprint('runs', 0, one.V, two.V, 0)\n",
}

# What is on the board before, and what it then does when it starts.
BEFORE = {"bare": BARE, "theirs": "runs 0 0 0 0", "ours": "runs 1 1 1 1"}


def project(version: int) -> dict[str, bytes]:
    """The files of a version; the second has one more and one less than the first."""
    files = dict.fromkeys(("one.py", "two.py", "lib/fieldmqtt/__init__.py"), f"V = {version}\n")
    files["two.py" if version == 1 else "one.py"] += f"import only_in_{version}\n"
    files |= {"main.py": _FINISH + _RUNS.format(version), f"only_in_{version}.py": "", "same.py": "# the same\n" * 50}
    return {name: text.encode() for name, text in files.items()}


def before(name: str, folder: Path) -> None:
    """Make `folder` the flash of a board of this kind."""
    folder.mkdir()
    if name == "theirs":
        for path, text in _THEIRS.items():
            (folder / path).write_text(text)
    elif name == "ours":
        with VirtualBoard(folder) as board, Remote(board.port) as remote:
            bring(remote, 1)


def bring(remote: Remote, version: int, board: VirtualBoard | None = None, cut: int | None = None) -> int:
    """Deploy a version, the cable pulled out after `cut` bytes; returns how many it took otherwise."""
    plan = deploy_plan.make(remote, project(version), {})
    begin = board.received if board else 0
    if board and cut is not None:
        board.cut_at = begin + cut
    deploy_put.carry_out(remote, plan, str(version), lambda path: None)
    return board.received - begin if board else 0


def started(board: VirtualBoard) -> str:
    """What the board does when it is plugged in: the line of the project, or nothing."""
    board.plug()
    board.wait_for(">>> ")
    said = [line for line in board.output.splitlines() if line.startswith("runs ")]
    return said[0] if said else BARE if "Traceback" not in board.output else board.output


def cut_once(start: Path, at: int) -> tuple[str, str, list[str]]:
    """What a board does after the cable came out, what after the deploy was repeated, what is left over then."""
    with tempfile.TemporaryDirectory(prefix="fieldmqtt-cut-") as place:
        folder = Path(place) / "flash"
        shutil.copytree(start, folder)
        with VirtualBoard(folder) as board:
            with suppress(RemoteError), Remote(board.port) as remote:
                bring(remote, 2, board, at)
            board.unplug()
            board.cut_at = None
            first = started(board)
            with Remote(board.port) as remote:
                if remote.exists(deploy_plan.TODO):
                    deploy_put.finish(remote)
                bring(remote, 2)
            board.unplug()
            second = started(board)
        left = [path.name for path in folder.rglob("*") if path.suffix in (".new", ".todo")]
    return first, second, left


def bytes_of(start: Path) -> int:
    """How many bytes go to the board when nothing is cut."""
    with tempfile.TemporaryDirectory(prefix="fieldmqtt-cut-") as place:
        folder = Path(place) / "flash"
        shutil.copytree(start, folder)
        with VirtualBoard(folder) as board, Remote(board.port) as remote:
            return bring(remote, 2, board)


def _all(step: int) -> Iterator[str]:
    """A line for each cut that left something half."""
    with tempfile.TemporaryDirectory(prefix="fieldmqtt-cuts-") as place:
        for name, old in BEFORE.items():
            start = Path(place) / name
            before(name, start)
            points = range(0, bytes_of(start), step)
            with ThreadPoolExecutor(4) as pool:
                results = pool.map(lambda at, start=start: cut_once(start, at), points)
                for at, (first, second, left) in zip(points, track(results, name, len(points)), strict=True):
                    if first not in (old, NEW) or second != NEW or left:
                        yield f"{name}, cut after {at} bytes: {first}; then {second}; left {left}"


def main(step: Annotated[int, typer.Option(min=1, help="Bytes from one cut to the next.")] = 16) -> None:
    """Cut everywhere."""
    failures = list(_all(step))
    print("\n".join(failures) or "every board started the old version or the new one")
    raise typer.Exit(1 if failures else 0)


if __name__ == "__main__":
    typer.run(main)
