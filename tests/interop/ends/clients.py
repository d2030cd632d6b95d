"""The clients at the other end: how each is started, what it is given, and how what it prints is read.

A client that is a library runs the programs of programs/, which docs/other-ends.md shows, with other values for the
names at their top. A client that is a program runs the commands of that page, or the same with other options.
"""

import ast
import json
import os
import re
import shlex
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt

from docs.docs_programs import adapted, commands
from interop import bring_ends
from tools import toolchain

PROGRAMS = Path(__file__).resolve().parent / "programs"
PAGE = toolchain.ROOT / "docs" / "other-ends.md"
HOST = "127.0.0.1"
LEVELS = {4: "3.1.1", 5: "5"}  # of the protocol, as CONNECT says it


@dataclass(frozen=True)
class Job:
    """What a program is to do, and a folder of its own. Without a topic: what the page shows it for."""

    folder: Path
    port: int
    level: int
    topic: str = ""
    qos: int = 1


@dataclass(frozen=True)
class Command:
    """How a program is started."""

    words: Sequence[str | Path]
    environment: dict[str, str] | None = None


@dataclass(frozen=True)
class Received:
    """What a program says of a message. qos is None if it does not tell; payload is what Client.shown() makes of it."""

    topic: str
    qos: int | None
    payload: object


class Client(ABC):
    """One client of this machine. Making it brings what is missing: raises Unavailable when that cannot be had."""

    name: str
    version: str
    levels: Sequence[int] = (4, 5)
    qos: Sequence[int] = (0, 1, 2)
    tells_qos = True
    note = ""  # what the table cannot say

    @abstractmethod
    def subscriber(self, job: Job) -> Command:
        """A program that prints what comes, until it is ended."""

    @abstractmethod
    def publishers(self, job: Job, messages: list[bytes]) -> Iterator[tuple[Command, list[bytes]]]:
        """Programs to be run one after the other, each with the messages that it sends."""

    @abstractmethod
    def received(self, output: bytes) -> list[Received]:
        """The messages in what the subscriber has printed, without the last one if it is not complete."""

    def shown(self, payload: bytes) -> object:
        """What a Received has of this payload."""
        return payload


def _lines(output: bytes) -> list[bytes]:
    return output.split(b"\n")[:-1]


class _PythonPrograms(Client):
    """A library with a pub.py and a sub.py."""

    @abstractmethod
    def _program(self, job: Job, name: str, **values: object) -> Command:
        """One of them, with these values for the names at its top."""

    def subscriber(self, job: Job) -> Command:
        return self._program(job, "sub.py")

    def publishers(self, job: Job, messages: list[bytes]) -> Iterator[tuple[Command, list[bytes]]]:
        more = {"MESSAGES": messages} if messages else {}
        yield self._program(job, "pub.py", **more), messages

    def received(self, output: bytes) -> list[Received]:
        """Lines with a topic, perhaps a QoS, and a payload as Python shows bytes."""
        found = []
        for line in _lines(output):
            topic, *qos, payload = line.decode().split(" ", 2 if re.match(rb"\S+ \d b['\"]", line) else 1)
            found.append(Received(topic, int(qos[0]) if qos else None, ast.literal_eval(payload)))
        return found


def _python_program(job: Job, folder: str, name: str, values: dict[str, object]) -> Path:
    if job.topic:
        values |= {"TOPIC": job.topic, "QOS": job.qos}
    path = job.folder / name
    path.write_text(adapted((PROGRAMS / folder / name).read_text(encoding="utf-8"), **values), encoding="utf-8")
    return path


class PahoPython(_PythonPrograms):
    """paho-mqtt, as .venv has it."""

    name = "paho-mqtt (Python)"

    def __init__(self) -> None:
        self.version = paho.mqtt.__version__

    def _program(self, job: Job, name: str, **values: object) -> Command:
        values |= {"BROKER": HOST, "PORT": job.port, "VERSION": job.level}
        return Command([toolchain.python(), _python_program(job, "paho", name, values)])


class MqttJs(Client):
    """MQTT.js under Node.js."""

    name = "MQTT.js"

    def __init__(self) -> None:
        brought = bring_ends.mqttjs()
        self.version = brought.version
        self._node, self._modules = brought.programs["node"], brought.programs["node_modules"]

    def subscriber(self, job: Job) -> Command:
        return self._program(job, "sub.mjs", **({"ENCODING": '"hex"'} if job.topic else {}))

    def publishers(self, job: Job, messages: list[bytes]) -> Iterator[tuple[Command, list[bytes]]]:
        listed = json.dumps([message.hex() for message in messages])
        more = {"MESSAGES": f'{listed}.map((digits) => Buffer.from(digits, "hex"))'} if messages else {}
        yield self._program(job, "pub.mjs", **more), messages

    def _program(self, job: Job, name: str, **values: str) -> Command:
        values |= {"BROKER": json.dumps(f"mqtt://{HOST}:{job.port}"), "VERSION": str(job.level)}
        if job.topic:
            values |= {"TOPIC": json.dumps(job.topic), "QOS": str(job.qos)}
        program = (PROGRAMS / "mqttjs" / name).read_text(encoding="utf-8")
        for constant, value in values.items():
            program, found = re.subn(
                rf"^const {constant} = .*$", lambda _, c=constant, v=value: f"const {c} = {v};", program, flags=re.M
            )
            assert found == 1, f"{name} has no line const {constant} = …"
        path = job.folder / name
        path.write_text(program, encoding="utf-8")
        if not (job.folder / "node_modules").exists():
            (job.folder / "node_modules").symlink_to(self._modules)
        return Command([self._node, path])

    def received(self, output: bytes) -> list[Received]:
        words = [line.decode().split(" ") for line in _lines(output)]
        return [Received(line[0], int(line[1]), bytes.fromhex(line[2])) for line in words if len(line) == 3]


class _CommandLine(Client):
    """Two programs of a package: they have the same options, but for some."""

    _brought: bring_ends.Brought
    _publish: str  # the name of the program
    _subscribe: str
    _publish_options: Sequence[str] = ()
    _subscribe_options: Sequence[str]
    _versions = {4: "311", 5: "5"}

    def subscriber(self, job: Job) -> Command:
        if not job.topic:
            return self._of_page(self._subscribe, job)
        return self._command(self._subscribe, job, *self._subscribe_options)

    def publishers(self, job: Job, messages: list[bytes]) -> Iterator[tuple[Command, list[bytes]]]:
        if not messages:
            yield self._of_page(self._publish, job), []
        for number, message in enumerate(messages):
            path = job.folder / f"message-{number}"
            path.write_bytes(message)
            yield self._command(self._publish, job, *self._publish_options, "-f", path), [message]

    def _of_page(self, program: str, job: Job) -> Command:
        """The line of the page that starts this program, at our broker."""
        line = next(line for line in commands(PAGE) if line.startswith(program + " "))
        words = shlex.split(line)[1:]
        words[words.index("-h") + 1] = HOST
        return Command([self._brought.programs[program], *words, "-p", str(job.port), "-V", self._versions[job.level]])

    def _command(self, program: str, job: Job, *more: str | Path) -> Command:
        at = ["-h", HOST, "-p", str(job.port), "-V", self._versions[job.level]]
        return Command([self._brought.programs[program], *at, "-t", job.topic, "-q", str(job.qos), *more])


class MosquittoClients(_CommandLine):
    """mosquitto_pub and mosquitto_sub."""

    name = "mosquitto_pub, mosquitto_sub"
    _publish, _subscribe = "mosquitto_pub", "mosquitto_sub"
    _subscribe_options = ("-F", "%t %q %x")

    def __init__(self) -> None:
        self._brought = bring_ends.mosquitto_clients()
        self.version = self._brought.version

    def received(self, output: bytes) -> list[Received]:
        words = [line.decode().split(" ") for line in _lines(output)]
        return [Received(topic, int(qos), bytes.fromhex(payload)) for topic, qos, payload in words]


class PahoC(_CommandLine):
    """paho_c_pub and paho_c_sub. The second prints a payload as C prints text: as far as its first zero byte."""

    name = "Eclipse Paho C (paho_c_pub, paho_c_sub)"
    tells_qos = False
    note = (
        "paho_c_sub prints no QoS, and of a payload its length and the bytes before its first zero byte: "
        "only these are compared."
    )
    _end = "<end>\n"
    _publish, _subscribe = "paho_c_pub", "paho_c_sub"
    _publish_options = ("-i", "pub")
    _subscribe_options = ("-i", "sub", "--verbose", "--delimiter", _end)

    def __init__(self) -> None:
        self._brought = bring_ends.paho_c()
        self.version = self._brought.version

    def received(self, output: bytes) -> list[Received]:
        found = []
        for part in output.split(self._end.encode())[:-1]:
            message = re.search(rb"^(\d+) (\S+)\t(.*)\Z", part, re.MULTILINE | re.DOTALL)
            assert message, f"paho_c_sub printed {part!r}"
            found.append(Received(message[2].decode(), None, (int(message[1]), message[3])))
        return found

    def shown(self, payload: bytes) -> object:
        return len(payload), payload.partition(b"\0")[0]


class UmqttSimple(_PythonPrograms):
    """umqtt.simple, on a board beside ours: MicroPython's unix port."""

    name = "umqtt.simple"
    levels = (4,)
    qos = (0, 1)
    tells_qos = False
    note = "It has no QoS 2 and no MQTT 5, and does not tell a message's QoS."

    def __init__(self) -> None:
        brought = bring_ends.umqtt_simple()
        self.version, self.lib = brought.version, brought.programs["lib"]
        self._micropython = toolchain.micropython()

    def _program(self, job: Job, name: str, **values: object) -> Command:
        path = _python_program(job, "umqtt", name, {**values, "BROKER": HOST, "PORT": job.port})
        return Command([self._micropython, path], {**os.environ, "MICROPYPATH": f"{self.lib}:.frozen"})


CLIENTS: tuple[type[Client], ...] = (PahoPython, MqttJs, MosquittoClients, PahoC, UmqttSimple)
