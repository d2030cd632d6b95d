"""The short form of long/storm.py."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from long.fleet import storm
from long.storm import problems
from tools import toolchain
from tools.fleet_figures import Storm

_BOARDS = 20
_LIMIT = 0.7  # of so few, by chance, more may try within a moment


def test_jitter_spreads_a_storm_and_all_boards_come_back(library: Path) -> None:
    def run(jitter: bool) -> Storm:
        return storm(toolchain.micropython(), library, _BOARDS, away=1.5, backoff=(0.5, 2), jitter=jitter)

    with ThreadPoolExecutor(2) as pool:
        jitter, fixed = pool.map(run, (True, False))
    assert not problems(jitter, _LIMIT), jitter
    assert not fixed.missing, fixed
    assert fixed.peak > jitter.peak, (fixed, jitter)  # all at the same moment: the measure can tell
