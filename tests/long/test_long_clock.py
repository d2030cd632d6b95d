"""The clock of the real thing, over real sockets: ticks that wrap while it runs, a time of day that jumps by years."""

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from errno import ETIMEDOUT
from pathlib import Path

from firmware.conftest import configuration
from firmware.watcher import Watcher
from long.measured import DEVICE
from support.answering import PINGREQ, SUBSCRIBE
from support.answering import Broker as Answers
from support.device import Device as Script
from support.scripted import ScriptedBroker
from tools.broker import Broker
from tools.device import Device

_WRAP_MS = 1500  # after the start of the device
_INTERVAL_S = 0.25
_WRAPPED = "the ticks have wrapped"


def _board(micropython: Path, port: int, **changes: object) -> Device:
    """A board with the clock of board_time.py; it is off yet."""
    device = Device(configuration(port, **changes), micropython=micropython)
    shutil.copy(DEVICE / "board_time.py", device.folder)
    (device.folder / "boot.py").write_text(f"import board_time\nboard_time.install({_WRAP_MS})\n")
    return device


def _readings_go_on(micropython: Path) -> None:
    """At their interval, while the time that stands in them jumps."""
    with (
        Broker() as broker,
        Watcher(broker.port) as watcher,
        _board(micropython, broker.port, interval=_INTERVAL_S) as device,
    ):
        device.wait_for(_WRAPPED)
        watcher.until(lambda: watcher.readings[-1:] and watcher.readings[-1]["uptime"] >= 4, "4 s of readings")
        assert watcher.sequence == list(range(len(watcher.readings)))
        for reading in watcher.readings:  # uptime is in whole seconds; a busy computer may take some later
            assert reading["uptime"] - 2 <= reading["seq"] * _INTERVAL_S <= reading["uptime"] + 1.2, reading
            assert reading["errors"] == 0, device.lines
        times = [reading["t"] for reading in watcher.readings if reading["t"]]
        assert max(times) - min(times) > 10 * 365 * 86400, times
        assert len([line for line in device.lines if "connected to the broker" in line]) == 1, device.lines


def _comes_back(micropython: Path) -> None:
    """From a pause that began before the wrap."""
    with Broker() as broker:
        broker.stop()
        with _board(micropython, broker.port) as device:
            device.wait_for(_WRAPPED)
            broker.start()
            device.wait_for("connected to the broker")


def _traffic(broker: ScriptedBroker, pings: int, silent: int = 0) -> list[tuple[float, int]]:
    """Serve a client until so many PINGREQ came; when which packet came, by its type. Type `silent` has no answer."""
    answers = Answers().answers
    came: list[tuple[float, int]] = []
    peer = broker.accept()
    while pings and (packet := peer.packet()):
        kind = packet[0] >> 4
        came.append((time.monotonic(), kind))
        pings -= kind == PINGREQ
        if kind in answers and kind != silent:
            peer.send(answers[kind](packet))
    return came


def _gaps(came: list[tuple[float, int]]) -> list[float]:
    """Seconds from the beginning to the first PINGREQ, and between two."""
    times = [came[0][0], *(at for at, kind in came if kind == PINGREQ)]
    return [after - before for before, after in zip(times, times[1:], strict=False)]


def _keeps_alive(micropython: Path) -> None:
    broker = ScriptedBroker()
    try:
        with _board(micropython, broker.port, interval=600, mqtt={"keepalive": 5, "flash": 0}) as device:
            [gap] = _gaps(_traffic(broker, pings=1))
            assert 3.5 <= gap <= 7  # after 3/4 of the keep alive time
            device.wait_for(_WRAPPED)
    finally:
        broker.close()


def _asyncio(micropython: Path) -> None:
    """A deadline and keep alive; of the synchronous client tests/unit/test_clock.py tells."""
    broker = ScriptedBroker()
    device = Script(micropython, DEVICE / "across_wrap.py", broker.port, 1000)
    try:
        gaps = _gaps(_traffic(broker, pings=2, silent=SUBSCRIBE))
        milliseconds, errno = map(int, device.line("ended").split())
        assert errno == ETIMEDOUT
        assert 1500 <= milliseconds <= 2000
        assert device.line("online") == "True None"
        assert min(gaps) >= 1.4 and max(gaps) <= 2.5, gaps  # after 3/4 of the keep alive time
        assert _WRAPPED in device.finish()
    finally:
        device.close()
        broker.close()


def test_ticks_wrap_and_the_time_of_day_jumps(micropython: Path) -> None:
    scenarios: list[Callable[[Path], None]] = [_readings_go_on, _comes_back, _keeps_alive, _asyncio]
    with ThreadPoolExecutor(len(scenarios)) as pool:  # they wait, all at the same time
        for running in [pool.submit(scenario, micropython) for scenario in scenarios]:
            running.result()
