"""Whatever a broker says, and when: a clean exception or a closed connection, bounded memory, no hang, nothing lost.

The bounded form of `fuzz.py`, the same inputs always. What is promised is checked in decoder.py and ordeal.py.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

import packets
from fuzz import corpora, decoder, engine, ordeal
from fuzz.compiled import LIB, LIBRARY, TESTS, compile_into
from support.device import Device
from support.session import Session
from support.session5 import Session5

_FUZZ = ("decoder", "decoder5", "frames", "hostile_broker", "ordeal", "ordeal5", "reference")
_SUPPORT = (
    "__init__",
    "answering",
    "fakenet",
    "faketime",
    "fakews",
    "framing",
    "ports",
    "reference5",
    "session",
    "session5",
)
# Of which the fake network, the broker and the checks take half; with MQTT 5 the reference that decodes it as well.
_HEAP, _HEAP5 = "192k", "288k"
_GUIDED_STEPS = {"decoder": 500, "session": 40, "decoder5": 300, "session5": 30, "frames": 150}
_SETTINGS = {"deadline": None, "database": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}


def _broken(target: str) -> Iterator[str]:
    """How the inputs of the corpus break promises."""
    for data in corpora.load(target):
        try:
            corpora.TARGETS[target](data)
        except Exception as error:
            yield f"{data.hex()}: {engine.name_of(error)}"


@pytest.mark.parametrize("target", corpora.TARGETS)
def test_corpus(target: str) -> None:
    assert not list(_broken(target))


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replay")
    compile_into(folder, LIB, LIBRARY)
    compile_into(folder, TESTS, [f"fuzz/{name}.py" for name in _FUZZ])
    compile_into(folder, TESTS, [f"support/{name}.py" for name in _SUPPORT])
    (folder / "replay.py").write_text((Path(__file__).parent / "replay.py").read_text())
    return folder


@pytest.mark.parametrize("target", corpora.TARGETS)
def test_corpus_in_a_small_heap(micropython: Path, compiled: Path, target: str) -> None:
    heap = _HEAP5 if target.endswith("5") else _HEAP
    device = Device(micropython, compiled / "replay.py", target, corpora.path(target), heap=heap, lib=compiled)
    try:
        assert int(device.line("inputs", 60)) == len(corpora.load(target))
        assert int(device.line("more")) <= 256, "bytes; the second round leaves nothing on the heap"
        device.finish()
    finally:
        device.close()


@pytest.mark.parametrize("target", corpora.TARGETS)
def test_guided(target: str) -> None:
    fuzzer = engine.Fuzzer(corpora.TARGETS[target], corpora.load(target), seed=1)
    for _ in range(_GUIDED_STEPS[target]):
        fuzzer.step()
    assert not fuzzer.findings, {name: f"{target}:{data.hex()}" for name, data in fuzzer.findings.items()}


_RIGHT = [
    *(data for _, data, _ in packets.RECEIVED_UNKNOWN_ACK),
    *(data for _, _, data, _ in packets.RECEIVED_PUBLISH if len(data) < 400),
    *(data for data, _ in packets.RECEIVING_QOS_2),
]
_WRONG = [data for _, _, data in packets.MALFORMED + packets.TOLERATED]
_bytes = st.integers(0, 255)


@st.composite
def _packets(draw: st.DrawFn) -> bytes:
    """One that the tests know, as it is or changed in a few places."""
    packet = bytearray(draw(st.sampled_from(_RIGHT) | st.sampled_from(_WRONG)))
    for kind in draw(st.just([]) | st.lists(st.sampled_from(("set", "cut", "insert", "repeat")), max_size=3)):
        at = draw(st.integers(0, len(packet)))
        if kind == "set":
            packet[at : at + 1] = bytes((draw(_bytes),))
        elif kind == "cut":
            del packet[at:]
        elif kind == "insert":
            packet[at:at] = draw(st.binary(max_size=5))
        else:
            packet *= draw(st.integers(1, 3))
    return bytes(packet)


_right = st.sampled_from(_RIGHT)
_streams = st.lists(_right | _right.map(lambda data: data * 2) | _packets() | st.binary(max_size=10)).map(b"".join)
_connacks = st.sampled_from((packets.CONNACK, packets.CONNACK_SESSION_PRESENT))


@settings(max_examples=300, **_SETTINGS)
@given(choice=_bytes, connack=_connacks | st.just(b""), stream=_streams)
def test_changed_packets(choice: int, connack: bytes, stream: bytes) -> None:
    decoder.check(bytes((choice,)) + (connack if choice & 1 else b"") + stream)


class HostileSession(RuleBasedStateMachine):
    """Events of the program, the broker and the network in any order. Each method checks what is promised."""

    @initialize(choice=_bytes)
    def start(self, choice: int) -> None:
        self.ordeal = ordeal.Ordeal(choice)
        self.ordeal.pump(choice % 50)

    @rule(event=st.sampled_from([event for event, count in ordeal.EVENTS[1:] if count == 2]), a=_bytes, b=_bytes)
    def with_two(self, event: Callable[..., None], a: int, b: int) -> None:
        event(self.ordeal, a, b)

    @rule(event=st.sampled_from([event for event, count in ordeal.EVENTS[1:] if count == 1]), a=_bytes)
    def with_one(self, event: Callable[..., None], a: int) -> None:
        event(self.ordeal, a)

    @rule(event=st.sampled_from([event for event, count in ordeal.EVENTS if not count]))
    def alone(self, event: Callable[..., None]) -> None:
        event(self.ordeal)

    @rule(data=_packets() | st.binary(max_size=20))
    def say(self, data: bytes) -> None:
        self.ordeal.say(data)

    @rule(qos=st.sampled_from((1, 2)), packet_id=st.integers(1, 3))
    def deliver(self, qos: int, packet_id: int) -> None:
        self.ordeal.deliver(qos << 5, packet_id)

    @rule(ms=st.integers(1, 100))
    def work(self, ms: int) -> None:
        self.ordeal.pump(ms)

    def teardown(self) -> None:
        self.ordeal.finish()


TestHostileSession = HostileSession.TestCase
TestHostileSession.settings = settings(
    max_examples=50,
    stateful_step_count=30,
    phases=(Phase.generate,),  # shrinking would take minutes
    **_SETTINGS,
)


# Does all this see anything? Each of these faults in the library must be found in the corpus.
_FAULTS = {
    "QoS 2 delivered twice": ("outbox", "Outbox", "receive", lambda self, packet_id: True),
    "PUBREL ignored": ("outbox", "Outbox", "release", lambda self, packet_id: None),
    "not sent again": ("outbox", "Outbox", "rewind", lambda self, session_present: None),
    "not subscribed again": ("subscriptions", "Subscriptions", "rewind", lambda self, session_present: None),
    "acknowledgements not seen": ("outbox", "Outbox", "puback", lambda self, packet_id: False),
    "lost connections not noticed": ("connection", "Connection", "_lost", lambda self, error: None),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_faults_are_found(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    Session()  # which loads the library
    module, kind, method, wrong = _FAULTS[fault]
    monkeypatch.setattr(getattr(sys.modules[f"fieldmqtt.{module}"], kind), method, wrong)
    assert any(True for target in ("decoder", "session") for _ in _broken(target))


_FAULTS5 = {
    "aliases not resolved": ("protocol5", "Protocol5", "_described", lambda self, topic, payload, _: (topic, payload)),
    "not sent again": ("outbox", "Outbox", "rewind", lambda self, session_present: None),
    "properties of any packet": ("properties", None, "_allowed", lambda index, kind: 0),
}


@pytest.mark.parametrize("fault", _FAULTS5)
def test_faults_of_version_5_are_found(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    Session5()
    module, kind, method, wrong = _FAULTS5[fault]
    where = sys.modules[f"fieldmqtt.{module}"]
    monkeypatch.setattr(getattr(where, kind) if kind else where, method, wrong)
    assert any(True for target in ("decoder5", "session5") for _ in _broken(target))


def test_everything_follows_from_the_seed() -> None:
    first, second, other = (engine.Fuzzer(decoder.check, _RIGHT, seed) for seed in (1, 1, 2))
    for fuzzer in (first, second, other):
        for _ in range(50):
            fuzzer.step()
    assert first.corpus == second.corpus != other.corpus


def test_an_endless_loop_is_found() -> None:
    endless = compile("while True:\n    pass\n", engine.LIBRARY + "/endless.py", "exec")
    fuzzer = engine.Fuzzer(lambda data: data and exec(endless), [b"x"], seed=1)
    assert [name.split(" ")[0] for name in fuzzer.findings] == ["Hang"]
