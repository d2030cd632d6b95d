"""`make flash`: MicroPython onto a board. All that can be checked is checked before the board is touched."""

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from tools import flash_board, flash_esp, flash_identity, flash_uf2, images, uf2
from tools.flash_board import Board, FlashError
from tools.remote import Remote, RemoteError

_BOOTSEL = """\
No board with an RP2040 found, neither in its bootloader (as a drive {}) nor running MicroPython (as a serial port).
Unplug the board, hold its BOOTSEL button, plug it in, release the button, and run this again."""
_SILENT = """\
{error}
The board could not be asked to enter its bootloader. Do it by hand: unplug it, hold its BOOTSEL button, plug it in,
release the button, and run this again."""

_console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Wishes:
    """What the command line asks for."""

    image: Path | None = None
    version: str | None = None
    port: str | None = None
    volume: Path | None = None
    erase: bool = False
    yes: bool = False
    yes_erase: bool = False
    trust: bool = False
    dry_run: bool = False
    source: str = images.SOURCE


def _say(text: str) -> None:
    _console.print(f"  {escape(text)}")


def _ask(question: str) -> bool:
    """A question to the person at the terminal; no answer is an error that says how scripts answer."""
    try:
        return typer.confirm(question, default=False)
    except typer.Abort:
        raise FlashError(
            "\nNobody answered, so nothing was done. In a script, say it by an option: see --help."
        ) from None


def _settle(doubt: str, question: str, wishes: Wishes) -> None:
    """Go on only if a person says so, or --yes did."""
    _console.print(f"  [yellow]{escape(doubt)}[/]")
    if not wishes.yes and not _ask(f"  {question}"):
        raise FlashError("Nothing was written.")


def _progress(title: str) -> tuple[Progress, Callable[[int, int], None]]:
    columns = (TextColumn("  {task.description}"), BarColumn(), DownloadColumn())
    bar = Progress(*columns, console=_console, transient=True, disable=not _console.is_terminal)
    task = bar.add_task(title, total=None)
    return bar, lambda done, total: bar.update(task, completed=done, total=total or None)


def _check(data: bytes, board: Board, version: str | None, wishes: Wishes) -> None:
    """Everything that can be known without the board. Raises FlashError."""
    payload = data
    if board.method == "uf2":
        try:
            payload = uf2.parse(data, board.family).payload
        except uf2.Uf2Error as error:
            raise FlashError(str(error)) from error
    else:
        flash_esp.check(data, board)
    if doubt := flash_identity.check(payload, board, version):
        _settle(doubt, f"Is it really for {board.name}?", wishes)
    found = flash_identity.identify(payload, board).version
    _say(f"image checked: {f'MicroPython {found}, ' if found else ''}{len(data)} bytes, for {board.name}")


def _from_file(path: Path, board: Board, wishes: Wishes) -> tuple[str, bytes]:
    """A file of the user's; one that has the name of an image that the lock knows must be that image."""
    data = _read(path)
    name = images.parse_name(path.name)
    known = images.Lock().checksum(name) if name else None
    if known and known != images.sha256(data):
        raise FlashError(
            f"{path} is not the image of that name: SHA-256 {images.sha256(data)}, expected {known}.\n"
            "Download it again; if it is a build of your own, give it a name of your own."
        )
    _check(data, board, None, wishes)
    return path.name, data


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FlashError(f"{path} cannot be read ({error.strerror}). Give the file of an image.") from error


def _from_page(board: Board, wishes: Wishes) -> tuple[str, bytes]:
    """An image by its version, from the cache or the download page."""
    lock = images.Lock()
    name = lock.name(board, wishes.version)
    checksum = lock.checksum(name)
    data = images.cached(name, checksum) if checksum else None
    if data is None:
        _say(f"downloading {name}")
        bar, progress = _progress("downloading")
        with bar:
            data = images.download(name, checksum, wishes.source, progress)
    _check(data, board, name.version, wishes)
    if not checksum:
        _trust(lock, name, data, wishes)
    if not wishes.dry_run or checksum:
        images.keep(name, data)
    return str(name), data


def _trust(lock: images.Lock, name: images.Name, data: bytes, wishes: Wishes) -> None:
    """An image whose checksum nobody has told: a person says that it is right, and it is recorded."""
    checksum = images.sha256(data)
    _console.print(
        f"  [yellow]No checksum of {name} is known yet. It came from {escape(wishes.source)}[/]\n  SHA-256 {checksum}"
    )
    if wishes.dry_run:
        return
    if not wishes.source.startswith("https:") and not wishes.trust:
        raise FlashError(f"{wishes.source} is not https: anybody may have changed the file. --trust takes it anyhow.")
    if not wishes.trust and not _ask(f"  Trust this file, and record its checksum in boards/{images.LOCK.name}?"):
        raise FlashError("Not trusted, so nothing was written. Compare the checksum with one you know, or use --image.")
    lock.add(name, checksum)
    _say(f"recorded in boards/{images.LOCK.name}: from now on only this file is {name}")


def _add(path: Path, board: Board, wishes: Wishes) -> None:
    """Record the checksum of a file that was downloaded by hand, so that its version can be asked for."""
    name = images.parse_name(path.name)
    if name is None or (name.board, name.extension) != (board.name, board.extension):
        raise FlashError(
            f"{path.name} is not a name that the download page gives to an image of {board.name}:\n"
            f"{board.name}-YYYYMMDD-vX.Y.Z.{board.extension}. Keep the name that the file had there."
        )
    data = _read(path)
    _check(data, board, name.version, wishes)
    checksum = images.sha256(data)
    _say(f"SHA-256 {checksum}")
    if wishes.dry_run:
        return
    if not wishes.trust and not _ask(
        f"  Does it come from MicroPython's page? Record it in boards/{images.LOCK.name}?"
    ):
        raise FlashError("Nothing was recorded.")
    images.Lock().add(name, checksum)
    images.keep(name, data)
    _say(f"recorded: python -m tools flash --board {board.name} --version {name.version}")


def _confirm_erase(board: Board, wishes: Wishes) -> None:
    """Asked for twice: --yes answers the first question, --yes-erase the second, and neither both."""
    if board.method == "uf2":
        raise FlashError(
            "--erase is for the ESP32. A new image leaves the files of an RP2040 alone; remove them by\n"
            "  mpremote rm -r :/"
        )
    if wishes.dry_run:
        return
    _console.print("  [yellow]--erase deletes everything on the board: its files, its settings, readings not sent.[/]")
    if not wishes.yes and not _ask("  Erase all of it?"):
        raise FlashError("Nothing was erased or written.")
    if wishes.yes_erase:
        return
    if wishes.yes:
        raise FlashError("--yes alone erases nothing: say --yes --yes-erase. Nothing was erased or written.")
    if not _ask(f"  Once more: erase the {board.title}, with no way back?"):
        raise FlashError("Nothing was erased or written.")


def _flash_esp(data: bytes, board: Board, wishes: Wishes) -> None:
    if wishes.volume:
        raise FlashError("--volume is for boards with an RP2040. An ESP32 is flashed over its serial port: --port.")
    if wishes.dry_run:
        erase = "erase everything, then " if wishes.erase else ""
        _say(f"would {erase}write 0x{board.offset:x} of the {board.chip} on {wishes.port or 'the only port'}")
        return
    port = flash_esp.choose(wishes.port)
    flash_esp.write(data, board, port, erase=wishes.erase, say=_say)
    _say(f"done: {board.title} runs on {port}. Next: make provision")


def _flash_uf2(data: bytes, name: str, board: Board, wishes: Wishes) -> None:
    volume = flash_uf2.find(board, wishes.volume)
    if wishes.dry_run:
        where = volume or f"the drive {board.board_id}, once the board is in its bootloader"
        _say(f"would copy {name} to {where}")
        return
    if volume is None:
        _enter_bootloader(board, wishes)
        volume = flash_uf2.wait_for_volume(board, _say)
    before = flash_uf2.running()
    _say(f"copying {name} to {volume}")
    bar, progress = _progress("copying")
    with bar:
        flash_uf2.copy(data, name, volume, progress)
    port = flash_uf2.wait_for_restart(board, volume, before, _say)
    _say(f"done: {board.title} runs on {port}. Next: make provision")


def _enter_bootloader(board: Board, wishes: Wishes) -> None:
    """Ask a board that runs MicroPython to become a drive; first, whether it is the right one."""
    found = sorted(flash_uf2.running())
    if not wishes.port and len(found) != 1:
        if not found:
            raise FlashError(flash_uf2.unmounted(board) or _BOOTSEL.format(board.board_id))
        raise FlashError(f"There are several boards: {', '.join(found)}. Say which: PORT={found[0]}")
    port = wishes.port or found[0]
    try:
        with Remote(port, soft_reset=False) as remote:
            info = remote.info()
            called = info.board or info.machine
            if called != board.name and not called.startswith(f"{board.machine} with "):
                _settle(f"The board on {port} says that it is {called}.", f"Put {board.name} onto it?", wishes)
            _say(f"{port}: asking it to enter its bootloader")
            with suppress(RemoteError):  # its port may be gone before its answer; the drive will show
                remote.bootloader()
    except RemoteError as error:
        raise FlashError(_SILENT.format(error=error)) from error


def flash(board_name: str, wishes: Wishes, add_image: Path | None = None) -> None:
    """Do it. Raises FlashError."""
    board = flash_board.load(board_name)
    if add_image:
        _add(add_image, board, wishes)
        return
    name, data = _from_file(wishes.image, board, wishes) if wishes.image else _from_page(board, wishes)
    if wishes.erase:
        _confirm_erase(board, wishes)
    if board.method == "uf2":
        _flash_uf2(data, name, board, wishes)
    else:
        _flash_esp(data, board, wishes)


def main(  # noqa: PLR0913 - each is an option
    board: Annotated[str, typer.Option(help="The board, such as W5100S_EVB_PICO.")] = "",
    image: Annotated[Path | None, typer.Option(help="A file that you have.")] = None,
    version: Annotated[str | None, typer.Option(help="MicroPython's version, such as 1.26.1, to download.")] = None,
    port: Annotated[str | None, typer.Option(help="Serial port of the board, if there are several.")] = None,
    volume: Annotated[Path | None, typer.Option(help="Drive of an RP2040 in its bootloader, if not found.")] = None,
    erase: Annotated[bool, typer.Option("--erase", help="ESP32: first delete everything. Asks twice.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Answer every doubt with yes, for scripts.")] = False,
    yes_erase: Annotated[bool, typer.Option("--yes-erase", help="The second yes that --erase wants.")] = False,
    trust: Annotated[bool, typer.Option("--trust", help="Record the checksum of an image that has none.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, touch no board.")] = False,
    add_image: Annotated[Path | None, typer.Option(help="Record the checksum of a downloaded file.")] = None,
    source: Annotated[str, typer.Option(help="Where images are downloaded from.")] = images.SOURCE,
) -> None:
    """Put MicroPython onto a board."""
    if sum(map(bool, (image, version, add_image))) > 1:
        raise typer.BadParameter("--image, --version and --add-image exclude each other.")
    wishes = Wishes(image, version, port, volume, erase, yes, yes_erase, trust, dry_run, source)
    try:
        flash(board, wishes, add_image)
    except FlashError as error:
        print(f"flash: {error}", file=sys.stderr)
        raise typer.Exit(2 if isinstance(error, flash_board.NoSuchBoard) else 1) from None
