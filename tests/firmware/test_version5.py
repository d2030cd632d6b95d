"""The firmware with `"version": 5`: readings grow old, and a short loss of the link is no `offline`."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from faults.plan import Plan
from faults.proxy import Proxy
from faults.wire import packets
from firmware.watcher import Watcher
from support import reference5
from support.mosquitto import store
from tools.broker import Broker
from tools.device import Device

Board = Callable[..., Device]


class Said(Proxy):
    """A proxy without faults that understands what the board says; `state` and `reading` have the last of each."""

    def __init__(self, target: int) -> None:
        super().__init__(target, Plan(0, kinds=()), self._hear)
        self.connects: list[dict[str, Any]] = []
        self.published: dict[str, dict[str, Any]] = {}
        self._buffer = bytearray()

    def _hear(self, _connection: int, to_broker: bool, data: bytes) -> None:
        if not to_broker:
            return
        if not data:
            self._buffer.clear()
        self._buffer += data
        for head, rest in packets(self._buffer):
            fields = reference5.decode(bytes((head,)) + reference5.varint(len(rest)) + rest)
            if fields["packet"] == "CONNECT":
                self.connects.append(fields)
            elif fields["packet"] == "PUBLISH" and fields["topic"]:  # later ones have an alias
                self.published[fields["topic"].rsplit("/", 1)[-1]] = fields["properties"]


@pytest.fixture
def said(broker: Broker) -> Iterator[Said]:
    with Said(broker.port) as proxy:
        yield proxy


@pytest.mark.parametrize(("expiry", "expected"), [({}, 604800), ({"expiry": 90}, 90), ({"expiry": 0}, None)])
def test_what_it_says(board: Board, said: Said, watcher: Watcher, expiry: dict[str, int], expected: int | None) -> None:
    board(mqtt={"port": said.port, "version": 5, **expiry}).start()
    watcher.until_readings(2)
    watcher.until_state("online")
    connect = said.connects[0]
    assert connect["will"][4] == {"will_delay": 60} and connect["properties"]["session_expiry"] == 300
    assert connect["clean_start"] == 1
    assert said.published["reading"].get("message_expiry") == expected
    assert "message_expiry" not in said.published["state"]


@pytest.mark.parametrize(("version", "told"), [(4, True), (5, False)])
def test_a_short_loss_of_the_link(board: Board, broker: Broker, watcher: Watcher, version: int, told: bool) -> None:
    with Proxy(broker.port, Plan(0, kinds=())) as proxy:
        board(mqtt={"port": proxy.port, "version": version}).start()
        watcher.until_state("online")
        before = len(watcher.states)
        proxy.cut()
        watcher.until(lambda: watcher.states[before:] and watcher.states[-1]["state"] == "online", "it to be back")
    assert ("offline" in [state["state"] for state in watcher.states]) is told


def test_commands_of_a_short_loss_arrive(board: Board, said: Said, watcher: Watcher) -> None:
    """The session is gone on with, so what was sent meanwhile waits in the broker."""
    board(mqtt={"port": said.port, "version": 5}).start()
    watcher.until_state("online")
    said.cut()
    assert watcher.command({"command": "interval", "value": 0.3})["ok"]
    watcher.until(lambda: len(said.connects) > 1, "it to be back")
    assert said.connects[1]["clean_start"] == 0


def test_a_reading_that_is_too_old_is_not_delivered(board: Board, broker: Broker, watcher: Watcher) -> None:
    device = board(mqtt={"version": 5, "expiry": 1})
    device.start()
    watcher.until_readings(2)
    store(broker)
    broker.kill()
    time.sleep(3)
    broker.start()
    watcher.until(lambda: watcher.states and watcher.states[-1].get("expired"), "a state that tells of them", 30)
    watcher.until_readings(3)
    missing = set(range(max(watcher.sequence) + 1)) - set(watcher.sequence)
    assert len(missing) >= watcher.states[-1]["expired"] > 0
