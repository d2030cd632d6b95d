"""Every board keeps the contract, and its folder says all that the host tools need."""

import json
import sys
from pathlib import Path

import pytest

from boards.test_links import run
from tools.toolchain import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BOARDS = sorted(path.parent for path in (ROOT / "boards").glob("*/board.toml"))
PORTS = {"W5100S_EVB_PICO": "wiznet", "ESP32_GENERIC": "esp32", "RPI_PICO_W": "picow", "unix": "unix"}
WITH_WIFI = ("esp32", "picow")


@pytest.fixture(params=PORTS)
def contract(request: pytest.FixtureRequest, micropython: Path, tmp_path: Path) -> dict:
    """What contract.py shows for each board, with `port` added."""
    shown = run(micropython, tmp_path, request.param, "contract.py", PORTS[request.param])
    assert shown.returncode == 0, shown.stdout + shown.stderr
    return json.loads(shown.stdout) | {"port": PORTS[request.param]}


def test_contract(contract: dict) -> None:
    assert contract["name"] and contract["reset"]
    assert contract["unique_id"] >= 6
    assert contract["led"] == (False if contract["port"] == "esp32" else 1)
    assert 0 < contract["sensors"]["temperature"] < 100
    assert {"ip", "mac", "resets"} <= set(contract["info"])
    assert contract["connected"] is (contract["port"] in ("unix", "wiznet"))


def test_wrong_settings_are_named(contract: dict) -> None:
    if contract["port"] == "unix":
        pytest.skip("the computer's network has no settings")
    assert contract["static"].startswith("network.static.ip: ")
    assert contract["both"].startswith("network.static: it excludes network.dhcp")
    if contract["port"] in WITH_WIFI:
        assert contract["without_ssid"].startswith("network.ssid: missing")
        assert contract["fallback"].startswith("network.fallbacks[0].ssid: missing")


def test_watchdog_outlives_a_silent_name_server(contract: dict) -> None:
    """RP2040: fed by a timer for as long as the program was told it may be silent, and not a second longer."""
    if contract["port"] not in ("wiznet", "picow"):
        pytest.skip("the hardware's own time is long enough")
    assert contract["watchdog"]["silent"] == 59
    assert contract["watchdog"]["disarmed"] == [[0x4005B000, 1 << 30]]


def test_esp32(contract: dict) -> None:
    """Its watchdog cannot be stopped, but given an hour; its first generation measures in degrees Fahrenheit."""
    if contract["port"] != "esp32":
        pytest.skip("the others have a thermometer in degrees Celsius and a watchdog that stops")
    assert contract["watchdog"]["ms"] == 3600000
    assert contract["sensors"]["temperature"] == 50.0


@pytest.mark.parametrize("folder", BOARDS, ids=lambda path: path.name)
def test_board_toml(folder: Path) -> None:
    board = tomllib.loads((folder / "board.toml").read_text(encoding="utf-8"))
    files = [(folder / name).resolve() for name in board["files"]]
    assert all(file.is_file() for file in files)
    names = [file.name for file in files]
    assert len(names) == len(set(names)) and "board.py" in names
    assert board["title"] and board["chip"] and board["mpy_arch"] in ("armv6m", "xtensawin", "rv32imc", "x64")
    assert (folder / "manifest.py").is_file()
    if folder.name == "unix":
        return
    assert board["image"] == {"name": folder.name, "extension": "uf2" if board["port"] == "rp2" else "bin"}
    assert board["flash"]["method"] == ("uf2" if board["port"] == "rp2" else "esptool")


@pytest.mark.parametrize(
    ("board", "offset"), [("ESP32_GENERIC", 0x1000), ("ESP32_GENERIC_S3", 0), ("ESP32_GENERIC_C3", 0)]
)
def test_flash_offset(board: str, offset: int) -> None:
    assert (
        tomllib.loads((ROOT / "boards" / board / "board.toml").read_text(encoding="utf-8"))["flash"]["offset"] == offset
    )


@pytest.mark.parametrize("folder", BOARDS, ids=lambda path: path.name)
def test_manifest_freezes_what_is_copied(folder: Path) -> None:
    """Run with stand-ins for the build's functions: the files named are those that a copied board has."""
    frozen: set[Path] = set()

    def add(base: str, names: tuple[str, ...]) -> None:
        frozen.update((folder / base / name).resolve() for name in names)

    exec(
        (folder / "manifest.py").read_text(encoding="utf-8"),
        {
            "include": lambda path: None,
            "package": lambda name, base_path, opt: add(base_path, (name,)),
            "module": lambda name, base_path=".", opt=0: add(base_path, (name,)),
            "freeze": lambda base, names, opt: add(base, names),
        },
    )
    board = tomllib.loads((folder / "board.toml").read_text(encoding="utf-8"))
    copied = {(folder / name).resolve() for name in board["files"]}
    firmware = {path for path in (ROOT / "firmware").glob("*.py") if path.name != "boot.py"}
    assert frozen == copied | firmware | {ROOT / "lib" / "fieldmqtt"}
