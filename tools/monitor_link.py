"""The monitor's connection to the broker, and to the log of a board at a port. Both come back by themselves."""

import json
import queue
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tools import monitor_find, provision_tls
from tools.monitor_state import Event, clean
from tools.paho_client import leave
from tools.provision_draft import Draft
from tools.provision_target import FolderTarget
from tools.provision_tls import Settings
from tools.remote import Remote, RemoteError

_QUEUED = 5000  # events that wait to be shown; more at once are dropped and counted
_RETRY_S = (1, 5)
_CONNECT_S = 3.0  # Ctrl-C may have to wait for so long
_PLAIN_PORT = 1883
_LOG_SLICE_S = 0.5
_LOG_RETRY_S = 2.0


@dataclass(frozen=True)
class Place:
    """Where the broker is. `settings`: those of a config.json, to connect as that board does."""

    host: str
    port: int
    prefix: str
    settings: Settings | None = None

    def __str__(self) -> str:
        return f"{self.host} port {self.port}"


def place(broker: str | None, config: Path | None, prefix: str) -> Place:
    """The broker that was named, that of a config.json, the demo's, or one on this computer.

    Raises ValueError for what cannot be meant.
    """
    if config:
        if not config.is_file():
            raise ValueError(f"--config {config}: there is no such file")
        settings = Draft(FolderTarget(config)).ready().settings
        return Place(settings.host, settings.port, str(settings.mqtt["prefix"]), settings)
    if broker:
        host, colon, number = broker.rpartition(":")
        if not colon:
            return Place(broker, _PLAIN_PORT, prefix)
        if not host or not number.isdecimal() or not 0 < int(number) < 65536:
            raise ValueError(f"--broker {clean(broker)}: it must be HOST or HOST:PORT, such as 192.168.1.10:1883")
        return Place(host, int(number), prefix)
    return Place("127.0.0.1", monitor_find.demo_port() or _PLAIN_PORT, prefix)


class Events:
    """A bounded queue between the threads that listen and the one that shows."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Any] = queue.Queue(_QUEUED)
        self.dropped = 0

    def put(self, event: Any) -> None:
        """Never waits."""
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self.dropped += 1

    def take(self, seconds: float) -> list[Any]:
        """What has come, after waiting for the first for at most so long."""
        found = []
        with suppress(queue.Empty):
            found.append(self._queue.get(timeout=seconds))
            while len(found) < _QUEUED:
                found.append(self._queue.get_nowait())
        return found


class Link:
    """Subscribed to every board below the prefix, for as long as it lives; messages and changes go to `events`."""

    def __init__(self, where: Place, events: Events) -> None:
        self.where, self._events = where, events
        self.connected = self._refused = False
        suffix = f"-monitor-{secrets.token_hex(2)}"
        if where.settings:
            self._client = provision_tls.client(where.settings, suffix)
        else:
            self._client = paho.Client(CallbackAPIVersion.VERSION2, "fieldmqtt" + suffix)
        self._client.reconnect_delay_set(*_RETRY_S)
        self._client.connect_timeout = _CONNECT_S
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = lambda *_: self._say("away", "no connection")
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = lambda client, data, message: events.put(message)
        self._client.connect_async(where.host, where.port, 30)
        self._client.loop_start()

    def close(self) -> None:
        """Disconnect."""
        leave(self._client)

    def send(self, name: str, command: str, value: Any, identifier: str) -> None:
        """Send a command; never retained: a retained one would come again. Raises ValueError."""
        if not name or set(name) & set("+#\0"):
            raise ValueError(f"{clean(name)}: not the name of a board")
        if not self.connected:
            raise ValueError(f"not sent: the broker at {self.where} is away")
        request = {"command": command, "value": value, "id": identifier}
        payload = json.dumps({key: value for key, value in request.items() if value is not None})
        self._client.publish(f"{self.where.prefix}/{name}/command", payload, qos=1)

    def _on_connect(self, client: paho.Client, data: object, flags: object, code: Any, properties: object) -> None:
        if code.is_failure:
            self._say("refused", str(code))
        else:
            client.subscribe(f"{self.where.prefix}/#", qos=1)

    def _on_disconnect(self, client: paho.Client, data: object, flags: object, code: Any, properties: object) -> None:
        if not self._refused:  # which says more than that the connection ended
            self._say("away", str(code))

    def _on_subscribe(self, client: paho.Client, data: object, mid: int, codes: Any, properties: object) -> None:
        if any(code.is_failure for code in codes):
            self._say("refused", f"it does not allow to subscribe to {self.where.prefix}/#")
        else:
            self._say("connected", "")

    def _say(self, state: str, why: str) -> None:
        self.connected, self._refused = state == "connected", state == "refused"
        event = {"event": "broker", "state": state, "broker": str(self.where)}
        self._events.put({**event, "why": clean(why)} if why else event)


class Log:
    """What the board at a port prints, without disturbing its program."""

    def __init__(self, port: str, events: Events, opened: Callable[..., Remote] = Remote) -> None:
        self._port, self._events, self._open = port, events, opened
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Free the port."""
        self._end.set()
        self._thread.join(2 * _LOG_SLICE_S)

    def _follow(self) -> None:
        while not self._end.is_set():
            try:
                with self._open(self._port, interrupt=False) as remote:
                    while not self._end.is_set():
                        for text in remote.lines(_LOG_SLICE_S):
                            self._tell(text)
            except RemoteError as error:
                self._tell(str(error).splitlines()[0])
                self._end.wait(_LOG_RETRY_S)

    def _tell(self, text: str) -> None:
        event: Event = {"event": "log", "port": self._port, "line": clean(text)}
        self._events.put(event)
