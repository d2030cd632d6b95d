"""`python -m tools setup`: brings all that the project needs, without root, with nothing but a bare Python.

Three parts, each with its own mark of being done, so that a second run takes no time and no network:
`.venv` (the pinned packages of pyproject.toml), the MicroPython stubs, and the programs (MicroPython, mosquitto).
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tools import packages, toolchain

_PYPROJECT = toolchain.ROOT / "pyproject.toml"
_LOG = toolchain.TOOLCHAIN / "setup.log"
_PIP = "pip==25.3"  # the first pips that know dependency groups are of 2025
_TIMEOUT_S = 1200  # one command; a slow line takes a while for 50 packages
_USAGE = """\
Usage: python -m tools setup

Brings what the project needs into .venv/ and .toolchain/: the Python packages pinned in pyproject.toml,
the MicroPython stubs, MicroPython for the unix port, and mosquitto. Needs no root. Safe to run again."""


class SetupError(RuntimeError):
    """Setting up failed; the message says what to do."""


def _run(command: packages.Command) -> str:
    """Run a command, its output into the log; return what it printed. Shows the seconds on a terminal."""
    with _LOG.open("a+") as log:
        log.write(f"\n$ {' '.join(map(str, command))}\n")
        log.flush()
        start = log.tell()
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        began = time.monotonic()
        try:
            while process.poll() is None:
                _tick(time.monotonic() - began, process)
        finally:
            if process.poll() is None:
                process.kill()
        log.seek(start)
        output = log.read()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, f"{command[0]} …", output)
    return output


def _tick(passed_s: float, process: "subprocess.Popen[bytes]") -> None:
    if passed_s > _TIMEOUT_S:
        raise SetupError(f"No answer within {_TIMEOUT_S} s; the log is {_LOG}")
    if sys.stdout.isatty() and passed_s > 1:
        print(f"\r  … {passed_s:.0f} s", end="\r", flush=True)
    with suppress(subprocess.TimeoutExpired):
        process.wait(0.2 if passed_s > 0.2 else 0.02)


def _say(text: str) -> None:
    print(f"  {text}", flush=True)


def _pinned() -> str:
    """A mark that changes with the pins, and with nothing else in pyproject.toml."""
    text = _PYPROJECT.read_text()
    start = text.index("[dependency-groups]")
    return hashlib.sha256(text[start : text.index("\n[tool.", start)].encode()).hexdigest()


def _is_done(mark: Path) -> bool:
    return mark.exists() and mark.read_text() == _pinned()


def _pip_install(group: str, *options: str | Path) -> None:
    pip: list[str | Path] = [toolchain.python(), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    try:
        _run([*pip, *options, "--group", f"{_PYPROJECT}:{group}"])
    except subprocess.CalledProcessError as error:
        raise SetupError(f"pip could not install the group {group!r}:\n{_tail(error.output)}") from error


def _tail(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-8:])


def _environment() -> None:
    """`.venv` with the pinned packages."""
    if not (toolchain.VENV / "bin" / "python").exists():
        shutil.rmtree(toolchain.VENV, ignore_errors=True)
        try:
            _run([sys.executable, "-m", "venv", toolchain.VENV])
        except subprocess.CalledProcessError as error:
            hint = "On Debian and Ubuntu: apt install python3-venv"
            raise SetupError(f"python3 -m venv failed. {hint}\n{_tail(error.output)}") from error
    _run([toolchain.python(), "-m", "pip", "install", "--disable-pip-version-check", _PIP])
    _pip_install("dev")


def _stubs() -> None:
    """The type stubs of each port, each in a folder of its own."""
    for port in toolchain.PORTS:
        target = toolchain.STUBS / port
        shutil.rmtree(target, ignore_errors=True)
        _pip_install(f"stubs-{port}", "--target", target)


def _has_micropython() -> bool:
    try:
        return bool(toolchain.micropythons())
    except toolchain.ToolchainMissing:
        return False


def _micropython() -> None:
    """Every version of MicroPython that can be had."""
    try:
        packages.bring_micropythons(_run, _say)
    except (packages.Unavailable, subprocess.SubprocessError, OSError) as error:
        _say(f"not brought: {packages.reason(error)}")
    toolchain.version_of.cache_clear()
    if not _has_micropython():
        raise SetupError(f"No MicroPython 1.23 or later could be found or brought.\n{toolchain.BY_HAND}")


def _has_broker() -> bool:
    return bool(toolchain.mosquitto()) or any(toolchain.VENV.glob("lib/python*/site-packages/amqtt"))


def _broker() -> None:
    """mosquitto, or where there is none the amqtt package, enough for a demonstration."""
    try:
        packages.bring_mosquitto(_run, _say)
    except (packages.Unavailable, subprocess.SubprocessError, OSError) as error:
        _say(f"no mosquitto ({packages.reason(error)}): `make demo` will use amqtt; install mosquitto for `make test`")
        _pip_install("amqtt")


_ENVIRONMENT_MARK = toolchain.VENV / "done"
_STUBS_MARK = toolchain.STUBS / "done"

# title, whether it is done, what does it, the mark to leave
_PARTS: list[tuple[str, Callable[[], bool], Callable[[], None], Path | None]] = [
    (
        "Python packages",
        lambda: (toolchain.VENV / "bin" / "python").exists() and _is_done(_ENVIRONMENT_MARK),
        _environment,
        _ENVIRONMENT_MARK,
    ),
    ("MicroPython stubs", lambda: _is_done(_STUBS_MARK), _stubs, _STUBS_MARK),
    ("MicroPython for this computer", _has_micropython, _micropython, None),
    ("MQTT broker", _has_broker, _broker, None),
]


@contextmanager
def _alone() -> Iterator[None]:
    """One setup at a time: `make demo` and `make test` may start together."""
    toolchain.TOOLCHAIN.mkdir(exist_ok=True)
    with (toolchain.TOOLCHAIN / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("setup: waiting for another setup to finish", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def setup() -> None:
    """Bring what is missing. Raises SetupError."""
    if all(done() for _, done, _, _ in _PARTS):
        return
    with _alone():
        _LOG.write_text("")
        for number, (title, done, bring, mark) in enumerate(_PARTS, 1):
            if done():
                continue
            print(f"setup {number}/{len(_PARTS)}: {title}", flush=True)
            began = time.monotonic()
            bring()
            if mark:
                mark.write_text(_pinned())
            _say(f"done in {time.monotonic() - began:.0f} s")


def main(arguments: list[str]) -> int:
    """The command; returns its exit code."""
    if arguments:
        print(_USAGE)
        return 0 if set(arguments) <= {"-h", "--help"} else 2
    try:
        setup()
    except (SetupError, subprocess.CalledProcessError, OSError) as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: interrupted; run it again to go on", file=sys.stderr)
        return 130
    found = ", ".join(".".join(map(str, toolchain.version_of(path) or ())) for path in toolchain.micropythons())
    print(f"setup: ready (MicroPython {found}; broker {'mosquitto' if toolchain.mosquitto() else 'amqtt'})")
    return 0
