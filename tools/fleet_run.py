"""One run of a fleet: start the boards, let them publish, perhaps cut all off at once, end them, count what arrived."""

import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tools.fleet_boards import Boards, FleetError, compiled
from tools.fleet_broker import HOST, Listener, LocalBroker, Topics, local_tls
from tools.fleet_figures import Percentiles, Storm, Usage, allow_open_files, usage

AWAY_S = 5.0  # that a storm takes the broker away

_BEFORE_STORM_S = 5.0  # of quiet, when no end was given
_PATIENCE_S = 120.0  # until all boards are online, or back
_PATIENCE_EACH_S = 0.5
_REST_S = 2.0  # without a message after the boards have ended: what is missing then does not come
_SAMPLE_S = 2.0
_SPARE_FILES = 64


@dataclass(frozen=True)
class Plan:
    """What to do. `rate`: messages per board per minute; `seconds`: None is until Ctrl-C; `broker`: host and port."""

    boards: int
    rate: float = 6.0
    seconds: float | None = None
    storm: bool = False
    away: float = AWAY_S
    tls: bool = False
    broker: tuple[str, int] | None = None


@dataclass
class Sample:
    """What boards and broker used at one time; None where the system does not tell."""

    at: float
    received: int
    boards: Usage | None
    broker: Usage | None


@dataclass
class Costs:
    """Memory is PSS. None: not measured."""

    board_kb: float | None = None
    board_ms: float | None = None  # CPU in a second
    broker_kb: float | None = None
    connection_kb: float | None = None  # at the broker
    connection_ms: float | None = None  # CPU of the broker until a board is online
    message_ms: float | None = None  # CPU of the broker; acknowledgements and the one subscriber included


@dataclass
class Result:
    """What a run has shown; times in s."""

    plan: Plan
    interrupted: bool = False  # by Ctrl-C or a signal, not by its plan
    connected: int = 0  # boards that were online at the end
    received: int = 0
    twice: int = 0
    lost: int = 0
    waiting: int = 0  # in boards that had no connection at the end
    refused: int = 0  # by the boards' outboxes, which were full
    silent: int = 0  # boards that did not say how many readings they have taken
    payload: float = 0.0  # mean, bytes
    reconnects: int = 0
    start_s: float = 0.0
    calm_s: float = 0.0
    calm_received: int = 0
    latency: Percentiles | None = None
    storm_latency: Percentiles | None = None
    storm: Storm | None = None
    costs: Costs = field(default_factory=Costs)

    def problems(self) -> list[str]:
        """What is not as it should be: one line each."""
        found = []
        if self.connected < self.plan.boards:
            found.append(f"{self.plan.boards - self.connected} of {self.plan.boards} boards were not connected")
        if self.silent:
            found.append(f"{self.silent} boards ended without telling what they have published")
        if self.waiting:
            found.append(f"{self.waiting} messages at QoS 1 waited in boards that had no connection when they ended")
        if self.lost:
            found.append(f"{self.lost} messages at QoS 1 were accepted by a board and did not arrive")
        return found

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {**asdict(self), "problems": self.problems()}


class Run:
    """A fleet at work: who shows it looks at the attributes."""

    def __init__(self, plan: Plan, boards: Boards, listener: Listener, broker: LocalBroker | None) -> None:
        self.plan, self.boards, self.broker, self._listener = plan, boards, broker, listener
        self.arrivals, self.where = listener.arrivals, listener.where
        self.phase = "starting"
        self.phase_began = time.monotonic()
        self.result = Result(plan)
        self.samples: deque[Sample] = deque([self._sample()], maxlen=2)  # the last
        self._alone = self.samples[0]
        self._show: Callable[[Run], None] = lambda run: None

    def run(self, show: Callable[["Run"], None] = lambda run: None) -> Result:
        """All of it; show(run) is called several times a second. Ctrl-C ends the boards in good order.

        Raises FleetError when they do not all come online.
        """
        self._show = show
        try:
            self._start()
            self._publish()
            if self.plan.storm and self.broker:
                self._storm(self.broker)
            while self.plan.seconds is None:
                self._turn()
        except KeyboardInterrupt:
            self.result.interrupted = True
        self._end()
        return self.result

    def reconnects(self) -> int:
        """How often boards came online again."""
        return self.boards.connects - len(self.boards.seen)

    def _enter(self, phase: str) -> None:
        self.phase, self.phase_began = phase, time.monotonic()

    def _turn(self) -> None:
        self.boards.look()
        if time.monotonic() - self.samples[-1].at >= _SAMPLE_S:
            self.samples.append(self._sample())
        self._show(self)

    def _sample(self) -> Sample:
        process = self.broker.process if self.broker else None
        broker = usage([process.pid]) if process else None
        return Sample(time.monotonic(), self.arrivals.received, usage(self.boards.pids), broker)

    def _start(self) -> None:
        wanted = self.plan.boards
        patience = self.phase_began + _PATIENCE_S + _PATIENCE_EACH_S * wanted
        while len(self.boards.seen) < wanted:
            self.boards.start_more()
            self._turn()
            if time.monotonic() > patience:
                said = "\n  ".join(["The boards said:", *self.boards.said])
                raise FleetError(f"Of {wanted} boards {len(self.boards.seen)} came online. {said}")
        self.result.start_s = time.monotonic() - self.phase_began

    def _publish(self) -> None:
        """The quiet time: what is measured are the costs, and the latency."""
        self._enter("publishing")
        self.arrivals.settled(time.time())
        end = self.plan.seconds or (_BEFORE_STORM_S if self.plan.storm else None)
        begun = self._sample()
        try:
            while end is None or time.monotonic() < begun.at + end:
                self._turn()
        finally:
            ended = self._sample()
            self.result.costs = _costs(self.plan.boards, self._alone, begun, ended)
            self.result.latency = self.arrivals.latency()
            self.result.calm_s = ended.at - begun.at
            self.result.calm_received = ended.received - begun.received

    def _storm(self, broker: LocalBroker) -> None:
        self._enter("the broker is away")
        before = len(self.boards.attempts)
        cut = time.time()
        storm = self.result.storm = Storm(self.plan.boards)
        self.arrivals.storm(cut)
        broker.kill()
        patience = cut + self.plan.away + _PATIENCE_S
        while storm.missing and time.time() < patience:
            self._turn()
            storm.attempts = [at - cut for at in self.boards.attempts[before:] if at > cut]
            storm.back = [at - cut for at in list(self.boards.online.values()) if at > cut]
            if storm.returned is None and time.time() >= cut + self.plan.away:
                self._enter("the boards come back")
                broker.start()
                storm.returned = time.time() - cut
        self.arrivals.storm(cut, time.time())
        self._enter("publishing")

    def _end(self) -> None:
        self._enter("ending")
        result, boards, arrivals = self.result, self.boards, self.arrivals
        online = set(boards.online)
        result.connected = len(online)
        result.reconnects = self.reconnects()
        boards.end(self._turn)
        accepted = {board: taken - refused for board, (taken, refused) in boards.taken.items()}
        self._wait_for_the_rest(sum(accepted.values()))
        result.received, result.twice = arrivals.received, arrivals.twice
        missing = {board: max(0, count - arrivals.of(board)) for board, count in accepted.items()}
        result.lost = sum(missing[board] for board in online & set(missing))
        result.waiting = sum(missing.values()) - result.lost
        result.refused = sum(refused for _, refused in boards.taken.values())
        result.silent = boards.started - len(boards.taken)
        result.payload = arrivals.bytes / max(1, arrivals.received)
        result.storm_latency = arrivals.latency(stormy=True)
        if not self.broker:
            self._listener.forget(boards.started)

    def _wait_for_the_rest(self, accepted: int) -> None:
        last, since = self.arrivals.received, time.monotonic()
        while self.arrivals.received < accepted and time.monotonic() < since + _REST_S:
            self._turn()
            if self.arrivals.received != last:
                last, since = self.arrivals.received, time.monotonic()


@contextmanager
def fleet(plan: Plan) -> Iterator[Run]:
    """Broker, subscriber and the boards' program, ready to run; nothing of it is left afterwards.

    Raises FleetError, BrokerError and ToolchainMissing, which say what to do.
    """
    limit = allow_open_files(plan.boards + _SPARE_FILES)
    if limit is not None:
        raise FleetError(
            f"The broker needs a file for each board: {plan.boards + _SPARE_FILES} for {plan.boards} boards, and this "
            f"system allows {limit} (ulimit -Hn).\nRaise that limit, or take at most {limit - _SPARE_FILES} boards."
        )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fieldmqtt-fleet-")))
        tls, authority = local_tls(folder) if plan.tls else (None, None)
        broker = None if plan.broker else LocalBroker(tls)
        if broker:
            stack.enter_context(broker)
        host, port = plan.broker or (HOST, broker.port if broker else 0)
        topics = Topics() if broker else Topics.apart()
        listener = Listener(host, port, topics, tls.ca if tls else None)
        listener.open()
        stack.callback(listener.close)
        if broker:
            broker.remember()
        library = compiled(folder / "lib")
        mqtt = {"server": host, "port": port, "prefix": topics.prefix, "flash": 0}
        mqtt |= {"tls": {"ca": str(authority)}} if tls else {}
        config = {"interval": 60 / plan.rate, "mqtt": mqtt}
        boards = stack.enter_context(Boards(library, plan.boards, topics.name, config))
        yield Run(plan, boards, listener, broker)


def _costs(boards: int, alone: Sample, begun: Sample, ended: Sample) -> Costs:
    """`alone`: the broker without boards; `begun`: all boards are online; `ended`: after the quiet time."""
    costs = Costs()
    seconds, messages = ended.at - begun.at, ended.received - begun.received
    if begun.boards and ended.boards and seconds:
        costs.board_kb = ended.boards.memory_kb / boards
        costs.board_ms = (ended.boards.cpu_s - begun.boards.cpu_s) * 1000 / seconds / boards
    if alone.broker and begun.broker and ended.broker:
        costs.broker_kb = ended.broker.memory_kb
        costs.connection_kb = (ended.broker.private_kb - alone.broker.private_kb) / boards
        if messages >= boards:  # else what is measured is anything but messages
            costs.message_ms = (ended.broker.cpu_s - begun.broker.cpu_s) * 1000 / messages
            before = (begun.received - alone.received) * costs.message_ms  # of readings, while others were starting
            costs.connection_ms = max(0.0, (begun.broker.cpu_s - alone.broker.cpu_s) * 1000 - before) / boards
    return costs
