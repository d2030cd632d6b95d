"""What a person would see who subscribes to a board: its readings, states and results, in the order of arrival."""

import json
import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho

from tools.paho_client import leave

PREFIX = "fieldmqtt"
_RECONNECT_S = 0.2


class Watcher:
    """A subscriber with a session that outlives the broker. A context manager."""

    def __init__(self, port: int, name: str = "board", client_id: str = "watcher") -> None:
        self.readings: list[dict[str, Any]] = []
        self.states: list[dict[str, Any]] = []
        self.results: list[dict[str, Any]] = []
        self._topic = f"{PREFIX}/{name}/"
        kinds = {"reading": self.readings, "state": self.states, "result": self.results}
        self._lists = {self._topic + kind: messages for kind, messages in kinds.items()}
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False)
        self.client.reconnect_delay_set(_RECONNECT_S, _RECONNECT_S)
        self.client.on_connect = lambda client, *_: client.subscribe(f"{self._topic}#", 1)
        self._subscribed = False
        self.client.on_subscribe = self._on_subscribe
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.until(lambda: self._subscribed, "the watcher to subscribe")

    def __enter__(self) -> "Watcher":
        return self

    def __exit__(self, *exc: object) -> None:
        leave(self.client)

    def _on_subscribe(self, *_: object) -> None:
        self._subscribed = True

    def _on_message(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        if message.topic in self._lists:
            self._lists[message.topic].append(json.loads(message.payload) | {"retained": message.retain})

    def until(self, condition: Callable[[], Any], what: str, timeout: float = 15) -> None:
        """Wait until the condition holds; fail with what was seen."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"waited {timeout} s for {what}; readings {[r['seq'] for r in self.readings]}, "
                    f"states {[s['state'] for s in self.states]}, results {self.results}"
                )
            time.sleep(0.02)

    def until_readings(self, more: int, timeout: float = 15) -> None:
        """Wait until so many more readings have arrived."""
        wanted = len(self.readings) + more
        self.until(lambda: len(self.readings) >= wanted, f"{wanted} readings", timeout)

    def until_state(self, state: str) -> None:
        """Wait until this is the last state that arrived."""
        self.until(lambda: self.states and self.states[-1]["state"] == state, f"state {state}")

    def send(self, text: str, retain: bool = False) -> None:
        """Publish to the board's command topic; return when the broker has it."""
        self.client.publish(f"{self._topic}command", text, qos=1, retain=retain).wait_for_publish(5)

    def command(self, command: object) -> dict[str, Any]:
        """Send a command (text as it is, anything else as JSON) and return the board's answer."""
        before = len(self.results)
        self.send(command if isinstance(command, str) else json.dumps(command))
        self.until(lambda: len(self.results) > before, f"the answer to {command!r}")
        return self.results[before]

    @property
    def sequence(self) -> list[int]:
        """The numbers of the readings, each once, in the order of their first arrival."""
        return list(dict.fromkeys(reading["seq"] for reading in self.readings))
