"""Flashing an RP2040: its bootloader shows itself as a drive, and what is copied there goes into flash.

The drive is told by its INFO_UF2.TXT, not by its name. When the last block has arrived the board restarts by itself,
often before the computer has finished with the file: that the drive is gone is the sign of success.
"""

import os
import re
import string
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from tools.flash_board import Board, FlashError
from tools.remote import ports

VENDOR = 0x2E8A  # Raspberry Pi's, which MicroPython uses on every RP2040

WAIT_S = 30.0  # for the drive, and for its end
PORT_WAIT_S = 30.0  # for the serial port afterwards
_POLL_S = 0.2
_CHUNK = 1 << 15
_INFO = "INFO_UF2.TXT"
_LABELS = Path("/dev/disk/by-label")

Say = Callable[[str], None]


def volumes(board_id: str) -> list[Path]:
    """Every drive that is a bootloader of this kind."""
    return sorted({path.resolve() for path in candidates() if board_id_of(path) == board_id})


def board_id_of(folder: Path) -> str:
    """What INFO_UF2.TXT calls the board; empty for a folder that is no such drive."""
    try:
        text = (folder / _INFO).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    found = re.search(r"^Board-ID:[ \t]*(\S+)", text, re.MULTILINE)
    return found[1] if found else ""


def candidates() -> Iterator[Path]:
    """Where drives are mounted on this kind of computer."""
    if sys.platform == "win32":
        yield from (Path(f"{letter}:/") for letter in string.ascii_uppercase[2:])
    elif sys.platform == "darwin":
        yield from Path("/Volumes").glob("*")
    else:
        for pattern in ("media/*", "media/*/*", "run/media/*/*"):
            with suppress(OSError):
                yield from Path("/").glob(pattern)
        with suppress(OSError):
            yield from _mounted(Path("/proc/mounts").read_text(errors="replace"))


def _mounted(mounts: str) -> Iterator[Path]:
    """The FAT drives of /proc/mounts, where a space is written \\040."""
    for line in mounts.splitlines():
        _, folder, kind, *_ = line.split(" ")
        if kind in ("vfat", "msdos"):
            yield Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), folder))


def find(board: Board, volume: Path | None) -> Path | None:
    """The drive, if it is there: the one given, or the only one. Raises FlashError for the wrong one, or for two."""
    if volume:
        found = board_id_of(volume)
        if found != board.board_id:
            what = f"it is of a board {found}" if found else f"it has no {_INFO}"
            raise FlashError(
                f"{volume} is not the drive of {board.title}: {what}, expected was {board.board_id}.\n"
                "Hold the board's BOOTSEL button while you plug it in, and give the drive that appears then."
            )
        return volume
    found_all = volumes(board.board_id)
    if len(found_all) > 1:
        raise FlashError(
            f"There are {len(found_all)} drives {board.board_id}: {', '.join(map(str, found_all))}.\n"
            f"Unplug all boards but one, or say which: --volume {found_all[0]}"
        )
    return found_all[0] if found_all else None


def wait_for_volume(board: Board, say: Say) -> Path:
    """The drive of a board that is about to enter its bootloader. Raises FlashError when it does not come."""
    say(f"waiting up to {WAIT_S:.0f} s for the drive {board.board_id}")
    found: list[Path | None] = []

    def there() -> bool:
        found.append(find(board, None))
        return found[-1] is not None

    if not _wait(there, WAIT_S):
        raise FlashError(_no_volume(board))
    return found[-1] or Path()


def _wait(is_so: Callable[[], bool], seconds: float) -> bool:
    """Look again and again, for so long."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def unmounted(board: Board) -> str:
    """What to do about a drive that is there and not mounted, as without a desktop; empty if there is none."""
    label = _LABELS / board.board_id
    if not label.exists():
        return ""
    return (
        "The board is in its bootloader, but its drive is not mounted. Mount it and run this again:\n"
        f"  udisksctl mount -b {label}"
    )


def _no_volume(board: Board) -> str:
    return unmounted(board) or (
        f"The drive {board.board_id} did not appear within {WAIT_S:.0f} s. Nothing was written.\n"
        "Unplug the board, hold its BOOTSEL button, plug it in, release the button, and run this again.\n"
        "If there is still no drive: another cable (many only charge), another USB port."
    )


def copy(data: bytes, name: str, volume: Path, progress: Callable[[int, int], None]) -> None:
    """Copy an image that was checked before, to the last byte. Raises FlashError."""
    done = 0
    try:
        with open(volume / name, "wb", buffering=0) as file:
            while done < len(data):
                done += file.write(data[done : done + _CHUNK])
                progress(done, len(data))
            os.fsync(file.fileno())
    except OSError as error:
        if done == len(data) and not board_id_of(volume):
            return  # the board had all of it and restarted, before the computer was done
        raise FlashError(
            f"{volume}: copying failed after {done} of {len(data)} bytes ({error.strerror or error}).\n"
            "The board is still in its bootloader, or enters it with BOOTSEL held; run this again.\n"
            "If the drive cannot be written to, mount it for your user, or use the desktop's file manager."
        ) from error


def wait_for_restart(board: Board, volume: Path, before: set[str], say: Say) -> str:
    """The serial port of the board once it runs again. `before`: the ports that were there before."""
    say("copied; waiting for the board to restart")
    if not _wait(lambda: not board_id_of(volume), WAIT_S):
        raise FlashError(
            f"The image is on {volume}, but the board did not restart within {WAIT_S:.0f} s.\n"
            "Unplug it and plug it in again. If the drive comes back, run this again."
        )
    new: set[str] = set()

    def is_back() -> bool:
        new.update(running() - before)
        return bool(new)

    if not _wait(is_back, PORT_WAIT_S):
        raise FlashError(
            f"The board took the image, but no serial port appeared within {PORT_WAIT_S:.0f} s.\n"
            "Unplug it and plug it in again; then `make boards` should list it. On Linux, no port at all may mean\n"
            "that the cable or a hub is bad; a port you may not open needs: sudo usermod -aG dialout $USER"
        )
    return min(new)


def running() -> set[str]:
    """The serial ports of boards with an RP2040 that run MicroPython."""
    return {port.device for port in ports() if port.vid == VENDOR}
