"""Wait at the broker for a board's first reading, with the settings of its own config.json."""

import json
import threading
from typing import Any

import paho.mqtt.client as paho

from tools import provision_schema, provision_tls
from tools.deploy_build import DeployError
from tools.paho_client import leave
from tools.provision_schema import FILE, SettingError
from tools.provision_tls import SUFFIX, Settings
from tools.remote import Info, Remote

_CONNECT_S = 10.0
_KEEPALIVE_S = 30  # also the most that a TLS handshake may take

# What the firmware prints, and what to do about it; the first that is found counts.
_HINTS = (
    ("config.json is not usable", "Mend the configuration: make provision"),
    ("TLS:", "The board refuses the broker's certificate, or the broker the board's: make provision, docs/tls.md"),
    ("not authorised", "The broker refuses user and password: make provision"),
    ("bad user name", "The broker refuses user and password: make provision"),
    ("error, link", "The board has no network: is the cable in, the WiFi's name and password right? docs/boards.md"),
    ("ENOSPC", "The board is full: remove what you do not need with mpremote rm"),
    ("ImportError", "A module is missing on the board: is the MicroPython for this board? make flash"),
    ("MemoryError", "The board has no memory left: remove what you have added to main.py or boot.py"),
    ("Traceback", "The program on the board ended with an error: mend it, then repeat this command"),
    ("error, mqtt", "The board does not reach the broker: from this computer, python -m tools provision --check"),
    ("connected to the broker", "The board is connected; does the broker let this user read the topic?"),
)
_NO_HINT = "The board is silent: does it get power, does boot.py end? docs/first-board.md, troubleshooting"


def settings(remote: Remote, info: Info, board: str) -> Settings:
    """What the board connects with. Raises DeployError when there is nothing usable."""
    if not remote.exists(FILE):
        raise DeployError("There is no config.json on the board: nothing says where its broker is. Run: make provision")
    try:
        config = provision_schema.complete(provision_schema.read(remote.get(FILE), FILE), board)
    except SettingError as error:
        raise DeployError(f"config.json on the board cannot be used: {error}\nRun: make provision") from None
    tls = config["mqtt"]["tls"] or {}
    names = [tls[field] for field in ("ca", "cert", "key") if tls.get(field)]
    if missing := [name for name in names if not remote.exists(name)]:
        raise DeployError(
            f"On the board there is no file {', '.join(missing)}, which config.json names: make provision"
        )
    return Settings(
        config["name"] or _chip_name(remote, info), config["mqtt"], {name: remote.get(name) for name in names}
    )


def _chip_name(remote: Remote, info: Info) -> str:
    """The name of a board without a name; on unix the firmware makes one from the folder."""
    if info.board != "unix":
        return info.unique_id
    code = "import os, hashlib; print(''.join('%02x' % b for b in hashlib.sha256(os.getcwd().encode()).digest()[:6]))"
    return remote.exec(code).strip()


class Arrival:
    """Subscribed to a board's readings from the beginning of the `with` on."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.topic = settings.topic + "reading"
        self.reading: dict[str, Any] | None = None
        self.problem: str | None = None  # why this computer cannot watch
        self._listens = threading.Event()
        self._client: paho.Client | None = None

    def __enter__(self) -> "Arrival":
        try:
            client = provision_tls.client(self._settings, SUFFIX)
            client.connect_timeout = _CONNECT_S
            client.on_connect = self._on_connect
            client.on_subscribe = self._on_subscribe
            client.on_message = self._on_message
            client.connect(self._settings.host, self._settings.port, _KEEPALIVE_S)
        except (OSError, ValueError) as error:
            self.problem = str(error)
            return self
        self._client = client
        client.loop_start()
        if not self._listens.wait(_CONNECT_S):
            self.problem = self.problem or f"no answer within {_CONNECT_S:.0f} s"
        return self

    def __exit__(self, *exc: object) -> None:
        if self._client:
            leave(self._client)

    def _on_connect(
        self, client: paho.Client, userdata: object, flags: object, reason: Any, properties: object
    ) -> None:
        if reason.is_failure:
            self.problem = f"the broker refuses: {reason}"
            self._listens.set()
        else:
            client.subscribe(self.topic, 1)

    def _on_subscribe(self, client: paho.Client, userdata: object, mid: int, codes: Any, properties: object) -> None:
        if any(code.is_failure for code in codes):
            self.problem = f"the broker does not let this user read {self.topic}"
        self._listens.set()

    def _on_message(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        if message.retain:
            return  # of an earlier time
        try:
            found = json.loads(message.payload)
        except ValueError:
            return
        if isinstance(found, dict):
            self.reading = self.reading or found


def hint(log: list[str]) -> str:
    """What to do, judging by what the board has printed."""
    text = "\n".join(log)
    return next((advice for found, advice in _HINTS if found in text), _NO_HINT)
