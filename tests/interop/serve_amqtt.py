"""amqtt, which runs in a Python environment of its own."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from interop.differences import AMQTT
from interop.served import TCP, TLS, WS, WSS, Endpoint
from interop.serving import Local
from support.mosquitto import listener

# Whoever names a user. For those who do not, amqtt keeps no messages while they are away.
_ANYONE = "amqtt.plugins.authentication.AnonymousAuthPlugin"
_SYS = "amqtt.plugins.sys.broker.BrokerSysPlugin"


class Amqtt(Local):
    """`environment`: the folder of the environment that has amqtt."""

    kinds = (TCP, TLS, WS, WSS)
    started = "Starting session expiration monitor"
    path = "/"  # it takes any

    def __init__(self, environment: Path) -> None:
        super().__init__("amqtt")
        self.login = ("device", "any")
        self._executable = environment / "bin" / "amqtt"
        self.differences = AMQTT

    def prepare(self) -> None:
        # One listener has to be called default; the others take from it what they do not say.
        names = {TCP: "default"}
        listeners = {names.get(kind, kind): self._listener(end) for kind, end in self.endpoints.items()}
        settings = {"listeners": listeners, "plugins": {_ANYONE: {"allow_anonymous": False}, _SYS: {"sys_interval": 1}}}
        (self.folder / "amqtt.yaml").write_text(json.dumps(settings))

    def _listener(self, end: Endpoint) -> dict[str, Any]:
        listener: dict[str, Any] = {"type": "ws" if end.kind in (WS, WSS) else "tcp", "bind": f"{end.host}:{end.port}"}
        if end.tls:
            server = self.made.server
            listener |= {"ssl": True, "certfile": str(server.pem), "keyfile": str(server.key_pem)}
        return listener

    def command(self) -> Sequence[str | Path]:
        return [self._executable, "-c", self.folder / "amqtt.yaml"]

    def read_version(self) -> str:
        """As it publishes it, a second after its start: from then on its $SYS topics are there."""
        with listener(self.endpoints[TCP].port, "$SYS/broker/version", login=self.login) as version:
            said = bytes(version.next().payload)
        return said.decode().rpartition(" ")[2]
