"""The outbox on the file system that boards have: littlefs in RAM, whose power goes at any operation."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flash import power_cuts, wear
from support.device import LIB, Device

_SEEDS = (1, 2)
_STEP = 11  # of the operations of a life, every so many-th; power_cuts.py makes them all
_CASES = 4


@pytest.mark.parametrize("seed", _SEEDS)
def test_power_cuts(micropython: Path, seed: int) -> None:
    result = power_cuts.cut(micropython, seed, seed, _STEP, (4,))
    assert not result.failures, "\n".join(result.failures)
    assert result.cuts >= 2 * (result.operations // _STEP) > 50


def test_a_loss_is_seen(micropython: Path, tmp_path: Path) -> None:
    """Without the flush() that brings a record to flash."""
    lib = tmp_path / "lib"
    shutil.copytree(LIB / "fieldmqtt", lib / "fieldmqtt")
    segments = lib / "fieldmqtt" / "segments.py"
    text = segments.read_text()
    assert text.count("self._out.flush()") == 1
    segments.write_text(text.replace("self._out.flush()", "pass"))
    assert power_cuts.cut(micropython, 1, 1, 20, (4,), lib).failures


def test_cases(micropython: Path) -> None:
    device = Device(micropython, Path(__file__).parent / "littlefs" / "cases.py", heap="16m")
    try:
        assert len([line for line in device.finish(timeout=60) if line.startswith("passed")]) == _CASES
    finally:
        device.close()


def test_exit_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    for failures, code in (([], 0), (["FAILED seed 7"], 1)):
        results = [power_cuts.Result(7, 100, 200, failures)]
        monkeypatch.setattr(power_cuts, "cut_all", lambda _micropython, _seeds, results=results: iter(results))
        run = CliRunner().invoke(power_cuts.app, ["--seeds", "1"])
        assert run.exit_code == code and "200" in run.output
        assert ("FAILED seed 7" in run.output) == bool(failures)


def test_wear(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    doc = tmp_path / "flash.md"
    monkeypatch.setattr(wear, "_DOC", doc)
    begin, end = wear.MARKERS
    doc.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    run = CliRunner().invoke(wear.app, ["--messages", "300", "--write"])
    assert run.exit_code == 0, run.output
    lines = doc.read_text().splitlines()
    assert lines[:2] == ["before", begin] and lines[-2:] == [end, "after"] and "old" not in lines
    rows = [line.split(" | ") for line in lines if line.startswith("| QoS")]
    assert len(rows) == len(wear.KINDS)
    for _, programmed, erased, *_ in rows:
        assert 200 < int(programmed.replace(",", "")) < 8192 and 0 < float(erased) < 3
    doc.write_text("no markers")
    monkeypatch.setattr(wear, "measure", lambda *_: iter(()))
    assert CliRunner().invoke(wear.app, ["--write"]).exit_code == 2


def test_years() -> None:
    assert 1.89 < wear.years(10, 100) < 1.91, "1,000,000 messages, each a minute"
