"""RabbitMQ with its MQTT plugins, run from the folder it was unpacked into, as one node.

Erlang's port mapper and all ports are on loopback; cookie, home and data are in the node's own folder.
"""

import os
import re
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from interop.differences import RABBITMQ
from interop.served import MTLS, TCP, WS, WSS, Endpoint
from interop.serving import HOST, Local, Program, accepts
from support.certificates import Certificates
from tools.broker import free_port

_CONTROL_S = 60


@dataclass
class Mapper:
    """epmd, which tells the nodes of this machine each other's ports."""

    installed: Path
    folder: Path
    port: int = field(default_factory=free_port)
    _program: Program | None = None

    def start(self) -> None:
        epmd = next(self.installed.glob("root/usr/lib/erlang/erts-*/bin/epmd"))
        if not self._program or not self._program.runs:
            self._program = Program([epmd, "-address", HOST, "-port", str(self.port)], self.folder)

    def is_open(self) -> bool:
        return accepts(self.port)

    def stop(self) -> None:
        if self._program:
            self._program.kill()


@dataclass
class Node:
    """What one node needs: `settings` are lines for rabbitmq.conf."""

    installed: Path
    folder: Path
    mapper: Mapper
    settings: Sequence[str]
    name: str = "rabbit"
    cookie: str = field(default_factory=lambda: secrets.token_hex(10))
    plugins: Sequence[str] = ("rabbitmq_mqtt", "rabbitmq_web_mqtt")
    port: int = field(default_factory=free_port)  # for other nodes

    def prepare(self) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "rabbitmq.conf").write_text("\n".join(self.settings) + "\n")
        (self.folder / "enabled_plugins").write_text(f"[{','.join(self.plugins)}].\n")
        (self.folder / "environment").touch()

    @property
    def full_name(self) -> str:
        return f"{self.name}@localhost"

    def _script(self, name: str) -> Path:
        return next(self.installed.glob(f"root/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/{name}"))

    def command(self) -> Sequence[str | Path]:
        return [self._script("rabbitmq-server")]

    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("RABBITMQ_", "ERL"))}
        erlang = self.installed / "root" / "usr" / "lib" / "erlang"
        loopback = "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false"
        return {
            **kept,
            "PATH": f"{erlang / 'bin'}:{kept.get('PATH', '')}",
            "HOME": str(self.folder),
            "RUNNING_UNDER_SYSTEMD": "true",  # so that the script becomes the Erlang VM instead of watching it
            "ERL_CRASH_DUMP": str(self.folder / "crash"),
            "ERL_EPMD_PORT": str(self.mapper.port),
            "ERL_EPMD_ADDRESS": HOST,
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "environment"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_NODENAME": self.full_name,
            "RABBITMQ_DIST_PORT": str(self.port),
            "RABBITMQ_ERLANG_COOKIE": self.cookie,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"+S 2:2 {loopback}",
            "RABBITMQ_CTL_ERL_ARGS": f"+S 1:1 {loopback}",
        }

    def control(self, program: str, *arguments: str) -> str | None:
        """rabbitmqctl or one of its kin for this node: what it printed; None: it failed."""
        command: list[str | Path] = [self._script(program), "--silent", "--node", self.full_name, *arguments]
        ran = subprocess.run(
            command,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_CONTROL_S,
        )
        return None if ran.returncode else ran.stdout


def settings(endpoints: Mapping[str, Endpoint], login: tuple[str, str], made: Certificates | None = None) -> list[str]:
    """Lines of rabbitmq.conf for these listeners. All TLS listeners for MQTT have one policy: here the certificate."""
    lines = [
        "listeners.tcp = none",  # no AMQP
        f"default_user = {login[0]}",
        f"default_pass = {login[1]}",
        "mqtt.allow_anonymous = false",
        # A client with QoS 0 that is slower than this many messages loses some: a loop of a thousand must fit.
        "mqtt.mailbox_soft_limit = 2000",
        "log.console.level = info",
    ]
    for end in endpoints.values():
        address = f"{end.host}:{end.port}"
        if end.kind == TCP:
            lines.append(f"mqtt.listeners.tcp.1 = {address}")
        elif end.kind == MTLS:
            lines += [f"mqtt.listeners.ssl.1 = {address}", *_own("ssl_options", made)]
            lines += ["ssl_options.verify = verify_peer", "ssl_options.fail_if_no_peer_cert = true"]
        elif end.kind == WS:
            lines += [f"web_mqtt.tcp.ip = {end.host}", f"web_mqtt.tcp.port = {end.port}"]
        elif end.kind == WSS:
            lines += [f"web_mqtt.ssl.ip = {end.host}", f"web_mqtt.ssl.port = {end.port}", *_own("web_mqtt.ssl", made)]
    lines += [f"web_mqtt.ws_path = {end.path}" for end in endpoints.values() if end.path][:1]
    return lines


def _own(prefix: str, made: Certificates | None) -> list[str]:
    if not made:
        raise ValueError("a TLS listener needs certificates")
    files = {"cacertfile": made.ca.pem, "certfile": made.server.pem, "keyfile": made.server.key_pem}
    return [f"{prefix}.{key} = {path}" for key, path in files.items()]


class RabbitMq(Local):
    """`installed`: the folder that bring.py has made."""

    kinds = (TCP, MTLS, WS, WSS)
    start_s = 90.0
    started = "Server startup complete"

    def __init__(self, installed: Path) -> None:
        super().__init__("RabbitMQ")
        self._installed = installed
        self.login = ("device", secrets.token_urlsafe(12))
        self.differences = RABBITMQ

    def prepare(self) -> None:
        assert self.login
        self._mapper = Mapper(self._installed, self.folder)
        lines = settings(self.endpoints, self.login, self.made)
        self._node = Node(self._installed, self.folder / "node", self._mapper, lines)
        self._node.prepare()

    def command(self) -> Sequence[str | Path]:
        self._mapper.start()
        return self._node.command()

    def environment(self) -> dict[str, str]:
        return self._node.environment()

    def stop(self) -> None:
        super().stop()
        if hasattr(self, "_mapper"):
            self._mapper.stop()

    def read_version(self) -> str:
        found = re.search(r"Starting RabbitMQ (\S+) on Erlang (\S+)", self.log())
        return f"{found[1]} (Erlang {found[2]})" if found else ""
