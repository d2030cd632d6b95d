"""Every call keeps its deadline, and nothing blocks, when the peer does not answer: the cases of deadlines.py."""

import warnings
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from faults import deadlines
from faults.deadlines import CASES, MARKERS, Case, Row
from tools import toolchain


@cache
def _rows(micropython: Path) -> dict[tuple[Case, str], Row]:
    """All cases, measured at the same time: nearly all of it is waiting."""
    return {(row.case, row.face): row for row in deadlines.measure_all(micropython)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_in_time(micropython: Path, face: str, case: Case) -> None:
    row = _rows(micropython)[case, face]
    if row.before:
        warnings.warn(f"{case.name}, {face}: measured again; the first time {row.before}", stacklevel=1)
    assert not row.problems


def _case(call: str) -> Case:
    return next(case for case in CASES if case.call == call)


def test_a_step_that_blocks_is_seen(face: str) -> None:
    with deadlines.bench(toolchain.micropython()) as measure:
        row = measure(_case("subscribe"), face, "hinder=30")
    assert row.outcome == "ETIMEDOUT" and row.over < deadlines.LATE_MS
    assert 29 <= row.step < 300 and 27 <= row.pause < 300
    assert len(row.problems) == 2


@pytest.mark.parametrize(
    ("measured", "problem"),
    [
        ({"took": 499}, ""),
        ({"took": 599, "step": 19.9, "pause": 19.9}, ""),
        ({"took": 601}, "101 ms after the deadline"),
        ({"took": 480}, "gave up after 480 ms"),
        ({"took": 500, "step": 20.6}, "a step of 21 ms"),
        ({"took": 500, "pause": 26}, "a check_msg() of 26 ms"),
        ({"took": 500, "outcome": "None"}, "ended with None, not ETIMEDOUT"),
    ],
)
def test_what_exceeds_a_limit(measured: dict, problem: str) -> None:
    row = Row(**{"case": _case("subscribe"), "face": "sync", "outcome": "ETIMEDOUT", **measured})
    assert ", ".join(row.problems) == problem


def test_a_peer_that_fails_is_a_problem() -> None:
    def fails(*_: object) -> None:
        raise AssertionError("the peer's own")

    with deadlines.bench(toolchain.micropython()) as measure:
        row = measure(Case("fails", "subscribe", fails), "sync")
    assert "the peer's own" in row.problems[0]


def _measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, took: float, text: str) -> tuple[int, str, str]:
    """Run the command with one row in the place of all: (exit code, output, the document afterwards)."""
    doc = tmp_path / "guarantees.md"
    doc.write_text(text)
    row = Row(_case("subscribe"), "sync", took=took, step=0.04, outcome="ETIMEDOUT", before=["a step of 21 ms"])
    monkeypatch.setattr(deadlines, "_DOC", doc)
    monkeypatch.setattr(deadlines, "measure_all", lambda _micropython: iter([row]))
    run = CliRunner().invoke(deadlines.app, ["--write"])
    return run.exit_code, run.output, doc.read_text()


def test_written_between_the_markers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    begin, end = MARKERS
    code, output, doc = _measured(monkeypatch, tmp_path, 501, f"before\n{begin}\nold\n{end}\nafter\n")
    assert code == 0
    assert "measured again; the first time a step of 21 ms" in output
    lines = doc.splitlines()
    assert lines[:2] == ["before", begin] and lines[-2:] == [end, "after"] and "old" not in lines
    assert lines[-3] == "| subscribe: SUBACK never comes (second try) | sync | 500 | 501 | 1 | 0.0 | 0.0 |"


def test_exit_codes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    marked = "\n".join(MARKERS)
    assert _measured(monkeypatch, tmp_path, 601, marked)[0] == 1, "a limit is exceeded"
    code, output, doc = _measured(monkeypatch, tmp_path, 501, "no markers")
    assert (code, doc) == (2, "no markers") and MARKERS[0] in output
