"""The seam between the brokers that a run starts and the cases that are tried on them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

TCP, TLS, MTLS, WS, WSS = "tcp", "tls", "mtls", "ws", "wss"  # kinds of endpoint


@dataclass(frozen=True)
class Endpoint:
    """Where a broker listens. `path` is a WebSocket's, empty for the others."""

    kind: str
    port: int
    host: str = "127.0.0.1"
    path: str = ""

    @property
    def tls(self) -> bool:
        return self.kind in (TLS, MTLS, WSS)


@dataclass(frozen=True)
class Difference:
    """Why a case does not work on a broker: `cannot`: the broker has no such thing. link: where that is written."""

    text: str
    link: str = ""
    cannot: bool = True


@dataclass(frozen=True)
class Certificates:
    """PEM files, made for the run: for the host's clients, and for a device, which takes PEM on the unix port only."""

    ca: Path
    client_cert: Path
    client_key: Path


@dataclass
class Served(AbstractContextManager["Served"], ABC):
    """A running broker. Entering starts it, leaving stops it and removes what it has stored."""

    name: str = ""  # such as mosquitto
    version: str = ""  # as the broker itself says it
    login: tuple[str, str] | None = field(default=None, repr=False)
    certificates: Certificates | None = None
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    differences: Mapping[str, Difference] = field(default_factory=dict)  # by the name of the case
    limits: Mapping[str, object] = field(default_factory=dict)  # of an operator, by name: see cases

    @abstractmethod
    def restart(self) -> None:
        """Stop in good order, start again with what was stored. NotImplementedError: it is somebody else's."""

    @abstractmethod
    def log(self) -> str:
        """What the broker said, for a failure's report."""
