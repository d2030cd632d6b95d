"""`python -m tools flash` for the ESP32: esptool's own image tools, and esptool itself against a chip of ours."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from support.esp_chip import DEFLATE_DATA, ERASE_FLASH, EspChip
from support.made_images import esp, esp_part, partition
from tools import cli, flash_board, flash_esp, images
from tools.remote import Port

BOARDS = {"esp32": "ESP32_GENERIC", "esp32s3": "ESP32_GENERIC_S3", "esp32c3": "ESP32_GENERIC_C3"}
WHOLE = esp("esp32", "ESP32_GENERIC")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(images, "LOCK", tmp_path / "images.lock")
    images.LOCK.write_text('default = "1.26.1"\n\n[releases]\n"1.26.1" = "20250911"\n\n[sha256]\n')
    monkeypatch.setattr(flash_esp, "ports", lambda: [])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def plug() -> Iterator[Callable[..., EspChip]]:
    """Plug in a chip."""
    chips: list[EspChip] = []

    def new(name: str = "esp32", **options: int) -> EspChip:
        chips.append(EspChip(name, **options))
        return chips[-1]

    yield new
    for chip in chips:
        chip.close()


def run(data: bytes, *options: str, board: str = "ESP32_GENERIC", answer: str | None = None) -> Result:
    Path("own.bin").write_bytes(data)
    result = CliRunner().invoke(cli.app, ["flash", "--board", board, "--image", "own.bin", *options], input=answer)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


# --- the way it goes


@pytest.mark.parametrize(("chip", "offset"), [("esp32", 0x1000), ("esp32s3", 0), ("esp32c3", 0)])
def test_esptool_writes_the_image_where_the_chip_wants_it(chip: str, offset: int, plug: Callable[..., EspChip]):
    board, data = plug(chip), esp(chip, BOARDS[chip])
    result = run(data, "--port", board.port, board=BOARDS[chip])
    assert result.exit_code == 0, result.output
    assert board.flash[offset : offset + len(data)] == data
    assert not any(board.flash[:offset]) and ERASE_FLASH not in board.commands
    assert "Hash of data verified" in result.output
    assert f"runs on {board.port}. Next: make provision" in result.output


def test_a_dry_run_asks_no_chip(plug: Callable[..., EspChip]):
    board = plug()
    result = run(WHOLE, "--port", board.port, "--dry-run", "--erase")
    assert result.exit_code == 0
    assert f"would erase everything, then write 0x1000 of the esp32 on {board.port}" in result.output
    assert board.commands == []


# --- the chip


@pytest.mark.parametrize(("chip", "board"), [("esp32s3", "ESP32_GENERIC"), ("esp32", "ESP32_GENERIC_S3")])
def test_another_chip_than_the_boards_is_not_written_to(chip: str, board: str, plug: Callable[..., EspChip]):
    plugged = plug(chip)
    wanted = flash_board.load(board).chip
    result = run(esp(wanted, board), "--port", plugged.port, board=board)
    assert result.exit_code == 1
    assert f"the chip is {chip}, {board} has {wanted}. Nothing was written." in result.output
    assert DEFLATE_DATA not in plugged.commands


def test_a_cable_that_is_pulled_while_writing(plug: Callable[..., EspChip]):
    board = plug("esp32", drop_after=1)
    result = run(WHOLE, "--port", board.port)
    assert result.exit_code == 1
    assert "writing failed" in result.output
    assert "is not broken: use a short cable, no hub, and run this again" in result.output


def test_a_port_where_nothing_answers(place: Path):
    result = run(WHOLE, "--port", str(place / "nothing"))
    assert result.exit_code == 1
    assert "Hold the board's BOOT button, press and release RESET" in result.output


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ([], "No board found: no USB serial port is there."),
        (["/dev/ttyUSB0", "/dev/ttyUSB1"], "several boards: /dev/ttyUSB0, /dev/ttyUSB1. Say which: PORT=/dev/ttyUSB0"),
    ],
)
def test_without_one_port_it_must_be_named(found: list[str], says: str, monkeypatch: pytest.MonkeyPatch):
    others = [Port("/dev/ttyACM0", "a Pico", 0x2E8A, 5, "1")]
    monkeypatch.setattr(flash_esp, "ports", lambda: others + [Port(name, "", 0x10C4, 1, name) for name in found])
    result = run(WHOLE)
    assert result.exit_code == 1
    assert says in result.output


def test_the_only_port_is_taken(plug: Callable[..., EspChip], monkeypatch: pytest.MonkeyPatch):
    board = plug()
    monkeypatch.setattr(flash_esp, "ports", lambda: [Port(board.port, "", 0x10C4, 1, "1")])
    assert run(WHOLE).exit_code == 0


# --- images


def _with(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


_APP = 0xF000  # in the file of an ESP32, whose bootloader goes to 0x1000


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "bootloader is no image for an ESP32"),
        (b"UF2\n" * 200, "bootloader is no image for an ESP32"),
        (WHOLE[:10], "bootloader is not whole"),
        (WHOLE[:60], "bootloader is not whole"),
        (esp("esp32s3", "ESP32_GENERIC_S3"), "bootloader is for esp32s3, the board has esp32"),
        (_with(WHOLE, 12, b"\xff\xee"), "bootloader is for an unknown chip (number 61183)"),
        (_with(WHOLE, 40, b"\xaa"), "bootloader is damaged: its checksum is wrong"),
        (_with(_with(WHOLE, 23, b"\0"), 40, b"\xaa"), "bootloader is damaged: its checksum is wrong"),
        (WHOLE[:0x7000], "no table of partitions"),
        (esp_part("esp32", bytes(2048), True), "no table of partitions"),
        (_with(WHOLE, 0x7000, partition(1, 2, 0x9000, 0x6000, b"nvs") * 2 + b"\xeb\xeb"), "no table of partitions"),
        (WHOLE[:_APP], "cut short: the program at 0x10000 is missing"),
        (WHOLE[: _APP + 300], "program is not whole"),
        (WHOLE[:-20], "program is damaged"),
        (_with(WHOLE, _APP, b"\x00"), "program is no image for an ESP32"),
        (WHOLE[:_APP] + esp("esp32s3", "ESP32_GENERIC_S3")[0x10000:], "program is for esp32s3"),
        (_with(WHOLE, _APP + 100, b"\x12\x34\x56"), "program is damaged: its checksum is wrong"),
        (esp("esp32", "ESP32_GENERIC").replace(b"Generic ESP32 m", b"Another ESP32 m"), "program is damaged"),
    ],
)
def test_a_wrong_image_is_refused_before_the_chip_is_asked(data: bytes, says: str, plug: Callable[..., EspChip]):
    board = plug()
    result = run(data, "--port", board.port, "--yes")
    assert result.exit_code == 1
    assert says in result.output
    assert "Download" in result.output or "Use the" in result.output
    assert board.commands == []


def test_the_image_of_another_board_with_the_same_chip_is_refused(plug: Callable[..., EspChip]):
    board = plug("esp32s3")
    result = run(esp("esp32s3", "W5100S_EVB_PICO"), "--port", board.port, board="ESP32_GENERIC_S3")
    assert result.exit_code == 1
    assert "is for a board called “W5100S-EVB-Pico”; ESP32_GENERIC_S3 is called “Generic ESP32S3" in result.output
    assert board.commands == []


@pytest.mark.parametrize(
    ("chip", "offset"),
    [
        *(("esp32", 0x1000), ("esp32s2", 0x1000), ("esp32s3", 0), ("esp32c2", 0), ("esp32c3", 0), ("esp32c6", 0)),
        *(("esp32c5", 0x2000), ("esp32p4", 0x2000)),
    ],
)
def test_where_the_bootloader_of_each_chip_lies(chip: str, offset: int):
    assert flash_esp.offset_of(chip) == offset


def test_a_board_toml_with_a_wrong_offset_is_found_out(plug: Callable[..., EspChip], monkeypatch: pytest.MonkeyPatch):
    board = plug()
    wrong = flash_board.Board("ESP32_GENERIC", "ESP32", "esp32", "bin", "Generic ESP32 module", "esptool", 0, 460800)
    monkeypatch.setattr(flash_board, "load", lambda name: wrong)
    result = run(WHOLE, "--port", board.port)
    assert result.exit_code == 1
    assert "says offset 0x0, the bootloader of an esp32 lies at 0x1000. Mend board.toml" in result.output
    assert board.commands == []


# --- erasing


def test_erasing_is_asked_for_twice_and_then_done(plug: Callable[..., EspChip]):
    board = plug()
    result = run(WHOLE, "--port", board.port, "--erase", answer="y\ny\n")
    assert result.exit_code == 0, result.output
    assert "deletes everything on the board" in result.output
    assert board.flash[0x1000 : 0x1000 + len(WHOLE)] == WHOLE
    assert set(board.flash[:0x1000]) == set(board.flash[0x200000:]) == {0xFF}


@pytest.mark.parametrize(
    ("options", "answer", "says"),
    [
        ([], "n\n", "Nothing was erased or written."),
        ([], "y\nn\n", "Nothing was erased or written."),
        ([], "y\n", "Nobody answered"),
        ([], None, "Nobody answered"),
        (["--yes"], "y\ny\n", "say --yes --yes-erase"),
        (["--yes-erase"], "n\n", "Nothing was erased or written."),
        (["--yes-erase"], None, "Nobody answered"),
    ],
)
def test_one_yes_erases_nothing(options: list[str], answer: str | None, says: str, plug: Callable[..., EspChip]):
    board = plug()
    result = run(WHOLE, "--port", board.port, "--erase", *options, answer=answer)
    assert result.exit_code == 1
    assert says in result.output
    assert board.commands == []


def test_scripts_say_it_twice(plug: Callable[..., EspChip]):
    board = plug()
    assert run(WHOLE, "--port", board.port, "--erase", "--yes", "--yes-erase").exit_code == 0
    assert board.commands.count(ERASE_FLASH) == 1


def test_a_drive_is_nothing_for_an_esp32(place: Path):
    result = run(WHOLE, "--volume", str(place))
    assert result.exit_code == 1
    assert "--volume is for boards with an RP2040" in result.output
