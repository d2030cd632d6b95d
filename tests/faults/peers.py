"""paho at the broker, in the version that a run needs: what it publishes and receives has the properties of MQTT 5."""

from collections.abc import Iterator
from contextlib import contextmanager

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from faults.device import numbered
from support.mosquitto import Listener, listener, listening

_KEPT_S = 3600  # how long the broker keeps a session


@contextmanager
def peer(
    port: int, *topics: str, client_id: str, version: int, login: tuple[str, str] | None = None
) -> Iterator[Listener]:
    """A connected paho client with a session that is kept, subscribed to `topics`."""
    if version == 4:
        with listener(port, *topics, client_id=client_id, clean=False, login=login) as found:
            yield found
        return
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5)
    kept = Properties(PacketTypes.CONNECT)
    kept.SessionExpiryInterval = _KEPT_S
    filters = [(topic, mqtt.SubscribeOptions(2)) for topic in topics]
    with listening(client, port, filters, login, clean_start=False, properties=kept) as found:
        yield found


def properties(run: int, n: int) -> Properties | None:
    """For paho: the properties of a numbered message."""
    wanted = numbered.properties(run, n)
    if not wanted:
        return None
    made = Properties(PacketTypes.PUBLISH)
    made.ContentType = wanted["content_type"]
    made.MessageExpiryInterval = wanted["message_expiry"]
    for pair in wanted["user_properties"]:
        made.UserProperty = pair  # which paho appends
    return made


def label(message: mqtt.MQTTMessage, strict: bool) -> str | None:
    """The label of a message that arrived; None: it is damaged, or has the properties of another one.

    strict: also when it has none although it should.
    """
    name = numbered.label(message.payload)
    given = getattr(message, "properties", None)
    content_type, pairs = getattr(given, "ContentType", None), list(getattr(given, "UserProperty", ()))
    if not (strict or content_type or pairs):
        return name
    return name if numbered.described(name, content_type, pairs) else None
