"""A broker that is somebody else's, by its URL.

    INTEROP_BROKER=mqtts://user:password@broker.example:8883 make interop

mqtt, mqtts, ws and wss, with a path for the last two; several URLs of one broker, separated by blanks, offer more of
its transports. User and password stand in the first; what is not a letter or digit in them as %40 and so on. Its
operator's rules go into

    INTEROP_LIMITS="max_qos=1,max_payload=131072,keepalive=30-1200,topic_depth=7"

of which each may be left out. Who signed its certificate, if that is none of the authorities this system trusts, and
the certificate and key of the client, where it asks for them, are PEM files:

    INTEROP_CA=ca.pem INTEROP_CERT=client.pem INTEROP_KEY=client.key

The password is shown nowhere.
"""

import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from interop.served import MTLS, TCP, TLS, WS, WSS, Certificates, Endpoint, Served
from tools.packages import Unavailable

BROKER, LIMITS, CA, CERT, KEY = (f"INTEROP_{name}" for name in ("BROKER", "LIMITS", "CA", "CERT", "KEY"))

_SCHEMES = {"mqtt": (TCP, 1883), "mqtts": (TLS, 8883), "ws": (WS, 80), "wss": (WSS, 443)}
_NUMBERS = ("max_qos", "max_payload", "topic_depth")


class ByUrl(Served):
    """`environment`: the variables, as in os.environ. Raises Unavailable: one of them is missing or not right."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        urls = [urlsplit(url) for url in environment.get(BROKER, "").split()]
        if not urls:
            raise Unavailable(f"{BROKER} names no broker, such as mqtts://user:password@broker.example:8883")
        super().__init__(name=urls[0].hostname or "", login=_login(urls[0]))
        for end in (_endpoint(url, CERT in environment) for url in urls):
            self.endpoints[end.kind] = end
        self.certificates = _certificates(environment)
        self.limits = {"by_url": True, **limits(environment.get(LIMITS, ""))}

    def __exit__(self, *exc: object) -> None:
        """It goes on without us."""

    def restart(self) -> None:
        raise NotImplementedError("the broker at this URL is not ours to restart")

    def log(self) -> str:
        return "(its operator has the log)"


def _endpoint(url: SplitResult, mutual: bool) -> Endpoint:
    if url.scheme not in _SCHEMES or not url.hostname:
        raise Unavailable(f"{BROKER}: a URL begins with {'://, '.join(_SCHEMES)}://, then comes a host")
    kind, usual = _SCHEMES[url.scheme]
    try:
        port = url.port or usual
    except ValueError:
        raise Unavailable(f"{BROKER}: the port of {url.hostname} is a number up to 65535") from None
    if kind == TLS and mutual:
        kind = MTLS
    query = f"?{url.query}" if url.query else ""
    return Endpoint(kind, port, url.hostname, (url.path or "/mqtt") + query if kind in (WS, WSS) else "")


def _login(url: SplitResult) -> tuple[str, str] | None:
    if url.username is None:
        return None
    return unquote(url.username), unquote(url.password or "")


def _certificates(environment: Mapping[str, str]) -> Certificates:
    """Those named; without an authority the system's own, all of them."""
    for name in (CA, CERT, KEY):
        if name in environment and not Path(environment[name]).is_file():
            raise Unavailable(f"{name}: there is no file {environment[name]}")
    system = ssl.get_default_verify_paths()
    ca = environment.get(CA) or system.cafile or system.openssl_cafile
    return Certificates(Path(ca), Path(environment.get(CERT, "")), Path(environment.get(KEY, "")))


def limits(text: str) -> dict[str, object]:
    """What INTEROP_LIMITS says."""
    found: dict[str, object] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, _, value = part.partition("=")
        span = re.fullmatch(r"(\d+)-(\d+)", value)
        if name == "keepalive" and span:
            found[name] = int(span[1]), int(span[2])
        elif name in _NUMBERS and value.isdecimal():
            found[name] = int(value)
        else:
            raise Unavailable(f"{LIMITS}: {part}: there are keepalive=30-1200 and a number for {', '.join(_NUMBERS)}")
    return found
