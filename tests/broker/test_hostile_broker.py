"""A hostile broker against the real client process: each hostility on a connection of its own, then all is as before.

One device process goes through all of them. It obeys what comes on topic `order`, see clients/hostile.py.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import packets
from fuzz.compiled import LIB, LIBRARY, TESTS, compile_into
from support.device import Device
from support.scripted import Peer, ScriptedBroker

_SEED = 20_04  # of the garbage
_HEAP = "96k"
_TIMEOUT_S = 30  # of the client
_ENDS_S = 10  # less than that: the client has to close because of what it was sent
_FLOOD = 10_000  # messages; the victim takes two seconds for them


def _message(topic: bytes, payload: bytes, qos: int = 0, packet_id: int = 1) -> bytes:
    body = len(topic).to_bytes(2, "big") + topic + (packet_id.to_bytes(2, "big") if qos else b"") + payload
    assert len(body) < 128
    return bytes((0x30 | qos << 1, len(body))) + body


def _publish(packet: bytes) -> tuple[bytes, bytes, bytes]:
    """Topic, packet identifier and payload of a small PUBLISH at QoS 1 from the client."""
    assert packet[0] & 0xF6 == 0x32, f"expected PUBLISH at QoS 1, got {packet!r}"
    end = 4 + packet[3]
    return packet[4:end], packet[end : end + 2], packet[end + 2 :]


def _next(peer: Peer) -> bytes:
    """The client's next packet, but PINGREQ, which is answered."""
    while (packet := peer.packet()) == packets.PINGREQ:
        peer.send(packets.PINGRESP)
    return packet


def _order(peer: Peer, text: bytes) -> None:
    peer.send(_message(b"order", text, 1))
    assert _next(peer) == packets.PUBACK


def _works(peer: Peer) -> None:
    """What is asked on this connection is answered."""
    peer.send(_message(b"order", b"are you well?", 1))
    got = [_next(peer), _next(peer)]
    assert packets.PUBACK in got, got
    got.remove(packets.PUBACK)
    topic, packet_id, payload = _publish(got[0])
    assert (topic, payload) == (b"answer", b"are you well?")
    peer.send(b"\x40\x02" + packet_id)


def _ends(peer: Peer) -> bool:
    """The client closes in time, whatever it says before."""
    start = time.monotonic()
    peer.read(1 << 20, _ENDS_S)
    return time.monotonic() - start < _ENDS_S


# Packets before CONNACK, a second one, what only a server may get, reserved flags, QoS 3, endless lengths, topics …
_BEFORE_CONNACK = [data for state, _, data in packets.MALFORMED if state == "connecting"]
_CLOSES = [data for state, _, data in packets.MALFORMED if state == "online"]
_CLOSES.append(b"".join(_message(b"t", b"x", 2, number) for number in range(1, 3000)))  # QoS 2 without an end

# What the client is sent, and what it answers. It stays.
_STAYS = [
    *((data, answer) for _, data, answer in packets.RECEIVED_UNKNOWN_ACK),
    *((data, b"") for _, _, data in packets.TOLERATED),  # a topic name that is not UTF-8
    (b"\x90\x66\x00\x07" + bytes(100), b""),  # 100 return codes for nothing
    (packets.PINGRESP * 5000, b""),
]


def _garbage(generator: random.Random) -> bytes:
    """A packet, for it is as long as it says, and something more."""
    return bytes((generator.randrange(256), generator.randrange(60))) + generator.randbytes(60)


def _online_cases(broker: ScriptedBroker, peer: Peer, every: int) -> Peer:
    for data, answer in _STAYS:
        peer.send(data)
        peer.expect(answer)
        _works(peer)
    for data in _CLOSES[::-every]:
        peer.send(data)
        assert _ends(peer), f"still open after {data[:40]!r}"
        peer = broker.online()
        _works(peer)
    return peer


def _cases_before_connack(broker: ScriptedBroker, peer: Peer, every: int) -> Peer:
    generator = random.Random(_SEED)
    garbage = [_garbage(generator) for _ in range(15)]
    peer.close()
    for data in [*_BEFORE_CONNACK, *garbage][::every]:
        peer = broker.accept()
        peer.accept_connect(data)
        assert _ends(peer), f"still open after {data!r}"
    peer = broker.online()
    _works(peer)
    return peer


def _garbage_for_each_packet(broker: ScriptedBroker, peer: Peer) -> Peer:
    """Whatever the client says is answered with garbage. What it has to say is not lost by that."""
    generator = random.Random(_SEED)
    _order(peer, b"publish 3")
    for _ in range(5):
        peer.packet()
        peer.send(_garbage(generator))
        assert _ends(peer)
        peer = broker.online()
    for number in range(3):
        topic, packet_id, payload = _publish(peer.packet())
        assert (topic, payload) == (b"data", b"%d" % number)
        peer.send(b"\x40\x02" + packet_id)
    _works(peer)
    return peer


def _wrong_subacks(broker: ScriptedBroker, peer: Peer) -> Peer:
    """What was subscribed is subscribed again, until the answer is right."""
    _order(peer, b"subscribe a/b")
    for codes in (b"", b"\x00\x00", b"\x03", b"\x81", bytes(100), None):
        subscribe = peer.packet()
        assert subscribe[4:] == b"\x00\x03a/b\x01"
        if codes is not None:
            peer.send(bytes((0x90, 2 + len(codes))) + subscribe[2:4] + codes)
            assert _ends(peer), f"still open after SUBACK {codes!r}"
            peer = broker.online()
    peer.send(b"\x90\x03" + subscribe[2:4] + b"\x01")
    _works(peer)
    return peer


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The victim as a board has it."""
    folder = tmp_path_factory.mktemp("hostile")
    compile_into(folder, LIB, LIBRARY)
    compile_into(folder, TESTS / "broker" / "clients", ["common.py", "hostile.py"])
    (folder / "run.py").write_text("import hostile")
    return folder


@pytest.fixture
def start(micropython: Path, folder: Path) -> Iterator[Callable[..., Device]]:
    """Start a victim: start(port, face, key=value…)."""
    running: list[Device] = []

    def victim(port: int, face: str, **settings: object) -> Device:
        arguments = [f"{key}={value}" for key, value in {"timeout": _TIMEOUT_S, **settings}.items()]
        running.append(Device(micropython, folder / "run.py", "victim", face, port, *arguments, heap=_HEAP, lib=folder))
        return running[-1]

    yield victim
    for device in running:
        device.close()


def test_hostile_broker(start: Callable[..., Device], face: str, scripted_broker: ScriptedBroker) -> None:
    victim = start(scripted_broker.port, face)
    peer = scripted_broker.online()
    _works(peer)
    every = 1 if face == "sync" else 4  # both faces share what is tested here, and asyncio takes longer to come back
    peer = _online_cases(scripted_broker, peer, every)
    peer = _cases_before_connack(scripted_broker, peer, every)
    peer = _garbage_for_each_packet(scripted_broker, peer)
    peer = _wrong_subacks(scripted_broker, peer)
    _order(peer, b"end")
    peer.expect(packets.DISCONNECT)
    victim.finish()
    assert "Traceback" not in victim.said()
    assert victim.said().count("lost") == victim.said().count("online") - 1


class _Flood:
    """Sends a flood from a thread of its own; PINGRESP may go between, as nothing is cut."""

    def __init__(self, peer: Peer, messages: list[bytes]) -> None:
        self._peer, self._lock = peer, threading.Lock()
        self._thread = threading.Thread(target=self._send_all, args=(messages,), daemon=True)
        self._thread.start()

    def _send_all(self, messages: list[bytes]) -> None:
        for at in range(0, len(messages), 50):
            self.send(*messages[at : at + 50])

    def send(self, *data: bytes) -> None:
        with self._lock:
            self._peer.send(*data)


def _heap(victim: Device, peer: Peer) -> tuple[int, int, int]:
    """Messages of the flood that were delivered, messages in the outbox, bytes allocated."""
    _order(peer, b"heap")
    delivered, _, pending, _, allocated = victim.line("flood").split()
    return int(delivered), int(pending), int(allocated)


def _survive_flood(victim: Device, broker: ScriptedBroker, qos: int) -> None:
    peer = broker.online()
    _works(peer)
    before = _heap(victim, peer)[2]
    _order(peer, b"publish 20")
    held = [_publish(_next(peer)) for _ in range(20)]
    last = _message(b"order", b"heap", 1, 0xFFFF)
    flood = _Flood(peer, [_message(b"flood", b"%d" % i, qos, i + 1) for i in range(_FLOOD)] + [last])
    acknowledged = pings = 0
    while (packet := peer.packet(30)) != b"\x40\x02\xff\xff":
        assert packet, f"the client closed; it said:\n{victim.said()}"
        acknowledged += packet[0] == 0x40
        if packet == packets.PINGREQ:
            pings += 1
            flood.send(packets.PINGRESP)
    delivered, pending, allocated = map(int, victim.line("flood").split()[::2])
    assert (delivered, pending, acknowledged) == (_FLOOD, 20, _FLOOD if qos else 0)
    assert allocated - before < 4096, "20 messages wait, nothing else"
    assert pings or qos, "silent for longer than 1.5 times keepalive: a broker ends the connection"
    for number, (topic, packet_id, payload) in enumerate(held):
        assert (topic, payload) == (b"data", b"%d" % number)
        peer.send(b"\x40\x02" + packet_id)
    assert _heap(victim, peer)[:2] == (0, 0)
    assert victim.said().count("online") == 1


def test_flood(start: Callable[..., Device]) -> None:
    """Faster than the callback, with messages that wait to be acknowledged. All variants at once, for time."""
    faces = (["sync"], ["asyncio"], ["asyncio", "async for"])
    variants = [(qos, face, loop) for qos in (0, 1) for face, *loop in faces]
    brokers = [ScriptedBroker() for _ in variants]
    wrong = {}
    with ThreadPoolExecutor(len(variants)) as pool:
        running = []
        for (qos, face, loop), broker in zip(variants, brokers):
            victim = start(broker.port, face, keepalive=1, **({"loop": loop[0]} if loop else {}))
            running.append(pool.submit(_survive_flood, victim, broker, qos))
        for (qos, face, loop), each in zip(variants, running):
            if error := each.exception():
                wrong[f"QoS {qos}, {' '.join([face, *loop])}"] = str(error).splitlines()[0]
    for broker in brokers:
        broker.close()
    assert not wrong


def test_refused_with_any_number(start: Callable[..., Device], scripted_broker: ScriptedBroker) -> None:
    """Also where it is the number of an errno that says «not yet», here EAGAIN, EALREADY and EINPROGRESS."""
    victim = start(scripted_broker.port, "sync")
    for code in (6, 11, 114, 115, 255):
        peer = scripted_broker.accept()
        peer.accept_connect(bytes((0x20, 2, 0, code)))
        assert _ends(peer), f"still open after code {code}; it said:\n{victim.said()}"
    _works(scripted_broker.online())


def test_unsuback_for_a_subscribe(start: Callable[..., Device], scripted_broker: ScriptedBroker) -> None:
    """The answer is malformed, and the filter is still wanted."""
    start(scripted_broker.port, "sync")
    peer = scripted_broker.online()
    _order(peer, b"subscribe a/b")
    subscribe = peer.packet()
    peer.send(b"\xb0\x02" + subscribe[2:4])
    assert _ends(peer)
    peer = scripted_broker.online()
    assert peer.packet(2)[4:] == subscribe[4:], "nothing is subscribed again"


def test_waiting_ends_in_a_flood_of_pingresp(start: Callable[..., Device], scripted_broker: ScriptedBroker) -> None:
    victim = start(scripted_broker.port, "sync")
    peer = scripted_broker.online()
    _order(peer, b"listen 500")
    end = time.monotonic() + 3
    while time.monotonic() < end and "listened" not in victim.said():
        peer.send(packets.PINGRESP * 500)
    assert int(victim.line("listened")) < 2000


@pytest.mark.parametrize("topic_filter", [b"$share/g/", b"\xc3\x28"], ids=["empty-share", "not-utf-8"])
def test_a_filter_that_cannot_be(
    start: Callable[..., Device], scripted_broker: ScriptedBroker, topic_filter: bytes
) -> None:
    """It is refused at once, or does no harm when the broker refuses it and sends what it does not match."""
    victim = start(scripted_broker.port, "sync")
    peer = scripted_broker.online()
    _order(peer, b"subscribe " + topic_filter)
    if victim.line("filter") == "asked for":
        subscribe = peer.packet()
        peer.send(b"\x90\x03" + subscribe[2:4] + b"\x80", _message(b"$SYS/x", b"1"))
    _works(peer)
