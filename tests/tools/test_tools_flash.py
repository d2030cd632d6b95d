"""`python -m tools flash` for boards with an RP2040: a fake drive, a virtual board, and a download page of our own.

A refusal is worth nothing if the board was touched: each test of one looks at the drive too.
"""

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from support.flashing import INFO, PORT, Drive, image_file, isolate, plugging, run
from support.made_images import blocks, texts, uf2
from support.vboard import VirtualBoard
from tools import cli, flash_uf2
from tools.remote import Port


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    isolate(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def new_drive(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Drive]]:
    with plugging(place, monkeypatch) as plug:
        yield plug


@pytest.fixture
def drive(new_drive: Callable[..., Drive]) -> Drive:
    return new_drive()


# --- the way it goes


def test_an_image_goes_onto_the_drive_and_the_board_comes_back(drive: Drive, place: Path):
    data = uf2("RPI_PICO_W")
    result = run("--image", image_file(place, data))
    assert result.exit_code == 0, result.output
    assert (drive.folder / "own.uf2").read_bytes() == data
    assert "image checked: MicroPython 1.26.1" in result.output
    assert f"done: Raspberry Pi Pico W runs on {PORT}. Next: make provision" in result.output


def test_a_drive_that_was_named_is_used(drive: Drive, place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(flash_uf2, "candidates", lambda: iter(()))
    result = run("--image", image_file(place, uf2("RPI_PICO_W")), "--volume", drive.folder)
    assert result.exit_code == 0, result.output
    assert drive.written() == ["own.uf2"]


def test_the_port_of_another_board_is_not_taken_for_the_new_one(
    drive: Drive, place: Path, monkeypatch: pytest.MonkeyPatch
):
    other = Port("/dev/ttyACM0", "", 0x2E8A, 5, "2")
    monkeypatch.setattr(flash_uf2, "ports", lambda: [other, *drive.ports])
    result = run("--image", image_file(place, uf2("RPI_PICO_W")))
    assert f"done: Raspberry Pi Pico W runs on {PORT}." in result.output


def test_a_dry_run_says_what_it_would_do_and_does_nothing(drive: Drive, place: Path):
    result = run("--image", image_file(place, uf2("RPI_PICO_W")), "--dry-run")
    assert result.exit_code == 0
    assert f"would copy own.uf2 to {drive.folder}" in result.output
    assert drive.written() == []


def test_a_running_board_is_brought_into_its_bootloader(
    new_drive: Callable[..., Drive], place: Path, monkeypatch: pytest.MonkeyPatch
):
    drives: list[Drive] = []
    (place / "flash").mkdir()
    with VirtualBoard(
        place / "flash", build="RPI_PICO_W", platform="rp2", on_bootloader=lambda: drives.append(new_drive())
    ) as board:
        monkeypatch.setattr(
            flash_uf2,
            "ports",
            lambda: drives[0].ports if drives else [Port(board.port, "", 0x2E8A, 5, "1")],
        )
        result = run("--image", image_file(place, uf2("RPI_PICO_W")))
    assert result.exit_code == 0, result.output
    assert drives[0].written() == ["own.uf2"]
    assert "waiting up to 20 s for the drive RPI-RP2" in result.output


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("y\n", 0)])
def test_a_running_board_of_another_kind_is_only_taken_when_a_person_says_so(
    answer: str, code: int, new_drive: Callable[..., Drive], place: Path, monkeypatch: pytest.MonkeyPatch
):
    drives: list[Drive] = []
    (place / "flash").mkdir()
    with VirtualBoard(
        place / "flash", build="W5100S_EVB_PICO", platform="rp2", on_bootloader=lambda: drives.append(new_drive())
    ) as board:
        monkeypatch.setattr(flash_uf2, "ports", lambda: drives[0].ports if drives else [])
        result = run("--image", image_file(place, uf2("RPI_PICO_W")), "--port", board.port, answer=answer)
        assert "says that it is W5100S_EVB_PICO." in result.output
        assert result.exit_code == code, result.output
        assert board.in_bootloader.is_set() == bool(drives) == (code == 0)


# --- images that are refused, before anything is looked for or touched


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x7fELF" * 200, "no UF2 file"),
        (uf2("RPI_PICO_W")[:-512], "cut short"),
        (uf2("RPI_PICO_W")[:512] + uf2("RPI_PICO_W")[1024:], "Block 1 is missing"),
        (uf2("RPI_PICO_W").replace(b"\x56\xff\x8b\xe4", b"\x59\xff\x8b\xe4"), "is for RP2350 (ARM)"),
        (uf2("W5100S_EVB_PICO"), "is for a board called “W5100S-EVB-Pico”"),
        (uf2("RPI_PICO"), "is for a board called “Raspberry Pi Pico”"),
        (uf2("RPI_PICO", build=""), "is for a board called “Raspberry Pi Pico”"),
        (uf2("RPI_PICO", build="MY_RPI_PICO_W"), "is for a board called “Raspberry Pi Pico”"),
        (uf2("RPI_PICO_W", "1.22.2"), "fieldmqtt needs 1.23 or later"),
    ],
    ids=["elf", "truncated", "gap", "family", "board", "like", "like-old", "like-named", "old"],
)
def test_a_wrong_image_is_refused_whatever_scripts_say(data: bytes, says: str, drive: Drive, place: Path):
    for options in ([], ["--yes"]):
        result = run("--image", image_file(place, data), *options)
        assert result.exit_code == 1
        assert says in result.output
        assert drive.written() == []


@pytest.mark.parametrize("build", ["", "RPI_PICO_W"])
def test_old_images_tell_their_board_by_its_title_and_newer_ones_by_their_own_name(
    build: str, drive: Drive, place: Path
):
    assert run("--image", image_file(place, uf2("RPI_PICO_W", build=build))).exit_code == 0


def test_a_build_of_the_board_with_a_title_of_its_own_is_taken(drive: Drive, place: Path):
    assert run("--image", image_file(place, uf2("RPI_PICO", build="RPI_PICO_W"))).exit_code == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"nothing at all", "does not say that it is MicroPython"),
        (texts("RPI_PICO_W", build="").replace(b"; Rasp", b"  Rasp"), "does not say for which board"),
    ],
)
@pytest.mark.parametrize(("answer", "code"), [("\n", 1), ("y\n", 0), (None, 1)])
def test_an_image_that_does_not_name_a_board_is_asked_about(
    text: bytes, says: str, answer: str | None, code: int, drive: Drive, place: Path
):
    result = run("--image", image_file(place, b"".join(blocks(text))), answer=answer)
    assert result.exit_code == code
    assert says in result.output
    assert "Is it really for RPI_PICO_W?" in result.output
    assert len(drive.written()) == (code == 0)
    assert answer is not None or "In a script, say it by an option" in result.output


def test_the_image_is_looked_at_before_the_board(place: Path):
    result = run("--image", image_file(place, uf2("W5100S_EVB_PICO")), "--port", "/dev/null")
    assert "is for a board called" in result.output


def test_a_file_that_is_not_there(place: Path):
    result = run("--image", place / "missing.uf2")
    assert result.exit_code == 1
    assert "cannot be read (No such file or directory)" in result.output


# --- drives


def test_without_a_board_the_message_says_how_to_hold_the_button(place: Path):
    result = run("--image", image_file(place, uf2("RPI_PICO_W")))
    assert result.exit_code == 1
    assert "hold its BOOTSEL button, plug it in" in result.output


def test_a_drive_that_is_not_mounted_is_told_from_no_board(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(flash_uf2, "_LABELS", place)
    (place / "RPI-RP2").touch()
    result = run("--image", image_file(place, uf2("RPI_PICO_W")))
    assert result.exit_code == 1
    assert f"udisksctl mount -b {place / 'RPI-RP2'}" in result.output


def test_two_drives_are_not_chosen_from(new_drive: Callable[..., Drive], place: Path):
    drives = [new_drive("one"), new_drive("two")]
    result = run("--image", image_file(place, uf2("RPI_PICO_W")))
    assert result.exit_code == 1
    assert f"There are 2 drives RPI-RP2: {drives[0].folder}, {drives[1].folder}." in result.output
    assert "--volume" in result.output
    assert drives[0].written() == drives[1].written() == []


def test_a_drive_of_another_kind_of_board_is_passed_over(new_drive: Callable[..., Drive], place: Path):
    other = new_drive("RP2350", "RP2350")
    result = run("--image", image_file(place, uf2("RPI_PICO_W")))
    assert result.exit_code == 1
    assert "No board with an RP2040 found" in result.output
    assert other.written() == []


@pytest.mark.parametrize(
    ("board_id", "says"), [("RP2350", "it is of a board RP2350"), (None, "it has no INFO_UF2.TXT")]
)
def test_a_wrong_drive_that_was_named_is_refused(
    board_id: str | None, says: str, new_drive: Callable[..., Drive], place: Path
):
    folder = new_drive("other", board_id).folder if board_id else place
    result = run("--image", image_file(place, uf2("RPI_PICO_W")), "--volume", folder)
    assert result.exit_code == 1
    assert says in result.output


def test_two_running_boards_are_not_chosen_from(place: Path, monkeypatch: pytest.MonkeyPatch):
    both = [Port("/dev/ttyACM0", "", 0x2E8A, 5, "1"), Port("/dev/ttyACM1", "", 0x2E8A, 5, "2")]
    monkeypatch.setattr(flash_uf2, "ports", lambda: both)
    result = run("--image", image_file(place, uf2("RPI_PICO_W")))
    assert result.exit_code == 1
    assert "several boards: /dev/ttyACM0, /dev/ttyACM1. Say which: PORT=/dev/ttyACM0" in result.output


def test_a_running_board_that_does_not_answer(place: Path):
    result = run("--image", image_file(place, uf2("RPI_PICO_W")), "--port", place / "no-port")
    assert result.exit_code == 1
    assert "cannot be opened" in result.output
    assert "Do it by hand: unplug it, hold its BOOTSEL button" in result.output


@pytest.mark.parametrize("is_unmounted", [False, True])
def test_a_drive_that_never_appears(is_unmounted: bool, place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(flash_uf2, "WAIT_S", 0.05)
    monkeypatch.setattr(flash_uf2, "_LABELS", place)
    if is_unmounted:
        (place / "RPI-RP2").touch()
    (place / "flash").mkdir()
    with VirtualBoard(place / "flash", build="RPI_PICO_W", platform="rp2") as board:
        result = run("--image", image_file(place, uf2("RPI_PICO_W")), "--port", board.port)
        assert board.in_bootloader.wait(20)
    assert result.exit_code == 1
    expected = "udisksctl mount" if is_unmounted else "did not appear within 0 s. Nothing was written."
    assert expected in result.output


def test_a_board_that_does_not_take_the_image(drive: Drive, place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(flash_uf2, "WAIT_S", 0.05)
    drive.takes = False
    result = run("--image", image_file(place, uf2("RPI_PICO_W")))
    assert result.exit_code == 1
    assert "did not restart" in result.output
    assert "Unplug it and plug it in again" in result.output


def test_a_board_that_restarts_without_a_serial_port(drive: Drive, place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(flash_uf2, "PORT_WAIT_S", 0.05)
    drive.returns = False
    result = run("--image", image_file(place, uf2("RPI_PICO_W")))
    assert result.exit_code == 1
    assert "The board took the image, but no serial port appeared" in result.output


def test_a_drive_that_cannot_be_written_to(drive: Drive, place: Path):
    (drive.folder / "own.uf2").mkdir()
    result = run("--image", image_file(place, uf2("RPI_PICO_W")))
    assert result.exit_code == 1
    assert "copying failed after 0 of" in result.output
    assert "run this again" in result.output


@pytest.mark.parametrize("is_taken", [True, False])
def test_a_drive_that_fails_at_the_end_is_only_right_when_the_board_is_gone(
    is_taken: bool, drive: Drive, place: Path, monkeypatch: pytest.MonkeyPatch
):
    def fsync(descriptor: int) -> None:
        deadline = time.monotonic() + 20
        while is_taken and (drive.folder / "INFO_UF2.TXT").exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        raise OSError(errno.EIO, "Input/output error")

    drive.takes = is_taken
    monkeypatch.setattr(os, "fsync", fsync)
    result = run("--image", image_file(place, uf2("RPI_PICO_W")))
    assert result.exit_code == (0 if is_taken else 1), result.output
    assert ("copying failed after 5120 of 5120 bytes (Input/output error)" in result.output) == (not is_taken)


def test_drives_are_found_where_linux_mounts_them(drive: Drive, place: Path, monkeypatch: pytest.MonkeyPatch):
    spaced = place / "my drive"
    spaced.mkdir()
    (spaced / "INFO_UF2.TXT").write_text(INFO.format("RPI-RP2"))
    (place / "mounts").write_text(
        f"/dev/sda1 {drive.folder} vfat rw 0 0\n"
        f"/dev/sdb1 {str(spaced).replace(' ', chr(92) + '040')} vfat rw 0 0\n"
        f"/dev/sdc1 {place} ext4 rw 0 0\n"
    )
    monkeypatch.undo()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(flash_uf2, "Path", lambda text: place / "mounts" if text == "/proc/mounts" else Path(text))
    assert {drive.folder, spaced} <= set(flash_uf2.volumes("RPI-RP2"))


@pytest.mark.parametrize(("system", "expected"), [("darwin", str(Path("/Volumes", "RPI-RP2"))), ("win32", "E:/")])
def test_drives_are_looked_for_where_other_systems_have_them(
    system: str, expected: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.undo()
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter([self / "RPI-RP2"]))
    assert Path(expected) in list(flash_uf2.candidates())


# --- the command line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Which board is it?"),
        (["--board", "NONSENSE"], "There is no board NONSENSE"),
        (["--board", "unix"], "There is no board unix that can be flashed"),
        (["--board", "RPI_PICO_W", "--image", "x", "--version", "1.26.1"], "exclude each other"),
    ],
)
def test_what_cannot_be_understood_ends_with_2(arguments: list[str], says: str):
    result = CliRunner().invoke(cli.app, ["flash", *arguments])
    assert result.exit_code == 2
    assert says in result.output


def test_erasing_an_rp2040_is_not_offered(drive: Drive, place: Path):
    result = run("--image", image_file(place, uf2("RPI_PICO_W")), "--erase", "--yes", "--yes-erase")
    assert result.exit_code == 1
    assert "mpremote rm -r" in result.output
    assert drive.written() == []
