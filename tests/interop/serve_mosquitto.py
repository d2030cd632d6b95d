"""mosquitto with a listener of each kind, and one within the limits of AWS IoT Core."""

import getpass
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from interop.differences import mosquitto
from interop.served import MTLS, WS, WSS, Endpoint
from interop.serving import Local
from tools.broker import write_passwords

_QUEUED = 5000  # messages that may wait for a client which is away, or slow


class Mosquitto(Local):
    """Clients log in: before 2.0.12 a WebSocket listener takes no address and is open on every one of this machine.

    That is https://github.com/eclipse-mosquitto/mosquitto/issues/2085. A WebSocket listener is never alone, either:
    without another one mosquitto 2.0 ends at once (issue 3383).
    """

    started = " running\n"
    max_keepalive = 36000  # s: so that version 5 has something to tell

    def __init__(self, program: Path, name: str = "mosquitto") -> None:
        super().__init__(name)
        self._executable = program
        self.login = ("device", secrets.token_urlsafe(12))

    def prepare(self) -> None:
        write_passwords(self.folder / "passwords", dict([self.login] if self.login else []))
        lines = self.general()
        for end in self.endpoints.values():
            lines += self.listener(end)
        (self.folder / "store").mkdir()
        (self.folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")

    def general(self) -> list[str]:
        return [
            f"user {getpass.getuser()}",  # started by root it would drop to a user who may not write here
            "persistence true",
            f"persistence_location {self.folder / 'store'}/",
            f"max_queued_messages {_QUEUED}",
            f"max_keepalive {self.max_keepalive}",
            "allow_anonymous false",
            f"password_file {self.folder / 'passwords'}",
        ]

    def listener(self, end: Endpoint) -> list[str]:
        lines = [f"listener {end.port} {end.host}"]
        if end.kind in (WS, WSS):
            lines += ["protocol websockets"]
        if end.tls:
            lines += [f"certfile {self.made.server.pem}", f"keyfile {self.made.server.key_pem}"]
        if end.kind == MTLS:
            lines += [f"cafile {self.made.ca.pem}", "require_certificate true"]
        return lines

    def command(self) -> Sequence[str | Path]:
        return [self._executable, "-c", self.folder / "mosquitto.conf"]

    def read_version(self) -> str:
        found = re.search(r"mosquitto version (\S+) starting", self.log())
        version = found[1] if found else ""
        self.differences = mosquitto(version)
        return version


# "AWS IoT Core endpoints and quotas" in the AWS General Reference: message broker and protocol limits.
AWS_LIMITS: Mapping[str, object] = {
    "max_qos": 1,
    "max_payload": 131072,
    "keepalive": (30, 1200),
    "topic_depth": 7,  # slashes
}


class AwsStandIn(Mosquitto):
    """Not AWS IoT Core, but what mosquitto can keep of its published limits: the certificate, QoS, sizes, depth.

    Where AWS closes the connection, mosquitto may answer otherwise: it lets no message through whose topic is too
    deep, refuses to connect with too long a keep alive, and leaves too short a one as it is.
    """

    kinds = (MTLS,)
    max_keepalive = 1200

    def __init__(self, program: Path) -> None:
        super().__init__(program, "AWS IoT Core (stand-in)")
        self.login = None
        self.limits = AWS_LIMITS

    def general(self) -> list[str]:
        levels = self.folder / "levels"
        levels.touch(0o600)
        depth = 8  # levels, with seven slashes between them
        levels.write_text("topic read $SYS/#\n" + "".join(f"topic {'+/' * n}+\n" for n in range(depth)))
        lines = [line for line in super().general() if not line.startswith(("allow_anonymous", "password_file"))]
        return [
            *lines,
            "allow_anonymous true",  # who has a certificate
            f"acl_file {levels}",
            f"message_size_limit {self.limits['max_payload']}",
        ]

    def listener(self, end: Endpoint) -> list[str]:
        return [*super().listener(end), "max_qos 1", "max_topic_alias 8"]
