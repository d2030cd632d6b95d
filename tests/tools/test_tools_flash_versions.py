"""`python -m tools flash` by version: what is downloaded, when its checksum is believed, what is kept."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from support.esp_chip import EspChip
from support.flashing import LOCK, NAME, Drive, image_file, isolate, plugging, run
from support.image_server import ImageServer, serving
from support.made_images import esp, uf2
from tools import cli, flash_esp, images
from tools.broker import free_port
from tools.remote import Port
from tools.toolchain import ROOT


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    isolate(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def drive(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Drive]:
    with plugging(place, monkeypatch) as plug:
        yield plug()


@pytest.fixture
def page() -> Iterator[ImageServer]:
    with serving() as server:
        server.files[NAME] = uf2("RPI_PICO_W")
        yield server


def test_a_version_is_downloaded_trusted_once_recorded_and_kept(drive: Drive, page: ImageServer):
    data = page.files[NAME]
    result = run("--version", "1.26.1", "--source", page.url, "--trust")
    assert result.exit_code == 0, result.output
    assert (drive.folder / NAME).read_bytes() == data
    assert f'"{NAME}" = "{images.sha256(data)}"\n' in images.LOCK.read_text()
    again = run("--dry-run", "--source", f"http://127.0.0.1:{free_port()}/")
    assert again.exit_code == 0, again.output
    assert page.asked == [NAME]


@pytest.mark.parametrize(
    ("options", "answer", "says"),
    [
        ([], "y\n", "is not https"),
        (["--yes"], None, "is not https"),
        (["--dry-run"], None, "No checksum of"),
    ],
)
def test_an_image_of_unknown_checksum_is_not_recorded_without_trust(
    options: list[str], answer: str | None, says: str, drive: Drive, page: ImageServer
):
    result = run("--source", page.url, *options, answer=answer)
    assert result.exit_code == (0 if "--dry-run" in options else 1)
    assert says in result.output
    assert images.sha256(page.files[NAME]) in result.output
    assert NAME not in images.LOCK.read_text()
    assert drive.written() == [] and not images.CACHE.exists()


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("y\n", 0), (None, 1)])
def test_a_person_decides_about_an_image_of_unknown_checksum(
    answer: str | None, code: int, drive: Drive, monkeypatch: pytest.MonkeyPatch
):
    data = uf2("RPI_PICO_W")
    monkeypatch.setattr(images, "download", lambda name, checksum, source, progress: data)
    result = run(answer=answer)
    assert result.exit_code == code
    assert f"No checksum of {NAME} is known yet. It came from https://micropython.org/" in result.output
    assert (NAME in images.LOCK.read_text()) == bool(drive.written()) == (code == 0)


def test_a_bad_checksum_ends_it(drive: Drive, page: ImageServer):
    images.LOCK.write_text(images.LOCK.read_text() + f'"{NAME}" = "{"0" * 64}"\n')
    result = run("--source", page.url, "--trust", "--yes")
    assert result.exit_code == 1
    assert "is not the image that boards/images.lock knows" in result.output
    assert drive.written() == []


def test_a_spoilt_cache_is_downloaded_again(drive: Drive, page: ImageServer):
    images.LOCK.write_text(images.LOCK.read_text() + f'"{NAME}" = "{images.sha256(page.files[NAME])}"\n')
    images.CACHE.mkdir()
    (images.CACHE / NAME).write_bytes(b"spoilt")
    assert run("--source", page.url).exit_code == 0
    assert page.asked == [NAME]


def test_a_download_that_is_another_version_than_its_name_says(drive: Drive, page: ImageServer):
    page.files[NAME] = uf2("RPI_PICO_W", "1.25.0")
    result = run("--source", page.url, "--trust")
    assert result.exit_code == 1
    assert "says that it is MicroPython 1.25.0, not 1.26.1" in result.output
    assert NAME not in images.LOCK.read_text()


def test_offline_says_how_to_do_without(drive: Drive):
    result = run("--source", f"http://127.0.0.1:{free_port()}/")
    assert result.exit_code == 1
    assert "Is this computer offline" in result.output
    assert f"python -m tools flash --board RPI_PICO_W --image {NAME}" in result.output


def test_a_file_with_the_name_of_a_known_image_must_be_that_image(drive: Drive, place: Path):
    images.LOCK.write_text(images.LOCK.read_text() + f'"{NAME}" = "{"0" * 64}"\n')
    result = run("--image", image_file(place, uf2("RPI_PICO_W"), NAME))
    assert result.exit_code == 1
    assert "is not the image of that name" in result.output
    assert drive.written() == []


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1)])
def test_an_image_is_added_and_then_asked_for_by_its_version(answer: str, code: int, drive: Drive, place: Path):
    new = image_file(place, uf2("RPI_PICO_W", "1.31.0"), "RPI_PICO_W-20270101-v1.31.0.uf2")
    result = run("--add-image", new, answer=answer)
    assert result.exit_code == code, result.output
    assert images.sha256(new.read_bytes()) in result.output
    assert run("--version", "1.31.0").exit_code == code
    assert len(drive.written()) == (code == 0)


@pytest.mark.parametrize("name", ["own.uf2", "RPI_PICO-20270101-v1.31.0.uf2", "RPI_PICO_W-20270101-v1.31.0.bin"])
def test_only_names_of_the_download_page_are_added(name: str, place: Path):
    result = run("--add-image", image_file(place, uf2("RPI_PICO_W", "1.31.0"), name), "--trust")
    assert result.exit_code == 1
    assert "RPI_PICO_W-YYYYMMDD-vX.Y.Z.uf2" in result.output
    assert images.LOCK.read_text() == LOCK


def test_what_is_added_is_looked_at_like_any_image(place: Path):
    result = run("--add-image", image_file(place, uf2("W5100S_EVB_PICO", "1.26.1"), NAME), "--trust")
    assert result.exit_code == 1
    assert "is for a board called “W5100S-EVB-Pico”" in result.output
    assert images.LOCK.read_text() == LOCK


# --- what the documents say

_REAL_LOCK = images.LOCK


def _transcripts() -> list[str]:
    section = (ROOT / "docs" / "first-board.md").read_text(encoding="utf-8").partition("\n## Flash\n")[2]
    return re.findall(r"```text\n\$ make flash BOARD=\w+\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)


def _shows(output: str, transcript: str) -> bool:
    """Whether the lines of a transcript are in the output, in this order; … stands for anything."""
    lines = [re.escape(line.removesuffix(" y")).replace("…", ".*") for line in transcript.splitlines()]
    return bool(re.search("\n(?:.*\n)*?".join(f"{line}.*" for line in lines), output))


def test_what_a_person_sees_of_an_rp2040(drive: Drive, monkeypatch: pytest.MonkeyPatch):
    shutil.copy(_REAL_LOCK, images.LOCK)
    image = uf2("W5100S_EVB_PICO", images.Lock().default)
    monkeypatch.setattr(images, "download", lambda name, checksum, source, progress: image)
    result = run(board="W5100S_EVB_PICO", answer="y\n")
    assert result.exit_code == 0, result.output
    assert _shows(result.output.replace("[y/N]: ", "[y/N]:\n"), _transcripts()[0]), result.output


def test_what_a_person_sees_of_an_esp32(monkeypatch: pytest.MonkeyPatch):
    shutil.copy(_REAL_LOCK, images.LOCK)
    image = esp("esp32", "ESP32_GENERIC", images.Lock().default)
    monkeypatch.setattr(images, "download", lambda name, checksum, source, progress: image)
    chip = EspChip("esp32")
    monkeypatch.setattr(flash_esp, "ports", lambda: [Port(chip.port, "", 0x10C4, 1, "1")])
    result = run(board="ESP32_GENERIC")
    chip.close()
    assert result.exit_code == 0, result.output
    assert _shows(result.output, _transcripts()[1]), result.output


def test_every_option_is_in_the_documents_and_every_offset_is_right():
    page = (ROOT / "docs" / "flashing.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(--[\w-]+)` \|", page, re.MULTILINE))
    # wide: the help cuts long names short
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(cli.app, ["flash", "--help"]).output
    assert named == set(re.findall(r"--[a-z][\w-]+", shown)) - {"--help"}
    offsets = re.findall(r"^\| `(esp32\w*)` \| (0x\w+) \|", page, re.MULTILINE)
    assert len(offsets) == 8
    assert all(flash_esp.offset_of(chip) == int(offset, 16) for chip, offset in offsets)
