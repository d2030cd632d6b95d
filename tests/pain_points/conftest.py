"""Users' programs, and brokers that do to them what brokers do in the field."""

import os
import signal
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.device import Device
from tools import toolchain
from tools.broker import Broker

_BEFORE = """\
import errno, gc, os, sys, time
from fieldmqtt import MQTTClient
PORT = int(sys.argv[1])
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., Device]]:
    """Run a program under the newest MicroPython: program(text, port, *arguments). Imports and PORT come before it."""
    running: list[Device] = []

    def start(text: str, port: int, *arguments: object, heap: str = "256k") -> Device:
        script = tmp_path / f"program{len(running)}.py"
        script.write_text(_BEFORE + textwrap.dedent(text))
        running.append(Device(toolchain.micropython(), script, port, *arguments, heap=heap))
        return running[-1]

    yield start
    for device in running:
        device.close()


@pytest.fixture
def mosquitto() -> Iterator[Broker]:
    """A broker of the test's own. kill() makes it forget everything, stop() does not."""
    with Broker() as broker:
        yield broker


@contextmanager
def frozen(broker: Broker) -> Iterator[None]:
    """The broker hangs: its connections are open, and it does nothing any more."""
    assert broker.process
    os.kill(broker.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker.process.pid, signal.SIGCONT)
