"""A broker, a board made of this computer, and somebody who watches."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from firmware.watcher import Watcher
from tools.broker import Broker
from tools.device import Device


def configuration(port: int, **changes: Any) -> dict[str, Any]:
    """A config.json for a fast board; `mqtt` is completed, everything else as given."""
    mqtt = {"server": "127.0.0.1", "port": port, **changes.pop("mqtt", {})}
    return {"name": "board", "interval": 0.2, **changes, "mqtt": mqtt}


def until_it_ends(device: Device) -> None:
    """Wait for the end of a program that ends by itself: a signal now could become its exit code."""
    deadline = time.monotonic() + 5
    while device.running and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not device.running


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker(durable=True) as broker:
        yield broker


@pytest.fixture
def watcher(broker: Broker) -> Iterator[Watcher]:
    with Watcher(broker.port) as watcher:
        yield watcher


@pytest.fixture
def board(micropython: Path, broker: Broker) -> Iterator[Callable[..., Device]]:
    """Make a board with these changes of config.json and with these files on it; it is off yet."""
    made: list[Device] = []

    def make(files: dict[str, str] | None = None, **changes: Any) -> Device:
        device = Device(configuration(broker.port, **changes), micropython=micropython)
        for name, text in (files or {}).items():
            (device.folder / name).write_text(text)
        made.append(device)
        return device

    yield make
    for device in made:
        device.__exit__()
