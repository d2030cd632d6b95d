"""What the tests of MQTT 5 with a scripted broker share: a client that takes steps, packets in both directions."""

from collections.abc import Callable
from typing import Any

import received5
from support import reference5
from support.device import Device
from support.scripted import Peer, ScriptedBroker

Fields = dict[str, Any]


def start(device: Callable[..., Device], broker: ScriptedBroker, *steps: tuple[str, Any], **settings: Any) -> Device:
    """A client with these settings takes these steps, see clients/scripted5.py. It connects first."""
    client = device("scripted5", "steps", broker.port)
    client.tell(repr(settings))
    client.tell(repr([("connect", {}), *steps]))
    return client


def said(peer: Peer, packet: str = "") -> Fields:
    """What the client's next packet says; it is one of this name."""
    data = peer.packet()
    assert data, f"expected {packet or 'a packet'}, got nothing"
    fields = reference5.meaning(data)
    assert packet in ("", fields["packet"]), f"expected {packet}, got {fields}"
    return fields


def connected(broker: ScriptedBroker, connack: bytes = received5.CONNACK) -> Peer:
    """The next connection, its CONNECT answered."""
    peer = broker.accept()
    said(peer, "CONNECT")
    peer.send(connack)
    return peer


def ends(peer: Peer, code: int = 0) -> None:
    """The client says DISCONNECT with this reason code, nothing more, and closes."""
    assert said(peer) == {"packet": "DISCONNECT", "code": code, "properties": {}}
    peer.expect_end()


def subscribes(peer: Peer, *codes: int) -> Fields:
    """The client's next packet is SUBSCRIBE; it is answered with these reason codes, or what it asked for."""
    fields = said(peer, "SUBSCRIBE")
    granted = codes or [options & 3 for _, options in fields["filters"]]
    peer.send(reference5.suback(fields["packet_id"], *granted))
    return fields
