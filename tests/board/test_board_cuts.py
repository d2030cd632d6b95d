"""The cable, and the power with it, goes at any moment of a deploy: the board starts the old version or the new one.

At a few moments here, from a seed; at all of them: `python tests/board/cuts.py`.
"""

import random
import shutil
from pathlib import Path

import pytest

from board import cuts
from support.vboard import VirtualBoard
from tools import deploy_plan, deploy_put
from tools.remote import Remote, RemoteError

pytestmark = pytest.mark.xdist_group("board-cuts")

_SEED, _CUTS = 5, 4


@pytest.fixture(scope="module", params=list(cuts.BEFORE))
def start(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The flash of a board before; its name tells the kind."""
    folder = tmp_path_factory.mktemp("cuts") / request.param
    cuts.before(request.param, folder)
    return folder


def test_a_cable_that_comes_out(start: Path):
    total = cuts.bytes_of(start)
    chance = random.Random(f"{_SEED} {start.name}")
    points = [chance.randrange(total) for _ in range(_CUTS)]
    points += [total - chance.randrange(2000) for _ in range(2)]  # near the switch
    seen = set()
    for at in points:
        first, second, left = cuts.cut_once(start, at)
        assert first in (cuts.BEFORE[start.name], cuts.NEW), f"cut after {at} of {total} bytes"
        assert (second, left) == (cuts.NEW, []), f"cut after {at} of {total} bytes"
        seen.add(first)
    assert cuts.BEFORE[start.name] in seen


def test_the_power_is_lost_between_two_renames(start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """From the switch on main.py goes on by itself, wherever it was stopped."""
    switched = tmp_path / "switched"
    shutil.copytree(start, switched)
    with VirtualBoard(switched) as board, Remote(board.port) as remote, monkeypatch.context() as patch:
        patch.setattr(deploy_put, "finish", lambda remote: None)
        cuts.bring(remote, 2)
    todo = (switched / deploy_plan.TODO).read_text().split("\n")
    assert todo[0] == "+main.py" and len(todo) > 4
    for done in range(len(todo) + 1):
        folder = tmp_path / f"after{done}"
        shutil.copytree(switched, folder)
        for line in todo[:done]:
            path = folder / line[1:]
            path.with_name(path.name + ".new").rename(path) if line[0] == "+" else path.unlink()
        with VirtualBoard(folder) as board:
            old = done == 0 and start.name != "ours"  # its main.py does not know of the switch
            assert cuts.started(board) == (cuts.BEFORE[start.name] if old else cuts.NEW), todo[:done]
        assert (folder / deploy_plan.TODO).exists() is old


def test_what_has_arrived_is_not_sent_again(tmp_path: Path):
    start = tmp_path / "bare"
    cuts.before("bare", start)
    with VirtualBoard(start) as board:
        with Remote(board.port) as remote, pytest.raises(RemoteError, match="repeat the command"):
            cuts.bring(remote, 2, board, cuts.bytes_of(start) - 3000)
        board.unplug()
        board.cut_at = None
        board.plug()
        with Remote(board.port) as remote:
            plan = deploy_plan.make(remote, cuts.project(2), {})
    assert plan.ready and set(plan.ready) < set(plan.put)


def test_nothing_is_left_of_a_version_that_was_given_up(tmp_path: Path):
    """The second version was cut off; the first, which does not have all of its files, follows."""
    start = tmp_path / "bare"
    cuts.before("bare", start)
    with VirtualBoard(start) as board:
        with Remote(board.port) as remote, pytest.raises(RemoteError):
            cuts.bring(remote, 2, board, cuts.bytes_of(start) - 600)
        assert (start / "only_in_2.py.new").exists()
        board.unplug()
        board.cut_at = None
        board.plug()
        with Remote(board.port) as remote:
            cuts.bring(remote, 1)
        board.unplug()
        assert cuts.started(board) == "runs 1 1 1 1"
    assert not [path for path in start.rglob("*") if path.suffix == ".new" or path.name == "only_in_2.py"]
