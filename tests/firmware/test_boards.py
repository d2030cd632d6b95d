"""The same firmware with the files of every board: their `network` and `machine` are fakes, the broker is real."""

import shutil
from collections.abc import Callable

import pytest

from firmware.conftest import until_it_ends
from firmware.watcher import Watcher
from tools.device import Device, board_files
from tools.toolchain import ROOT

BOARD = """
import network
import world

_nic = network.use({port!r})
if hasattr(_nic, "reach"):
    _nic.reach["home"] = "right"

import real_board
from real_board import *

def link(config):
    link = real_board.link(config)
    step = link.step

    def step_with_time(now):
        world.advance(20)
        step(now)

    link.step = step_with_time
    return link
"""

REST = {"subnet": "255.0.0.0", "gateway": "10.0.0.1", "dns": "10.0.0.1"}


def become(device: Device, name: str, port: str) -> None:
    """Give the device the files of this board, on a fake network of this kind."""
    for path in [*board_files(name), *(ROOT / "tests" / "boards" / "fake").glob("*.py")]:
        shutil.copy(path, device.folder)
    (device.folder / "board.py").rename(device.folder / "real_board.py")
    (device.folder / "board.py").write_text(BOARD.format(port=port))


@pytest.mark.parametrize(
    ("name", "port"), [("W5100S_EVB_PICO", "wiznet"), ("ESP32_GENERIC", "esp32"), ("RPI_PICO_W", "picow")]
)
def test_firmware_on(board: Callable[..., Device], watcher: Watcher, name: str, port: str) -> None:
    device = board(network={"ssid": "home", "password": "right"})
    become(device, name, port)
    device.start()
    watcher.until_state("online")
    watcher.until_readings(3)
    assert watcher.sequence[:3] == [0, 1, 2]
    assert 0 < watcher.readings[-1]["temperature"] < 100
    assert watcher.readings[-1]["link"]["ip"].startswith("10.0.0.")
    assert ("rssi" in watcher.readings[-1]["link"]) is (port != "wiznet")
    answer = watcher.command({"command": "led", "value": True})
    assert answer["ok"] or answer["error"] == "this board has no LED"
    assert watcher.command({"command": "reboot"})["ok"]
    watcher.until(lambda: device.reboots == 1, "the reboot")


@pytest.mark.parametrize(
    ("name", "port", "network", "says"),
    [
        ("ESP32_GENERIC", "esp32", {}, "network.ssid: missing"),
        ("W5100S_EVB_PICO", "wiznet", {"static": {"ip": "10.0.0.256", **REST}}, "static.ip"),
    ],
)
def test_a_board_that_lacks_a_setting(
    board: Callable[..., Device], name: str, port: str, network: dict, says: str
) -> None:
    """On a board the program ends quietly: SystemExit would start it again and again, out of everybody's reach."""
    device = board(network=network)
    become(device, name, port)
    device.start()
    assert says in device.wait_for("config.json is not usable")
    device.wait_for("copy it to the board")
    until_it_ends(device)
    assert device.stop() == 0


def test_verified_tls_wants_a_time_server(board: Callable[..., Device]) -> None:
    """The clock of a board begins in 2021 or before: no certificate is valid yet."""
    device = board(mqtt={"tls": {"ca": "ca.der"}})
    become(device, "W5100S_EVB_PICO", "wiznet")
    device.start()
    assert "ntp: missing" in device.wait_for("config.json is not usable")
