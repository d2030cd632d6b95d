"""`make boards`: what is plugged in, and what it runs."""

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from tools import deploy_build, flash_uf2, remote, tables
from tools.deploy_build import DeployError
from tools.remote import Info, Remote, RemoteError

_AT_ONCE = 8
_PATIENCE_S = 5.0
_BOOTLOADER = "RPI-RP2"  # the drive of an RP2040 on which no program runs


@dataclass(frozen=True)
class Found:
    """One port. `info` None: `problem` says why nothing is known of what is behind it."""

    port: str
    description: str
    info: Info | None = None
    problem: str = ""

    @property
    def board(self) -> str:
        """The folder of boards/, or what the board calls itself."""
        if not self.info:
            return ""
        with suppress(DeployError):
            return deploy_build.recognise(self.info)
        return self.info.board or self.info.machine or self.info.platform

    @property
    def advice(self) -> str:
        """What to do next with this board, in a word or two."""
        if not self.info:
            return self.problem
        try:
            deploy_build.check(self.info)
        except DeployError as error:
            return str(error).splitlines()[0]
        return "" if self.info.fieldmqtt else "make provision, make deploy"

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        info = dataclasses.asdict(self.info) if self.info else None
        return {"port": self.port, "description": self.description, "board": self.board} | {
            "info": info,
            "advice": self.advice,
        }


def look(port: str, description: str = "") -> Found:
    """Ask the board at a port; its program is stopped for that, and started again."""
    try:
        with Remote(port, timeout=_PATIENCE_S, soft_reset=False) as board:
            try:
                return Found(port, description, board.info())
            finally:
                board.restart()
    except RemoteError as error:
        lines = str(error).splitlines()
        return Found(port, description, problem=lines[0].removeprefix(f"{port}: "))


def look_at_all(port: str | None = None) -> list[Found]:
    """Every board that is plugged in; those of `port` (with commas between them) only if it is given."""
    if port and port != "all":
        ports = [(name, "") for name in port.split(",")]
    else:
        ports = [(one.device, one.description) for one in remote.ports()]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(lambda one: look(*one), ports))
    waiting = [] if port and port != "all" else flash_uf2.volumes(_BOOTLOADER)
    return found + [Found(str(path), "RP2040 bootloader", problem="make flash BOARD=…") for path in waiting]


def _table(boards: list[Found]) -> Table:
    table = Table("port", "board", "chip", "MicroPython", "free flash", "fieldmqtt", "what to do")
    for one in boards:
        info = one.info
        chip = info.machine.rpartition(" with ")[2] if info else one.description
        known = (info.micropython, _size(info.flash_free), info.fieldmqtt or "none") if info else ("?", "", "")
        table.add_row(*map(escape, (one.port, one.board or "?", chip, *known, one.advice)))
    return table


def _size(number: int) -> str:
    return f"{number / 1024:,.0f} KB" if number < 10_000_000 else f"{number / 1e6:,.0f} MB"


Port = Annotated[
    str | None, typer.Option(help="Look at this port only, or several with commas; else at all USB ports.")
]
Json = Annotated[bool, typer.Option("--json", help="For scripts.")]


def main(port: Port = None, as_json: Json = False) -> None:
    """What is plugged in: port, chip, MicroPython, free flash, fieldmqtt's version. Running programs are restarted."""
    boards = look_at_all(port or None)
    if as_json:
        print(json.dumps([one.as_dict() for one in boards], indent=2))
    elif boards:
        tables.show(tables.console(), _table(boards))
    else:
        typer.echo(remote.NO_BOARD, err=True)
    if not boards or (port and not any(one.info for one in boards)):
        raise typer.Exit(1)
