"""`make check`: lint, format, spelling, house rules, and the types of device code against the stubs of each port."""

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import typer
from rich.console import Console

from tools import house
from tools.device import board_files
from tools.toolchain import ROOT, STUBS

Result = tuple[bool, str]

_TIMEOUT_S = 300

# The boards that stand for their port: each is checked together with the library and the firmware.
BOARDS = {"unix": "unix", "W5100S_EVB_PICO": "rp2", "RPI_PICO_W": "rp2", "ESP32_GENERIC": "esp32"}

# Where the stubs are wrong: these exist on every port.
_STUBS_LACK = (
    'Module has no attribute "core"',  # asyncio.core
    'expression has type "_TicksMs", variable has type "int"',  # ticks are integers, and 0 is one
    'Unsupported operand types for // ("_TicksMs" and "int")',
    '"SSLContext" has no attribute "verify_mode"',
)

# And where they lack what one board has, or what the programs for another board import there.
_STUBS_LACK_ON = {
    "W5100S_EVB_PICO": ('Module has no attribute "WIZNET5K"',),  # made from a board without a WIZnet chip
    "unix": ('module named "ntptime"',),
}

_MYPY = (sys.executable, "-m", "mypy", "--no-error-summary", "--no-color-output")
_DEVICE_OPTIONS = (
    "--config-file=",
    "--no-site-packages",
    "--check-untyped-defs",  # device code has few annotations
    "--no-strict-optional",  # and sets to None what it allocates later
    "--platform=linux",
)


def _command(*command: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    run = subprocess.run(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_TIMEOUT_S
    )
    return run.returncode, run.stdout.strip()


def _tool(*command: str) -> Callable[[], Result]:
    def check() -> Result:
        code, output = _command(sys.executable, "-m", *command)
        return code == 0, output

    return check


def _house() -> Result:
    found = house.violations(ROOT)
    return not found, "\n".join(found)


def _python_files(*folders: str) -> list[str]:
    return [str(path) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def device_types(board: str, files: list[str] | None = None) -> Result:
    """The types of library, firmware, examples and one board (or of `files`) against the stubs of the board's port."""
    stubs = STUBS / BOARDS[board]
    flat = board_files(board)
    path = dict.fromkeys([stubs, ROOT / "lib", ROOT / "firmware", *(file.parent for file in flat)])
    code, output = _command(
        *_MYPY,
        *_DEVICE_OPTIONS,
        f"--custom-typeshed-dir={stubs}",
        f"--cache-dir={ROOT / '.mypy_cache' / board}",
        *(files or [*_python_files("lib", "firmware", "examples"), *map(str, flat)]),
        env={"MYPYPATH": ":".join(map(str, path))},
    )
    mine = [line for line in output.splitlines() if ": note: See " not in line and not _is_of_stubs(line, board)]
    return code < 2 and not any(": error:" in line for line in mine), "\n".join(mine)


def _is_of_stubs(line: str, board: str) -> bool:
    lacks = (*_STUBS_LACK, *_STUBS_LACK_ON.get(board, ()))
    return line.startswith(str(STUBS.relative_to(ROOT))) or any(lack in line for lack in lacks)


def checks() -> dict[str, Callable[[], Result]]:
    """All of them by name."""
    return {
        "ruff check": _tool("ruff", "check", "--quiet", "--output-format=concise", "."),
        "ruff format": _tool("ruff", "format", "--check", "--quiet", "--output-format=concise", "."),
        "codespell": _tool("codespell_lib"),
        "house rules": _house,
        "types of tools": lambda: _host_types("tools"),
        **{f"types on {board}": lambda board=board: device_types(board) for board in BOARDS},  # type: ignore[misc]
    }


def _host_types(package: str) -> Result:
    code, output = _command(*_MYPY, "--strict", "--cache-dir=.mypy_cache/host", "-p", package)
    return code == 0, output


def _timed(check: Callable[[], Result]) -> tuple[bool, str, float]:
    began = time.monotonic()
    try:
        passed, output = check()
    except (OSError, subprocess.SubprocessError) as error:
        passed, output = False, str(error)
    return passed, output, time.monotonic() - began


def _report(console: Console, name: str, passed: bool, output: str, seconds: float) -> None:
    word = "[green]ok[/]" if passed else "[red]FAILED[/]"
    console.print(f"  {name:<24} {word} [dim]{seconds:.1f} s[/]", highlight=False)
    if not passed:
        console.print(output or "(no output)", markup=False, highlight=False, soft_wrap=True)


Fix = Annotated[bool, typer.Option("--fix", help="First let ruff mend and format what it can.")]


def main(fix: Fix = False) -> None:
    """Lint, format, spelling, house rules, types."""
    console = Console()
    if fix:
        for command in (("check", "--fix", "--quiet"), ("format", "--quiet")):
            _command(sys.executable, "-m", "ruff", *command, ".")
    failed = []
    with ThreadPoolExecutor(2) as pool:
        running = {name: pool.submit(_timed, check) for name, check in checks().items()}
        for name, result in running.items():
            passed, output, seconds = result.result()
            _report(console, name, passed, output, seconds)
            if not passed:
                failed.append(name)
    if failed:
        console.print(f"check: {len(failed)} failed: {', '.join(failed)}", highlight=False)
        raise typer.Exit(1)
