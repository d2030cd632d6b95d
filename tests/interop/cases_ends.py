"""The two ends of a case: a board, which is the library under MicroPython, and paho. Both know the way to a broker."""

import ast
import itertools
import queue
import secrets
import signal
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import paho.mqtt.client as mqtt

from interop.served import MTLS, TCP, TLS, WS, WSS, Endpoint, Served
from support.device import Device
from support.mosquitto import WAIT_S, Listener
from tools.paho_client import leave

_LITERALS = threading.Lock()  # until Python 3.13 literal_eval() raises at random in several threads at a time
_Context = TypeVar("_Context")
_SCRIPT = Path(__file__).resolve().parent / "device" / "interop_board.py"
_WORDS = ("ready", "done", "refused", "message", "large", "online", "lost", "on_refused")
_INTERRUPTED = "the run was interrupted"
_WAKE = mqtt.MQTTMessage()  # none that came: whoever waits for one is to give up
_FIRST_CHOICE = (TCP, TLS, MTLS, WS, WSS)  # for cases that are not about the transport


class Forbidden(Exception):
    """The broker, as it is run, gives a case nothing to show: why."""


class Refused(AssertionError):
    """A step of a board has raised: kind of the exception, its number, its text."""

    def __init__(self, kind: str, number: int | None, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind, self.number = kind, number


class Came(NamedTuple):
    """A message that a board has received. callback: the name given to subscribe()."""

    callback: str | None
    topic: bytes
    payload: bytes | str
    retain: int
    qos: int
    dup: int
    properties: dict[str, Any] | None


class Board(Device):
    """A MicroPython process with one client, which does a step at a time."""

    def __init__(self, trial: "Trial", micropython: Path, arguments: dict[str, Any], heap: str) -> None:
        super().__init__(micropython, _SCRIPT, trial.face, heap=heap)
        self._trial, self._patience = trial, trial.patience
        self._heard: dict[str, deque[Any]] = defaultdict(deque)
        self.tell(ascii(arguments))
        self.wait("ready")

    def do(self, method: str, *arguments: Any, timeout: float | None = None, **keywords: Any) -> Any:
        """Have one step done and return its result; raises Refused when it raised."""
        self.tell(ascii((method, arguments, keywords)))
        end = self._end(timeout)
        while not self._heard["done"] and not self._heard["refused"]:
            self._listen(end, f"the end of {method}")
        if self._heard["refused"]:
            raise Refused(*self._heard["refused"].popleft())
        return self._heard["done"].popleft()

    def refusal(self, method: str, *arguments: Any, **keywords: Any) -> Refused:
        """Have a step done that must raise; return what."""
        try:
            result = self.do(method, *arguments, **keywords)
        except Refused as refused:
            return refused
        raise AssertionError(f"{method} should have raised, and returned {result!r}")

    def wait(self, word: str, timeout: float | None = None) -> Any:
        """What the next line of this word says."""
        end = self._end(timeout)
        while not self._heard[word]:
            self._listen(end, word)
        return self._heard[word].popleft()

    def message(self, timeout: float | None = None) -> Came:
        return Came(*self.wait("message", timeout))

    def messages(self, count: int, timeout: float | None = None) -> list[Came]:
        end = self._end(timeout)
        return [self.message(max(end - time.monotonic(), 0.01)) for _ in range(count)]

    def heard(self, word: str) -> list[Any]:
        """All that has come of one word and was not waited for: a step before this sees to it that it has come."""
        return list(self._heard[word])

    def watch(self, seconds: float) -> None:
        """Let time go by, and hear what happens in it."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))
            self.do("isconnected")

    def freeze(self) -> None:
        """SIGSTOP: it is there, and says nothing any more."""
        self._process.send_signal(signal.SIGSTOP)

    def _end(self, timeout: float | None) -> float:
        return time.monotonic() + (self._patience if timeout is None else timeout)

    def _listen(self, end: float, what: str) -> None:
        try:
            word, _, text = self.line("", max(end - time.monotonic(), 0.001)).partition(" ")
        except AssertionError:
            ended = "; it has ended" if self._process.poll() is not None else ""
            raise AssertionError(f"the board did not tell of: {what}{ended}") from None
        if word in _WORDS:
            with _LITERALS:
                said = ast.literal_eval(text)
            if word != "message" or self._trial.concerns(Came(*said).topic.decode()):
                self._heard[word].append(said)


class Other(Listener):
    """paho, connected. `connack`: the properties that the broker has answered with, by paho's names."""

    def __init__(self, trial: "Trial", client: mqtt.Client) -> None:
        super().__init__(client)
        self._patience = trial.patience
        client.on_message = lambda _client, _data, each: trial.concerns(each.topic) and self.messages.put(each)
        self._answers: queue.Queue[Any] = queue.Queue()
        self.connack: dict[str, Any] = {}
        client.on_connect = lambda _client, _data, _flags, code, properties: self._answers.put((code, properties))
        client.on_disconnect = lambda _client, _data, _flags, code, _properties: self._answers.put((code, None))
        client.on_subscribe = lambda _client, _data, _id, codes, _properties: self._answers.put((codes, None))

    def connect(self, end: Endpoint, keepalive: int, **options: Any) -> None:
        self.client.connect(_host(end), end.port, keepalive=keepalive, **options)
        self.client.loop_start()
        properties = self._answer()
        self.connack = properties.json() if properties else {}

    def subscribe(self, *filters: Any) -> None:
        """Filters as paho takes them in a list."""
        if filters:
            self.client.subscribe(list(filters))
            self._answer()

    def next(self, timeout: float | None = None) -> mqtt.MQTTMessage:
        message = super().next(self._patience if timeout is None else timeout)
        if message is _WAKE:
            raise AssertionError(_INTERRUPTED)
        return message

    def wake(self) -> None:
        """Whoever waits here, in another thread, gets an error at once."""
        self.messages.put(_WAKE)
        self._answers.put(None)

    def publish(self, topic: str, payload: str | bytes, **options: Any) -> None:
        """Publish, and return when the broker has it."""
        sent = self.client.publish(topic, payload, **options)
        sent.wait_for_publish(self._patience)
        assert sent.is_published(), f"paho: no acknowledgement for {topic} in {self._patience} s"

    def _answer(self) -> Any:
        try:
            answer = self._answers.get(timeout=self._patience)
        except queue.Empty:
            raise AssertionError(f"paho: no answer of the broker in {self._patience} s") from None
        if answer is None:
            raise AssertionError(_INTERRUPTED)
        codes, properties = answer
        for code in codes if isinstance(codes, list) else [codes]:
            assert not code.is_failure, f"paho: {code}"
        return properties


class Trial:
    """One case on one broker with one face of the library. Leaving it ends both ends, and nothing is left behind.

    `patience`: seconds until something that should come is missed. Messages of topics that are not the case's own are
    left out unless it sets `foreign`: amqtt gives to each client that connects the retained messages of filters that
    others have subscribed.
    """

    foreign = False

    def __init__(self, served: Served, micropython: Path, face: str, patience: float = WAIT_S) -> None:
        self.served, self.face, self.patience = served, face, patience
        self.end = next(served.endpoints[kind] for kind in _FIRST_CHOICE if kind in served.endpoints)
        self.boards: list[Board] = []
        self._others: list[Other] = []
        self._interrupted = False
        self._micropython = micropython
        self._token = secrets.token_hex(4)
        self._stack = ExitStack()
        self._numbers = itertools.count(1)

    def __enter__(self) -> "Trial":
        return self

    def __exit__(self, *exc: object) -> None:
        self._interrupted = False  # what has to be removed is removed all the same
        self._stack.close()

    def interrupt(self) -> None:
        """Have the case, which runs in another thread, end at once: whatever it waits for raises."""
        self._interrupted = True
        for board in list(self.boards):
            board.kill()
        for other in list(self._others):
            other.wake()

    def _check(self) -> None:
        if self._interrupted:
            raise AssertionError(_INTERRUPTED)

    def enter(self, context: AbstractContextManager[_Context]) -> _Context:
        """Enter something that is left behind all boards that come after it."""
        return self._stack.enter_context(context)

    def topic(self, name: str) -> str:
        """A topic, or a filter, that nobody else uses. Raises Forbidden: it is too deep for the broker's operator."""
        topic, most = f"interop/{self._token}/{name}", self.served.limits.get("topic_depth")
        if isinstance(most, int) and topic.count("/") > most:
            raise Forbidden(f"topics with {most} slashes at most")
        return topic

    def concerns(self, topic: str) -> bool:
        """Whether a message is this case's."""
        return self.foreign or topic.startswith(f"interop/{self._token}/")

    def name(self, name: str) -> str:
        """A client identifier that nobody else uses."""
        return f"interop-{self._token}-{name}"

    def board(
        self, name: str = "board", *, end: Endpoint | None = None, heap: str = "1m", own: bool = True, **arguments: Any
    ) -> Board:
        """A board that is not connected yet. own: with the certificate that the broker may ask for."""
        values = {"client_id": self.name(name), "timeout": self.patience * 2 / 3}
        values |= _reached(self.served, end or self.end, own) | arguments
        board = Board(self, self._micropython, values, heap)
        self.boards.append(board)
        self._stack.callback(board.close)
        self._check()
        return board

    def online(self, name: str = "board", **arguments: Any) -> Board:
        """A board that is connected."""
        board = self.board(name, **arguments)
        board.do("connect")
        return board

    def other(
        self,
        *filters: Any,
        qos: int = 1,
        name: str = "",
        version: int = 4,
        client_id: str | None = None,
        keepalive: int = 60,
    ) -> Other:
        """paho, connected and subscribed to filters: topics of topic(), or tuples for paho."""
        client_id = client_id if client_id is not None else self.name(name or f"other-{next(self._numbers)}")
        client = _paho(self.served, self.end, client_id, version)
        other = Other(self, client)
        self._others.append(other)
        self._stack.callback(leave, client)
        self._check()
        other.connect(self.end, keepalive, **({"clean_start": True} if version == 5 else {}))
        other.subscribe(*((each, qos) if isinstance(each, str) else each for each in filters))
        return other

    def forget(self, topic: str) -> None:
        """Have a retained message removed at the end, however the case ends."""

        def remove() -> None:
            self.other().publish(topic, b"", retain=True)

        self._stack.callback(remove)

    def forget_session(self, name: str) -> None:
        """Have the session that is kept for a board removed at the end."""

        def remove() -> None:
            self.other(client_id=self.name(name))

        self._stack.callback(remove)


def _host(end: Endpoint) -> str:
    """A certificate names hosts: MicroPython takes no address for one."""
    return "localhost" if end.tls and end.host == "127.0.0.1" else end.host


def _reached(served: Served, end: Endpoint, own: bool) -> dict[str, Any]:
    """The arguments of our client for an endpoint."""
    arguments: dict[str, Any] = {"server": _host(end), "port": end.port}
    if served.login:
        arguments["user"], arguments["password"] = served.login
    if end.kind in (WS, WSS):
        arguments |= {"transport": "ws", "path": end.path}
    if end.tls:
        arguments["ssl"] = True
        if served.certificates:
            made = served.certificates
            arguments["ssl_params"] = {"cafile": str(made.ca)}
            if end.kind == MTLS and own:
                arguments["ssl_params"] |= {"cert": str(made.client_cert), "key": str(made.client_key)}
    return arguments


def _paho(served: Served, end: Endpoint, client_id: str, version: int) -> mqtt.Client:
    transport = "websockets" if end.kind in (WS, WSS) else "tcp"
    protocol = mqtt.MQTTv5 if version == 5 else mqtt.MQTTv311
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=protocol, transport=transport)
    client.max_queued_messages_set(0)
    client.max_inflight_messages_set(20)
    if served.login:
        client.username_pw_set(*served.login)
    if transport == "websockets":
        client.ws_set_options(end.path)
    if end.tls:
        made = served.certificates
        own = (str(made.client_cert), str(made.client_key)) if made and end.kind == MTLS else (None, None)
        client.tls_set(str(made.ca) if made else None, *own)
    return client


def same(found: Any, expected: Any) -> None:
    """An assertion that says what it has found, wherever it runs."""
    assert found == expected, f"{found!r}, not {expected!r}"


def numbers(payloads: Iterable[bytes | str]) -> list[int]:
    return [int(payload) for payload in payloads]
