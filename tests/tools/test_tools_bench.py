"""`make bench` runs, counts what can be counted, and says what it lacks."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools import bench, bench_peers, bench_run, toolchain

_QUICK_S = 180  # on a slow computer
pytestmark = pytest.mark.timeout(_QUICK_S + 30)  # the fixture's time counts as the first test's


@pytest.fixture(scope="module")
def quick() -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tools", "bench", "--quick"]
    return subprocess.run(command, cwd=toolchain.ROOT, capture_output=True, text=True, timeout=_QUICK_S)


@pytest.fixture(scope="module")
def report(quick: "subprocess.CompletedProcess[str]") -> dict:
    assert quick.returncode == 0, quick.stdout + quick.stderr
    return json.loads(bench.QUICK_OUTPUT.read_text())


def test_help_names_the_options():
    command = [sys.executable, "-m", "tools", "bench", "--help"]
    run = subprocess.run(command, cwd=toolchain.ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0
    assert {"--quick", "--rounds", "--one-cpu"} <= set(run.stdout.split())


def test_every_case_runs_with_every_client_that_has_it(report: dict):
    assert set(report["cases"]) == set(bench_run.CASES)
    for figures in report["cases"].values():
        assert {bench_run.BARE, bench_run.SYNC, bench_run.ASYNCIO} <= set(figures)
        assert figures[bench_run.BARE]["ratio"] == 1
        assert all(client["per_second"] > 0 for client in figures.values())


def test_bytes_on_the_wire(report: dict):
    """A message of 64 bytes with a topic of 19: what the specification makes of it, in both versions."""
    for client in (bench_run.BARE, bench_run.SYNC, bench_run.ASYNCIO):
        wire = {case: figures[client]["wire"] for case, figures in report["cases"].items()}
        expected = {bench_run.QOS0: 87, bench_run.QOS1: 93, bench_run.WINDOW: 93, bench_run.QOS2: 101}
        assert wire == expected | {bench_run.RECEIVE: 87}
    for case, figures in report["cases"].items():
        if bench_run.FIVE in figures:
            saved = figures[bench_run.FIVE_PLAIN]["wire"] - figures[bench_run.FIVE]["wire"]
            assert saved == (0 if case == bench_run.RECEIVE else 16), "a topic of 19, an alias of 3"


def test_budgets_of_heap_are_met(report: dict):
    heap = [budget for budget in report["budgets"] if budget["what"].startswith("heap")]
    assert len(heap) == 2
    assert all(budget["met"] for budget in heap), heap


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
def test_budget_of_instructions_is_met(report: dict):
    (budget,) = [budget for budget in report["budgets"] if budget["what"].startswith("instructions")]
    assert budget["met"], budget


def test_budgets_of_size_are_shown(report: dict):
    sizes = {budget["what"]: budget["limit"] for budget in report["budgets"] if budget["what"].startswith(".mpy")}
    assert sizes == {
        ".mpy of 3.1.1 synchronous client, bytes": "<= 9,216",
        ".mpy of everything, bytes": "<= 20,480",
        ".mpy of everything without options, bytes": "<= 22,528",
        ".mpy of the outbox on flash, bytes": "<= 6,144",
        ".mpy of WebSocket, bytes": "<= 2,048",
        ".mpy of MQTT 5, bytes": "<= 4,096",
        ".mpy of MQTT 5, both clients, bytes": "<= 20,480",
    }


def test_what_a_script_reads_is_plain_text(quick: "subprocess.CompletedProcess[str]"):
    assert quick.stdout.splitlines()[-1] == "bench: written to build/bench-quick.json"
    assert quick.stdout.isascii()
    assert "| QoS 1, one by one |" in quick.stdout


def test_a_client_that_does_not_run_is_an_error_that_says_why():
    nobody = bench_run.Bench(toolchain.micropython(), None, port=1)
    with pytest.raises(bench_run.BenchError, match=r"(?s)^bare socket, QoS 1, one by one: .*ECONNREFUSED"):
        nobody.speed(bench_run.BARE, bench_run.QOS1)


def test_a_receiver_that_never_subscribes_is_an_error_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    silent = tmp_path / "micropython"
    silent.write_text("#!/bin/sh\nexec sleep 30\n")
    silent.chmod(0o755)
    monkeypatch.setattr(bench_run, "_TIMEOUT_S", 0.3)
    began = time.monotonic()
    with pytest.raises(bench_run.BenchError, match=r"receive QoS 0: no end after 0\.3 s"):
        bench_run.Bench(silent, None, port=1).speed(bench_run.BARE, bench_run.RECEIVE)
    assert time.monotonic() - began < 10


def test_umqtt_simple_that_cannot_be_had_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(toolchain, "TOOLCHAIN", tmp_path)
    for name, value in {"PIP_INDEX_URL": tmp_path.as_uri(), "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(bench_peers.PeerMissing, match=r"could not download micropython-umqtt\.simple"):
        bench_peers.umqtt_simple()
    assert not list((tmp_path / "peers").iterdir())


def test_without_umqtt_simple_the_others_still_run():
    alone = bench_run.runs(bench_run.Bench(toolchain.micropython(), None, port=1))
    assert all(bench_run.UMQTT not in clients for clients in alone.values())
    assert all(bench_run.SYNC in clients for clients in alone.values())
