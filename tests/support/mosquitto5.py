"""What the tests of MQTT 5 against mosquitto share: paho as the other client, and an ear on the wire."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from faults.plan import Plan
from faults.proxy import Proxy
from faults.wire import packets
from support import reference5
from support.mosquitto import WAIT_S, Listener, listening


def publish_properties(**values: Any) -> Properties:
    """Properties of PUBLISH, by paho's names."""
    properties = Properties(PacketTypes.PUBLISH)
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


def described(message: mqtt.MQTTMessage) -> dict[str, Any]:
    """The properties of a message that paho has received, by paho's names."""
    assert message.properties
    names = [name.replace(" ", "") for name in message.properties.names]
    return {name: getattr(message.properties, name) for name in names if hasattr(message.properties, name)}


@contextmanager
def listener5(
    port: int, *topics: str, qos: int = 2, client_id: str = "", login: tuple[str, str] | None = None
) -> Iterator[Listener]:
    """A connected paho client that speaks MQTT 5, subscribed to `topics`."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5)
    filters = [(topic, mqtt.SubscribeOptions(qos)) for topic in topics]
    with listening(client, port, filters, login, clean_start=True) as result:
        yield result


class Ear:
    """Stands between clients and their broker, and hears what they say: `packets(True)` to the broker, else from it.

    A packet is what reference5.decode() makes of it, with its `size` on the wire and the number of its `connection`.
    Of MQTT 3.1.1, version=4, only the name and the size are known.
    """

    def __init__(self, target: int, version: int = 5) -> None:
        self._version = version
        self._proxy = Proxy(target, Plan(0, kinds=()), self._hear)
        self._lock = threading.Condition()
        self._buffers: dict[tuple[int, bool], bytearray] = {}
        self._heard: list[tuple[bool, dict[str, Any]]] = []
        self.port = self._proxy.port

    def __enter__(self) -> "Ear":
        self._proxy.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._proxy.__exit__(*exc)

    def cut(self) -> None:
        """Reset every connection."""
        self._proxy.cut()

    def heard(self) -> list[tuple[bool, dict[str, Any]]]:
        """Everything in the order in which it was said: (to the broker?, packet)."""
        with self._lock:
            return list(self._heard)

    def packets(self, to_broker: bool, *names: str) -> list[dict[str, Any]]:
        """What was said in one direction, only packets of these names if there are some."""
        return [each for way, each in self.heard() if way == to_broker and (not names or each["packet"] in names)]

    def ends(self, count: int = 1) -> list[dict[str, Any]]:
        """The DISCONNECT packets of clients, when there are so many: a client ends before its last packet is heard."""
        with self._lock:
            self._lock.wait_for(lambda: len(self._ends()) >= count, WAIT_S)
            return self._ends()

    def most_in_flight(self, to_broker: bool) -> int:
        """The most messages at QoS 1 and 2 in one direction that were not finished at one time."""
        open_ids: set[int] = set()
        most = 0
        for way, packet in self.heard():
            if way == to_broker and packet["packet"] == "PUBLISH" and packet["qos"]:
                open_ids.add(packet["packet_id"])
                most = max(most, len(open_ids))
            elif way != to_broker and packet["packet"] in ("PUBACK", "PUBCOMP"):
                open_ids.discard(packet["packet_id"])
        return most

    def _ends(self) -> list[dict[str, Any]]:
        return [each for way, each in self._heard if way and each["packet"] == "DISCONNECT"]

    def _hear(self, connection: int, to_broker: bool, data: bytes) -> None:
        buffer = self._buffers.setdefault((connection, to_broker), bytearray())
        buffer += data
        for head, body in packets(buffer):
            packet = reference5.packet(head, body)
            known = {"packet": reference5.NAMES[head & 0xF0 if head >> 4 == 3 else head]}
            if self._version == 5:
                known = reference5.decode(packet)
            fields = {**known, "size": len(packet), "connection": connection}
            with self._lock:
                self._heard.append((to_broker, fields))
                self._lock.notify_all()
