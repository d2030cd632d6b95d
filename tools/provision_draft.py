"""New settings for a board, put together from what is there, files, options and answers; then checked as a whole."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools import certificates, provision_schema
from tools.certificates import CertificateError, Checked
from tools.provision_schema import FILE, LANINFO, Config, SettingError, get, put
from tools.provision_target import OURS, Target
from tools.provision_tls import Settings

ROLES = ("ca", "cert", "key")
_DEFAULT_NAME = "fieldmqtt"  # only for messages and the check: a board has its chip's number


@dataclass
class Ready:
    """What was checked and can be written: `files` in the order of writing, config.json last."""

    settings: Settings
    files: dict[str, bytes]
    unneeded: list[str]
    facts: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Draft:
    """`config` is what is being made; `sources` are certificate files of this computer by their role."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.notes: list[str] = []
        self.config = self._existing()
        self._old_files = [str(name) for role in ROLES if (name := get(self.config, f"mqtt.tls.{role}"))]
        self.sources: dict[str, Path] = {}
        self._beside: Path | None = None

    def _existing(self) -> Config:
        data = self.target.read(FILE)
        if data is None:
            return {}
        try:
            return provision_schema.read(data, f"{FILE} of {self.target.where}")
        except SettingError as error:
            self.notes.append(f"{error} It is left aside, and replaced.")
            return {}

    def start_from(self, path: Path) -> None:
        """Take a whole config.json from this computer in place of what is there; its certificates may lie beside it."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise SettingError(f"--from {path}: {error.strerror}; is the path right?") from None
        self.config = provision_schema.read(data, str(path))
        self._beside = path.parent

    def preset(self, values: Mapping[str, object]) -> None:
        """Set fields that have no value yet."""
        for path, value in values.items():
            if get(self.config, path) is None:
                put(self.config, path, value)

    def set_address(self, address: Mapping[str, str]) -> None:
        """A static address."""
        put(self.config, "network.dhcp", None)
        put(self.config, "network.static", dict(address))

    def set_source(self, role: str, path: Path) -> None:
        """A certificate or key of this computer."""
        self.sources[role] = path
        put(self.config, f"mqtt.tls.{role}", path.name[:200])  # until it has the name that it gets on the board

    def ready(self) -> Ready:
        """Check everything that can be checked without a connection. Raises SettingError, CertificateError."""
        provision_schema.complete(self.config, self.target.board)
        _check_server(str(get(self.config, "mqtt.server")))
        checked = self._certificates()
        for role, one in checked.items():
            put(self.config, f"mqtt.tls.{role}", self._name_on_board(role, one))
        whole = provision_schema.complete(self.config, self.target.board)
        names = {role: str(whole["mqtt"]["tls"][role]) for role in checked}
        files = {names[role]: one.der for role, one in checked.items()}
        settings = Settings(self._name(), whole["mqtt"], dict(files))
        self._keep_laninfo_true(files)
        files[FILE] = provision_schema.text(self.config).encode()
        old = sorted({*self._old_files, *self.target.leftovers()})
        ready = Ready(settings, files, [name for name in old if OURS.fullmatch(name) and name not in files])
        for role, one in checked.items():
            ready.facts.append(f"{role}: {one.facts}")
            ready.warnings += one.warnings
        ready.warnings += _doubts(whole)
        return ready

    def _name(self) -> str:
        return str(get(self.config, "name") or self.target.chip_name or _DEFAULT_NAME)

    def _certificates(self) -> dict[str, Checked]:
        """What mqtt.tls names, checked."""
        named = {role: str(name) for role in ROLES if (name := get(self.config, f"mqtt.tls.{role}"))}
        found = {role: self._content(role, name) for role, name in named.items()}
        checked = {}
        if "ca" in found:
            checked["ca"] = certificates.authority(*found["ca"])
        if "cert" in found:
            (cert, cert_name), (key, key_name) = found["cert"], found["key"]
            checked["cert"], checked["key"] = certificates.own(cert, key, (cert_name, key_name))
        return checked

    def _content(self, role: str, name: str) -> tuple[bytes, str]:
        """The content of a file that mqtt.tls names, and what to call it in messages."""
        where = f"mqtt.tls.{role}, "
        if role in self.sources:
            return certificates.read(self.sources[role]), where + str(self.sources[role])
        if self._beside and (self._beside / name).is_file():
            return certificates.read(self._beside / name), where + str(self._beside / name)
        data = self.target.read(name)
        if data is None:
            raise CertificateError(
                f"mqtt.tls.{role}: there is no file {name} at {self.target.where}; give it: --{role} FILE"
            )
        return data, where + name

    def _name_on_board(self, role: str, one: Checked) -> str:
        """As before if it is the same file, else a name that no file has: replacing config.json is what counts then."""
        before = str(get(self.config, f"mqtt.tls.{role}"))
        if role not in self.sources and not self._beside and self.target.read(before) == one.der:
            return before
        return f"{role}-{hashlib.sha256(one.der).hexdigest()[:8]}.der"

    def _keep_laninfo_true(self, files: dict[str, bytes]) -> None:
        """A laninfo.txt on the board comes before network.static: it must say the same."""
        static = get(self.config, "network.static")
        there = self.target.read(LANINFO)
        if there is None or get(self.config, "network.dhcp"):
            return
        if static:
            files[LANINFO] = (
                "\n".join(str(static[part]) for part in ("ip", "subnet", "gateway", "dns")).encode() + b"\n"
            )
        else:
            self.notes.append(f"{LANINFO} of {self.target.where} gives the address; for DHCP: --set network.dhcp=true")


def _check_server(server: str) -> None:
    if "://" in server or "/" in server or ":" in server or " " in server:
        how = "only the name or the IPv4 address; the port is mqtt.port, TLS is --ca, a path is mqtt.websocket"
        raise SettingError(f"mqtt.server: {how}; for example --set mqtt.server=192.168.1.10")


def _port_doubt(mqtt: Config) -> str | None:
    """A port that others than these settings have by custom."""
    port, usual = mqtt["port"], provision_schema.usual_port(mqtt)
    if mqtt["websocket"] and port in (1883, 8883):
        return f"mqtt.port is {port}, which is the port without WebSocket; with mqtt.websocket {usual} is usual"
    if mqtt["tls"] and port in (80, 1883):
        return f"mqtt.port is {port}, which is a port without TLS; for TLS most brokers have {usual}"
    if not mqtt["tls"] and port in (443, 8883):
        return f"mqtt.port is {port}, which is a port for TLS, and there is no --ca"
    return None


def _doubts(whole: Config) -> list[str]:
    """What is allowed and most often a mistake."""
    mqtt = whole["mqtt"]
    found = []
    if doubt := _port_doubt(mqtt):
        found.append(doubt)
    if mqtt["password"] and not mqtt["tls"]:
        found.append("the broker's password travels readable: TLS (--ca) hides it")
    if mqtt["tls"] and mqtt["tls"]["insecure"]:
        found.append("mqtt.tls.insecure: anyone may claim to be the broker, and gets the password")
    if mqtt["user"] is None and mqtt["password"] is not None:
        found.append("mqtt.password without mqtt.user: MQTT 3.1.1 sends no password then")
    if mqtt["server"] in ("localhost", "127.0.0.1"):
        found.append("mqtt.server is the board itself; give the address of this computer in your network")
    return found
