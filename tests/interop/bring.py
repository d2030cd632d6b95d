"""Brings the brokers of `make interop` into `.toolchain/interop/`, without root.

    python tests/interop/bring.py            all that is missing
    python tests/interop/bring.py rabbitmq   that one

mosquitto 2.1 and RabbitMQ with its Erlang: packages of the system's newer suites, unpacked, started by the loader of
their own C library. aedes: from npm, by a Node.js that is on PATH or comes as a Python package. amqtt: in an
environment of its own. What cannot be had is left out, with the reason; the others go on. Versions are pinned in
pyproject.toml and node/package-lock.json; Debian's are those of the suite, and each broker says its own.
"""

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

if __name__ == "__main__":
    _ROOT = Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(_ROOT), str(_ROOT / "tests")]

import typer
from rich.console import Console

from tools import packages, toolchain
from tools.packages import Unavailable

PLACE = toolchain.TOOLCHAIN / "interop"
NODE_FILES = Path(__file__).resolve().parent / "node"

_LOG = PLACE / "bring.log"
_PYPROJECT = toolchain.ROOT / "pyproject.toml"
_TIMEOUT_S = 900
_NODE_MINIMUM = 20
_ELF = b"\x7fELF"

# `erl` as its package has it knows one place only.
_ERL = """\
#!/bin/sh
ROOTDIR=$(readlink -f "$(dirname "$(readlink -f "$0")")/..")
BINDIR=$(echo "$ROOTDIR"/erts-*/bin)
EMU=beam PROGNAME=erl
export ROOTDIR BINDIR EMU PROGNAME
exec "$BINDIR/erlexec" "$@"
"""


@dataclass(frozen=True)
class Part:
    """Something to bring: the folder it goes into is new and empty when `bring` is called."""

    name: str
    title: str
    bring: Callable[[Path], None]
    pins: Callable[[], str] = lambda: ""  # what was brought for other pins is brought again
    needs: Callable[[], object] = lambda: None  # brings what `bring` starts

    @property
    def place(self) -> Path:
        return PLACE / self.name

    @property
    def _mark(self) -> Path:
        return self.place / "done"

    def is_there(self) -> bool:
        return self._mark.exists() and self._mark.read_text() == self.pins()

    def renew(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        try:
            self.bring(self.place)
        except BaseException:
            shutil.rmtree(self.place, ignore_errors=True)
            raise
        self._mark.write_text(self.pins())


def run(command: packages.Command) -> str:
    """Run a command, log it, return what it printed. CalledProcessError has that as its output."""
    ran = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=_TIMEOUT_S,
    )
    said = packages.masked(ran.stdout)
    with _LOG.open("a") as log:
        log.write(f"\n$ {packages.masked(' '.join(map(str, command)))}\n{said}")
    if ran.returncode:
        raise subprocess.CalledProcessError(ran.returncode, Path(command[0]).name, said)
    return ran.stdout


def _mosquitto(place: Path) -> None:
    packages.unpack_first("mosquitto", (2, 1), place / "root", run)
    wrapper = packages.write_wrapper(place, "mosquitto")
    shown = subprocess.run([wrapper, "-h"], capture_output=True, text=True, timeout=20)
    if "mosquitto version" not in shown.stdout:
        raise Unavailable(f"mosquitto of a newer suite does not run here: {shown.stderr.strip()}")


def _rabbitmq(place: Path) -> None:
    packages.unpack_first("rabbitmq-server", (4, 1), place / "root", run)
    erlang = place / "root" / "usr" / "lib" / "erlang"
    programs = [path for path in (*erlang.glob("erts-*/bin/*"), *erlang.glob("bin/*")) if _is_program(path)]
    packages.wrap_in_place(place, programs)
    erl = erlang / "bin" / "erl"
    erl.write_text(_ERL)
    for other in erlang.glob("erts-*/bin/erl"):  # which comes first for what Erlang starts itself
        other.unlink()
        other.symlink_to("../../bin/erl")
    run([erl, "-noinput", "-eval", "crypto:strong_rand_bytes(1), halt()."])  # with its libraries


def _is_program(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_ELF)) == _ELF


def _aedes(place: Path) -> None:
    npm_install(NODE_FILES, place)


def npm_install(folder: Path, place: Path) -> None:
    """What package-lock.json in the folder pins, into `place`; no script of a package is run."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(folder / name, place)
    run([node()[1], "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", place])


def node() -> tuple[Path, Path]:
    """Node.js and npm: those on PATH, or else brought. Raises Unavailable."""
    found = shutil.which("node"), shutil.which("npm")
    if found[0] and found[1] and _node_version(found[0]) >= _NODE_MINIMUM:
        return Path(found[0]), Path(found[1])
    place = brought("node")
    return place / "bin" / "node", place / "bin" / "npm"


def _node_version(program: str) -> int:
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20).stdout
    found = re.match(r"v(\d+)\.", shown)
    return int(found[1]) if found else 0


def _environment(group: str) -> Callable[[Path], None]:
    """A Python environment with a group of pyproject.toml."""

    def bring(place: Path) -> None:
        run([toolchain.python(), "-m", "venv", "--without-pip", place])
        pip = (toolchain.python(), "-m", "pip", "--python", place / "bin" / "python", "install", "--no-input")
        run([*pip, "--disable-pip-version-check", "--group", f"{_PYPROJECT}:{group}"])

    return bring


def _group_pins() -> str:
    text = _PYPROJECT.read_text()
    start = text.index("\namqtt = [")
    return hashlib.sha256(text[start : text.index("\n# The stubs", start)].encode()).hexdigest()


def npm_pins(folder: Path) -> str:
    """A mark that changes with the folder's package-lock.json."""
    return hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()


_PARTS = {
    part.name: part
    for part in (
        Part("mosquitto-2.1", "mosquitto 2.1", _mosquitto),
        Part("rabbitmq", "RabbitMQ and Erlang (70 MB)", _rabbitmq, lambda: _ERL),
        Part("aedes", "aedes", _aedes, lambda: npm_pins(NODE_FILES), node),
        Part("amqtt", "amqtt", _environment("interop-amqtt"), _group_pins),
        Part("node", "Node.js", _environment("interop-node"), _group_pins),
    )
}
NAMES = tuple(name for name in _PARTS if name != "node")  # which comes with what needs it


@contextmanager
def alone() -> Iterator[None]:
    """One process at a time brings something: two runs may start together. Not to be nested."""
    PLACE.mkdir(parents=True, exist_ok=True)
    with (PLACE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def placed(part: Part, console: Console | None = None) -> Path:
    """Its folder, brought if it is missing; the console is told. Raises Unavailable with the reason, in one line."""
    if part.is_there():
        return part.place
    console = console or Console(quiet=True)
    part.needs()  # before alone(), which is not to be nested
    with alone():
        if not part.is_there():
            _print(console, f"bringing {part.title}")
            began = time.monotonic()
            try:
                with console.status(f"{part.title} …"):
                    part.renew()
            except (Unavailable, subprocess.SubprocessError, OSError) as error:
                raise Unavailable(f"{part.title} could not be brought: {packages.reason(error)}") from error
            _print(console, f"  done in {time.monotonic() - began:.0f} s")
    return part.place


def brought(name: str, console: Console | None = None) -> Path:
    """The folder of the broker, or of what it needs, that has this name; else as placed()."""
    return placed(_PARTS[name], console or Console(stderr=True))


def _print(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def main(names: Annotated[list[str] | None, typer.Argument(help=", ".join(NAMES))] = None) -> None:
    """Bring the brokers that are missing. Exit code 1: one of them could not be had."""
    unknown = set(names or ()) - set(NAMES)
    if unknown:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    console = Console()
    missing = False
    for name in names or NAMES:
        try:
            _print(console, f"{name}: {brought(name, console).relative_to(toolchain.ROOT)}")
        except Unavailable as error:
            missing = True
            _print(console, f"{name}: {error}")
    raise typer.Exit(1 if missing else 0)


if __name__ == "__main__":
    typer.run(main)
