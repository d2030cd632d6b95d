"""Traffic in both directions between a device and a broker through a faulty link, and the judgement of it.

The device publishes numbered messages at QoS 1 and 2 and receives as many, which paho publishes at the broker for its
kept session. Judged is what arrived: 0 lost; at QoS 2 0 duplicated; per topic in order, as section 4.6 requires.

Version 5. Both sides announce a small Receive Maximum: the device, and by the proxy's hand the broker, so that what
paho receives need not wait in a queue. Behind what is in flight mosquitto 2.0.11 lets new messages pass those that
wait; so the order to the device is judged by that in which the broker has said them. (It also sends more than the
Receive Maximum after a reconnect.)

`kill -9` of mosquitto. It sends an acknowledgement first and writes its database after it, once for each turn of its
loop: what it acknowledged in the last moment before the kill it may forget. (Measured with 2.0.11 and autosave after
each change: of 50 messages published one by one and killed at once, 49 are kept; 5 ms later, all.) So there are two
kinds of kill here. A settled one comes when nothing is under way and the database is written; then all is judged as if
nothing had happened. A rough one comes in the middle of the traffic; then the client is judged by what was said on the
wire (wire.py): what the broker had acknowledged within 0.3 s before the kill it may have forgotten, and what it
offered twice at QoS 2, or took twice though the client said it once, it duplicated itself. It may even have forgotten
an identifier that it had used, and use it again: the device takes that for the message before. All this is counted
apart.

`kill -9` of the device. With the outbox in RAM what was in it is gone by definition; here it has a FlashOutbox. What
`publish` had accepted before the kill has to arrive. What it was just about to accept may. A message to the device at
QoS 2 is noted before the callback gets it: if the kill comes in between, it was delivered «at most once». One for each
kill may be missing so; at QoS 1 none.
"""

import queue
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from faults.device import numbered
from faults.peers import label, peer, properties
from faults.plan import CORRUPT, Plan
from faults.proxy import Proxy
from faults.tally import Outcome, Tally
from faults.web import Unframed, limited_frame
from faults.wire import Ledger, Message, limited
from support.device import Device
from tools.broker import Broker, free_port

SCRIPT = Path(__file__).with_name("device") / "traffic.py"
SETTLED, ROUGH, DEVICE = "broker, settled", "broker, rough", "device"  # kinds of kill -9
# Messages at each QoS that are under way to the device at most, at QoS 2 until its PUBCOMP. The client refuses a broker
# that has more than 1,024 open, and mosquitto 2.0.11 has all of its queue in flight after a reconnect.
AHEAD = 60
HANG_S = 30.0  # when nothing has arrived for so long, nothing will
QUIET_S = 2.0  # when nothing has arrived for so long, what may be missing is missing
SETTLE_S = 0.5  # until mosquitto has written its database
FORGETS_S = 0.3  # what mosquitto has acknowledged so shortly before a kill it may forget
_STARTING = threading.Lock()  # runs go side by side, and two brokers must not find the same port free


def _nobody(done: int, faults: int) -> None:
    """Nobody wants to know."""


class Board(Device):
    """A device whose lines are taken as they come."""

    def next_line(self, timeout: float) -> str | None:
        """The next line without its semicolon, empty if it is not whole; None: none came in time. EOFError: ended."""
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            return None
        if line is None:
            self._lines.put(None)
            raise EOFError
        return line[:-1] if line.endswith(";") else ""


class Traffic:
    """One run. `messages`: at each QoS, each way, and more until there were so many `faults`.

    `kills`: of which kind, spread over the run. `flash`: the outbox is a FlashOutbox. `progress` is called with
    `done()`, of `total`, and the faults so far. `versions`: of MQTT, one for each life of the device, in turn.
    `transport`: "tcp", or "ws" for WebSocket between the device and the broker.
    """

    def __init__(
        self,
        micropython: Path,
        face: str,
        plan: Plan,
        messages: int,
        *,
        faults: int = 0,
        kills: Sequence[str] = (),
        flash: bool = False,
        versions: Sequence[int] = (4,),
        transport: str = "tcp",
    ) -> None:
        self._transport = transport
        self._web = Unframed() if transport == "ws" else None
        self._versions, self._five = versions, 5 in versions
        self._micropython, self._face, self._plan, self._messages = micropython, face, plan, messages
        self._faults, self._kills, self._flash = faults, kills, flash
        self.total, self.progress = 4 * messages, _nobody
        self._chance = random.Random(f"{plan.seed}/kills")
        self._ledger, self._up, self._down = Ledger(), Tally(), Tally()
        self._greeted: set[int] = set()
        self._run, self._done_before = 0, 0  # which life of the device, and what it published in the earlier ones
        self._goal = 0  # messages at each QoS, each way, so far
        self._accepted: dict[Message, None] = {}
        self._given: dict[Message, tuple[int, float]] = {}  # to paho: its number of the message, and when
        self._stored: dict[int, float] = {}  # by that number: when the broker had it
        self._corrupts, self._was_cut = CORRUPT in plan.kinds, 0.0
        self._awaited: set[tuple[str, Message]] = set()
        self._said: Counter[str] = Counter()  # the device's lines by their first word
        self._rough: list[float] = []  # when the broker was killed so
        self._written_off = 0
        self._news = time.monotonic()

    def run(self) -> Outcome:
        began = time.monotonic()
        with ExitStack() as stack:
            self._set_up(stack)
            self._until(lambda: self._said["ready"] > 0, "ready")
            self._course()
            self.proxy.calm()
            self._until_quiet(SETTLE_S)  # what comes twice comes now
            self._device.tell("end")
            self._until(lambda: self._said["end"] > 0, "end")
            self._device.finish()
            outcome = self._judged()
        assert not (self._web and self._web.wrong), self._web.wrong
        outcome.seconds = time.monotonic() - began
        return outcome

    def _course(self) -> None:
        if ROUGH in self._kills:
            self._until_quiet(SETTLE_S)  # the subscriptions are stored
        if self._corrupts:
            self._cut()
        phases = [*self._kills, ""]
        for i, kill in enumerate(phases):
            self._phase(self._messages * (i + 1) // len(phases), kill)
        while len(self.proxy.log) < self._faults and not self._awaited:
            self._phase(self._goal + 100, "")

    def done(self) -> int:
        """Messages that have arrived."""
        return len(self._up.arrived) + len(self._down.arrived)

    def _set_up(self, stack: ExitStack) -> None:
        # No queue may overflow: the broker would drop messages and tell nobody. And no queue may wait for those in
        # flight: mosquitto 2.0.11 lets new messages pass it.
        extra = ["max_queued_messages 0", "max_inflight_messages 0"]
        options: dict[str, Any] = {}
        with _STARTING:
            target = 0
            if self._web:  # before 2.0.12 this listener cannot be bound to this computer: so there is a login
                target = free_port()
                extra += [f"listener {target}", "protocol websockets"]
                options["users"] = dict([numbered.LOGIN])
            self._broker = stack.enter_context(Broker(durable=ROUGH in self._kills, extra=extra, **options))
            self.proxy = stack.enter_context(Proxy(target or self._broker.port, self._plan, self._hear))
        common = {"version": 5 if self._five else 4, "login": numbered.LOGIN if self._web else None}
        self._receiver = stack.enter_context(peer(self._broker.port, "up/#", client_id="receiver", **common))
        self._sender = stack.enter_context(peer(self._broker.port, client_id="sender", **common))
        for each in (self._receiver.client, self._sender.client):
            each.reconnect_delay_set(1, 1)
        self._sender.client.on_publish = lambda _client, _data, mid, *_: self._stored.update({mid: time.monotonic()})
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="fieldmqtt-flash-")))
        self._folder = str(folder / "outbox") if self._flash else "-"
        self._start_device(self.proxy.port)
        stack.callback(lambda: self._device.close())

    def _hear(self, connection: int, to_broker: bool, data: bytes) -> bytes | None:
        """In the thread of the proxy. MQTT 5: the first thing that a broker says gets a small Receive Maximum."""
        said = self._web.hear(connection, to_broker, data) if self._web else data
        if said or not data:
            self._ledger.hear(connection, to_broker, said)
        if to_broker or not said or connection in self._greeted:
            return None
        self._greeted.add(connection)
        if self._ledger.level(connection) != 5:
            return None
        return limited_frame(data) if self._web else limited(data)

    def _start_device(self, port: int) -> None:
        version = self._versions[self._run % len(self._versions)]
        more = (self._folder, version, self._transport)
        self._device = Board(self._micropython, SCRIPT, self._face, port, self._run, *more)

    # --- The course of a run ---------------------------------------------------------------

    def _phase(self, goal: int, kill: str) -> None:
        """Messages up to `goal`, and a kill: a settled one at the end, the others at some moment before."""
        expected = 4 * (goal - self._goal)
        self._goal = goal
        self._device.tell(f"upto {goal - self._done_before}")
        if kill in (ROUGH, DEVICE):
            moment = self.done() + self._chance.randint(0, expected)
            self._until(lambda: self.done() >= moment or self._quiet() > QUIET_S, "half of a phase")
            self._kill_broker(True) if kill == ROUGH else self._kill_device()
        self._until(self._complete, "all messages of a phase", fails=False)
        if kill == SETTLED:
            self._until_quiet(SETTLE_S)
            self._kill_broker(False)

    def _kill_broker(self, rough: bool) -> None:
        if not rough:
            self._store()
        self._broker.kill()
        if rough:
            self._rough.append(time.monotonic())
            self._written_off = len(self._given) // 2 - len(self._ledger.completed)
        time.sleep(self._chance.uniform(0.05, 0.3))
        self._broker.start()

    def _cut(self) -> None:
        self.proxy.cut()
        self._was_cut = time.monotonic()

    def _store(self) -> None:
        """Have the broker write its database, and wait until it is there."""
        database = self._broker.folder / "mosquitto.db"
        database.unlink(missing_ok=True)
        assert self._broker.process
        self._broker.process.send_signal(signal.SIGUSR1)
        self._until(database.exists, "database of the broker")

    def _kill_device(self) -> None:
        time.sleep(self._chance.uniform(0, 0.005))
        self._restart_device(self.proxy.port)
        self._done_before = len(self._accepted) // 2
        self._device.tell(f"upto {self._goal - self._done_before}")

    def _restart_device(self, port: int) -> None:
        self._device.kill()
        with suppress(EOFError):
            while True:
                self._take(self._device.next_line(1) or "")
        self._device.close()
        self._run += 1
        self._start_device(port)

    def _complete(self) -> bool:
        """All has arrived; or what has not, may be missing."""
        if min(len(self._accepted), len(self._given)) < 2 * self._goal:
            return False
        return not self._awaited or (self._quiet() > QUIET_S and not self._judged().too_many_lost())

    def _until(self, condition: Callable[[], bool], what: str, fails: bool = True) -> None:
        """Take what comes until the condition holds, or nothing comes any more."""
        self._news = time.monotonic()
        while not condition():
            if self._quiet() > HANG_S:
                assert not fails, f"no {what}: nothing has come for {HANG_S:.0f} s\n{self._report()}"
                return
            self._turn()
            if self._corrupts and min(self._quiet(), time.monotonic() - self._was_cut) > QUIET_S:
                self._cut()

    def _until_quiet(self, seconds: float) -> None:
        self._until(lambda: self._quiet() > seconds, "end of it")

    def _quiet(self) -> float:
        return time.monotonic() - self._news

    # --- What comes and goes ----------------------------------------------------------------

    def _turn(self) -> None:
        """Give paho what may be under way, take what has come."""
        self._give()
        try:
            line = self._device.next_line(0.02)
            while line is not None:
                self._take(line)
                line = self._device.next_line(0)
        except EOFError:
            assert self._said["end"], f"the device has ended\n{self._report()}"
        while not self._receiver.messages.empty():
            message = self._receiver.messages.get()
            self._note("up", self._up, message.topic, label(message, strict=min(self._versions) == 5))
        self.progress(self.done(), len(self.proxy.log))

    def _give(self) -> None:
        """Let paho publish to the device."""
        ahead = AHEAD + min(AHEAD, self.proxy.counts()[CORRUPT])  # a lost one is never completed
        while len(self._given) < 2 * self._goal and self._under_way() < ahead:
            n = len(self._given) // 2
            for qos in (1, 2):
                given = time.monotonic()
                where, what, described = numbered.topic("down", qos, n), numbered.payload(0, n), properties(0, n)
                info = self._sender.client.publish(where, what, qos, properties=described if self._five else None)
                self._given[qos, f"0.{n}"] = (info.mid, given)
                self._awaited.add(("down", (qos, f"0.{n}")))

    def _under_way(self) -> int:
        """At QoS 2 to the device. Without those that a killed broker may have forgotten."""
        return len(self._given) // 2 - len(self._ledger.completed) - self._written_off

    def _take(self, line: str) -> None:
        """A line of the device."""
        word, *rest = line.split() or [""]
        self._said[word] += 1
        if word == "got":
            self._note("down", self._down, rest[0], None if rest[1] == "None" else rest[1])
        elif word == "accepted":
            message = int(rest[0]), rest[1]
            self._accepted[message] = None
            if not self._up.arrived[message]:
                self._awaited.add(("up", message))

    def _note(self, direction: str, tally: Tally, topic: str, label: str | None) -> None:
        """A message has arrived."""
        self._news = time.monotonic()
        place = None
        if direction == "down" and self._five and label and topic != "?":
            place = self._ledger.said.get((int(topic.split("/")[1]), label))
        message = tally.add(topic, label, place)
        if message:
            self._awaited.discard((direction, message))

    # --- The judgement ------------------------------------------------------------------------

    def _judged(self) -> Outcome:
        result = Outcome(sent=len(self._accepted) + len(self._given), connects=self._said["online"])
        self._judge_missing(result)
        up, down = self._up.twice(), self._down.twice()
        mine = {("up", message) for message in self._ledger.repeated}
        mine |= {("down", message) for message in down if self._down.arrived[message] > self._ledger.offered[message]}
        result.twice = sorted(mine)
        result.doubled = len(({("up", message) for message in up} | {("down", message) for message in down}) - mine)
        for tally, known in ((self._up, self._accepted), (self._down, self._given)):
            result.out_of_order += tally.out_of_order
            result.damaged += tally.damaged
            result.again += tally.again()
            if not self._run:  # a device that was killed may have been about to say that it had accepted one
                result.invented += [message for message in tally.arrived if message not in known]
        result.exceeding, result.aliased = self._ledger.exceeding, self._ledger.aliased
        result.faults = self.proxy.counts()
        result.report = self._report()
        return result

    def _judge_missing(self, result: Outcome) -> None:
        for message in self._accepted:
            if self._up.arrived[message]:
                continue
            said = self._ledger.acknowledged.get(message, ())
            if any(abs(killed - when) < FORGETS_S for killed in self._rough for when in said):  # heard late, maybe
                result.forgotten += 1
            else:
                result.lost.append(("up", message))
        for message, (number, given) in self._given.items():
            if self._down.arrived[message]:
                continue
            stored = self._stored.get(number, given)
            in_time = any(given <= killed < stored + FORGETS_S for killed in self._rough)
            if in_time or (self._rough and message in self._ledger.hidden):
                result.forgotten += 1
            elif message[0] == 2 and result.cut < self._run:
                result.cut += 1
            else:
                result.lost.append(("down", message))

    def _report(self) -> str:
        awaited = ", ".join(f"{direction} {qos} {label}" for direction, (qos, label) in sorted(self._awaited)[:10])
        return (
            f"{self._face}; {self._said['online']} connections, {self._ledger.sessions} of them without a session;"
            f" {len(self._awaited)} awaited: {awaited}\n{self.proxy.report()}\n"
            "the device's last lines:\n  " + "\n  ".join(self._device.output[-10:])
        )
