"""What the tests against mosquitto share: brokers with a setting, and paho as the other client."""

import queue
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import paho.mqtt.client as mqtt

from tools.broker import Broker
from tools.paho_client import leave

WAIT_S = 15.0


class Listener:
    """A paho client that keeps what it receives, in order."""

    def __init__(self, client: mqtt.Client) -> None:
        self.client = client
        self.messages: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
        client.on_message = lambda _client, _data, message: self.messages.put(message)

    def next(self, timeout: float = WAIT_S) -> mqtt.MQTTMessage:
        try:
            return self.messages.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"no message in {timeout} s") from None

    def payloads(self, n: int, timeout: float = WAIT_S) -> list[bytes]:
        """The payloads of the next n messages."""
        end = time.monotonic() + timeout
        return [self.next(max(end - time.monotonic(), 0.01)).payload for _ in range(n)]

    def expect_nothing(self, seconds: float = 0.3) -> None:
        try:
            message = self.messages.get(timeout=seconds)
        except queue.Empty:
            return
        raise AssertionError(f"unexpected message {message.topic} {message.payload!r}")

    def publish(self, topic: str, payload: str | bytes, **options: Any) -> None:
        """Publish, and return when the broker has it."""
        self.client.publish(topic, payload, **options).wait_for_publish(WAIT_S)


def store(broker: Broker) -> None:
    """Have mosquitto write its database, and return when it is there: what it has acknowledged outlives kill()."""
    assert broker.process
    database = broker.folder / "mosquitto.db"
    database.unlink(missing_ok=True)
    broker.process.send_signal(signal.SIGUSR1)
    end = time.monotonic() + WAIT_S
    while not database.exists():
        assert time.monotonic() < end, f"mosquitto has not written {database.name} in {WAIT_S} s"
        time.sleep(0.01)


@contextmanager
def listening(
    client: mqtt.Client, port: int, filters: list[Any], login: tuple[str, str] | None, **connect: Any
) -> Iterator[Listener]:
    """A paho client, connected and subscribed to filters, as subscribe() takes them."""
    client.max_queued_messages_set(0)
    if login:
        client.username_pw_set(*login)
    ready: queue.Queue[bool] = queue.Queue()
    client.on_connect = lambda *_: ready.put(True)
    client.on_subscribe = lambda *_: ready.put(True)
    result = Listener(client)
    client.connect("127.0.0.1", port, **connect)
    client.loop_start()
    try:
        ready.get(timeout=WAIT_S)
        if filters:
            client.subscribe(filters)
            ready.get(timeout=WAIT_S)
        yield result
    finally:
        leave(client)


@contextmanager
def listener(
    port: int, *topics: str, qos: int = 2, client_id: str = "", login: tuple[str, str] | None = None, clean: bool = True
) -> Iterator[Listener]:
    """A connected paho client, subscribed to `topics`."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id, clean_session=clean)
    with listening(client, port, [(topic, qos) for topic in topics], login) as result:
        yield result
