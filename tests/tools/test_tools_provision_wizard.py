"""`make provision` at a real terminal: it asks, corrects, hides secrets, offers what is there, writes at the end."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.certificates import Certificates
from support.dialogue import Dialogue
from support.vboard import VirtualBoard
from tools.broker import Broker

SECRET = "h0rse-battery"


@pytest.fixture
def dialogue() -> Iterator[Callable[..., Dialogue]]:
    made: list[Dialogue] = []

    def start(*arguments: str) -> Dialogue:
        made.append(Dialogue("provision", *arguments))
        return made[-1]

    yield start
    for one in made:
        one.close()


def answer_everything(person: Dialogue, ca: str, port: str) -> None:
    """For a Pico W and a broker with TLS, with a mistake here and there."""
    assert "RPI_PICO_W" in person.expect("Name of the board")
    person.answer("(without one: e661)", "a/b")
    assert "+ # and (in the name) / cannot be used" in person.answer("Name of the board", "shed")
    person.answer("Name of your WiFi (SSID)", "home")
    person.answer("WiFi password", "w-" + SECRET)
    person.answer("Country, two letters", "Germany")
    assert "network.country: it must be 2 to 2 bytes long" in person.answer("Country", "DE")
    person.answer("Address of the board")
    person.answer("Broker: name or IPv4 address", "localhost")
    person.answer("TLS [y/n]", "y")
    person.answer("Certificate of the authority", "nowhere.pem")
    assert "nowhere.pem: No such file" in person.answer("Certificate of the authority", ca)
    person.answer("ask for a certificate of the board?", "n")
    person.answer("Time server")
    person.answer("WebSocket path, if only web ports are open")
    person.answer("Port", "99999")
    assert "mqtt.port: it must be 1 to 65535" in person.answer("Port (8883)", port)
    person.answer("User at the broker", "shed")
    person.answer("Password at the broker", SECRET)
    person.answer("Seconds between readings")


def test_from_nothing_to_a_checked_connection(
    dialogue: Callable[..., Dialogue], certificates: Certificates, tmp_path: Path
) -> None:
    """A board with WiFi and a certificate of its own, over the wire; each mistake is corrected on the spot."""
    flash = tmp_path / "flash"
    flash.mkdir()
    (flash / "main.py").write_text("print('main runs')")
    server = certificates.server
    with (
        Broker(users={"shed": SECRET}, extra=[f"certfile {server.pem}", f"keyfile {server.key_pem}"]) as broker,
        VirtualBoard(flash, build="RPI_PICO_W", platform="rp2", unique_id="e661") as board,
    ):
        person = dialogue("--port", board.port)
        answer_everything(person, str(certificates.ca.pem), str(broker.port))
        assert "Written to" in person.answer("Try them from this computer now? [y/n] (y)")
        assert person.end() == 0
        board.wait_for("main runs")
    assert "there and back in" in person.shown
    assert SECRET not in person.shown
    config = json.loads((flash / "config.json").read_text())
    ca = config["mqtt"]["tls"].pop("ca")
    assert (flash / ca).read_bytes() == certificates.ca.der.read_bytes()
    assert config == {
        "name": "shed",
        "network": {"ssid": "home", "password": "w-" + SECRET, "country": "DE"},
        "mqtt": {"server": "localhost", "tls": {}, "port": broker.port, "user": "shed", "password": SECRET},
        "ntp": "pool.ntp.org",
    }


def test_what_is_there_is_offered_and_enter_keeps_it(dialogue: Callable[..., Dialogue], tmp_path: Path) -> None:
    output = tmp_path / "config.json"
    static = {"ip": "10.0.0.2", "subnet": "255.0.0.0", "gateway": "10.0.0.1", "dns": "10.0.0.1"}
    mqtt = {"server": "broker.invalid", "port": 1884, "user": "u", "password": SECRET, "keepalive": 30}
    config = {"name": "shed", "network": {"static": static}, "mqtt": mqtt}
    output.write_text(json.dumps(config))
    person = dialogue("--output", str(output), "--board", "W5100S_EVB_PICO")
    for question in ("Name of the board", "Address of the board", "IP address (10.0.0.2)", "Subnet", "Gateway", "DNS"):
        person.answer(question)
    person.answer("Broker: name or IPv4 address (broker.invalid)")
    person.answer("TLS [y/n] (n)")
    person.answer("WebSocket path")
    person.answer("Port (1884)")
    person.answer("User at the broker (u)", "-")
    person.answer("Seconds between readings (10)", "60")
    person.answer("Try them", "n")
    assert person.end() == 0
    assert SECRET not in person.shown
    del mqtt["user"], mqtt["password"]
    assert json.loads(output.read_text()) == {**config, "interval": 60}


@pytest.mark.parametrize(
    ("before", "answer", "port", "after"),
    [({"port": 1883}, "/mqtt", 80, {"websocket": "/mqtt"}), ({"port": 80, "websocket": "/ws"}, "-", 1883, {})],
)
def test_a_websocket_brings_the_port_of_a_web_server(
    dialogue: Callable[..., Dialogue],
    tmp_path: Path,
    before: dict[str, object],
    answer: str,
    port: int,
    after: dict[str, object],
) -> None:
    output = tmp_path / "config.json"
    output.write_text(json.dumps({"mqtt": {"server": "broker.invalid", **before}}))
    person = dialogue("--output", str(output), "--board", "unix")
    for question in ("Name of the board", "Broker: name or IPv4 address", "TLS [y/n] (n)"):
        person.answer(question)
    person.answer("WebSocket path, if only web ports are open", "mqtt")
    assert "mqtt.websocket: a path, which begins with /" in person.answer("WebSocket path", answer)
    person.answer(f"Port ({port})")
    person.answer("User at the broker")
    person.answer("Seconds between readings")
    person.answer("Try them", "n")
    assert person.end() == 0
    assert json.loads(output.read_text()) == {"mqtt": {"server": "broker.invalid", **after}}


def test_ctrl_c_writes_nothing(dialogue: Callable[..., Dialogue], tmp_path: Path) -> None:
    person = dialogue("--output", str(tmp_path / "config.json"))
    person.answer("Name of the board", "shed")
    person.expect("Network")
    person.expect(": ")
    assert person.interrupt() == 1
    assert "Interrupted" in person.shown
    assert "Traceback" not in person.shown
    assert not list(tmp_path.iterdir())
