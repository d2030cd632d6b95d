"""Flashing the ESP32 family over its serial port, by esptool as a library.

MicroPython's .bin is three parts in one file, padded to their places in flash: the bootloader at the chip's offset,
the partition table at 0x8000, the program where the table says. Bootloader and program are images of Espressif's format
and name the chip they are for.
"""

import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tools.flash_board import Board, FlashError
from tools.flash_uf2 import VENDOR as RASPBERRY_PI
from tools.remote import ports

if TYPE_CHECKING:
    from esptool.loader import ESPLoader  # type: ignore[import-untyped]

_MAGIC = 0xE9
_TABLE = 0x8000  # the place in flash of the partition table, and its longest
_TABLE_SIZE = 0xC00
_ENTRY = struct.Struct("<2sBBII16sI")
_ENTRY_MAGIC = b"\xaa\x50"
_PROGRAM = 0  # the type of partition

_NO_PORT = """\
No board found: no USB serial port is there. Plug the board in with a cable that carries data. If it stays away:
hold its BOOT button, press and release RESET (or plug it in), release BOOT, and run this again. On Linux a serial
chip may need a driver, and you the group dialout: sudo usermod -aG dialout $USER, then log in again."""
_NO_ANSWER = """\
{port}: no answer from an ESP32 ({error}).
  - Hold the board's BOOT button, press and release RESET, release BOOT; then run this again.
  - Does another program use the port (mpremote, Thonny, a monitor)? Close that one.
  - Is it another board? `make boards` lists what is plugged in."""


def offset_of(chip: str) -> int:
    """Where the bootloader of a chip lies, by esptool's own table."""
    return int(_definition(chip).BOOTLOADER_FLASH_OFFSET)


def check(data: bytes, board: Board) -> None:
    """Raise FlashError unless the file is MicroPython's whole image for the board's chip, undamaged."""
    offset = offset_of(board.chip)
    if board.offset != offset:
        raise FlashError(
            f"boards/{board.name}/board.toml says offset 0x{board.offset:x}, the bootloader of an {board.chip} lies at "
            f"0x{offset:x}. Mend board.toml; nothing was written."
        )
    _check_part("bootloader", data, board.chip)
    program = _program_at(data, offset)
    if len(data) <= program:
        raise FlashError(f"The file is cut short: the program at 0x{program + offset:x} is missing. Download it again.")
    _check_part("program", data[program:], board.chip)


def _definition(chip: str) -> Any:
    from esptool.targets import CHIP_DEFS  # type: ignore[import-untyped]

    if chip not in CHIP_DEFS:
        raise FlashError(f"esptool knows no chip {chip}. Mend `chip` in board.toml.")
    return CHIP_DEFS[chip]


def _check_part(part: str, data: bytes, chip: str) -> None:
    if not data or data[0] != _MAGIC:
        raise FlashError(f"The {part} is no image for an ESP32 (no 0xE9 at its begin). Use the .bin of the board.")
    found = _chip_of(data)
    if found != chip:
        raise FlashError(f"The {part} is for {found}, the board has {chip}. Use the image of the board.")
    from esptool.bin_image import LoadFirmwareImage  # type: ignore[import-untyped]
    from esptool.util import FatalError  # type: ignore[import-untyped]

    try:
        with _silence():
            image = LoadFirmwareImage(chip, data)
            whole = image.checksum == image.calculate_checksum()
    except (FatalError, RuntimeError, IndexError, TypeError, struct.error) as error:
        raise FlashError(f"The {part} is not whole ({error}). Download the file again.") from error
    if not whole or (image.append_digest and image.stored_digest != image.calc_digest):
        raise FlashError(f"The {part} is damaged: its checksum is wrong. Download the file again.")


def _chip_of(data: bytes) -> str:
    """The chip named in the extended header, bytes 12 and 13."""
    from esptool.targets import CHIP_DEFS

    number = int.from_bytes(data[12:14], "little")
    known: dict[int, str] = {
        definition.IMAGE_CHIP_ID: name for name, definition in CHIP_DEFS.items() if name != "esp8266"
    }
    return known.get(number, f"an unknown chip (number {number})")


def _program_at(data: bytes, offset: int) -> int:
    """Where in the file the program begins."""
    table = data[_TABLE - offset : _TABLE - offset + _TABLE_SIZE]
    for start in range(0, len(table) - _ENTRY.size + 1, _ENTRY.size):
        magic, kind, _, place, *_ = _ENTRY.unpack_from(table, start)
        if magic != _ENTRY_MAGIC:
            break
        if kind == _PROGRAM:
            return int(place) - offset
    raise FlashError(
        "The file is not the whole image: there is no table of partitions in it. Use the .bin of the download page, "
        "not the one for updates over the air (.app-bin)."
    )


@contextmanager
def _silence() -> Iterator[None]:
    """Keep esptool's warnings about images out of the way: what matters is said here."""
    from esptool.logger import log  # type: ignore[import-untyped]

    log.set_verbosity("silent")
    try:
        yield
    finally:
        log.set_verbosity("auto")


def choose(port: str | None) -> str:
    """The port given, else the only one there is."""
    found = [one.device for one in ports() if one.vid != RASPBERRY_PI]
    if port or len(found) == 1:
        return port or found[0]
    if not found:
        raise FlashError(_NO_PORT)
    raise FlashError(f"There are several boards: {', '.join(found)}. Say which: PORT={found[0]}")


def write(data: bytes, board: Board, port: str, *, erase: bool, say: Callable[[str], None]) -> None:
    """Ask the chip what it is, then write an image that was checked before. Raises FlashError."""
    from esptool import cmds  # type: ignore[import-untyped]
    from esptool.util import FatalError

    esp = _connect(port)
    with esp:
        _check_chip(esp, board, port)
        say(f"{port}: {esp.CHIP_NAME}, as it should be")
        try:
            esp = cmds.run_stub(esp)
            if not port.startswith("socket:"):  # a network port has no speed
                esp.change_baud(board.baud)
            cmds.attach_flash(esp)
            if erase:
                cmds.erase_flash(esp)
            cmds.write_flash(esp, [(board.offset, data)])
            cmds.reset_chip(esp, "hard-reset")
        except (FatalError, OSError) as error:
            raise FlashError(
                f"{port}: writing failed ({_first_line(error)}).\nThe board does not work now, and is not broken: "
                "use a short cable, no hub, and run this again."
            ) from error


def _connect(port: str) -> "ESPLoader":
    from esptool import cmds
    from esptool.util import FatalError

    try:
        return cmds.detect_chip(port)
    except (FatalError, OSError) as error:
        raise FlashError(_NO_ANSWER.format(port=port, error=_first_line(error))) from error


def _check_chip(esp: "ESPLoader", board: Board, port: str) -> None:
    found = re.sub(r"[-()]", "", esp.CHIP_NAME.lower())
    if found != board.chip:
        raise FlashError(
            f"{port}: the chip is {found}, {board.name} has {board.chip}. Nothing was written. "
            "Give the right board, or plug in the other one."
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
