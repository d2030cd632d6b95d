"""Payloads in pieces over real sockets: byte by byte, through mosquitto, TLS and WebSocket, with the power cut."""

import hashlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import packets
import received5
from support import reference5
from support.certificates import Certificates
from support.device import Device
from support.mosquitto import listener
from support.scripted import WAIT_S, Peer, ScriptedBroker
from tools.broker import Broker, free_port

_LARGE = 256 * 1024
_LOGIN = ("board", "secret of the board")
_PUBACK, _PUBREC, _PUBREL, _PUBCOMP = (bytes((head, 2, 0, 7)) for head in (0x40, 0x50, 0x62, 0x70))
_CONNACKS = {4: packets.CONNACK, 5: received5.CONNACK}


@pytest.fixture(params=[4, 5])
def version(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture
def large(device: Callable[..., Device], version: int) -> Callable[..., Device]:
    """Start a case of `clients/large.py`, with both clients of both versions."""

    def start(case: str, port: int, **settings: object) -> Device:
        return device("large", case, port, version=version, **settings)

    return start


def pattern(size: int) -> bytes:
    """What the client publishes."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def digest(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()


def published(version: int, payload: bytes, qos: int = 0, packet_id: int = 7, retain: int = 0, dup: int = 0) -> bytes:
    """To topic `t`."""
    packet = reference5.publish("t", payload, qos, packet_id, retain, dup)
    if version == 5:
        return packet
    number = packet_id.to_bytes(2, "big") if qos else b""
    return reference5.packet(packet[0], b"\x00\x01t", number, payload)


def online(broker: ScriptedBroker, version: int, session_present: bool = False) -> Peer:
    connack = bytearray(_CONNACKS[version])
    connack[2] = session_present
    return broker.online(bytes(connack))


def ends(peer: Peer) -> None:
    """DISCONNECT, with PINGREQ or without."""
    peer.expect(packets.DISCONNECT)


def test_sent(large, scripted_broker: ScriptedBroker, version: int) -> None:
    size = 40000
    client = large("send", scripted_broker.port, size=size)
    peer = online(scripted_broker, version)
    peer.expect(published(version, pattern(size), retain=1))
    client.line("returned None")
    peer.expect(published(version, pattern(size)), published(version, b"behind it", 1, 1))
    peer.send(packets.PUBACK)
    peer.expect(published(version, pattern(size)))
    ends(peer)
    client.finish()


def test_sent_over_lost_connections(large, scripted_broker: ScriptedBroker, version: int) -> None:
    size = 400_000
    client = large("send_over_a_loss", scripted_broker.port, size=size)
    whole = published(version, pattern(size))
    peer = online(scripted_broker, version)
    peer.expect(whole[:100_000])
    peer.reset()
    peer = online(scripted_broker, version)
    client.line("raised")
    client.line("back")
    peer.expect(whole[: -size // 2])
    peer.expect_end()
    assert "half sent" in client.line("raised")
    peer = online(scripted_broker, version)
    peer.expect(published(version, b"small", 1, 1))
    peer.send(packets.PUBACK)
    peer.expect(whole)
    ends(peer)
    client.finish()
    assert "Source: too short" in client.said()


def test_received(large, scripted_broker: ScriptedBroker, version: int) -> None:
    """Among small ones, its head byte by byte; answered behind its last byte; skipped when it comes once more."""
    client = large("receive", scripted_broker.port, count=4)
    peer = online(scripted_broker, version)
    payload = os.urandom(70_000)
    packet = published(version, payload, 2)
    peer.send(published(version, b"one"))
    for i in range(12):
        peer.send(packet[i : i + 1])
        time.sleep(0.002)
    peer.send(packet[12:-1])
    client.line(f"begins t {len(payload)}")
    peer.expect_silence(0.1)
    peer.send(packet[-1:], published(version, b"two"))
    peer.expect(_PUBREC)
    assert client.line("large") == f"t {len(payload)} {digest(payload)}"
    peer.close()
    peer = online(scripted_broker, version, True)
    peer.send(published(version, payload, 2, dup=1), _PUBREL, published(version, b"three"))
    peer.expect(_PUBREC, _PUBCOMP)
    ends(peer)
    client.finish()
    assert [line.split()[1] for line in client.output if line.startswith("message t ")] == ["t"] * 3
    assert client.said().count("begins") == 1 and "gap" not in client.said()


@pytest.mark.parametrize("qos", [1, 2])
def test_received_over_a_lost_connection(large, scripted_broker: ScriptedBroker, version: int, qos: int) -> None:
    client = large("receive", scripted_broker.port, count=1)
    payload = os.urandom(70_000)
    peer = online(scripted_broker, version)
    peer.send(published(version, payload, qos)[:40_000])
    client.line("begins")
    peer.reset()
    peer = online(scripted_broker, version, True)
    peer.send(published(version, payload, qos, dup=1))
    peer.expect(_PUBACK if qos == 1 else _PUBREC)
    ends(peer)
    client.finish()
    assert client.said().count("begins") == 2 and "gap" not in client.said()
    assert [line for line in client.output if line.startswith("large")] == [f"large t {len(payload)} {digest(payload)}"]


class Another(Broker):
    """A broker with a second listener at `other_port`, which speaks what `lines` say. Everybody has to log in:
    before 2.0.12 WebSocket's cannot be bound to this computer."""

    def __init__(self, *lines: str) -> None:
        self.other_port = free_port()
        super().__init__(users=dict([_LOGIN]), extra=[f"listener {self.other_port}", *lines])

    def start(self) -> None:
        """Returns when both listeners are open."""
        super().start()
        end = time.monotonic() + WAIT_S
        with socket.socket() as probe:
            while probe.connect_ex(("127.0.0.1", self.other_port)):
                assert time.monotonic() < end, self.log()
                time.sleep(0.02)


@pytest.fixture
def both_ways(run_client: Callable[..., Device], face: str) -> Callable[..., None]:
    """A client with less memory than either message publishes one and receives two: both_ways(broker, key=value…)."""

    def check(broker: Broker, heap: str, incoming: int = _LARGE, **settings: object) -> None:
        port, login = broker.port, None
        if isinstance(broker, Another):
            port, login = broker.other_port, _LOGIN
            settings |= {"user": login[0], "password": login[1]}
        given = [f"{key}={value}" for key, value in {"size": _LARGE, "count": 2, **settings}.items()]
        with listener(broker.port, "out", qos=1, login=login) as other:
            client = run_client("large", "both", face, port, *given, heap=heap)
            client.line("published", 20)
            assert other.next().payload == pattern(_LARGE)
            for qos in (1, 2):
                payload = os.urandom(incoming + qos)
                other.publish("in", payload, qos=qos)
                assert client.line("large", 20) == f"in {len(payload)} {digest(payload)}"
            assert other.next().payload == b"and on"
            client.finish()
        assert "lost" not in client.said() and "gap" not in client.said()

    return check


# The library is compiled in this heap. 256k has no room for such a message either.
def test_256_kb_each_way(both_ways: Callable[..., None], shared_mosquitto: Broker, face: str) -> None:
    both_ways(shared_mosquitto, "136k" if face == "sync" else "160k")


def test_256_kb_each_way_in_version_5(both_ways: Callable[..., None], shared_mosquitto: Broker) -> None:
    both_ways(shared_mosquitto, "256k", version=5)


def test_through_websocket(both_ways: Callable[..., None]) -> None:
    """mosquitto 2.0 sends some 40 KB a second through it, to any client."""
    with Another("protocol websockets") as broker:
        both_ways(broker, "256k", 8_000, transport="ws")


def test_256_kb_each_way_through_tls(both_ways: Callable[..., None], certificates: Certificates) -> None:
    pair = certificates.server
    with Another(f"certfile {pair.pem}", f"keyfile {pair.key_pem}") as broker:
        both_ways(broker, "256k", cafile=certificates.ca.der)


def test_the_power_is_lost_in_the_middle(
    run_client: Callable[..., Device], face: str, mosquitto: Broker, tmp_path: Path
) -> None:
    """At QoS 2 with the outbox on flash: after two cuts it is delivered as a whole, and once."""
    payload = os.urandom(_LARGE)
    given = [f"folder={tmp_path / 'outbox'}"]
    devices: list[Device] = []
    with listener(mosquitto.port) as other:
        for _ in range(2):
            devices.append(run_client("large", "power_cut", face, mosquitto.port, *given, "stop=half"))
            if len(devices) == 1:
                devices[0].line("ready")
                other.client.publish("in", payload, qos=2)
            devices[-1].line("half")
            devices[-1].kill()
        for _ in range(2):
            devices.append(run_client("large", "power_cut", face, mosquitto.port, *given, "stop=no"))
            devices[-1].line("ready")
            if len(devices) == 4:
                other.publish("in", payload[1:], qos=2)
            devices[-1].finish()
    whole = [line for device in devices for line in device.output if line.startswith("large")]
    assert whole == [f"large in {len(each)} {digest(each)}" for each in (payload, payload[1:])]


def test_while_messages_wait_for_async_for(run_client: Callable[..., Device], shared_mosquitto: Broker) -> None:
    client = run_client("large", "queued", "asyncio", shared_mosquitto.port, "count=5")
    client.line("ready")
    payload = os.urandom(100_000)
    with listener(shared_mosquitto.port) as other:
        for i in range(5):
            other.publish("in", str(i), qos=1)
        other.publish("in", payload, qos=1)
        assert client.line("large") == f"in {len(payload)} {digest(payload)}"
        client.line("in order True dropped 0")
    client.finish()
