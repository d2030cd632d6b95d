"""config.json: what is accepted, and that every complaint names the field and gives nothing away."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tools.toolchain import ROOT

SCRIPT = Path(__file__).with_name("show_config.py")
MINIMAL = {"mqtt": {"server": "broker"}}


def load(micropython: Path, folder: Path, text: str | None, *arguments: str) -> str:
    """What config.load() makes of a config.json with this text; None: there is no file."""
    if text is not None:
        (folder / "config.json").write_text(text, encoding="utf-8")
    environment = {**os.environ, "MICROPYPATH": f"{ROOT / 'firmware'}{os.pathsep}.frozen"}
    run = subprocess.run(
        [micropython, SCRIPT, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout.strip()


def accepted(micropython: Path, folder: Path, config: object) -> dict[str, Any]:
    """The completed configuration."""
    shown = load(micropython, folder, json.dumps(config))
    assert not shown.startswith("error:"), shown
    return json.loads(shown)


def complaint(micropython: Path, folder: Path, config: object) -> str:
    """The complaint."""
    shown = load(micropython, folder, config if isinstance(config, str) else json.dumps(config))
    assert shown.startswith("error: "), shown
    return shown.removeprefix("error: ")


def with_(where: str, value: object) -> dict[str, Any]:
    """The minimal configuration with one field set, `where` as in messages."""
    config = json.loads(json.dumps(MINIMAL))
    *sections, field = where.split(".")
    section = config
    for name in sections:
        section = section.setdefault(name, {})
    section[field] = value
    return config


def test_defaults_are_filled_in(micropython: Path, tmp_path: Path) -> None:
    config = accepted(micropython, tmp_path, MINIMAL)
    assert (config["interval"], config["watchdog"], config["name"], config["ntp"]) == (10, 0, None, None)
    assert config["mqtt"]["keepalive"] == 60
    assert config["network"]["dhcp"] is False


def test_the_example_is_accepted(micropython: Path, tmp_path: Path) -> None:
    example = json.loads((ROOT / "firmware" / "config.example.json").read_text(encoding="utf-8"))
    config = accepted(micropython, tmp_path, example)
    assert config["mqtt"]["server"] == example["mqtt"]["server"]


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("interval", 0.5),
        ("watchdog", 0),
        ("watchdog", 60),
        ("watchdog", 3600),
        ("network.fallbacks", [{"ssid": "barn"}]),
        ("network.static", {"ip": "10.0.0.2", "subnet": "255.0.0.0", "gateway": "10.0.0.1", "dns": "10.0.0.1"}),
        ("mqtt.tls", {"ca": "ca.der"}),
        ("mqtt.tls", {"insecure": True}),
        ("mqtt.websocket", "/mqtt?a=b"),
        ("name", "Gerät"),
    ],
)
def test_accepted(micropython: Path, tmp_path: Path, where: str, value: object) -> None:
    config = accepted(micropython, tmp_path, with_(where, value))
    for name in where.split("."):
        config = config[name]
    given = value if isinstance(value, dict) else {"": value}
    kept = {name: config[name] for name in given} if isinstance(value, dict) else {"": config}
    if where == "network.fallbacks":
        kept = {"": [{"ssid": other["ssid"]} for other in kept[""]]}
    assert kept == given


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        ("mqtt", None, "mqtt: missing"),
        ("mqtt", {}, "mqtt.server: missing"),
        ("mqtt", [], "mqtt: it must be an object, { … }"),
        ("mqtt.server", 5, 'mqtt.server: it must be a text, "…"'),
        ("mqtt.server", "", "mqtt.server: it must be 1 to 253 bytes long"),
        ("mqtt.port", "1883", "mqtt.port: it must be a whole number"),
        ("mqtt.port", 70000, "mqtt.port: it must be 1 to 65535"),
        ("mqtt.port", True, "mqtt.port: it must be a whole number"),
        ("mqtt.sever", "x", "mqtt.sever: no such field; there are expiry, flash, full, keepalive, outbox, "),
        ("mqtt.flash", 100, "mqtt.flash: 0, or 8192 to 1000000 bytes"),
        ("mqtt.full", "wait", "mqtt.full: refuse or drop"),
        ("mqtt.websocket", True, 'mqtt.websocket: it must be a text, "…"'),
        ("mqtt.websocket", "", "mqtt.websocket: it must be 1 to 200 bytes long"),
        ("mqtt.websocket", "mqtt", "mqtt.websocket: a path, which begins with / and has no space"),
        ("mqtt.websocket", "/mq tt", "mqtt.websocket: a path, which begins with / and has no space"),
        ("mqtt.websocket", "/mqtt\r\nHost: x", "mqtt.websocket: a path, which begins with / and has no space"),
        ("mqtt.prefix", "a/#", "mqtt.prefix: it becomes part of a topic"),
        ("mqtt.tls", {}, "mqtt.tls.ca: missing"),
        ("mqtt.tls", {"ca": "a", "key": "b"}, "mqtt.tls: cert and key belong together"),
        ("name", "a/b", "name: it becomes part of a topic"),
        ("interval", 0, "interval: it must be 0.1 to 86400"),
        ("interval", "5", "interval: it must be a number"),
        ("intervall", 5, "intervall: no such field; there are interval, mqtt, name, network, ntp, watchdog"),
        ("watchdog", 59, "watchdog: it must be 60 to 3600; name servers that do not answer hold the program for half"),
        ("network", "wifi", "network: it must be an object, { … }"),
        ("network.ssid", 5, 'network.ssid: it must be a text, "…"'),
        ("network.ssid", "x" * 33, "network.ssid: it must be 1 to 32 bytes long"),
        ("network.ssid", "ä" * 17, "network.ssid: it must be 1 to 32 bytes long"),
        ("network.fallbacks", {"ssid": "barn"}, "network.fallbacks: it must be a list, [ … ]"),
        ("network.fallbacks", [{"ssid": "barn"}, {}], "network.fallbacks[1].ssid: missing"),
        ("network.fallbacks", [{"ssid": "barn"}] * 9, "network.fallbacks: at most 8"),
        ("network.dhcp", 1, "network.dhcp: it must be true or false"),
        ("network.static", {"ip": "10.0.0.2"}, "network.static."),
        ("network.country", "Germany", "network.country: it must be 2 to 2 bytes long"),
    ],
)
def test_refused(micropython: Path, tmp_path: Path, where: str, value: object, message: str) -> None:
    assert complaint(micropython, tmp_path, with_(where, value)).startswith(message)


@pytest.mark.parametrize(
    ("tls", "ntp", "fine"),
    [
        ({"ca": "ca.der"}, None, False),
        ({"ca": "ca.der"}, "pool.ntp.org", True),
        ({"insecure": True}, None, True),
        (None, None, True),
    ],
)
def test_verified_tls_where_the_clock_is_not_kept(
    micropython: Path, tmp_path: Path, tls: dict | None, ntp: str | None, fine: bool
) -> None:
    """Certificates have dates."""
    text = json.dumps({"ntp": ntp, "mqtt": {"server": "broker", "tls": tls}})
    shown = load(micropython, tmp_path, text, "clock is not kept")
    assert shown.startswith("error: ntp: missing") is not fine
    assert not load(micropython, tmp_path, text).startswith("error:")


def test_a_missing_file_says_what_to_do(micropython: Path, tmp_path: Path) -> None:
    assert "copy config.example.json" in load(micropython, tmp_path, None)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{\n  "interval": 5,\n  "network": {"dhcp": True},\n  "mqtt": {"server": "a"}\n}\n', 3),
        ('{\n  "interval": 5,\n  // comment\n  "mqtt": {"server": "a"}\n}\n', 3),
        ('{\n  "mqtt": {"server": "Gerät"}\n}}\n', 3),
        ("", 1),
        ("not json at all", 1),
    ],
    ids=["word", "comment", "bracket too many", "empty", "text"],
)
def test_broken_json_names_the_line(micropython: Path, tmp_path: Path, text: str, line: int) -> None:
    """MicroPython's JSON lets more pass than others: only what it refuses can be named."""
    assert f"near line {line}:" in complaint(micropython, tmp_path, text)


def test_a_huge_file_is_refused(micropython: Path, tmp_path: Path) -> None:
    assert "larger than" in complaint(micropython, tmp_path, " " * 100_000)


@pytest.mark.parametrize("where", ["mqtt.password", "network.password"])
@pytest.mark.parametrize("value", [["s3cret"], {"s3cret": 1}, "s3cret" * 1000])
def test_complaints_give_no_secret_away(micropython: Path, tmp_path: Path, where: str, value: object) -> None:
    message = complaint(micropython, tmp_path, with_(where, value))
    assert message.startswith(where)
    assert "s3cret" not in message
