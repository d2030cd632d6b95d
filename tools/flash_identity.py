"""Which board and which MicroPython an image is for, by the texts that MicroPython puts into every one.

The REPL's greeting is `MicroPython v1.26.1 on 2025-09-11; Raspberry Pi Pico W with RP2040`, in two pieces that both
end with a zero byte: the version and, after `; `, MICROPY_HW_BOARD_NAME with MICROPY_HW_MCU_NAME. From 1.25 on there
is the name of the build too, `sys.implementation._build`: a text of its own, such as RPI_PICO_W.
"""

import re
from dataclasses import dataclass

from tools.flash_board import Board, FlashError
from tools.toolchain import MINIMUM

_VERSION = re.compile(rb"MicroPython v(\d+)\.(\d+)\.(\d+)([-.\w]*) on \d{4}-\d\d-\d\d")
_MACHINE = re.compile(rb"; ([ -~]{2,80}?) with ((?:RP|ESP)[-\w]+)\0")


@dataclass(frozen=True)
class Identity:
    """What an image says about itself; empty where it says nothing. `is_build`: it has the board's own name."""

    version: str
    machine: str
    is_build: bool


def identify(payload: bytes, board: Board) -> Identity:
    """Read the texts. `payload` is what goes into flash."""
    version = _VERSION.search(payload)
    machine = _MACHINE.search(payload)
    build = re.compile(rb"(?<![-\w])" + re.escape(board.name.encode()) + rb"\0")
    return Identity(
        ".".join(part.decode() for part in version.groups()[:3]) + version[4].decode() if version else "",
        machine[1].decode() if machine else "",
        bool(build.search(payload)),
    )


def check(payload: bytes, board: Board, version: str | None = None) -> str | None:
    """Refuse what is for another board, or another version than asked for; return a doubt that a person must settle."""
    found = identify(payload, board)
    _check_version(found.version, version)
    if not found.is_build and found.machine and found.machine != board.machine:
        raise FlashError(
            f"The image is for a board called “{found.machine}”; {board.name} is called “{board.machine}”.\n"
            f"Use the image of {board.name}, or give the right board as --board."
        )
    if not found.version:
        return "The image does not say that it is MicroPython."
    if not found.is_build and not found.machine:
        return f"The image is MicroPython {found.version}, but does not say for which board."
    return None


def _check_version(found: str, wanted: str | None) -> None:
    if not found:
        return
    if tuple(map(int, found.split("-")[0].split(".")[:2])) < MINIMUM:
        raise FlashError(f"The image is MicroPython {found}; fieldmqtt needs {'.'.join(map(str, MINIMUM))} or later.")
    if wanted and found != wanted:
        raise FlashError(f"The image says that it is MicroPython {found}, not {wanted}. Download it again.")
