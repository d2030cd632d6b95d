"""A cluster of three RabbitMQ nodes on this machine, each with its own ports, folder and processes."""

import json
import secrets
import shutil
import tempfile
import time
from contextlib import AbstractContextManager
from pathlib import Path

from interop.serve_rabbitmq import Mapper, Node, settings
from interop.served import TCP, Endpoint
from interop.serving import HOST, Program, accepts
from tools.broker import BrokerError, free_port

NODES = 3

_START_S = 120.0  # three Erlang machines may share one processor
_WHOLE_S = 120.0


class Cluster(AbstractContextManager["Cluster"]):
    """Entering starts all nodes and returns when they are one cluster.

    `durable`: mqtt.durable_queue_type, what a session that outlives its connection is kept in: "classic", on one
    node, as RabbitMQ does unless told otherwise, or "quorum", on all three.
    """

    def __init__(self, installed: Path, durable: str) -> None:
        self._installed, self.durable = installed, durable
        self.login = ("device", secrets.token_urlsafe(12))
        self.endpoints = [Endpoint(TCP, free_port(), HOST) for _ in range(NODES)]
        self._programs: list[Program | None] = [None] * NODES

    def __enter__(self) -> "Cluster":
        self.folder = Path(tempfile.mkdtemp(prefix="fieldmqtt-cluster-"))
        self._mapper = Mapper(self._installed, self.folder)
        try:
            self._nodes = self._prepared()
            for number in range(NODES):
                self._launch(number)
            self._wait_until_open(range(NODES))
            self.wait_until_whole()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        for number in range(NODES):
            self.kill(number)
        self._mapper.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _prepared(self) -> list[Node]:
        cookie = secrets.token_hex(10)
        names = [f"node{number + 1}" for number in range(NODES)]
        found = [f"cluster_formation.classic_config.nodes.{n + 1} = {name}@localhost" for n, name in enumerate(names)]
        shared = [
            f"mqtt.durable_queue_type = {self.durable}",
            "cluster_formation.peer_discovery_backend = classic_config",
            *found,
        ]
        nodes = []
        for name, end in zip(names, self.endpoints, strict=True):
            lines = [*settings({end.kind: end}, self.login), *shared]
            nodes.append(
                Node(self._installed, self.folder / name, self._mapper, lines, name, cookie, ["rabbitmq_mqtt"])
            )
            nodes[-1].prepare()
        return nodes

    def _launch(self, number: int) -> None:
        self._mapper.start()
        node = self._nodes[number]
        self._programs[number] = Program(node.command(), node.folder, node.environment())

    def kill(self, number: int) -> None:
        """SIGKILL: the node has no time for anything. What it had given to the system to be written stays written."""
        program = self._programs[number]
        if program:
            program.kill()
            self._programs[number] = None

    def start(self, number: int) -> None:
        """Start a killed node again; returns when it accepts connections."""
        self._launch(number)
        self._wait_until_open([number])

    def wait_until_whole(self) -> None:
        """Until all nodes are members that run, and none of them is one that a queue could not do without."""
        end = time.monotonic() + _WHOLE_S
        while not self._is_whole():
            if time.monotonic() > end:
                raise BrokerError(f"the cluster is not whole after {_WHOLE_S:.0f} s:\n{self.log()[-3000:]}")

    def _is_whole(self) -> bool:
        status = self._nodes[0].control("rabbitmqctl", "cluster_status", "--formatter", "json")
        if status is None or len(json.loads(status)["running_nodes"]) < NODES:
            return False
        critical = "check_if_node_is_quorum_critical"
        return all(node.control("rabbitmq-queues", critical) is not None for node in self._nodes)

    def _wait_until_open(self, numbers: "range | list[int]") -> None:
        end = time.monotonic() + _START_S
        waiting = set(numbers)
        while waiting:
            waiting = {number for number in waiting if not accepts(self.endpoints[number].port)}
            for program in (self._programs[number] for number in waiting):
                if program is None or not program.runs:
                    raise BrokerError(f"a node ended at once:\n{self.log()[-3000:]}")
            if time.monotonic() > end:
                raise BrokerError(f"nodes {waiting} did not start in {_START_S:.0f} s:\n{self.log()[-3000:]}")
            time.sleep(0.1)

    def log(self) -> str:
        """What the nodes said, one after the other."""
        return "".join((node.folder / "log").read_text(errors="replace") for node in self._nodes)
