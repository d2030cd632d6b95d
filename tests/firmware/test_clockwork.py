"""What takes hours: the firmware with virtual time, see clockwork.py."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tools.toolchain import ROOT

SCRIPT = Path(__file__).with_name("clockwork.py")


def run(micropython: Path, *case: str, folder: Path | None = None) -> str:
    """What a case prints; `folder` is the board's flash."""
    path = [ROOT / "firmware", ROOT / "lib", ROOT / "boards" / "unix", ".frozen"]
    environment = {**os.environ, "MICROPYPATH": os.pathsep.join(map(str, path))}
    shown = subprocess.run(
        [micropython, SCRIPT, *case], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    return shown.stdout


@pytest.mark.parametrize(
    ("case", "lines"),
    [
        (
            "silent_link",
            [
                "restarts after 9 min: 0",
                "restarts after 11 min: 1",
                "restarts after 21 min: 2",
                "hours to the reboot: 6.0",
            ],
        ),
        ("answering_broker", ["restarts: 0 reboot: False"]),
        ("second_outage", ["restarts after outage 1: 1", "restarts after outage 2: 2"]),
        ("link_down", ["restarts: 0 reboot: False"]),
        ("flapping_link", ["restarts: 1"]),
        ("uptime", ["[110.889] now", "reading: 110"]),
        ("schedule", ["in 60.9 s: 61", "after a gap: 62", "0.9 s later: 62", "1.1 s later: 63"]),
        ("many_commands", ["answers: 8 errors: 12"]),
        ("epoch", ["unix time: 1767139200"]),
        ("network_time", ["asked in 2 min: 3", "asked in 3 days: 6"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_clockwork(micropython: Path, case: str, lines: list[str]) -> None:
    printed = run(micropython, case).splitlines()
    assert [line for line in printed if line in lines] == lines, printed


@pytest.mark.parametrize(
    ("where", "ram", "flash"),
    [("RAM", 16384, 0), ("RAM", 65000, 0), ("flash", 16384, 262144), ("flash", 16384, 1000000)],
)
def test_what_the_documents_say_of_the_outbox(
    micropython: Path, tmp_path: Path, where: str, ram: int, flash: int
) -> None:
    """docs/boards.md promises a number of readings that an outage may last."""
    measured = int(run(micropython, "capacity", str(ram), str(flash), folder=tmp_path).splitlines()[-1])
    document = (ROOT / "docs" / "boards.md").read_text(encoding="utf-8")
    held = re.search(rf"\| {flash or ram} bytes of {where} \| (\d+) \|", document)
    assert held, "docs/boards.md says nothing of it"
    assert abs(int(held[1]) - measured) <= 0.03 * measured
