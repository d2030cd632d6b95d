"""The firmware with `"websocket"`: MQTT where only a web server's port is open, and nothing loaded without it."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from firmware.conftest import configuration
from support.certificates import Certificates
from support.mosquitto import Listener, listener
from support.webbroker import LOGIN, WebBroker
from tools.device import Device

# A sensor that tells what of WebSocket is loaded.
SENSORS = """
import sys

def loaded():
    return {"loaded": [name for name in sys.modules if name in ("fieldmqtt.websocket", "fieldmqtt.url")]}

SENSORS = (loaded,)
"""
USER = {"user": LOGIN[0], "password": LOGIN[1]}


@pytest.fixture(scope="module")
def web(certificates: Certificates) -> Iterator[WebBroker]:
    with WebBroker(certificates.server) as broker:
        yield broker


def until(watcher: Listener, kind: str, field: str, value: object = None) -> Any:
    """What a message of this kind has in this field: the next one's, or the one that is `value`."""
    while True:
        message = watcher.next()
        if message.topic.endswith(kind):
            found = json.loads(message.payload)[field]
            if value in (None, found):
                return found


@pytest.mark.parametrize(
    ("port", "mqtt", "expected"),
    [
        ("port", {}, []),
        ("ws", {"websocket": "/mqtt"}, ["fieldmqtt.url", "fieldmqtt.websocket"]),
        ("wss", {"websocket": "/", "version": 5, "tls": "ca"}, ["fieldmqtt.url", "fieldmqtt.websocket"]),
    ],
    ids=["without", "ws", "wss"],
)
def test_readings_and_commands(
    micropython: Path, web: WebBroker, certificates: Certificates, port: str, mqtt: dict[str, Any], expected: list[str]
) -> None:
    """Both ways, with TLS and version 5 as well."""
    if "tls" in mqtt:
        mqtt = {**mqtt, "tls": {"ca": str(certificates.ca.der)}}
    config = configuration(getattr(web, port), name=port, mqtt={**USER, **mqtt})
    device = Device(config, micropython=micropython)
    (device.folder / "sensors.py").write_text(SENSORS)
    with listener(web.port, f"fieldmqtt/{port}/#", login=LOGIN) as watcher, device:
        assert sorted(until(watcher, "reading", "loaded")) == expected
        watcher.publish(f"fieldmqtt/{port}/command", '{"command": "interval", "value": 0.5}', qos=1)
        assert until(watcher, "result", "ok")
        device.stop()
        assert until(watcher, "state", "state", "offline")


class NotFound(BaseHTTPRequestHandler):
    """Every path is a wrong one, and is named."""

    def do_GET(self) -> None:
        self.send_error(404, f"no {self.path}")

    def log_message(self, *args: object) -> None:
        """Not to the tests' output."""


def test_a_wrong_path_is_told(micropython: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), NotFound) as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        config = configuration(server.server_port, mqtt={"websocket": "/nowhere"})
        with Device(config, micropython=micropython) as device:
            assert "HTTP 404 no /nowhere: is path right?" in device.wait_for("error, mqtt")
        server.shutdown()
