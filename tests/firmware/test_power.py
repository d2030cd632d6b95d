"""What the firmware keeps while it cannot deliver: over a loss of power, and when there is no more room."""

import time
from collections.abc import Callable
from typing import Any

from firmware.watcher import Watcher
from support.mosquitto import store
from tools.broker import Broker
from tools.device import Device

Board = Callable[..., Device]


def test_readings_outlive_the_power(board: Board, broker: Broker, watcher: Watcher) -> None:
    """Taken while the broker is away, kept over two losses of power, delivered in order, with the time of each."""
    device = board(interval=0.1)
    device.start()
    watcher.until_readings(3)
    store(broker)
    broker.kill()
    for _ in range(2):
        time.sleep(2)
        device.kill()
        device.start()
    device.wait_for("name board")
    broker.start()
    watcher.until(lambda: [r["seq"] for r in watcher.readings].count(5) >= 3, "readings of three lives", 30)
    lives: list[list[dict[str, Any]]] = [[]]
    for reading in watcher.readings:
        if lives[-1] and reading["uptime"] < lives[-1][-1]["uptime"]:
            lives.append([])
        if reading["seq"] not in [known["seq"] for known in lives[-1]]:
            lives[-1].append(reading)
    assert [reading["seq"] for life in lives for reading in life] == [n for life in lives for n in range(len(life))]
    assert len(lives) == 3 and len(lives[0]) > 15 and len(lives[1]) > 10
    times = [reading["t"] for life in lives for reading in life]
    assert times == sorted(times)


def test_full_drops_the_oldest_if_told_so(board: Board, broker: Broker, watcher: Watcher) -> None:
    device = board(interval=0.1, mqtt={"outbox": 2048, "flash": 0, "full": "drop"})
    device.start()
    watcher.until_readings(3)
    store(broker)
    broker.kill()
    time.sleep(3)
    before = max(watcher.sequence)
    broker.start()
    watcher.until(lambda: max(watcher.sequence) > before + 25, "readings after the restart", 30)
    missing = set(range(max(watcher.sequence) + 1)) - set(watcher.sequence)
    assert len(missing) > 5
    assert max(missing) - min(missing) == len(missing) - 1, "the oldest of those that waited"
    watcher.until(lambda: watcher.states[-1].get("dropped", 0) >= len(missing), "a state that tells of them")
