"""What a reader does: copy a program, put their broker into it, run it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docs_programs import adapted

from support.device import Device
from tools.broker import Broker
from tools.toolchain import ROOT


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker that knows nothing of the programs that ran before."""
    with Broker() as broker:
        yield broker


@pytest.fixture
def run(micropython: Path, tmp_path: Path) -> Iterator[Callable[..., Device]]:
    """Run a program (its text) under each MicroPython; whatever still runs at the end is killed."""
    running: list[Device] = []

    def start(program: str, name: str = "program.py") -> Device:
        script = tmp_path / name
        script.write_text(program)
        running.append(Device(micropython, script))
        return running[-1]

    yield start
    for device in running:
        device.close()


@pytest.fixture
def example(run: Callable[..., Device], face: str) -> Callable[..., Device]:
    """Run an example and its twin: example("publish", BROKER=…) with these values for the names at its top."""

    def start(name: str, **values: object) -> Device:
        name += ".py" if face == "sync" else "_async.py"
        return run(adapted((ROOT / "examples" / name).read_text(), **values), name)

    return start
