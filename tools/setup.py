"""`python -m tools setup`: brings all that the project needs, without root, with nothing but a bare Python.

Three parts, each with its own mark of being done, so that a second run takes no time and no network:
`.venv` (the pinned packages of pyproject.toml), the MicroPython stubs, and the programs (MicroPython, mosquitto).
"""

import hashlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tools import packages, toolchain

_PYPROJECT = toolchain.ROOT / "pyproject.toml"
_LOG = toolchain.TOOLCHAIN / "setup.log"
_PIP = "pip==25.3"  # the first pips that know dependency groups are of 2025
_TIMEOUT_S = 1200  # one command; a slow line takes a while for 50 packages
_RETRY_S = 60  # all of a further attempt at mosquitto: `make demo` does not need it
_NEXT = f"""\
What was run, and what it said: {_LOG.relative_to(toolchain.ROOT)}
Run `make setup` again when that is mended: it goes on where it stopped."""
_USAGE = """\
Usage: python -m tools setup

Brings what the project needs into .venv/ and .toolchain/: the Python packages pinned in pyproject.toml,
the MicroPython stubs, MicroPython for the unix port, and mosquitto. Needs no root. Safe to run again."""


class SetupError(RuntimeError):
    """Setting up failed; the message says what to do."""


def _run(command: packages.Command, timeout_s: float = _TIMEOUT_S) -> str:
    """Run a command, its output into the log; return what it printed. Shows the seconds on a terminal."""
    _write_log(f"\n$ {' '.join(map(str, command))}\n")
    with tempfile.TemporaryFile("w+", errors="replace") as printed:
        process = subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            _wait(process, timeout_s)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            printed.seek(0)
            output = printed.read()
            _write_log(output)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, Path(command[0]).name, packages.masked(output))
    return output


def _write_log(text: str) -> None:
    with _LOG.open("a") as log:
        log.write(packages.masked(text))


def _wait(process: "subprocess.Popen[bytes]", timeout_s: float) -> None:
    began = time.monotonic()
    while process.poll() is None:
        passed_s = time.monotonic() - began
        if passed_s > timeout_s:
            raise subprocess.TimeoutExpired(str(process.args[0]), timeout_s)  # type: ignore[index]
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


def _pip_install(what: str, *arguments: str | Path) -> None:
    pip = (toolchain.python(), "-m", "pip", "install", "--disable-pip-version-check", "--no-input")
    try:
        _run([*pip, *arguments])
    except subprocess.CalledProcessError as error:
        hint = "Is this computer offline? A mirror is named in pip's own configuration."
        raise SetupError(f"pip could not install {what}. {hint}\n{_tail(error.output)}") from error


def _group(name: str) -> tuple[str, str]:
    return "--group", f"{_PYPROJECT}:{name}"


def _tail(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-8:])


def _has_pip() -> bool:
    """Whether `.venv` is whole: without python3-venv, or interrupted, its creation leaves a Python without pip."""
    python = toolchain.VENV / "bin" / "python"
    try:
        return subprocess.run([python, "-m", "pip", "--version"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _environment() -> None:
    """`.venv` with the pinned packages."""
    if not _has_pip():
        shutil.rmtree(toolchain.VENV, ignore_errors=True)
        try:
            _run([sys.executable, "-m", "venv", toolchain.VENV])
        except BaseException as error:
            shutil.rmtree(toolchain.VENV, ignore_errors=True)
            if not isinstance(error, subprocess.CalledProcessError):
                raise
            hint = "On Debian and Ubuntu: apt install python3-venv"
            raise SetupError(f"python3 -m venv failed. {hint}\n{_tail(error.output)}") from error
    _pip_install(_PIP, _PIP)
    _pip_install("the packages of pyproject.toml", *_group("dev"))


def _stubs() -> None:
    """The type stubs of each port, each in a folder of its own."""
    for port in toolchain.PORTS:
        target = toolchain.STUBS / port
        shutil.rmtree(target, ignore_errors=True)
        _pip_install(f"the stubs for {port}", "--target", target, *_group(f"stubs-{port}"))


def _micropythons() -> list[Path]:
    try:
        return toolchain.micropythons()
    except toolchain.ToolchainMissing:
        return []


def _has_micropythons() -> bool:
    """Whether there is one that setup did not bring, or all that it could bring."""
    found = _micropythons()
    own = [path for path in found if path.is_relative_to(toolchain.TOOLCHAIN)]
    return len(own) < len(found) or (bool(own) and _MICROPYTHON_MARK.exists())


def _micropython() -> None:
    """Every version of MicroPython that can be had."""
    try:
        packages.bring_micropythons(_run, _say)
    except (packages.Unavailable, subprocess.SubprocessError, OSError) as error:
        _say(f"not brought: {packages.reason(error)}")
    toolchain.version_of.cache_clear()
    if not _micropythons():
        raise SetupError(f"No MicroPython 1.23 or later could be found or brought.\n{toolchain.BY_HAND}")


def _has_amqtt() -> bool:
    return any(toolchain.VENV.glob("lib/python*/site-packages/amqtt"))


def _has_broker() -> bool:
    """Whether there is nothing to bring, or with amqtt in its place nowhere to bring it from."""
    return bool(toolchain.mosquitto()) or (_has_amqtt() and is_offline())


def is_offline() -> bool:
    """Whether this computer has no way to any network. Nothing is sent: these are addresses for documentation."""
    for family, address in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return False
    return True


def _broker() -> None:
    """mosquitto, or where there is none the amqtt package, enough for a demonstration."""
    again = _has_amqtt()
    end = time.monotonic() + (_RETRY_S if again else _TIMEOUT_S)
    try:
        packages.bring_mosquitto(lambda command: _run(command, end - time.monotonic()), _say)
    except (packages.Unavailable, subprocess.SubprocessError, OSError) as error:
        _say(f"no mosquitto: {packages.reason(error)}")
        _say("`make demo` uses amqtt instead. `make test` needs mosquitto: install it, or run `make setup` again.")
        if not again:
            _pip_install("amqtt", *_group("amqtt"))


_ENVIRONMENT_MARK = toolchain.VENV / "done"
_STUBS_MARK = toolchain.STUBS / "done"
_MICROPYTHON_MARK = toolchain.TOOLCHAIN / "micropython-done"

# title, whether it is done, what does it, the mark to leave
_PARTS: list[tuple[str, Callable[[], bool], Callable[[], None], Path | None]] = [
    (
        "Python packages",
        lambda: (toolchain.VENV / "bin" / "python").exists() and _is_done(_ENVIRONMENT_MARK),
        _environment,
        _ENVIRONMENT_MARK,
    ),
    ("MicroPython stubs", lambda: _is_done(_STUBS_MARK), _stubs, _STUBS_MARK),
    ("MicroPython for this computer", _has_micropythons, _micropython, _MICROPYTHON_MARK),
    ("MQTT broker", _has_broker, _broker, None),
]


@contextmanager
def _alone() -> Iterator[None]:
    """One setup at a time: `make demo` and `make test` may start together."""
    import fcntl  # not on Windows, where the other commands work

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
    except (SetupError, subprocess.SubprocessError, OSError) as error:
        said = [f"setup: {error}", _tail(getattr(error, "output", None) or ""), _NEXT]
        print("\n".join(part for part in said if part), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: interrupted; run it again to go on", file=sys.stderr)
        return 130
    found = ", ".join(".".join(map(str, toolchain.version_of(path) or ())) for path in toolchain.micropythons())
    broker = "mosquitto" if toolchain.mosquitto() else "amqtt, for `make demo` only"
    print(f"setup: ready (MicroPython {found}; broker {broker})")
    return 0
