"""Virtual boards, a broker for them, and the host's command line."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from support.vboard import VirtualBoard
from tools import cli, deploy
from tools.broker import Broker

Plug = Callable[..., VirtualBoard]
Command = Callable[..., Result]


def configuration(port: int, name: str = "board", **changes: Any) -> str:
    """config.json of a board that measures twice a second."""
    mqtt = {"server": "127.0.0.1", "port": port, **changes.pop("mqtt", {})}
    return json.dumps({"name": name, "interval": 0.5, **changes, "mqtt": mqtt})


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


@pytest.fixture
def plug(tmp_path: Path) -> Iterator[Plug]:
    """Plug a virtual board in: plug(content=folder or {path: text}, capacity=…, …). It has begun to speak."""
    boards: list[VirtualBoard] = []

    def make(content: Path | dict[str, str] | None = None, **options: Any) -> VirtualBoard:
        folder = tmp_path / f"flash{len(boards)}"
        if isinstance(content, Path):
            shutil.copytree(content, folder)
        else:
            folder.mkdir()
            write(folder, content or {})
        boards.append(VirtualBoard(folder, **options))
        boards[-1].plug()
        boards[-1].wait_for("\n")
        return boards[-1]

    yield make
    for board in boards:
        board.__exit__()


def write(folder: Path, content: dict[str, str]) -> None:
    """Put texts onto a board's flash."""
    for name, text in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def files(board: VirtualBoard) -> dict[str, bytes]:
    """All that is on the flash but the readings that wait."""
    paths = (path for path in board.folder.rglob("*") if path.is_file())
    found = {path.relative_to(board.folder).as_posix(): path.read_bytes() for path in paths}
    return {name: data for name, data in found.items() if not name.startswith("outbox/")}


@pytest.fixture(scope="module")
def deployed(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The flash of a board that was deployed to and works, named `board`. To be copied, not to be changed."""
    folder = tmp_path_factory.mktemp("deployed")
    write(folder, {"config.json": configuration(broker.port)})
    with VirtualBoard(folder) as board:
        deploy.deploy(board.port, deploy.Options(), lambda text: None)
    shutil.rmtree(folder / "outbox")
    return folder


@pytest.fixture
def command() -> Command:
    """`python -m tools …`, in this process."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(cli.app, list(map(str, arguments)), catch_exceptions=False)

    return run
