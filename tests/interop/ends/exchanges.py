"""Messages between our board and another client over mosquitto: one client, direction, QoS and version of MQTT.

In each exchange the other client meets four boards at once: the synchronous and the asyncio client, each with MQTT
3.1.1 and 5, whatever the other end speaks. Every message has to come to each as it was sent, in order, once.
"""

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from interop.ends.clients import Client, Job, Received
from interop.ends.processes import Reading, run
from support.device import Device
from support.mosquitto import listener
from tools.broker import Broker

DEVICE = Path(__file__).resolve().parent / "device"
BOARDS = [(face, level) for face in ("sync", "asyncio") for level in (4, 5)]
FROM_BOARD, TO_BOARD = "board → client", "client → board"
DIRECTIONS = (FROM_BOARD, TO_BOARD)

_TOPIC = "ends/Gerät"
_TEXT = "21,5 °C\n\tund dann: Ω, 日本, 🌡, 'quoted', \"twice\""
_BYTES = (
    bytes(range(256)),
    bytes(4),
    bytes(reversed(range(256))),
    random.Random(6).randbytes(5 * 1024),
    b"the last one",
)
MESSAGES = [_TEXT.encode(), *_BYTES]


@dataclass(frozen=True)
class Exchange:
    """`level`: of the protocol that the other client speaks."""

    client: type[Client]
    direction: str
    qos: int
    level: int


@contextmanager
def job(level: int, topic: str = "", qos: int = 1) -> Iterator[tuple[Broker, Job]]:
    """A broker, and what a program is to do at it."""
    with tempfile.TemporaryDirectory(prefix="fieldmqtt-ends-") as folder, Broker() as broker:
        yield broker, Job(Path(folder), broker.port, level, topic, qos)


def exchange(client: Client, wanted: Exchange, micropython: Path) -> None:
    """Carry it out. AssertionError says what was not as it should be."""
    topic = f"{_TOPIC}/+" if wanted.direction == FROM_BOARD else f"{_TOPIC}/all"
    with job(wanted.level, topic, wanted.qos) as (_, task):
        lines = [f"text {MESSAGES[0].hex()}", *(f"bytes {message.hex()}" for message in MESSAGES[1:])]
        (task.folder / "messages").write_text("\n".join(lines) + "\n")
        if wanted.direction == FROM_BOARD:
            _from_boards(client, task, micropython)
        else:
            _to_boards(client, task, micropython)


@contextmanager
def _boards(case: str, task: Job, micropython: Path) -> Iterator[dict[str, Device]]:
    """Every board, by its name."""
    devices: dict[str, Device] = {}
    try:
        for face, level in BOARDS:
            name = f"{face}-{level}"
            topic = task.topic.replace("+", name)
            settings = (f"topic={topic}", f"messages={task.folder / 'messages'}", f"qos={task.qos}", f"level={level}")
            script = (case, face, task.port, f"name={name}", *settings)
            devices[name] = Device(micropython, DEVICE / "exchange.py", *script)
        yield devices
    finally:
        for device in devices.values():
            device.close()


def _from_boards(client: Client, task: Job, micropython: Path) -> None:
    with Reading(client.subscriber(task), task.folder) as program:

        def came(name: str) -> list[Received]:
            topic = task.topic.replace("+", name)
            return [message for message in client.received(program.output) if message.topic == topic]

        # Retained: it comes whether the program has subscribed already or not, and says that it has.
        with listener(task.port) as other:
            other.publish(task.topic.replace("+", "probe"), "subscribed?", qos=1, retain=True)
        program.until(lambda _: bool(came("probe")), "the retained message")
        with _boards("send", task, micropython) as devices:
            for device in devices.values():
                device.finish()
            last = client.shown(MESSAGES[-1])
            for name in devices:
                program.until(lambda _, name=name: last in [m.payload for m in came(name)], f"the last of {name}")
        qos = task.qos if client.tells_qos else None
        for name in devices:
            _same(name, [(m.qos, m.payload) for m in came(name)], [(qos, client.shown(m)) for m in MESSAGES])


def _to_boards(client: Client, task: Job, micropython: Path) -> None:
    with _boards("receive", task, micropython) as devices:
        for name, device in devices.items():
            granted = device.line("ready")
            assert granted == str(task.qos), f"{name} was granted QoS {granted}"
        for command, sent in client.publishers(task, MESSAGES):
            run(command, task.folder)
            for device in devices.values():
                for _ in sent:
                    device.line("got")
        expected = [f"got {task.topic} {task.qos} {message.hex()}" for message in MESSAGES]
        for name, device in devices.items():
            _same(name, [line for line in device.finish() if line.startswith("got")], expected)


def _same(name: str, got: list, expected: list) -> None:
    """AssertionError with the first difference."""
    for number, (mine, wanted) in enumerate(zip(got, expected)):
        assert mine == wanted, f"{name}: message {number} is {_short(mine)}, not {_short(wanted)}"
    assert len(got) == len(expected), f"{name}: {len(got)} messages, not {len(expected)}"


def _short(value: object, most: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"
