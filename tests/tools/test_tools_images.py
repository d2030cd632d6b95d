"""MicroPython's images by version: names, checksums, downloading; each failure says how to go on."""

import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.image_server import ImageServer, serving
from support.made_images import uf2
from tools import flash_board, images
from tools.broker import free_port
from tools.flash_board import FlashError

PICO = flash_board.load("RPI_PICO_W")
NAME = images.Name("RPI_PICO_W", "20250911", "1.26.1", "uf2")
IMAGE = uf2("RPI_PICO_W")
REAL_LOCK = images.LOCK
LOCK = """\
# What people wrote stays.
default = "1.26.1"

[releases]
"1.25.0" = "20250415"
"1.26.1" = "20250911"

# Of images.
[sha256]
"RPI_PICO_W-20250415-v1.25.0.uf2" = "0000"
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(images, "LOCK", tmp_path / "images.lock")
    monkeypatch.setattr(images, "CACHE", tmp_path / "cache")
    monkeypatch.setenv("no_proxy", "*")
    images.LOCK.write_text(LOCK)
    return tmp_path


@pytest.fixture
def page() -> Iterator[ImageServer]:
    with serving() as server:
        server.files[str(NAME)] = IMAGE
        yield server


def _download(page: ImageServer, checksum: str | None = None) -> bytes:
    return images.download(NAME, checksum, page.url, lambda done, total: None)


def test_the_name_follows_from_board_and_version():
    assert str(images.Lock().name(PICO, "1.25.0")) == "RPI_PICO_W-20250415-v1.25.0.uf2"
    assert str(images.Lock().name(PICO, "v1.26.1")) == str(images.Lock().name(PICO, None)) == str(NAME)


@pytest.mark.parametrize(
    "name",
    [
        "RPI_PICO_W.uf2",
        "RPI_PICO_W-20250911-v1.26.1.bin.uf2",
        "ESP32_GENERIC-SPIRAM-20250911-v1.26.1.bin",
        "RPI_PICO_W-20250911-v1.27.0-preview.1.gabcdef.uf2",
        "../RPI_PICO_W-20250911-v1.26.1.uf2",
    ],
)
def test_other_names_are_not_taken_for_releases(name: str):
    assert images.parse_name(name) is None


def test_an_unknown_version_says_how_to_add_it():
    with pytest.raises(FlashError) as refused:
        images.Lock().name(PICO, "1.99.0")
    assert "Known: 1.25.0, 1.26.1" in str(refused.value)
    assert "python -m tools flash --board RPI_PICO_W --add-image FILE" in str(refused.value)


def test_a_checksum_is_added_and_nothing_else_changes():
    images.Lock().add(NAME, "1234")
    assert images.Lock().checksum(NAME) == "1234"
    assert images.LOCK.read_text() == LOCK + f'"{NAME}" = "1234"\n'


def test_an_image_of_a_new_release_brings_the_day_of_the_release():
    images.Lock().add(images.Name("RPI_PICO_W", "20270101", "1.31.0", "uf2"), "1234")
    assert str(images.Lock().name(PICO, "1.31.0")) == "RPI_PICO_W-20270101-v1.31.0.uf2"
    assert '"1.26.1" = "20250911"\n"1.31.0" = "20270101"\n\n# Of images.\n' in images.LOCK.read_text()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("RPI_PICO_W-20250415-v1.25.0.uf2", "it has the checksum 0000, this file 1111"),
        ("RPI_PICO_W-20250912-v1.26.1.uf2", "it has the day 20250911"),
    ],
)
def test_another_checksum_or_day_than_the_known_one_is_refused(name: str, says: str):
    parsed = images.parse_name(name)
    assert parsed
    with pytest.raises(FlashError, match=says):
        images.Lock().add(parsed, "1111")
    assert images.LOCK.read_text() == LOCK


def test_adding_what_is_known_changes_nothing():
    images.Lock().add(images.Name("RPI_PICO_W", "20250415", "1.25.0", "uf2"), "0000")
    assert images.LOCK.read_text() == LOCK


def test_a_download_is_what_the_server_has(page: ImageServer):
    heard: list[tuple[int, int]] = []
    data = images.download(NAME, images.sha256(IMAGE), page.url, lambda done, total: heard.append((done, total)))
    assert data == IMAGE
    assert heard[-1] == (len(IMAGE), len(IMAGE))
    assert page.asked == ["RPI_PICO_W-20250911-v1.26.1.uf2"]


def test_a_download_that_changed_on_the_way_is_refused(page: ImageServer):
    page.spoil.add(str(NAME))
    with pytest.raises(FlashError) as refused:
        _download(page, images.sha256(IMAGE))
    assert f"expected {images.sha256(IMAGE)}" in str(refused.value)
    assert "Nothing was kept" in str(refused.value)


def test_a_download_that_breaks_off_is_begun_anew_by_the_next_run(page: ImageServer):
    page.cut.add(str(NAME))
    with pytest.raises(FlashError, match=f"broke off after {len(IMAGE) // 2} of {len(IMAGE)} bytes"):
        _download(page)
    page.cut.clear()
    assert _download(page) == IMAGE


def test_a_download_without_end_is_given_up(page: ImageServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(images, "_LARGEST", len(IMAGE) - 1)
    with pytest.raises(FlashError, match="this is no image"):
        _download(page)


def test_a_download_that_dribbles_is_given_up(page: ImageServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(images, "_PATIENCE_S", -1)
    with pytest.raises(FlashError, match=r"only \d+ bytes came in [^$]*--image"):
        _download(page)


def test_no_such_file_on_the_server(page: ImageServer):
    page.files.clear()
    with pytest.raises(FlashError, match=r"404 Not Found[^$]*micropython\.org/download/RPI_PICO_W/[^$]*--image FILE"):
        _download(page)


@pytest.mark.parametrize("source", ["http://127.0.0.1:{port}/", "nonsense"])
def test_offline(source: str):
    with pytest.raises(FlashError) as refused:
        images.download(NAME, None, source.format(port=free_port()), lambda done, total: None)
    assert "could not be downloaded" in str(refused.value)
    assert "Is this computer offline" in str(refused.value)
    assert f"--image {NAME}" in str(refused.value)


def test_the_cache_gives_back_what_matches_and_forgets_what_does_not():
    checksum = images.sha256(IMAGE)
    assert images.cached(NAME, checksum) is None
    images.keep(NAME, IMAGE)
    assert images.cached(NAME, checksum) == IMAGE
    (images.CACHE / str(NAME)).write_bytes(IMAGE[:-1])
    assert images.cached(NAME, checksum) is None
    assert not (images.CACHE / str(NAME)).exists()


def test_the_projects_own_lock_is_sound(monkeypatch: pytest.MonkeyPatch, place: Path):
    """Each line names a board, a release and its day; a copy takes a line more."""
    shutil.copy(REAL_LOCK, images.LOCK)
    lock = images.Lock()
    assert lock.default in lock.releases
    assert all(re.fullmatch(r"20\d{6}", day) for day in lock.releases.values())
    sums = re.findall(r'^"(.*)" = "(\w{64})"$', images.LOCK.read_text(), re.MULTILINE)
    for text, checksum in sums:
        name = images.parse_name(text)
        assert name and name.board in flash_board.names() and lock.releases[name.version] == name.date
        assert lock.checksum(name) == checksum
    assert len({checksum for _, checksum in sums}) == len(sums) > 0
    w5100s = lock.name(flash_board.load("W5100S_EVB_PICO"), None)
    lock.add(w5100s, hashlib.sha256(b"").hexdigest())
    assert images.Lock().checksum(w5100s) == hashlib.sha256(b"").hexdigest()
