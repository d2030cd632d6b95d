"""Where the settings of a board are: on the board itself, or in a folder of this computer."""

import hashlib
import os
import re
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tools import deploy_build
from tools.deploy_build import DeployError
from tools.provision_schema import FILE
from tools.remote import Remote, RemoteExecError

_NEW = ".new"  # a file is written under this name first
# What was written here: certificates, and what a cable that came out has left.
OURS = re.compile(r"(ca|cert|key)-[0-9a-f]{8}\.der(\.new)?|(config\.json|laninfo\.txt)\.new")


class TargetError(RuntimeError):
    """What was to be written is not there now; the message says what to do."""


class Target(Protocol):
    """A place for the files of one board. `board`: upstream's name or None; `chip_name`: the name without another."""

    where: str
    board: str | None
    chip_name: str | None

    def read(self, name: str) -> bytes | None:
        """The content of a file, None if there is none."""

    def holds(self, name: str, data: bytes) -> bool:
        """Whether a file is there and has this content, read anew."""

    def write(self, name: str, data: bytes) -> None:
        """Write a file, so that at any time the old one or the new one is there."""

    def remove(self, name: str) -> None:
        """Remove a file; it may be gone already."""

    def leftovers(self) -> list[str]:
        """Every file that was written here once, where all of them are one board's."""


class BoardTarget:
    """The files of a board at a port."""

    def __init__(self, remote: Remote, board: str | None = None) -> None:
        info = remote.info()
        self._remote, self.where = remote, remote.port
        self.board = board
        with suppress(DeployError):  # nobody knows it: its owner is asked what it has
            self.board = board or deploy_build.recognise(info)
        self.chip_name: str | None = info.unique_id or None

    def read(self, name: str) -> bytes | None:
        return self._remote.get(name) if self._remote.exists(name) else None

    def holds(self, name: str, data: bytes) -> bool:
        # The board reads and hashes it: keys and passwords need not travel back.
        return self._remote.hashes([name]).get(name) == hashlib.sha256(data).hexdigest()

    def write(self, name: str, data: bytes) -> None:
        try:
            self._remote.put(name + _NEW, data)
            self._remote.rename(name + _NEW, name)
        except RemoteExecError as error:
            said = error.last_line
            hint = "make room on the board" if "28" in said or "ENOSPC" in said else "see docs/first-board.md"
            raise TargetError(
                f"{self.where}: {name} was not written ({said}); what was there still is. {hint}"
            ) from None

    def remove(self, name: str) -> None:
        if self._remote.exists(name):
            self._remote.remove(name)

    def leftovers(self) -> list[str]:
        return [name for name in self._remote.list() if OURS.fullmatch(name)]


class FolderTarget:
    """A config.json of this computer, certificates beside it. Everything is readable by its owner only."""

    def __init__(self, path: Path, board: str | None = None) -> None:
        self._path, self.where, self.board = path, str(path), board
        self.chip_name: str | None = None

    def _file(self, name: str) -> Path:
        return self._path if name == FILE else self._path.parent / name

    def read(self, name: str) -> bytes | None:
        try:
            return self._file(name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TargetError(f"{self._file(name)}: {error.strerror}; is the path right?") from None

    def holds(self, name: str, data: bytes) -> bool:
        return self.read(name) == data

    def write(self, name: str, data: bytes) -> None:
        path = self._file(name)
        refuse_tracked(path)
        new = path.with_name(path.name + _NEW)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            new.unlink(missing_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise TargetError(f"{path}: not written ({error.strerror}); what was there still is") from None

    def remove(self, name: str) -> None:
        try:
            self._file(name).unlink(missing_ok=True)
        except OSError as error:
            raise TargetError(f"{self._file(name)}: not removed ({error.strerror}); remove it by hand") from None

    def leftovers(self) -> list[str]:
        return []  # a folder may be shared by the configurations of many boards


class Nowhere:
    """No board and no folder: for a check or a plan of what a file says."""

    def __init__(self, board: str | None) -> None:
        self.where, self.board = "no board", board
        self.chip_name: str | None = None

    def read(self, name: str) -> bytes | None:
        return None

    def holds(self, name: str, data: bytes) -> bool:
        return False

    def write(self, name: str, data: bytes) -> None:
        raise TargetError("there is no board; give --port or --output")

    def remove(self, name: str) -> None:
        raise TargetError("there is no board; give --port or --output")

    def leftovers(self) -> list[str]:
        return []


def refuse_tracked(path: Path) -> None:
    """Raise TargetError when git would take up this file: it holds secrets."""
    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    try:
        asked = subprocess.run(
            ["git", "-C", str(folder), "check-ignore", "--quiet", str(path.absolute())], capture_output=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return  # no git here: nothing takes it up
    if asked.returncode == 1:  # in a repository, and not ignored
        hint = "below build/ it would be ignored: --output build/NAME/config.json"
        raise TargetError(f"{path}: git does not ignore this file, and it may hold secrets; {hint}")


def deliver(target: Target, files: dict[str, bytes], unneeded: list[str]) -> None:
    """Write the files in their order, the last one counts; read each back; then remove what nothing names any more.

    Certificates have new names when they are new, so until config.json is replaced nothing has changed for the board.
    """
    for name, data in files.items():
        if not target.holds(name, data):
            target.write(name, data)
        if not target.holds(name, data):
            hint = "Repeat the command; if it stays so, its flash is worn out or the cable is bad"
            raise TargetError(f"{target.where}: {name} reads back differently from what was written. {hint}")
    for name in unneeded:
        target.remove(name)
