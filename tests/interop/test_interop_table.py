"""What the command makes of results: outcomes, exit code, and the table in a document."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from interop import interop, table
from interop.cases import BY_NAME, CASES, Case
from interop.cases_ends import Forbidden, Trial
from interop.cases_run import Run
from interop.served import TCP, Difference, Endpoint, Served
from interop.table import Cell, Column, Outcome, judged
from tools import tables
from tools.broker import BrokerError
from tools.packages import Unavailable

CANNOT = Difference("it has no such thing", "https://github.com/example/broker/issues/1")
KNOWN = Difference("it says so later", cannot=False)
DOCUMENT = f"# Brokers\n\n{table.MARKERS[0]}\n{table.MARKERS[1]}\n\nMore.\n"


@pytest.mark.parametrize(
    ("difference", "errors", "outcome"),
    [
        (None, [], Outcome.WORKS),
        (None, ["sync: nothing came"], Outcome.FAILED),
        (CANNOT, ["sync: nothing came", "asyncio: nothing came"], Outcome.CANNOT),
        (KNOWN, ["sync: nothing came"], Outcome.KNOWN),
        (CANNOT, [], Outcome.STALE),
        (KNOWN, [], Outcome.STALE),
    ],
)
def test_outcomes(difference: Difference | None, errors: list[str], outcome: Outcome) -> None:
    assert judged(difference, errors).outcome is outcome
    assert outcome.wrong == (outcome in (Outcome.FAILED, Outcome.STALE))


@pytest.mark.parametrize(
    ("case", "limits", "why"),
    [
        ("qos2", {"max_qos": 1}, "QoS 1 at most"),
        ("qos1", {"max_qos": 1}, ""),
        ("large_payload", {"max_payload": 131072}, "131,072 bytes of payload at most"),
        ("large_payload", {"max_payload": 262144}, ""),
        ("keepalive", {"keepalive": (30, 1200)}, "keep alive from 30 to 1200 s"),
        ("qos1", {"keepalive": (30, 1200)}, ""),
        ("qos1", {"keepalive": (120, 1200)}, "keep alive from 120 to 1200 s"),
        ("will", {}, ""),
    ],
)
def test_limits_of_an_operator(case: str, limits: dict[str, Any], why: str) -> None:
    assert BY_NAME[case].beyond(limits) == why


# --- A run with cases and a broker that are made up --------------------------------------


class Pretended(Served):
    """A broker that is none."""

    def __exit__(self, *exc: object) -> None:
        pass

    def restart(self) -> None:
        raise NotImplementedError

    def log(self) -> str:
        return "the end of the broker's log"


def fine(trial: Trial) -> None:
    pass


def wrong(trial: Trial) -> None:
    raise AssertionError("nothing came\nand more")


def wrong_with_asyncio(trial: Trial) -> None:
    assert trial.face == "sync"


def nothing_to_show(trial: Trial) -> None:
    raise Forbidden("it takes any")


def large(trial: Trial) -> None:
    raise AssertionError("is not to be run")


MADE_UP = [Case(fine), Case(wrong), Case(wrong_with_asyncio, alone=True), Case(nothing_to_show), Case(large, payload=9)]


def pretended(**values: Any) -> Pretended:
    return Pretended(name="pretended", version="1.0", endpoints={TCP: Endpoint(TCP, 1)}, **values)


def test_a_case_works_only_if_both_faces_do() -> None:
    run = Run(pretended(limits={"max_payload": 8}), Path(), MADE_UP, ("sync", "asyncio"))
    run.go(lambda event: None)
    cells = run.cells()
    assert {name: cell.outcome for name, cell in cells.items()} == {
        "fine": Outcome.WORKS,
        "wrong": Outcome.FAILED,
        "wrong_with_asyncio": Outcome.FAILED,
        "nothing_to_show": Outcome.CANNOT,
        "large": Outcome.LIMIT,
    }
    assert cells["wrong"].why == "sync: nothing came"
    assert cells["wrong_with_asyncio"].why.startswith("asyncio: ")
    failures = {(result.case.name, result.face) for result in run.failures()}
    assert failures == {("wrong", "sync"), ("wrong", "asyncio"), ("wrong_with_asyncio", "asyncio")}
    assert all("the end of the broker's log" in result.report for result in run.failures())


def test_what_is_known_is_no_failure() -> None:
    run = Run(pretended(differences={"wrong": CANNOT, "fine": KNOWN}), Path(), MADE_UP[:2], ("sync",))
    run.go(lambda event: None)
    assert run.cells() == {
        "fine": Cell(Outcome.STALE, "listed as: it says so later"),
        "wrong": Cell(Outcome.CANNOT, CANNOT.text, CANNOT.link),
    }
    assert not list(run.failures())


def test_what_fails_among_others_is_tried_again_alone() -> None:
    tried: list[str] = []

    def at_the_second_try(trial: Trial) -> None:
        tried.append(trial.face)
        assert tried.count(trial.face) == 2, "too much at a time"

    run = Run(pretended(), Path(), [Case(at_the_second_try), *MADE_UP[:2]], ("sync", "asyncio"))
    run.go(lambda event: None)
    why = "at the second try, alone; the first time sync: too much at a time"
    assert run.cells()["at_the_second_try"] == Cell(Outcome.WORKS, why)
    assert run.cells()["wrong"].outcome is Outcome.FAILED
    assert len(list(run.failures())) == 2


def test_the_second_try_is_told_on_the_screen_only(command: Callable[..., Any], tmp_path: Path) -> None:
    tried: list[str] = []

    def at_the_second_try(trial: Trial) -> None:
        tried.append(trial.face)
        assert len(tried) > 1, "too much at a time"

    done = command({"one": pretended}, [Case(at_the_second_try)])
    assert done.exit_code == 0 and "one: at_the_second_try: at the second try, alone; the first" in done.output
    text = (tmp_path / "brokers.md").read_text()
    assert "`at_the_second_try` | works |" in text and "alone" not in text


def test_a_topic_that_is_too_deep_for_the_operator_cannot_be_tried() -> None:
    def deep(trial: Trial) -> None:
        assert trial.concerns(trial.topic("a/b"))

    for depth, outcome in ((2, Outcome.CANNOT), (3, Outcome.WORKS)):
        run = Run(pretended(limits={"topic_depth": depth}), Path(), [Case(deep)], ("sync",))
        run.go(lambda event: None)
        assert run.cells()["deep"].outcome is outcome


# --- The command -------------------------------------------------------------------------


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """The command with these brokers and the cases that are made up; its page is brokers.md in tmp_path."""
    page = tmp_path / "brokers.md"
    page.write_text(DOCUMENT)
    monkeypatch.setattr(interop, "_DOC", page)

    def start(brokers: dict[str, Callable[[], Any]], cases: list[Case], *arguments: str) -> Any:
        monkeypatch.setattr(interop, "BROKERS", brokers)
        monkeypatch.setattr(interop, "BY_NAME", {case.name: case for case in cases})
        return CliRunner().invoke(interop.app, list(arguments))

    yield start


def missing() -> Served:
    raise Unavailable("no network here")


def test_whole_run_writes_the_table(command: Callable[..., Any], tmp_path: Path) -> None:
    done = command({"one": pretended, "gone": missing}, MADE_UP[:1])
    assert done.exit_code == 0, done.output
    assert "gone: not there: no network here" in done.output
    text = (tmp_path / "brokers.md").read_text()
    assert "| case | one 1.0 |\n| --- | --- |\n| `fine` | works |\n" in text and text.endswith("More.\n")
    [one, gone] = table.parsed(text)
    assert (one.name, one.version, one.texts) == ("one", "1.0", {"fine": "works"})
    assert not gone.texts and "it could not be brought" in gone.notes[0]
    assert "no network" not in text, "a reason may name a place of this computer"


def test_a_broker_that_is_gone_keeps_its_column(command: Callable[..., Any], tmp_path: Path) -> None:
    command({"one": pretended, "other": pretended}, MADE_UP[:1])
    assert command({"one": pretended, "other": missing}, MADE_UP[:1]).exit_code == 0
    _, other = table.parsed((tmp_path / "brokers.md").read_text())
    assert other.texts == {"fine": "works"} and "its column is of" in other.notes[0]
    command({"one": pretended, "other": pretended}, MADE_UP[:1])
    assert not any(column.notes for column in table.parsed((tmp_path / "brokers.md").read_text()))


def test_part_of_a_run_writes_nothing(command: Callable[..., Any], tmp_path: Path) -> None:
    for arguments in (("--broker", "one"), ("--case", "fine"), ("--face", "sync")):
        assert command({"one": pretended}, MADE_UP[:1], *arguments).exit_code == 0
        assert (tmp_path / "brokers.md").read_text() == DOCUMENT
    assert command({"one": pretended}, MADE_UP[:1], "--broker", "one", "--write").exit_code == 0
    assert table.parsed((tmp_path / "brokers.md").read_text())
    assert command({"one": pretended}, MADE_UP[:1], "--case", "fine", "--write").exit_code == 2


def test_exit_codes(command: Callable[..., Any]) -> None:
    def does_not_start() -> Any:
        raise BrokerError("it ended at once")

    failed = command({"one": pretended}, MADE_UP[:2])
    assert failed.exit_code == 1
    assert "one: wrong: FAILED: sync: nothing came" in failed.output and "end of the broker's log" in failed.output
    stale = command({"one": lambda: pretended(differences={"fine": KNOWN})}, MADE_UP[:1])
    assert stale.exit_code == 1 and "works, remove the entry" in stale.output
    assert command({"one": pretended, "two": does_not_start}, MADE_UP[:1]).exit_code == 1
    assert command({"one": pretended, "two": missing}, MADE_UP[:1], "--broker", "two").exit_code == 1
    assert command({"one": missing}, MADE_UP[:1]).exit_code == 1
    assert command({"one": pretended}, MADE_UP[:1], "--broker", "unknown").exit_code == 2


# --- The table in a document -------------------------------------------------------------


def test_table_is_read_as_it_was_written() -> None:
    cells = {
        "will": Cell(Outcome.WORKS),
        "qos2": Cell(Outcome.LIMIT, "QoS 1 at most"),
        "tls": Cell(Outcome.CANNOT, CANNOT.text, CANNOT.link),
        "mtls": Cell(Outcome.CANNOT, CANNOT.text, CANNOT.link),
        "takeover": Cell(Outcome.FAILED, "sync: nothing came"),
    }
    columns = [Column.of("one", "1.0 (with 2)", "2026-11-21", cells), Column.of("two", "", "2026-11-20", {})]
    columns[1].texts["will"] = "works"
    text = tables.written(DOCUMENT, table.MARKERS, table.markdown(columns, [*cells, "never"]))
    assert table.parsed(text) == columns
    assert "| `takeover` | **FAILED** | not run |" in text
    assert f"- one, `tls`, `mtls`: {CANNOT.text} ([link]({CANNOT.link}))" in text
    again = table.markdown(table.parsed(text), [*cells, "never"])
    assert tables.written(text, table.MARKERS, again) == text


def test_all_of_mqtt_5_is_said_in_short() -> None:
    cells = dict.fromkeys(("v5_shared", "v5_will_delay", "takeover"), Cell(Outcome.CANNOT, CANNOT.text))
    assert Column.of("one", "", "", cells).notes == [f"- one, `takeover`, `v5_*`: {CANNOT.text}"]
    cells["v5_shared"] = Cell(Outcome.WORKS)
    assert Column.of("one", "", "", cells).notes == [f"- one, `v5_will_delay`, `takeover`: {CANNOT.text}"]


def test_columns_stand_in_the_order_of_the_brokers() -> None:
    old = [Column("c", date="old"), Column("a", date="old"), Column("removed")]
    new = [Column("b", date="new"), Column("a", date="new")]
    merged = table.merged(old, new, ["a", "b", "c"])
    assert [(column.name, column.date) for column in merged] == [
        ("a", "new"),
        ("b", "new"),
        ("c", "old"),
        ("removed", ""),
    ]


def test_no_place_for_the_table() -> None:
    with pytest.raises(ValueError, match="no <!-- brokers -->"):
        tables.written("# Brokers\n", table.MARKERS, "")


def test_every_case_says_what_it_shows() -> None:
    assert len(BY_NAME) == len(CASES)
    assert not [case.name for case in CASES if not case.run.__doc__]
