"""Flashing on a computer without boards: fake drives of bootloaders, no network, no cache, a lock of our own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tools import cli, flash_uf2, images
from tools.remote import Port

INFO = "UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: {}\r\n"
LOCK = 'default = "1.26.1"\n\n[releases]\n"1.26.1" = "20250911"\n\n[sha256]\n'
NAME = "RPI_PICO_W-20250911-v1.26.1.uf2"
PORT = "/dev/ttyACM7"


class Drive:
    """What a board in its bootloader shows. `takes`: it restarts when a whole image is there, and has a port then."""

    def __init__(self, folder: Path, board_id: str = "RPI-RP2") -> None:
        self.folder = folder
        self.takes, self.returns = True, True
        self.ports: list[Port] = []
        self._ended = threading.Event()
        folder.mkdir()
        (folder / "INFO_UF2.TXT").write_text(INFO.format(board_id))
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def written(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*.uf2"))

    def _watch(self) -> None:
        while not self._ended.wait(0.005):
            for path in filter(Path.is_file, self.folder.glob("*.uf2")):
                data = path.read_bytes()
                count = int.from_bytes(data[24:28], "little")
                if self.takes and count and len(data) == 512 * count:
                    (self.folder / "INFO_UF2.TXT").unlink(missing_ok=True)
                    self.ports = [Port(PORT, "Board in FS mode", 0x2E8A, 5, "1")] if self.returns else []

    def close(self) -> None:
        self._ended.set()
        self._thread.join(10)


def isolate(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No board, drive, image or network; nothing is waited for long that comes at once."""
    monkeypatch.setattr(images, "LOCK", place / "images.lock")
    monkeypatch.setattr(images, "CACHE", place / "cache")
    monkeypatch.setattr(flash_uf2, "candidates", lambda: iter(()))
    monkeypatch.setattr(flash_uf2, "ports", lambda: [])
    monkeypatch.setattr(flash_uf2, "WAIT_S", 20.0)
    monkeypatch.setattr(flash_uf2, "PORT_WAIT_S", 20.0)
    monkeypatch.setattr(flash_uf2, "_POLL_S", 0.005)
    monkeypatch.setattr(flash_uf2, "_LABELS", place / "no-labels")
    monkeypatch.setenv("no_proxy", "*")
    images.LOCK.write_text(LOCK)


@contextmanager
def plugging(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Drive]]:
    """A function that plugs in a board whose BOOTSEL button is held."""
    drives: list[Drive] = []

    def plug(name: str = "RPI-RP2", board_id: str = "RPI-RP2") -> Drive:
        drives.append(Drive(place / name, board_id))
        return drives[-1]

    monkeypatch.setattr(flash_uf2, "candidates", lambda: iter([drive.folder for drive in drives]))
    monkeypatch.setattr(flash_uf2, "ports", lambda: [port for drive in drives for port in drive.ports])
    yield plug
    for drive in drives:
        drive.close()


def run(*arguments: object, board: str = "RPI_PICO_W", answer: str | None = None) -> Result:
    result = CliRunner().invoke(cli.app, ["flash", "--board", board, *map(str, arguments)], input=answer)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def image_file(place: Path, data: bytes, name: str = "own.uf2") -> Path:
    path = place / name
    path.write_bytes(data)
    return path
