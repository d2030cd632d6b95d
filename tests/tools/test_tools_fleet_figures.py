"""The fleet's arithmetic, and how it is shown."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tools import fleet_measure, fleet_view
from tools.fleet_figures import Arrivals, Percentiles, Storm, Usage, percentiles
from tools.fleet_run import Costs, Plan, Result
from tools.fleet_view import Now

_LATENCY = Percentiles(0.0004, 0.002, 0.0125, 1.25)


def picture(seen: Now) -> str:
    """What a terminal of 120 columns shows."""
    console = Console(record=True, width=120, file=io.StringIO())
    console.print(fleet_view.picture(seen))
    return console.export_text()


def result(boards: int, tls: bool = False, **figures: float) -> Result:
    costs = Costs(450.0, 0.5, 4000.0, 4.0, 0.2, 0.1) if not tls else Costs(500.0, 0.6, 12000.0, 20.0, 1.0, 0.2)
    told = Result(Plan(boards, 60, 20, tls=tls), boards, 100 * boards, calm_s=20.0, calm_received=20 * boards)
    told.costs, told.latency, told.payload = costs, _LATENCY, 200.0
    for name, value in figures.items():
        setattr(told, name, value)
    return told


def test_percentiles_are_of_the_nearest_rank() -> None:
    assert percentiles(range(100, 0, -1)) == Percentiles(50, 95, 99, 100)
    assert percentiles([7.0]) == Percentiles(7, 7, 7, 7)
    assert percentiles([3.0, 1.0]) == Percentiles(1, 3, 3, 3)
    assert percentiles([]) is None


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_so_many_values_are_within_a_percentile(values: list[float]) -> None:
    found = percentiles(values)
    assert found
    for limit, share in ((found.p50, 50), (found.p95, 95), (found.p99, 99), (found.max, 100)):
        assert limit in values
        assert sum(value <= limit for value in values) * 100 >= share * len(values)
        assert sum(value < limit for value in values) * 100 < share * len(values)


def test_a_reading_counts_once_whenever_it_comes() -> None:
    arrivals = Arrivals()
    for board, seq in ((1, 0), (1, 2), (1, 1), (1, 2), (2, 0), (1, 0)):
        arrivals.add(board, seq, 0.0, 0.1, 200)
    assert (arrivals.received, arrivals.twice, arrivals.bytes) == (4, 2, 800)
    assert [arrivals.of(board) for board in (1, 2, 3)] == [3, 1, 0]


def test_latency_is_of_what_was_sent_when_all_were_there() -> None:
    arrivals = Arrivals()
    arrivals.add(1, 0, 9.0, 9.9, 200)
    arrivals.add(1, 1, 9.5, 10.5, 200)
    assert arrivals.recent(10.5) == (2.0, None)
    arrivals.settled(10.0)
    arrivals.add(1, 2, 9.9, 10.9, 200)
    arrivals.add(1, 3, 11.0, 11.25, 200)
    assert arrivals.latency() == Percentiles(0.25, 0.25, 0.25, 0.25)
    assert arrivals.recent(11.9) == (2.0, Percentiles(0.25, 0.25, 0.25, 0.25))
    assert arrivals.recent(30.0) == (0.0, None)


def test_what_a_storm_holds_up_counts_apart() -> None:
    arrivals = Arrivals()
    arrivals.settled(0.0)
    arrivals.add(1, 0, 9.0, 9.5, 200)
    arrivals.storm(10.0)
    arrivals.add(1, 1, 9.75, 15.75, 200)
    arrivals.storm(10.0, 16.0)
    arrivals.add(1, 2, 11.0, 19.0, 200)
    arrivals.add(1, 3, 17.0, 17.25, 200)
    assert arrivals.latency() == Percentiles(0.25, 0.5, 0.5, 0.5)
    assert arrivals.latency(stormy=True) == Percentiles(6, 8, 8, 8)


def test_a_storm_by_the_second() -> None:
    storm = Storm(3, 1.0, attempts=[0.1, 0.15, 0.19, 0.95, 1.5, 3.0], back=[1.5, 3.2])
    assert (storm.missing, storm.peak) == (1, 3)
    assert storm.per_second(storm.attempts) == [4, 1, 0, 1]
    assert storm.per_second(storm.back) == [0, 1, 0, 1]
    shown = fleet_view.histogram(storm).splitlines()
    assert [line.split()[:3] for line in shown[1:]] == [
        ["0", "4", "0"],
        ["1", "1", "1"],
        ["2", "0", "0"],
        ["3", "1", "1"],
    ]
    assert [line.count("#") for line in shown[1:]] == [40, 10, 0, 10]
    assert "2 of 3 are back, the last after 3.2 s; at most 3 tried" in fleet_view.storm_line(storm)
    assert fleet_view.storm_line(Storm(3)) == "the broker is away"
    assert fleet_view.histogram(Storm(3)).splitlines()[1:] == ["     0         0     0"]


def test_the_picture_has_all_there_is_to_see() -> None:
    boards, broker = Usage(500, 512_000, 400_000, 9.0), Usage(1, 4096, 3000, 1.0)
    storm = Storm(500, 5.0, attempts=[0.1, 0.2, 6.0], back=[6.0])
    seen = Now(
        Plan(500, 60, 30), "127.0.0.1 port 1883", "the boards come back", 7.0, 487, 483.25, 12345, 2, _LATENCY, 13
    )
    seen.boards, seen.boards_cpu, seen.broker, seen.broker_cpu, seen.storm = boards, 0.5, broker, 0.125, storm
    shown = picture(seen)
    for wanted in (
        "500 boards, 60 messages a minute each, to the broker at 127.0.0.1 port 1883: the boards come back, 7 s",
        "487 of 500 connected",
        "483.2 a second, 12,345 in all, 2 twice",
        "p50 0.4  p95 2.0  p99 12.5  max 1,250 ms",
        "500.0 MB (PSS), 1,024 KB each, 50.0% of a CPU",
        "4.0 MB (PSS), 12.5% of a CPU",
        "1 of 500 are back",
        "█▁▁▁▁▁▅ attempts in each second",
        "▁▁▁▁▁▁█ back in each second",
        "30 s of publishing, then it ends.",
    ):
        assert wanted in shown
    assert re.search(r"reconnects +13\b", shown)
    assert fleet_view.line(seen).startswith(
        "fleet: the boards come back: 487 of 500 connected, 483.2 messages a second"
    )


def test_where_nothing_is_known_nothing_is_claimed() -> None:
    shown = picture(Now(Plan(5), "192.168.1.10 port 1883"))
    assert "no latency yet" in shown
    assert shown.count("not known here") == 2
    assert "storm" not in shown
    assert "Ctrl-C ends it." in shown
    told = fleet_view.summary(Result(Plan(5)))
    assert "PSS" not in told
    assert "latency" not in told


def test_the_summary_ends_with_what_is_wrong() -> None:
    good = result(50)
    assert good.problems() == []
    assert fleet_view.summary(good).splitlines()[2] == (
        "latency     p50 0.4  p95 2.0  p99 12.5  max 1,250 ms, at 50.0 messages a second"
    )
    bad = result(50, connected=48, lost=3, silent=1, waiting=4)
    assert [line for line in fleet_view.summary(bad).splitlines() if line.startswith("fleet: ")] == [
        "fleet: 2 of 50 boards were not connected",
        "fleet: 1 boards ended without telling what they have published",
        "fleet: 4 messages at QoS 1 waited in boards that had no connection when they ended",
        "fleet: 3 messages at QoS 1 were accepted by a board and did not arrive",
    ]


def test_the_page_multiplies_what_was_measured() -> None:
    results = [result(50), result(500), result(50, tls=True), result(500, tls=True), result(500, tls=True)]
    results[-1].storm = Storm(500, 5.0, [0.1, 6.0], [6.0] * 500)
    parts = fleet_measure.page_parts(results, "the command")
    assert set(parts) == set(fleet_measure.PARTS)
    assert parts["measured"].count("\n| ") == 5
    assert (
        "| 500 | TLS | 500 | 0.60 | 12,000 | 20.0 | 0.200 | 1.00 | 0.4 | 2.0 | 12.5 | 1,250.0 | 0 |"
        in parts["measured"]
    )
    assert "the command" in parts["measured"]
    rows = {row.split(" | ")[0].lstrip("| "): row.split(" | ")[1:3] for row in parts["arithmetic"].splitlines()}
    assert rows["messages a second"] == ["10,000", "10,000"]
    assert rows["memory for the connections, GB"] == ["0.4", "2.0"]
    assert rows["CPUs for the messages"] == ["1.0", "2.0"]
    assert rows["CPU to connect all of them once, s"] == ["20", "100"]
    assert rows["the same on 8 CPUs, s"] == ["2.5", "12.5"]
    assert rows["CPUs when they come back after some minutes"] == ["0.7", "3.3"]
    assert rows["a reading and its PUBACK, bytes"] == ["360", "418"]
    assert "| 60 | 45 | 2,222 | 7.14 | 10.48 | 90 |" in parts["keepalive"]
    assert "all 500 are back" in parts["storm"]


def test_the_page_has_a_place_for_each_part() -> None:
    page = fleet_measure.DOC.read_text(encoding="utf-8")
    written = fleet_measure.written(page, {name: f"new {name}" for name in fleet_measure.PARTS})
    for name in fleet_measure.PARTS:
        assert f"<!-- {name} -->\nnew {name}\n<!-- /{name} -->" in written
    with pytest.raises(ValueError, match="no <!-- storm -->"):
        fleet_measure.written(page.replace("<!-- storm -->", ""), {"storm": "new"})


def test_what_is_measured_in_turn() -> None:
    plans = list(fleet_measure.plans([50, 500], 60, None))
    assert [(plan.boards, plan.tls, plan.storm) for plan in plans] == [
        (50, False, False),
        (500, False, False),
        (50, True, False),
        (500, True, False),
        (500, True, True),
    ]
