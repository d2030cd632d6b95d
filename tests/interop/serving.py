"""What all brokers have in common that are programs of this machine: a folder, processes, a log, ports on loopback."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from interop.served import MTLS, TCP, TLS, WS, WSS, Certificates, Endpoint, Served
from support.certificates import Certificates as Made
from tools.broker import BrokerError, free_port

HOST = "127.0.0.1"
KINDS = (TCP, TLS, MTLS, WS, WSS)

_STOP_S = 20.0
# Reads from the pipe until this process is gone, however it ended; then nothing of the group may live on.
_GUARD = 'cat >/dev/null; kill -KILL "-$1"'


class Program:
    """A process and all that it starts, in a group of its own, which does not outlive this process."""

    def __init__(
        self, command: Sequence[str | Path], folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        with (folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env=environment,
                start_new_session=True,
            )
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "guard", str(self.process.pid)], stdin=subprocess.PIPE, start_new_session=True
        )

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        """SIGTERM to the program, time to end in good order, then SIGKILL to what is left of its group."""
        if self.runs:
            self.process.terminate()
            try:
                self.process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                pass
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the whole group."""
        self._guard.kill()
        self._guard.wait()
        if self._guard.stdin:
            self._guard.stdin.close()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # nothing is left of it
        self.process.wait()


class Local(Served):
    """A broker that this run starts; its ports stay the same over restarts.

    A subclass says what to prepare once, the command, and how it tells its version.
    """

    kinds: tuple[str, ...] = KINDS
    start_s = 30.0
    started = ""  # what the log says when every port accepts connections: trying them out confuses some brokers
    path = "/mqtt"

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self._program: Program | None = None

    def __enter__(self) -> "Local":
        self.folder = Path(tempfile.mkdtemp(prefix="fieldmqtt-interop-"))
        try:
            self.made = self._certify()
            for kind in self.kinds:
                self.endpoints[kind] = Endpoint(kind, free_port(), HOST, self.path if kind in (WS, WSS) else "")
            self.prepare()
            self.start()
            self.version = self.read_version()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _certify(self) -> Made:
        folder = self.folder / "certificates"
        folder.mkdir()
        made = Made(folder)
        self.certificates = Certificates(made.ca.pem, made.client.pem, made.client.key_pem)
        return made

    @abstractmethod
    def prepare(self) -> None:
        """Write what the broker needs before its first start: `folder`, `endpoints` and `made` are there."""

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """What starts the broker in the foreground."""

    @abstractmethod
    def read_version(self) -> str:
        """Ask the running broker."""

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def start(self) -> None:
        """Start, or start again with what was stored. Returns when every port accepts connections."""
        before = len(self.log())
        self._program = Program(self.command(), self.folder, self.environment())
        self._wait_until(lambda: self.started in self.log()[before:])

    def stop(self) -> None:
        if self._program:
            self._program.stop()
            self._program = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _wait_until(self, there: Callable[[], bool]) -> None:
        end = time.monotonic() + self.start_s
        while time.monotonic() < end:
            if self._program is None or not self._program.runs:
                raise BrokerError(f"{self.name} ended at once:\n{self.log()[-3000:]}")
            if there():
                return
            time.sleep(0.05)
        raise BrokerError(f"{self.name} did not start in {self.start_s:.0f} s:\n{self.log()[-3000:]}")


def accepts(port: int) -> bool:
    """Whether somebody listens on this port of the loopback address."""
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True
