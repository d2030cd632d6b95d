"""WebSocket's beginning, asked for from this computer as a board does, and HTTP's answer explained if it is no."""

import base64
import http.client
import secrets

from tools import provision_tls as tls
from tools.provision_tls import NO_LOGIN, Failed, Settings

_OFTEN = "Often it is /mqtt, /ws or / (--set mqtt.websocket=/mqtt)"
_NO_HTTP = (
    "is it a port for MQTT without WebSocket? With mqtt.websocket the usual ones are 80, with TLS 443; mosquitto's are"
    " where its configuration says «protocol websockets»"
)
_SHOWN = 200  # characters of what a server says
_OR_TLS = "; or it is a port for TLS: --ca"

# HTTP's status codes (RFC 9110, section 15); the first digit stands for those that are not here.
_ADVICE = {
    2: f"a web page is there: is mqtt.websocket right? {_OFTEN}",
    3: "it has moved: say where to in mqtt.server, mqtt.port and mqtt.websocket, and for https --ca",
    401: "the web server in front of the broker wants a login of its own, which boards do not have: ask who runs it",
    403: f"the web server does not allow it: ask who runs it; is mqtt.websocket right? {_OFTEN}",
    404: f"there is no such path: is mqtt.websocket right? {_OFTEN}",
    4: f"the web server takes no WebSocket there: are mqtt.port and mqtt.websocket right? {_OFTEN}",
    5: "there is a web server, and the broker behind it does not answer: try again, or ask who runs it",
}


def upgrade(settings: Settings, timeout: float) -> None:
    """Ask for the WebSocket on a connection of its own, which is closed then. Raises Failed, OSError."""
    raw = tls.reach(settings, tls.resolve(settings), timeout)
    with raw, tls.context(settings).wrap_socket(raw) if settings.tls else raw as stream:
        answer = http.client.HTTPResponse(stream)
        or_tls = "" if settings.tls else _OR_TLS
        try:
            stream.sendall(_request(settings))
            answer.begin()
        except TimeoutError:
            raise Failed(f"no answer to HTTP within {timeout:g} s", _NO_HTTP + or_tls, NO_LOGIN) from None
        except ConnectionError:  # http.client's RemoteDisconnected is one
            raise Failed("the broker hung up without HTTP", _NO_HTTP + or_tls, NO_LOGIN) from None
        except http.client.HTTPException:
            raise Failed("there is something else than HTTP", _NO_HTTP + or_tls, NO_LOGIN) from None
    if answer.status != http.client.SWITCHING_PROTOCOLS:
        raise Failed(*_refusal(answer, or_tls), NO_LOGIN)


def _request(settings: Settings) -> bytes:
    """As lib/fieldmqtt/websocket.py has it."""
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    lines = [
        f"GET {settings.path} HTTP/1.1",
        f"Host: {settings.place}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: mqtt",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _refusal(answer: http.client.HTTPResponse, or_tls: str) -> tuple[str, str]:
    """What was found, and what to do."""
    status, place = answer.status, answer.getheader("Location")
    found = f"HTTP {status} {answer.reason}{f', moved to {place}' if place else ''}"
    advice = _ADVICE.get(status) or _ADVICE.get(status // 100) or "no broker answers so: is mqtt.port right?"
    return "".join(filter(str.isprintable, found[:_SHOWN])), advice + (
        or_tls if status == http.client.BAD_REQUEST else ""
    )
