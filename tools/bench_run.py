"""Runs the benchmark's scripts under MicroPython: one process for each client, case and round.

All have the heap of a board. Where the system allows it the broker has one CPU and the clients another, as if they
were two machines: on one CPU there would be no time in which a message is on its way.
"""

import os
import re
import select
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools import toolchain
from tools.bench_wire import Relay
from tools.broker import Broker

SCRIPTS = toolchain.ROOT / "tools" / "bench_device"
LIB = toolchain.ROOT / "lib"
HEAP = "256k"  # a W5100S-EVB-Pico has 208 KB; objects of the 64-bit unix port are about twice as big

BARE, UMQTT, SYNC, ASYNCIO = "bare", "umqtt_simple", "ours_sync", "ours_asyncio"
FIVE, FIVE_PLAIN = (
    "mqtt_5",
    "mqtt_5_no_alias",
)  # MQTTClient with version=5; the second one's broker takes no topic alias
CLIENTS = {
    BARE: "bare socket",
    UMQTT: "umqtt.simple",
    SYNC: "MQTTClient",
    ASYNCIO: "AsyncMQTTClient",
    FIVE: "MQTT 5",
    FIVE_PLAIN: "MQTT 5, no alias",
}
_SCRIPTS_5 = {FIVE: SYNC, FIVE_PLAIN: SYNC}

QOS0, QOS1, WINDOW, QOS2, RECEIVE = "qos0", "qos1", "window", "qos2", "receive"
CASES = {
    QOS0: "QoS 0",
    QOS1: "QoS 1, one by one",
    WINDOW: "QoS 1, window 20",
    QOS2: "QoS 2, one by one",
    RECEIVE: "receive QoS 0",
}

# So many that 40 ms, for which an acknowledgement of TCP may be delayed at the end, do not matter.
COUNTS = {QOS0: 50_000, QOS1: 5_000, WINDOW: 10_000, QOS2: 5_000, RECEIVE: 10_000}
# umqtt.simple waits out those 40 ms with every single message; 5,000 would take four minutes and say the same.
_FEW = {(UMQTT, QOS1): 50}
_CANNOT = {(UMQTT, WINDOW), (UMQTT, QOS2)}
# One message at a time waits for the broker, in each version as long.
_CANNOT |= {(client, case) for client in (FIVE, FIVE_PLAIN) for case in (QOS1, QOS2)}
_HEAP_COUNT = 100
_WARM_UP = 20  # as in bench_device/harness.py

# A receiver is to find everything waiting. By default the broker would drop what it has no room for.
BROKER_SETTINGS = ("max_queued_messages 0",)

_PUBLISHES = (200, 1200)
_TIMEOUT_S = 120


class BenchError(RuntimeError):
    """Something did not run; the message ends with what it said."""


@dataclass(frozen=True)
class Result:
    """Of one process."""

    per_second: float
    heap: float  # bytes a message


@dataclass(frozen=True)
class Bench:
    """Where everything is."""

    micropython: Path
    umqtt: Path | None  # the folder with the package, when it could be had
    port: int
    scale: float = 1.0  # of the number of messages
    plain_port: int = 0  # where the same broker takes no topic alias

    def can(self, client: str, case: str) -> bool:
        """Whether a client has such a thing at all."""
        there = {UMQTT: self.umqtt, FIVE_PLAIN: self.plain_port}.get(client, True)
        return (client, case) not in _CANNOT and bool(there)

    def speed(self, client: str, case: str) -> float:
        """Messages a second."""
        count = max(int(_FEW.get((client, case), COUNTS[case]) * self.scale), 5)
        return self._run(client, case, count, heap=False).per_second

    def counted(self, client: str, case: str) -> tuple[int, int]:
        """Bytes of heap a message, and bytes on the wire with its acknowledgements."""
        count = 10 if (client, case) in _FEW else _HEAP_COUNT
        with Relay(self._port(client)) as relay:
            return round(self._run(client, case, count, heap=True, port=relay.port).heap), relay.per_message()

    def _port(self, client: str) -> int:
        return self.plain_port if client == FIVE_PLAIN else self.port

    def instructions(self, client: str) -> int | None:
        """Machine instructions of a publish at QoS 0 into a stream that takes everything; None without valgrind."""
        valgrind = shutil.which("valgrind")
        if not valgrind or (client == UMQTT and not self.umqtt):
            return None
        with ThreadPoolExecutor(2) as pool:
            few, many = pool.map(lambda count: self._counted(valgrind, client, count), _PUBLISHES)
        return round((many - few) / (_PUBLISHES[1] - _PUBLISHES[0]))

    def _run(self, client: str, case: str, count: int, *, heap: bool, port: int = 0) -> Result:
        process = self._start(client, case, count, heap=heap, port=port or self._port(client))
        with process:
            try:
                if case == RECEIVE:
                    self._flood(process, count + _WARM_UP)
                output, errors = process.communicate("go\n", timeout=_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                output, errors = "", f"no end after {_TIMEOUT_S} s"
            finally:
                process.kill()
        found = re.search(r"^result (\d+) (-?\d+)$", output, re.M)
        if process.returncode or not found:
            raise BenchError(f"{CLIENTS[client]}, {CASES[case]}: {(output + errors).strip() or 'said nothing'}")
        return Result(count / max(int(found[1]), 1) * 1e6, int(found[2]) / count)

    def _start(self, client: str, case: str, count: int, *, heap: bool, port: int) -> "subprocess.Popen[str]":
        version = 5 if client in _SCRIPTS_5 else 4
        script = SCRIPTS / f"{_SCRIPTS_5.get(client, client)}.py"
        arguments = map(str, (case, port, count, int(heap), version))
        return subprocess.Popen(
            [str(self.micropython), "-X", f"heapsize={HEAP}", str(script), *arguments],
            env=self._environment(SCRIPTS),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _flood(self, receiver: "subprocess.Popen[str]", count: int) -> None:
        """When the receiver has subscribed, publish all that it is going to receive. Raises TimeoutExpired."""
        if not receiver.stdout or not select.select([receiver.stdout], [], [], _TIMEOUT_S)[0]:
            raise subprocess.TimeoutExpired("receiver", _TIMEOUT_S)
        if receiver.stdout.readline() == "ready\n":
            # The sender's own warm-up and its closing message are among them.
            self._run(BARE, QOS0, count - _WARM_UP, heap=False)

    def _environment(self, *first: Path) -> dict[str, str]:
        path = [*map(str, first), str(LIB), *([str(self.umqtt)] if self.umqtt else []), ".frozen"]
        return {**os.environ, "MICROPYPATH": ":".join(path)}

    def _counted(self, valgrind: str, client: str, count: int) -> int:
        # cachegrind that simulates no cache counts in half of callgrind's time.
        options = ["--tool=cachegrind", "--cache-sim=no", "--trace-children=yes", f"--cachegrind-out-file={os.devnull}"]
        # As many digits each time: an argument moves the heap, and then what the start costs is not the same for both.
        script = [str(SCRIPTS / "instructions.py"), client, f"{count:04}"]
        run = subprocess.run(
            [valgrind, *options, str(self.micropython), *script],
            env=self._environment(SCRIPTS / "fake"),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
        )
        counted = re.findall(r"I +refs: +([\d,]+)", run.stderr)  # MicroPython may be started by a shell script
        if "published" not in run.stdout or not counted:
            raise BenchError(f"{CLIENTS[client]} under cachegrind: {run.stdout}{run.stderr}")
        return max(int(count.replace(",", "")) for count in counted)


@contextmanager
def broker_apart(*, together: bool = False, plain_port: int = 0) -> Iterator[tuple[Broker, str]]:
    """A broker on a CPU of its own, or `together` with the clients on one; and what was done, in words.

    plain_port: there it takes no topic alias, unless it is 0.
    """
    plain = (f"listener {plain_port} 127.0.0.1", "max_topic_alias 0") if plain_port else ()
    with Broker(extra=(*BROKER_SETTINGS, *plain)) as broker:
        cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        if not cpus or not broker.process:
            yield broker, "broker and clients wherever the system puts them"
            return
        mine = cpus[0] if together else cpus[-1]
        os.sched_setaffinity(broker.process.pid, {cpus[0]})
        os.sched_setaffinity(0, {mine})
        try:
            one = mine == cpus[0]
            yield broker, "broker and clients on one CPU" if one else "broker and clients on a CPU each"
        finally:
            os.sched_setaffinity(0, cpus)


def runs(bench: Bench) -> Mapping[str, list[str]]:
    """The clients of each case."""
    return {case: [client for client in CLIENTS if bench.can(client, case)] for case in CASES}
