"""What is tried besides single messages: the firmware and its commands, a broker that goes away, umqtt.simple's board.

Each case has a name and a function that raises AssertionError (a TimeoutError, where the firmware is silent) with what
was not as it should be.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interop.ends.clients import HOST, LEVELS, Client, MqttJs, UmqttSimple
from interop.ends.exchanges import BOARDS, DEVICE, job
from interop.ends.processes import Reading, run
from support.device import Device
from tools import device as firmware

NAME = "shed"  # of the board, in the programs and commands of docs/other-ends.md
_ROUNDS = 5
_SAID = re.compile(rf"fieldmqtt/{NAME}/(\w+).*?(\{{.*\}})")


@dataclass(frozen=True)
class Case:
    """`run(client, micropython)` tries it."""

    client: type[Client]
    name: str
    run: Callable[[Any, Path], None]


def cases(client: type[Client]) -> Iterator[Case]:
    """Those of one client."""
    for level in client.levels:
        yield Case(client, f"readings and a command, MQTT {LEVELS[level]}", _with_level(readings_and_command, level))
    if client is MqttJs:
        for level in client.levels:
            yield Case(client, f"broker killed and started again, MQTT {LEVELS[level]}", _with_level(events, level))
    if client is UmqttSimple:
        yield Case(client, "our board asks, umqtt.simple answers", lambda *a: pair("answer", "ask", *a))
        yield Case(client, "umqtt.simple asks, our board answers", lambda *a: pair("ask", "answer", *a))


def _with_level(case: Callable[[Client, Path, int], None], level: int) -> Callable[[Client, Path], None]:
    return lambda client, micropython: case(client, micropython, level)


def _board(port: int, level: int, micropython: Path) -> firmware.Device:
    """Our firmware at this broker, with a reading in each second."""
    mqtt = {"server": HOST, "port": port, "version": level}
    return firmware.Device({"name": NAME, "interval": 1, "mqtt": mqtt}, micropython=micropython)


def said(output: bytes) -> list[tuple[str, dict[str, Any]]]:
    """What the board has said, in whichever way a program prints it: kind and JSON of each message."""
    lines = output.decode(errors="replace").split("\n")[:-1]
    return [(found[1], json.loads(found[2])) for line in lines if (found := _SAID.search(line))]


def _of_kind(output: bytes, kind: str) -> list[dict[str, Any]]:
    return [message for what, message in said(output) if what == kind]


def readings_and_command(client: Client, micropython: Path, level: int) -> None:
    """The programs of docs/other-ends.md: one shows the firmware's readings, the other sets the interval."""
    with job(level) as (broker, task), _board(broker.port, level, micropython):
        with Reading(client.subscriber(task), task.folder) as program:
            program.until(lambda out: any(state["state"] == "online" for state in _of_kind(out, "state")), "online")
            program.until(lambda out: bool(_of_kind(out, "reading")), "a reading")
            for command, _ in client.publishers(task, []):
                run(command, task.folder)
            program.until(lambda out: bool(_of_kind(out, "result")), "the answer to the command")
            program.until(lambda out: _of_kind(out, "state")[-1].get("interval") == 5, "the new interval")
        expected = {"id": 1, "command": "interval", "value": 5, "ok": True}
        results = _of_kind(program.output, "result")
        assert results == [expected], f"the board answered {results}"


def events(client: MqttJs, micropython: Path, level: int) -> None:
    """MQTT.js tells connect, offline, reconnect, connect, and readings come again, when the broker is killed."""
    with job(level) as (broker, task), _board(broker.port, level, micropython):
        with Reading(client.subscriber(task), task.folder) as program:
            program.until(lambda out: bool(_of_kind(out, "reading")), "a reading")
            broker.kill()
            program.until(lambda out: b"offline\n" in out and b"reconnect\n" in out, "offline and reconnect")
            broker.start()
            program.until(lambda out: out.count(b"connect\n") - out.count(b"reconnect\n") == 2, "connect again")
            last = _of_kind(program.output, "reading")[-1]["seq"]
            program.until(lambda out: _of_kind(out, "reading")[-1]["seq"] > last, "a reading after the second connect")
        told = [line for line in program.output.decode().split("\n") if line in ("connect", "offline", "reconnect")]
        in_order = re.fullmatch(r"connect offline( reconnect)+ connect", " ".join(told))
        assert in_order, f"the events were {' '.join(told)}"


def pair(theirs: str, ours: str, client: UmqttSimple, micropython: Path) -> None:
    """Request and response between umqtt.simple and each of our boards, QoS 0 and 1; one side asks, one answers."""
    for face, level in BOARDS:
        for qos in client.qos:
            _pair(theirs, ours, client, micropython, (face, level, qos))


def _pair(theirs: str, ours: str, client: UmqttSimple, micropython: Path, how: tuple[str, int, int]) -> None:
    face, level, qos = how
    request, response = "ends/request", "ends/response"
    with job(level) as (broker, _):

        def umqtt() -> Device:
            arguments = (theirs, broker.port, request, response, _ROUNDS, qos)
            return Device(micropython, DEVICE / "umqtt_pair.py", *arguments, lib=client.lib)

        def board() -> Device:
            settings = (
                f"request={request}",
                f"response={response}",
                f"count={_ROUNDS}",
                f"qos={qos}",
                f"level={level}",
            )
            return Device(micropython, DEVICE / "pair.py", ours, face, broker.port, *settings)

        answerer = umqtt() if theirs == "answer" else board()
        try:
            answerer.line("ready")
            asker = board() if theirs == "answer" else umqtt()
            try:
                asker.finish()
                answerer.finish()
            finally:
                asker.close()
        finally:
            answerer.close()
    expected = [f"answer {b'answer to request %d ' % number + bytes((0, 255))!r}" for number in range(_ROUNDS)]
    answers = [line for line in asker.output if line.startswith("answer")]
    assert answers == expected, f"{face}, {LEVELS[level]}, QoS {qos}: {answers}"
