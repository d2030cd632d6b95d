"""The first half of a connection from this computer, as a board makes it: name, port, TLS, each failure explained."""

import socket
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import paho.mqtt.client as paho
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tools import certificates
from tools.provision_schema import Config, usual_port

# Exit codes, one for each kind of failure; 1 and 2 are those of every command.
NO_NAME, NO_PORT, NO_TLS, NO_LOGIN, NO_PERMISSION = 3, 4, 5, 6, 7

SUFFIX = "-check"  # of a client id: the board's own would throw the board out

_OTHER_CA = "mqtt.tls.ca is not who signed it: ask who runs the broker for the certificate of its authority (--ca)"
_CLOCK = "the one who runs the broker must renew it; is the clock of this computer right?"
_OUR_OWN = "the broker does not accept the board's certificate: it must know who signed it (--cert, --key)"
_NOT_TLS = "is it a port for TLS? Those usually are 8883, with mqtt.websocket 443; without TLS remove mqtt.tls"

# OpenSSL's numbers of what it found wrong with the broker's certificate.
_VERIFY = {
    9: ("not valid yet", _CLOCK),
    10: ("expired", _CLOCK),
    18: ("signed by itself", f"{_OTHER_CA}, or give the certificate itself"),
    19: ("signed by another authority", _OTHER_CA),
    20: ("signed by another authority", f"{_OTHER_CA}; or the broker leaves out a certificate in between"),
    21: ("signed by another authority", f"{_OTHER_CA}; or the broker leaves out a certificate in between"),
    62: ("for another host name", "use one of its names as mqtt.server, or give it as mqtt.tls.hostname"),
    64: ("for another address", "use one of its names as mqtt.server, or give it as mqtt.tls.hostname"),
}

# Parts of OpenSSL's names for what the broker answered.
_ALERTS = {
    "UNKNOWN_CA": _OUR_OWN,
    "CERTIFICATE_EXPIRED": "the board's certificate has expired, says the broker: get a new one (--cert, --key)",
    "CERTIFICATE_REVOKED": "the board's certificate was revoked: get a new one (--cert, --key)",
    "CERTIFICATE_REQUIRED": "the broker asks for a certificate of the board: give --cert and --key",
    "CERTIFICATE": _OUR_OWN,
    "HANDSHAKE_FAILURE": "most often the broker asks for a certificate of the board (--cert, --key), or wants TLS 1.3",
    "PROTOCOL": "boards speak TLS 1.2; the broker must allow it",
    "WRONG_VERSION": _NOT_TLS,
    "RECORD_LAYER": _NOT_TLS,
    "EOF": f"the broker hung up; {_NOT_TLS}",
}


class Failed(Exception):
    """A step failed: what was found, what to do, the exit code."""

    def __init__(self, found: str, advice: str, code: int) -> None:
        super().__init__(found)
        self.found, self.advice, self.code = found, advice, code


@dataclass(frozen=True)
class Settings:
    """What a board connects with: the section mqtt, completed, and the files that it names."""

    name: str
    mqtt: Config
    files: Mapping[str, bytes]

    @property
    def tls(self) -> Config | None:
        """The section mqtt.tls."""
        found: Config | None = self.mqtt["tls"]
        return found

    @property
    def host(self) -> str:
        """The broker."""
        return str(self.mqtt["server"])

    @property
    def port(self) -> int:
        """The port, the default filled in."""
        return int(self.mqtt["port"]) or usual_port(self.mqtt)

    @property
    def path(self) -> str | None:
        """Where the WebSocket is at the broker; None: there is none."""
        found: str | None = self.mqtt["websocket"]
        return found

    @property
    def place(self) -> str:
        """The broker as HTTP names it, with the port where it is not the usual one."""
        return self.host if self.port == usual_port(self.mqtt) else f"{self.host}:{self.port}"

    @property
    def verified_name(self) -> str:
        """The name that the broker's certificate must have."""
        return str((self.tls and self.tls["hostname"]) or self.host)

    @property
    def topic(self) -> str:
        """What all topics of this board begin with."""
        return f"{self.mqtt['prefix']}/{self.name}/"


class _Context(ssl.SSLContext):
    """A client's context that expects the name in the certificate, whatever name was connected to."""

    expected: str

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        """As the base class."""
        options["server_hostname"] = self.expected
        return super().wrap_socket(*args, **options)


def context(settings: Settings) -> ssl.SSLContext:
    """An SSLContext that does as a board does: TLS 1.2, one trusted certificate, its name and dates checked."""
    made = _Context(ssl.PROTOCOL_TLS_CLIENT)
    made.expected = settings.verified_name
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    tls = settings.tls or {}
    if tls["insecure"]:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    else:
        made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as boards: any certificate may be the trusted one
        made.load_verify_locations(cadata=settings.files[tls["ca"]])
    if tls["cert"]:
        _load_own(made, settings.files[tls["cert"]], settings.files[tls["key"]])
    return made


def _load_own(made: ssl.SSLContext, cert: bytes, key: bytes) -> None:
    """OpenSSL takes them from files only; their folder is our own and is gone afterwards."""
    form, plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    pem = serialization.load_der_private_key(key, None).private_bytes(serialization.Encoding.PEM, form, plain)
    with tempfile.TemporaryDirectory(prefix="fieldmqtt-check-") as folder:
        path = Path(folder) / "own.pem"
        path.touch(0o600)
        path.write_bytes(ssl.DER_cert_to_PEM_cert(cert).encode() + pem)
        made.load_cert_chain(path)


def client(settings: Settings, suffix: str, protocol: MQTTProtocolVersion | None = None) -> paho.Client:
    """A client that logs in as the board does, not connected yet; `suffix` is put behind the board's client id."""
    protocol = protocol or MQTTProtocolVersion(settings.mqtt["version"])
    transport: Literal["websockets", "tcp"] = "websockets" if settings.path else "tcp"
    made = paho.Client(CallbackAPIVersion.VERSION2, settings.name + suffix, protocol=protocol, transport=transport)
    if settings.path:
        made.ws_set_options(settings.path, lambda given: _as_boards(settings, given))
    if settings.mqtt["user"] is not None or settings.mqtt["password"] is not None:
        made.username_pw_set(settings.mqtt["user"] or "", settings.mqtt["password"])
    if settings.tls:
        made.tls_set_context(context(settings))
        made.tls_insecure_set(bool(settings.tls["insecure"]))
    return made


def _as_boards(settings: Settings, given: Mapping[str, str]) -> dict[str, str]:
    """HTTP's headers: the broker by its name, by which a web server chooses; no Origin, which browsers have."""
    return {**{name: value for name, value in given.items() if name != "Origin"}, "Host": settings.place}


def resolve(settings: Settings) -> str:
    """The IPv4 address of the broker, which is what boards use."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        again = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
        advice = "is this computer online?" if again else "mqtt.server: is it spelt right, without mqtt:// and port?"
        raise Failed(f"{settings.host} has no IPv4 address that this computer can find", advice, NO_NAME) from None
    return str(found[0][4][0])


def reach(settings: Settings, address: str, timeout: float) -> socket.socket:
    """A TCP connection."""
    try:
        return socket.create_connection((address, settings.port), timeout)
    except ConnectionRefusedError:
        advice = "is the broker running, and is mqtt.port right? A broker may listen on its own computer only"
        raise Failed(f"{address} port {settings.port} refuses", advice, NO_PORT) from None
    except OSError as error:
        advice = "is it the right address, the same network? A firewall also looks so"
        raise Failed(f"{address} port {settings.port}: {error.strerror or 'no answer'}", advice, NO_PORT) from None


def handshake(settings: Settings, raw: socket.socket) -> tuple[str, list[str]]:
    """TLS on this connection, which is closed then; returns what was found, and warnings."""
    try:
        with raw, context(settings).wrap_socket(raw) as secure:
            der = secure.getpeercert(binary_form=True) or b""
            version = str(secure.version())
    except ssl.SSLCertVerificationError as error:
        what, advice = _VERIFY.get(error.verify_code, (error.verify_message, _OTHER_CA))
        raise Failed(f"the broker's certificate is {what}{_presented(settings)}", advice, NO_TLS) from None
    except OSError as error:
        raise Failed(*_explained(error), NO_TLS) from None
    if settings.tls and settings.tls["insecure"]:
        return f"{version}, the broker is not verified", [
            "anyone may claim to be the broker: give --ca, and no insecure"
        ]
    return f"{version}, the certificate is for {settings.verified_name}", certificates.expires(der, "the broker's")


def _explained(error: OSError) -> tuple[str, str]:
    reason = str(getattr(error, "reason", None) or error.strerror or error)
    advice = next((advice for part, advice in _ALERTS.items() if part in reason.upper()), _NOT_TLS)
    return f"no TLS connection: {reason.replace('_', ' ').lower()}", advice


def _presented(settings: Settings) -> str:
    """Names and dates of the certificate that did not pass."""
    open_to_all = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    open_to_all.check_hostname = False
    open_to_all.verify_mode = ssl.CERT_NONE
    try:
        raw = socket.create_connection((settings.host, settings.port), 5)
        with raw, open_to_all.wrap_socket(raw, server_hostname=settings.verified_name) as secure:
            found = x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"")
        names = certificates.names(found)
    except (OSError, ValueError):
        return ""
    begin, end = (f"{at:%Y-%m-%d}" for at in (found.not_valid_before_utc, found.not_valid_after_utc))
    return f" (names: {', '.join(names) or 'none'}; issued by {certificates.issuer(found)}; {begin} to {end})"
