"""Nothing is lost, nothing comes twice at QoS 2, whatever the link and the broker do: the short form of soak.py.

The runs go side by side, nearly all of it is waiting. Each has its seed in its name; a failure prints the faults.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import pytest

from faults import scenarios
from faults.plan import CORRUPT
from faults.tally import Outcome
from faults.traffic import Traffic

Make = Callable[[], Traffic]

LOSSLESS = [partial(scenarios.lossless, face, seed, 100, 20, 1) for face, seed in (("sync", 1), ("asyncio", 2))]
ROUGH = [partial(scenarios.rough, face, seed, 60, 1) for face, seed in (("sync", 1), ("asyncio", 2))]
CORRUPTED = [partial(scenarios.corrupt, face, seed, 80, 20) for face, seed in (("sync", 1), ("asyncio", 2))]
FIVE = [partial(scenarios.lossless, face, seed, 60, 15, 1, "5") for face, seed in (("sync", 3), ("asyncio", 4))]
WEB = [
    partial(scenarios.lossless, face, seed, 60, 15, 1, "3.1.1", "ws") for face, seed in (("sync", 5), ("asyncio", 3))
]
KILLED = [partial(scenarios.device_killed, face, seed, 60, 8, 3) for face, seed in (("sync", 1), ("asyncio", 2))]
KILLED += [partial(scenarios.device_killed, "asyncio", 4, 60, 8, 3, "5")]
KILLED += [partial(scenarios.device_killed, "sync", 5, 60, 8, 5, "5 and 3.1.1")]


def _name(make: Make) -> str:
    version = f"-{make.args[5]}" if len(make.args) > 5 else ""
    return f"{make.args[0]}{version}{'-ws' if make in WEB else ''}-seed{make.args[1]}"


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[dict[Make, Future[Outcome]]]:
    """The runs that this session's tests ask for, all started."""
    wanted = [item.callspec.params["make"] for item in request.session.items if item.path == request.path]
    with ThreadPoolExecutor(len(wanted)) as pool:
        yield {make: pool.submit(lambda make=make: make().run()) for make in wanted}


@pytest.fixture
def outcome(running: dict[Make, Future[Outcome]], make: Make) -> Outcome:
    return running[make].result()


@pytest.mark.parametrize("make", LOSSLESS, ids=_name)
def test_bad_links(outcome: Outcome) -> None:
    assert not outcome.problems()
    assert sum(outcome.faults.values()) >= 20 and not outcome.faults[CORRUPT]
    assert not outcome.lost and not outcome.forgotten and not outcome.cut, "nothing here may be missing"


@pytest.mark.parametrize("make", WEB, ids=_name)
def test_bad_links_through_websocket(outcome: Outcome) -> None:
    """HTTP's request, frames cut anywhere, a server that is away: the same promises."""
    assert not outcome.problems()
    assert sum(outcome.faults.values()) >= 15 and not outcome.faults[CORRUPT]
    assert not outcome.lost and not outcome.twice and not outcome.out_of_order and not outcome.forgotten


@pytest.mark.parametrize("make", FIVE, ids=_name)
def test_bad_links_with_version_5(outcome: Outcome) -> None:
    """Small Receive Maximums both ways, properties, topic aliases: the same promises."""
    assert not outcome.problems()
    assert sum(outcome.faults.values()) >= 15
    assert not outcome.lost and not outcome.exceeding and not outcome.damaged
    assert outcome.aliased > 20, "of some 120 messages"


@pytest.mark.parametrize("make", ROUGH, ids=_name)
def test_broker_killed_at_any_moment(outcome: Outcome) -> None:
    assert not outcome.problems()
    assert not outcome.lost


@pytest.mark.parametrize("make", CORRUPTED, ids=_name)
def test_bytes_that_change(outcome: Outcome) -> None:
    assert not outcome.problems()
    assert outcome.faults[CORRUPT] >= 10


@pytest.mark.parametrize("make", KILLED, ids=_name)
def test_device_killed_at_any_moment(outcome: Outcome) -> None:
    assert not outcome.problems()
    assert not outcome.lost and outcome.cut <= 3
