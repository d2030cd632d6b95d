"""What flashing must know of a board: boards/<name>/board.toml."""

import sys
from dataclasses import dataclass
from typing import Any

from tools.toolchain import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class FlashError(RuntimeError):
    """It was not flashed, or it is not known whether it works. The message says what to do."""


class NoSuchBoard(FlashError):
    """The board is not named, or not known."""


@dataclass(frozen=True)
class Board:
    """A board that can be flashed. `name` is what its images are called, `machine` what these call the board."""

    name: str
    title: str
    chip: str
    extension: str
    machine: str
    method: str
    offset: int = 0
    baud: int = 0
    family: int = 0
    board_id: str = ""


def names() -> list[str]:
    """Every board that has an image."""
    folders = sorted(path.parent for path in (ROOT / "boards").glob("*/board.toml"))
    return [folder.name for folder in folders if "image" in _read(folder.name)]


def load(name: str) -> Board:
    """The board of that name. Raises NoSuchBoard."""
    if name not in names():
        wanted = f"There is no board {name} that can be flashed." if name else "Which board is it?"
        raise NoSuchBoard(
            f"{wanted} Say BOARD=… (python -m tools flash: --board …), one of:\n  " + "\n  ".join(names())
        )
    facts = _read(name)
    flash = facts["flash"]
    return Board(
        name=facts["image"]["name"],
        title=facts["title"],
        chip=facts["chip"],
        extension=facts["image"]["extension"],
        machine=flash["machine"],
        method=flash["method"],
        offset=flash.get("offset", 0),
        baud=flash.get("baud", 0),
        family=flash.get("uf2_family", 0),
        board_id=flash.get("board_id", ""),
    )


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / "boards" / name / "board.toml").read_text(encoding="utf-8"))
