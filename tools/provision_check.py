"""`provision --check`: connect from this computer with a board's own settings, and say what fails and what to do."""

import json
import secrets
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode
from rich.markup import escape
from rich.table import Table

from tools import provision_tls as tls
from tools import provision_websocket
from tools.certificates import CertificateError
from tools.provision_tls import NO_LOGIN, NO_PERMISSION, NO_PORT, NO_TLS, SUFFIX, Failed, Settings

TIMEOUT_S = 10.0
_TOPIC = "check"
BACK_S = 5.0  # until it is clear that a message does not come back

_WHO = "mqtt.user or mqtt.password is wrong or missing (--set mqtt.user=…, --set-secret mqtt.password)"
_REFUSED = {
    0x84: "the broker does not speak this version of MQTT: --set mqtt.version=4 is 3.1.1, --set mqtt.version=5 is 5",
    0x85: "the broker does not like the name: another one, shorter, letters and digits (--set name=…)",
    0x86: _WHO,
    0x87: f"{_WHO}; or the broker does not let this board in: ask who runs it",
    0x88: "the broker is busy or starting: try again",
}
_HUNG_UP = "the broker hung up"
_RETAIN = "and keep them (AWS IoT: iot:RetainPublish)"


@dataclass
class Step:
    """One line of the result. `ok` None: not tried."""

    name: str
    ok: bool | None = None
    found: str = ""
    advice: str = ""


class Result:
    """All steps; `code` is the exit code."""

    def __init__(self) -> None:
        self.steps = [Step(name) for name in ("name", "port", "TLS", "login", "subscribe", "publish", "retained")]
        self.code = 0
        self.warnings: list[str] = []

    def run(self, name: str, do: Callable[[], str]) -> bool:
        """Take a step; returns whether to go on."""
        step = next(step for step in self.steps if step.name == name)
        try:
            step.found, step.ok = do(), True
        except Failed as failed:
            step.ok, step.found, step.advice, self.code = False, failed.found, failed.advice, failed.code
        return step.ok

    @property
    def failed(self) -> Step | None:
        """The step that failed."""
        return next((step for step in self.steps if step.ok is False), None)

    def table(self) -> Table:
        """The steps, for people."""
        table = Table("step", "", "found", "what to do")
        marks = {True: "[green]ok[/]", False: "[red]failed[/]", None: "[dim]not tried[/]"}
        for step in self.steps:
            table.add_row(step.name, marks[step.ok], escape(step.found), escape(step.advice))
        return table


def check_tls(settings: Settings, timeout: float = TIMEOUT_S) -> Result:
    """Name, port and TLS only: nothing of the board's is told to the broker but its certificate."""
    result = Result()
    reached: list[Any] = []

    def address() -> str:
        reached.append(tls.resolve(settings))
        return str(reached[0])

    def connect() -> str:
        reached.append(tls.reach(settings, reached[0], timeout))
        return f"port {settings.port} answers"

    def secure() -> str:
        if not settings.tls:
            reached[1].close()
            return "not used: everyone on the way can read and change everything"
        try:
            found, warnings = tls.handshake(settings, reached[1])
        except CertificateError as error:
            raise Failed(str(error), "the one who runs the broker must renew it", NO_TLS) from None
        result.warnings += warnings
        return found

    for name, do in (("name", address), ("port", connect), ("TLS", secure)):
        if not result.run(name, do):
            break
    return result


def check(settings: Settings, timeout: float = TIMEOUT_S) -> Result:
    """All steps: in the end a message has gone to the broker and come back on a topic of this board."""
    result = check_tls(settings, timeout)
    if result.code:
        return result
    with _Client(settings, timeout) as client:
        for name in ("login", "subscribe", "publish", "retained"):
            if not result.run(name, getattr(client, name)):
                break
        if (failed := result.failed) and failed.name == "publish" and client.online:
            failed.advice = _ask_version_5(settings, timeout) or failed.advice
    if (failed := result.failed) and failed.found == _HUNG_UP and failed.name == "login":
        failed.advice = _ask_without_will(settings, timeout) or failed.advice
    return result


class _Client:
    """A connection as the board makes it, step by step; what a deadline passes is Failed."""

    def __init__(
        self,
        settings: Settings,
        timeout: float,
        protocol: MQTTProtocolVersion | None = None,
        will: bool = True,
    ) -> None:
        self._settings, self._timeout = settings, timeout
        self._topic = settings.topic + _TOPIC
        self._answers: dict[str, Any] = {}
        self._messages: list[paho.MQTTMessage] = []
        self.client = made = tls.client(settings, SUFFIX, protocol)
        made.connect_timeout = timeout
        if will:  # on the state's own topic it would tell everyone that the board is gone if this computer were
            made.will_set(self._topic, b"", qos=1, retain=True)
        made.on_connect = lambda *got: self._answers.update(connected=got[3])
        made.on_subscribe = lambda *got: self._answers.update(subscribed=got[3])
        made.on_publish = lambda *got: self._answers.update(published=got[3])
        made.on_message = lambda client, data, message: self._messages.append(message)

    def __enter__(self) -> "_Client":
        return self

    def __exit__(self, *exc: object) -> None:
        self.client.disconnect()  # so that there is no last will

    @property
    def online(self) -> bool:
        """Whether the broker has not hung up."""
        return self.client.is_connected()

    def login(self) -> str:
        """CONNECT, with the same user, password, certificate, keepalive and a last will."""
        settings = self._settings
        self._connect()
        code: ReasonCode = self._wait("connected", _no_answer(settings), NO_LOGIN)
        if code.is_failure:
            what = _REFUSED.get(code.value, "ask who runs the broker")
            raise Failed(f"refused: {code}".lower(), what, NO_LOGIN)
        certificate = " with a certificate" if settings.tls and settings.tls["cert"] else ""
        return f"as {settings.name}{SUFFIX}{certificate}{f', WebSocket {settings.path}' if settings.path else ''}"

    def _connect(self) -> None:
        settings = self._settings
        try:
            if settings.path:
                provision_websocket.upgrade(settings, self._timeout)
            self.client.connect(tls.resolve(settings), settings.port, settings.mqtt["keepalive"])
        except paho.WebsocketConnectionError as error:
            advice = "what answers there cannot do WebSocket right; is something between here and the broker?"
            raise Failed(str(error), advice, NO_LOGIN) from None
        except ssl.SSLError as error:
            raise Failed(f"TLS: {error.reason}", "try again; it worked a moment ago", NO_TLS) from None
        except OSError as error:
            raise Failed(f"{error.strerror or error}", "try again; it worked a moment ago", NO_PORT) from None

    def subscribe(self) -> str:
        """To what the board subscribes to, and to what is published next."""
        topics = [self._settings.topic + "command", self._topic]
        self.client.subscribe([(topic, 1) for topic in topics])
        advice = f"the broker's rules must let {self._who()} subscribe to {' and '.join(topics)}"
        for code, topic in zip(self._wait("subscribed", advice, NO_PERMISSION), topics, strict=False):
            if code.is_failure:
                raise Failed(f"{topic}: {code}".lower(), advice, NO_PERMISSION)
        return topics[0]

    def publish(self) -> str:
        """One message at QoS 1, there and back."""
        payload = json.dumps({"check": secrets.token_hex(4)}).encode()
        advice = f"the broker's rules must let {self._who()} publish and subscribe to {self._settings.topic}#"
        began = time.monotonic()
        self.client.publish(self._topic, payload, qos=1)
        code = self._wait("published", advice, NO_PERMISSION)
        if code is not None and code.is_failure:
            raise Failed(str(code).lower(), f"the broker's rules must let {self._who()} publish", NO_PERMISSION)
        self._until(lambda: any(one.payload == payload for one in self._messages), "did not come back", advice, BACK_S)
        return f"{self._topic}, there and back in {1000 * (time.monotonic() - began):.1f} ms"

    def retained(self) -> str:
        """As the board's state is: kept by the broker for those who come later."""
        advice = (
            f"the broker must keep retained messages and let {self._who()} publish them (AWS IoT: iot:RetainPublish)"
        )
        self.client.publish(self._topic, b"kept", qos=1, retain=True)
        self._wait("published", advice, NO_PERMISSION)
        self.client.subscribe(self._topic, 1)  # again: what is retained comes again
        try:
            self._until(lambda: any(one.retain for one in self._messages), "is not kept", advice, BACK_S)
        finally:
            self.client.publish(self._topic, b"", qos=1, retain=True)
            with suppress(Failed):
                self._wait("published", "", NO_PERMISSION)
        return "kept, and deleted again"

    def _who(self) -> str:
        return f"user {self._settings.mqtt['user']}" if self._settings.mqtt["user"] else "this board"

    def _wait(self, answer: str, advice: str, code: int) -> Any:
        self._answers.pop(answer, None)
        self._until(lambda: answer in self._answers, "no answer", advice, code=code)
        return self._answers.pop(answer)

    def _until(
        self,
        done: Callable[[], bool],
        otherwise: str,
        advice: str,
        seconds: float | None = None,
        code: int = NO_PERMISSION,
    ) -> None:
        limit = min(seconds or self._timeout, self._timeout)
        deadline = time.monotonic() + limit
        while not done():
            if self.client.loop(0.05) != paho.MQTT_ERR_SUCCESS and not done():
                raise Failed(_HUNG_UP, advice, code)
            if time.monotonic() > deadline:
                raise Failed(f"{otherwise} within {limit:g} s", advice, code)


def _no_answer(settings: Settings) -> str:
    """What to do where CONNECT is not answered."""
    if settings.tls and settings.tls["cert"]:
        return f"its policy must allow this certificate, the client ids {settings.name} and …{SUFFIX}, and the will"
    if settings.path:
        return "no MQTT there: is mqtt.websocket right?"
    other = "for WebSocket: --set mqtt.websocket=/mqtt?"
    if settings.tls:
        return f"no MQTT there, or a port {other}"
    return f"no MQTT there, or a port for TLS: --ca, and mqtt.port 8883? Or {other}"


def _ask_version_5(settings: Settings, timeout: float) -> str | None:
    """Publish once more by MQTT 5, in which a broker says what it does not allow; 3.1.1 leaves that out."""
    with suppress(Failed), _Client(settings, timeout, MQTTProtocolVersion.MQTTv5) as client:
        client.login()
        client.subscribe()
        try:
            client.publish()
        except Failed as failed:
            return failed.advice
    return None


def _ask_without_will(settings: Settings, timeout: float) -> str | None:
    """Log in without the last will: brokers that do not take it hang up without a word in 3.1.1."""
    with suppress(Failed), _Client(settings, timeout, will=False) as client:
        client.login()
        return f"it does not take the last will, which is retained: it must let this board publish such, {_RETAIN}"
    return None
