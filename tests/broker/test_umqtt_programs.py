"""Programs written for umqtt run with one line changed: the import. The tests change that line and nothing else."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.certificates import Certificates
from support.device import Device
from support.mosquitto import listener, store
from tools.broker import Broker, Tls

_HERE = Path(__file__).parent
_IMPORT = re.compile(r"^from umqtt\.(simple|robust) import MQTTClient$", re.MULTILINE)


@pytest.fixture
def program(micropython: Path, tmp_path: Path):
    """Start a program of programs/ with its import line changed."""
    running: list[Device] = []
    (tmp_path / "machine.py").write_text((_HERE / "stand_ins" / "machine.py").read_text())

    def start(name: str, *arguments: object) -> Device:
        source, changed = _IMPORT.subn(
            "from fieldmqtt import MQTTClient", (_HERE / "programs" / f"{name}.py").read_text()
        )
        assert changed == 1
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        running.append(Device(micropython, path, *arguments))
        return running[-1]

    yield start
    for device in running:
        device.close()


Program = Callable[..., Device]


def test_publish(program: Program, shared_mosquitto: Broker) -> None:
    with listener(shared_mosquitto.port, "message/client1") as receiver:
        program("publish", shared_mosquitto.port).finish()
        assert [json.loads(payload)["number"] for payload in receiver.payloads(3)] == [0, 1, 2]


def test_subscribe(program: Program, shared_mosquitto: Broker) -> None:
    device = program("subscribe", shared_mosquitto.port)
    device.line("ready")
    with listener(shared_mosquitto.port) as sender:
        for number in range(3):
            sender.publish("message/client1", f"m{number}")
            device.line(f"b'message/client1' b'm{number}'")
    device.finish()


def test_button(program: Program, mosquitto: Broker) -> None:
    with listener(mosquitto.port, "button/#") as receiver:
        device = program("button", mosquitto.port)
        assert [receiver.next().payload for _ in range(3)] == [b"online", b"1", b"2"]
        device.finish()
        receiver.expect_nothing()
        assert device.output[0] in ("session False", "session 0")


def test_led(program: Program, mosquitto: Broker) -> None:
    with listener(mosquitto.port, "lamp/state") as other:
        device = program("led", mosquitto.port)
        device.line("ready")
        for command, state in ((b"on", b"on"), (b"toggle", b"off"), (b"on", b"on")):
            other.publish("lamp/set", command, qos=1)
            assert other.next().payload == state
        device.finish()
        assert [line for line in device.output if line.startswith("led")] == ["led 1", "led 0", "led 1"]


def test_robust(program: Program, mosquitto: Broker) -> None:
    device = program("robust", mosquitto.port)
    device.line("new session")
    device.line("ready")
    with listener(mosquitto.port) as sender:
        sender.publish("orders/1", "one", qos=1)
        device.line("message b'one'")
    store(mosquitto)
    mosquitto.kill()
    mosquitto.start()
    with listener(mosquitto.port, "done") as sender:
        sender.publish("orders/2", "two", qos=1)
        device.line("message b'two'")
        assert sender.next().payload == b"2"
    device.finish()


def test_reconnect(program: Program, mosquitto: Broker) -> None:
    with listener(mosquitto.port, "count", client_id="keeper", clean=False) as receiver:
        device = program("reconnect", mosquitto.port)
        device.line("ready")
        mosquitto.stop()
        time.sleep(0.3)
        mosquitto.start()
        device.finish()
        seen: list[bytes] = []
        while b"59" not in seen:
            seen.append(receiver.next().payload)
    assert list(dict.fromkeys(seen)) == [b"%d" % number for number in range(60)]


@pytest.mark.parametrize("name", ["tls_context", "tls_params"])
def test_tls(program: Program, certificates: Certificates, name: str) -> None:
    tls = Tls(certificates.server.pem, certificates.server.key_pem, certificates.ca.pem)
    with Broker(tls=tls, users={"device": "pw"}) as broker:
        program(name, broker.port, certificates.ca.der).finish()
