"""What a cluster of three RabbitMQ nodes keeps and loses at QoS 1 when nodes are killed, measured.

    python tests/interop/cluster.py                     all of it: some minutes
    python tests/interop/cluster.py --queues quorum     one kind of queue
    python tests/interop/cluster.py --write             all, and the table of docs/brokers.md is written

A board (the library under MicroPython, the three nodes as its list of brokers) publishes numbers to another one that
has a session on the broker, both with clean_session=False and QoS 1. Nodes are ended by SIGKILL and started again. Then
it is counted which of the acknowledged messages have come, and how often. What the operating system has taken for
writing survives: this is a crash of RabbitMQ, not the loss of a machine's power.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

if __name__ == "__main__":
    _ROOT = Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(_ROOT), str(_ROOT / "tests")]

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from interop.bring import brought
from interop.serve_cluster import Cluster
from support.device import Device
from support.signals import leave_on_signals
from tools import packages, tables, toolchain
from tools.broker import BrokerError

QUEUES = ("classic", "quorum")

MARKERS = ("<!-- cluster -->", "<!-- /cluster -->")

_DOC = toolchain.ROOT / "docs" / "brokers.md"
_SETTINGS = """\
three nodes with `mqtt.durable_queue_type = quorum` in each `rabbitmq.conf` (before the
first session is made: a queue keeps its type), QoS 1 at both ends, `clean_session=False`, all three nodes in the
board's list. A message may come twice. While two of the three are away nothing is acknowledged; it waits in the
board's outbox. With classic queues, which are the default, a session is on one node: while that is away what goes to
it is not acknowledged, its owner gets no connection, and without the node's disk the session and all in it is lost.
A connection that brings no acknowledgement although messages are pending is left by the client itself, after `timeout`
and 1.5 times keepalive, here 20 s."""
_SCRIPT = Path(__file__).resolve().parent / "device" / "cluster_board.py"
_WHILE_S = 6.0  # each state of the cluster lasts so long at least
_READY_S = 60.0
_FLUSH_S = 90.0
_QUIET_S = 15.0  # without a message, when some are missing: they do not come any more
_HEAD = (
    "what happens",
    "queues",
    "acknowledged",
    "lost",
    "came twice",
    "longest wait for an acknowledgement",
    "stuck connections",
)


@dataclass(frozen=True)
class Outcome:
    """What became of the messages."""

    what: str
    queues: str
    sent: int
    lost: int
    twice: int
    wait_s: float
    renewed: int  # connections that the client left because they brought no acknowledgement

    def row(self) -> tuple[str, ...]:
        counts = (f"{number:,}" for number in (self.sent, self.lost, self.twice))
        return self.what, self.queues, *counts, f"{self.wait_s:.0f} s", str(self.renewed)


class Trial:
    """A publisher and a receiver on a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._devices: list[Device] = []
        self.receivers: list[Device] = []
        self.publisher: Device | None = None

    def _board(self, what: str, ready: bool = True) -> Device:
        ports = [end.port for end in self.cluster.endpoints]
        board = Device(toolchain.micropython(), _SCRIPT, what, *self.cluster.login, *ports, heap="1m")
        self._devices.append(board)
        if ready:
            board.line("ready", _READY_S)
        return board

    def receive(self, ready: bool = True) -> None:
        """`ready` False: perhaps its session is not to be had."""
        self.receivers.append(self._board("receive", ready))

    def leave(self) -> None:
        """The receiver says goodbye; its session stays."""
        self.receivers[-1].tell("stop")
        self.receivers[-1].finish(timeout=_READY_S)

    def publish(self) -> None:
        self.publisher = self._board("publish")

    def go_on(self) -> None:
        time.sleep(_WHILE_S)

    def begin(self) -> None:
        self.receive()
        self.publish()
        self.go_on()

    def kill(self, node: int) -> None:
        self.cluster.kill(node)
        self.go_on()

    def bring_back(self, *nodes: int) -> None:
        for node in nodes:
            self.cluster.start(node)
        self.cluster.wait_until_whole()
        self.go_on()

    def outcome(self, what: str) -> Outcome:
        """End the publisher, wait for the rest, count."""
        assert self.publisher
        self.publisher.tell("stop")
        sent, pending, wait_ms, renewed = map(int, self.publisher.line("sent", _FLUSH_S).split())
        sent -= pending  # those are the last ones
        came = self._wait_for(sent)
        lost = sum(came[number] == 0 for number in range(sent))
        twice = sum(count > 1 for count in came.values())
        return Outcome(what, self.cluster.durable, sent, lost, twice, wait_ms / 1000, renewed)

    def _wait_for(self, sent: int) -> "Counter[int]":
        last, quiet_since = -1, time.monotonic()
        while True:
            came = self._came()
            if len(came) >= sent:
                return came
            if came.total() != last:
                last, quiet_since = came.total(), time.monotonic()
            elif time.monotonic() - quiet_since > _QUIET_S:
                return came
            time.sleep(0.2)

    def _came(self) -> "Counter[int]":
        lines = (line for receiver in self.receivers for line in list(receiver.output))
        return Counter(int(line[4:]) for line in lines if line.startswith("got "))

    def close(self) -> None:
        for device in self._devices:
            device.close()


def one_after_the_other(trial: Trial) -> None:
    """One node is killed, comes back, then the next one"""
    trial.begin()
    for node in (0, 1):
        trial.kill(node)
        trial.bring_back(node)


def two_away(trial: Trial) -> None:
    """One node is killed, then the next one while the first is away; both come back"""
    trial.begin()
    trial.kill(0)
    trial.kill(1)
    trial.bring_back(0, 1)


def receiver_away(trial: Trial) -> None:
    """The receiver is away, its node is killed, the receiver comes to another one; then the node comes back"""
    node_gone(trial)
    trial.bring_back(0)


def node_gone(trial: Trial) -> None:
    """The same, but the node never comes back, as when its disk is broken"""
    trial.begin()
    trial.leave()
    trial.go_on()
    trial.kill(0)
    trial.receive(ready=False)
    trial.go_on()


SCENARIOS: tuple[Callable[[Trial], None], ...] = (one_after_the_other, two_away, receiver_away, node_gone)


@contextmanager
def _trial(installed: Path, queues: str) -> Iterator[Trial]:
    with Cluster(installed, queues) as cluster:
        trial = Trial(cluster)
        try:
            yield trial
        finally:
            trial.close()


def measured(queues: tuple[str, ...] = QUEUES, say: Callable[[str], None] = lambda text: None) -> list[Outcome]:
    """Every scenario with each kind of queue, on a new cluster each time. Raises Unavailable without RabbitMQ."""
    installed = brought("rabbitmq")
    outcomes = []
    for scenario in SCENARIOS:
        what = str(scenario.__doc__)
        for kind in queues:
            say(f"{what}; {kind} queues")
            with _trial(installed, kind) as trial:
                scenario(trial)
                outcomes.append(trial.outcome(what))
    return outcomes


def markdown(outcomes: list[Outcome]) -> str:
    """A table for a document."""
    return tables.markdown(_HEAD, [each.row() for each in outcomes], numbers_from=2)


def page(outcomes: list[Outcome]) -> str:
    """The table, and what it says about the settings: that of the classic queues is RabbitMQ's default."""
    lost = any(each.lost for each in outcomes if each.queues == "quorum")
    verdict = "Even with these settings something was lost" if lost else "Nothing is lost with these settings"
    return f"{markdown(outcomes)}\n\n{verdict}: {_SETTINGS}"


app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})
Queues = Annotated[str, typer.Option(help=f"Only these: {', '.join(QUEUES)}.")]
Write = Annotated[bool, typer.Option("--write", help="Write the table into docs/brokers.md.")]


@app.command()
def main(queues: Queues = "", write: Write = False) -> None:
    """Kill nodes of a RabbitMQ cluster and count. Exit code 1: quorum queues have lost something, or it did not run."""
    if queues and (write or queues not in QUEUES):
        raise typer.BadParameter(f"there are {', '.join(QUEUES)}; with --write it is all", param_hint="--queues")
    leave_on_signals()  # no node is to outlive us
    console = tables.console()
    progress = Console(stderr=True)
    try:
        outcomes = measured(
            (queues,) if queues else QUEUES, lambda text: progress.print(text, highlight=False, soft_wrap=True)
        )
    except (packages.Unavailable, toolchain.ToolchainMissing, BrokerError, AssertionError) as error:
        typer.echo(f"cluster: {(str(error) or repr(error)).splitlines()[0]}", err=True)
        raise typer.Exit(1) from None
    shown = Table(*_HEAD, box=box.SIMPLE_HEAD if console.is_terminal else box.MARKDOWN)
    for outcome in outcomes:
        shown.add_row(*outcome.row())
    console.print(shown)
    if write:
        text = tables.written(_DOC.read_text(encoding="utf-8"), MARKERS, page(outcomes))
        _DOC.write_text(text, encoding="utf-8")
        console.print(f"cluster: written to {_DOC.relative_to(toolchain.ROOT)}", highlight=False)
    raise typer.Exit(any(outcome.lost for outcome in outcomes if outcome.queues == "quorum"))


if __name__ == "__main__":
    app()
