"""A local MQTT broker for the demo, the benchmark and the tests.

It listens on 127.0.0.1 and a free port only; its files are in a temporary folder.
"""

import base64
import getpass
import hashlib
import os
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools import toolchain

_START_S = 10.0
_STOP_S = 5.0
_HOST = "127.0.0.1"


class BrokerError(RuntimeError):
    """The broker did not start; the message ends with its log."""


@dataclass(frozen=True)
class Tls:
    """PEM files of a TLS listener. `require_client`: clients must show a certificate that `ca` signed."""

    cert: Path
    key: Path
    ca: Path
    require_client: bool = False


class Broker:
    """mosquitto as a context manager, with its default configuration unless told otherwise.

    `extra`: lines for mosquitto.conf. `users`: name → password; without it anyone may log in.
    `tls`: the listener speaks TLS. `durable`: what sessions and retained messages are is on disk some 0.2 s after a
    change, so that it outlives `kill()`; otherwise it outlives `stop()` only.
    """

    name = "mosquitto"

    def __init__(
        self,
        *,
        extra: Sequence[str] = (),
        users: Mapping[str, str] | None = None,
        tls: Tls | None = None,
        durable: bool = False,
    ) -> None:
        self._extra, self._users, self._tls, self._durable = extra, users, tls, durable
        self._temporary = tempfile.TemporaryDirectory(prefix="fieldmqtt-broker-")
        self.folder = Path(self._temporary.name)
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Broker":
        try:
            self.start()
        except BaseException:
            self._temporary.cleanup()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        self._temporary.cleanup()

    @property
    def url(self) -> str:
        """Such as mqtt://127.0.0.1:40123."""
        return f"{'mqtts' if self._tls else 'mqtt'}://{_HOST}:{self.port}"

    def log(self) -> str:
        """All that the broker has logged, over all its starts."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start, or start again on the same port with what was stored. Returns when the broker accepts connections."""
        if self.process and self.process.poll() is None:
            return
        self.port = self.port or free_port()
        command = self._command()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C is for us; the broker ends when we say so
            )
        self._wait_until_open()

    def stop(self) -> None:
        """End in good order: what must persist is written."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """As when the power fails: SIGKILL."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _wait_until_open(self) -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                raise BrokerError(f"{self.name} ended at once:\n{self.log()[-2000:]}")
            try:
                socket.create_connection((_HOST, self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        self.kill()
        raise BrokerError(f"{self.name} did not open port {self.port} in {_START_S:.0f} s:\n{self.log()[-2000:]}")

    def _command(self) -> list[str]:
        program = toolchain.mosquitto()
        if not program:
            hint = "`make setup` tries to bring it and says why it cannot."
            raise toolchain.ToolchainMissing(f"There is no mosquitto. {hint}\n{toolchain.BY_HAND}")
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join(self._configuration()) + "\n")
        return [str(program), "-c", str(config)]

    def _configuration(self) -> list[str]:
        lines = [
            f"listener {self.port} {_HOST}",
            f"allow_anonymous {'false' if self._users else 'true'}",
            f"user {getpass.getuser()}",  # started by root it would drop to a user who may not write here
            "persistence true",
            f"persistence_location {self.folder}/",
        ]
        if self._durable:
            lines += ["autosave_on_changes true", "autosave_interval 1"]
        if self._users:
            lines += [f"password_file {write_passwords(self.folder / 'passwords', self._users)}"]
        if self._tls:
            lines += [f"certfile {self._tls.cert}", f"keyfile {self._tls.key}", f"cafile {self._tls.ca}"]
            lines += [f"require_certificate {'true' if self._tls.require_client else 'false'}"]
        return [*lines, *self._extra]


def write_passwords(path: Path, users: Mapping[str, str]) -> Path:
    """Write a password file as mosquitto_passwd does: PBKDF2 with SHA-512. Returns its path."""
    path.touch(0o600)
    path.write_text("".join(f"{name}:{_hashed(password)}\n" for name, password in users.items()))
    return path


def _hashed(password: str, rounds: int = 101) -> str:
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds)
    return f"$7${rounds}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


class AmqttBroker(Broker):
    """amqtt, a broker in Python: for a demo where there is no mosquitto. Anyone may log in; nothing persists."""

    name = "amqtt"

    def _command(self) -> list[str]:
        config = self.folder / "amqtt.yaml"
        plugin = "amqtt.plugins.authentication.AnonymousAuthPlugin"
        listener = f"listeners:\n  default:\n    type: tcp\n    bind: {_HOST}:{self.port}\n"
        config.write_text(f"{listener}plugins:\n  {plugin}:\n    allow_anonymous: true\n")
        return [str(toolchain.VENV / "bin" / "amqtt"), "-c", str(config)]


def local_broker(**options: Any) -> Broker:
    """mosquitto, or where there is none amqtt (without options). Raises ToolchainMissing when there is neither."""
    if toolchain.mosquitto():
        return Broker(**options)
    if not os.access(toolchain.VENV / "bin" / "amqtt", os.X_OK):
        raise toolchain.ToolchainMissing("There is no broker. Run: make setup")
    return AmqttBroker()


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on.

    Not one of those that systems give to connections (32768 and above on Linux, 49152 elsewhere): while a broker is
    away its port stays free.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe:
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
            return port
