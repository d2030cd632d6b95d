"""MicroPython's images by version: their names, their checksums (boards/images.lock), and downloading them.

An image of a known checksum is taken from the network or from the cache alike, and used only if it matches. Of an image
without one, what was downloaded is shown to a person before it is trusted; from then on its checksum is in the lock.
"""

import hashlib
import os
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from tools.flash_board import Board, FlashError
from tools.toolchain import ROOT, TOOLCHAIN

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LOCK = ROOT / "boards" / "images.lock"
CACHE = TOOLCHAIN / "images"
SOURCE = "https://micropython.org/resources/firmware/"

_PAGE = "https://micropython.org/download/{}/"
_NAME = re.compile(r"(?P<board>[A-Z][A-Z0-9_]*)-(?P<date>20\d{6})-v(?P<version>\d+\.\d+\.\d+)\.(?P<extension>uf2|bin)")
_TIMEOUT_S = 30
_PATIENCE_S = 900  # for all of a file
_CHUNK = 1 << 16
_LARGEST = 32 << 20  # of flash, doubled by UF2; what is longer is no image

Progress = Callable[[int, int], None]  # bytes so far, bytes in all or 0


@dataclass(frozen=True)
class Name:
    """The name of an image's file, in its parts."""

    board: str
    date: str
    version: str
    extension: str

    def __str__(self) -> str:
        return f"{self.board}-{self.date}-v{self.version}.{self.extension}"


def parse_name(text: str) -> Name | None:
    """The parts of a file name of the download page; None for another one, of a preview or a variant too."""
    found = _NAME.fullmatch(text)
    return Name(**found.groupdict()) if found else None


def sha256(data: bytes) -> str:
    """The checksum, as the lock has it."""
    return hashlib.sha256(data).hexdigest()


class Lock:
    """boards/images.lock: the day of each release, and the checksums."""

    def __init__(self) -> None:
        self._path = LOCK
        self._load(LOCK.read_text(encoding="utf-8"))

    def _load(self, text: str) -> None:
        facts = tomllib.loads(text)
        self._text = text
        self.default: str = facts["default"]
        self.releases: dict[str, str] = facts["releases"]
        self._sums: dict[str, str] = facts["sha256"]

    def name(self, board: Board, version: str | None) -> Name:
        """The image of a board; without a version that of the default one. Raises FlashError."""
        number = (version or self.default).removeprefix("v")
        if number not in self.releases:
            raise FlashError(
                f"MicroPython {number} is not in boards/{self._path.name}. Known: {', '.join(self.releases)}.\n"
                f"For another one, download its image from {_PAGE.format(board.name)} and add it:\n"
                f"  python -m tools flash --board {board.name} --add-image FILE"
            )
        return Name(board.name, self.releases[number], number, board.extension)

    def checksum(self, name: Name) -> str | None:
        """The SHA-256 of an image; None if nobody has told it yet."""
        return self._sums.get(str(name))

    def add(self, name: Name, checksum: str) -> None:
        """Write an image's checksum and its release into the file. Raises FlashError when the file says otherwise."""
        known, day = self.checksum(name), self.releases.get(name.version, name.date)
        if (known, day) not in ((None, name.date), (checksum, name.date)):
            raise FlashError(
                f"boards/{self._path.name} says otherwise of {name}: it has "
                + (f"the checksum {known}, this file {checksum}." if day == name.date else f"the day {day}.")
                + "\nIs the file MicroPython's own? If it is, correct the line there by hand."
            )
        text = self._text
        if name.version not in self.releases:
            text = _insert(text, "releases", name.version, name.date)
        if not known:
            text = _insert(text, "sha256", str(name), checksum)
        self._load(text)
        _replace(self._path, text.encode())


def _insert(text: str, table: str, key: str, value: str) -> str:
    """With a line at the end of a table; what people wrote into the file stays as it is."""
    head, mark, rest = text.partition(f"\n[{table}]\n")
    lines, gap, others = rest.partition("\n\n")
    lines = lines.rstrip("\n") + f'\n"{key}" = "{value}"'
    return head + mark + lines + (gap + others if gap else "\n")


def _replace(path: Path, data: bytes) -> None:
    """Write a file so that there is the old one or the new one, whatever happens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        half.write_bytes(data)
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def keep(name: Name, data: bytes) -> None:
    """Put an image into the cache."""
    _replace(CACHE / str(name), data)


def cached(name: Name, checksum: str) -> bytes | None:
    """The image from the cache. One that does not match its checksum is removed."""
    path = CACHE / str(name)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    if sha256(data) == checksum:
        return data
    path.unlink()
    return None


def download(name: Name, checksum: str | None, source: str, progress: Progress) -> bytes:
    """The image from the network; nothing is kept. Raises FlashError, which says how to do without a network."""
    url = f"{source.rstrip('/')}/{name}"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            data = _receive(answer, progress)
    except urllib.error.HTTPError as error:
        raise FlashError(_refused(url, error, name)) from error
    except (OSError, HTTPException, ValueError) as error:
        raise FlashError(_unreachable(url, error, name)) from error
    if checksum and sha256(data) != checksum:
        raise FlashError(
            f"{url} is not the image that boards/{LOCK.name} knows: SHA-256 {sha256(data)}, expected {checksum}.\n"
            "Nothing was kept. Run this again; if it stays so, somebody between here and there changes the file."
        )
    return data


def _receive(answer: HTTPResponse, progress: Progress) -> bytes:
    length = int(answer.headers.get("Content-Length") or 0)
    data = bytearray()
    deadline = time.monotonic() + _PATIENCE_S
    while chunk := answer.read1(_CHUNK):  # what is there: a server that dribbles must not keep this waiting
        if time.monotonic() > deadline:
            raise ValueError(f"only {len(data)} bytes came in {_PATIENCE_S} s")
        data += chunk
        progress(len(data), length)
        if len(data) > _LARGEST:
            raise ValueError(f"more than {_LARGEST >> 20} MB: this is no image")
    if len(data) < length:
        raise ValueError(f"it broke off after {len(data)} of {length} bytes")
    return bytes(data)


def _refused(url: str, error: urllib.error.HTTPError, name: Name) -> str:
    return (
        f"{url}: the server says {error.code} {error.reason}.\n"
        f"Is there an image of this version on {_PAGE.format(name.board)}? Download it there, and give it as\n"
        f"  python -m tools flash --board {name.board} --image FILE"
    )


def _unreachable(url: str, error: Exception, name: Name) -> str:
    return (
        f"{url} could not be downloaded ({getattr(error, 'reason', error)}).\n"
        "Is this computer offline, or behind a proxy (then set https_proxy)? Run this again when it is not, or fetch\n"
        "the file on another computer and give it as\n"
        f"  python -m tools flash --board {name.board} --image {name}"
    )
