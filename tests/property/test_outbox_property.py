"""Whatever the order of events: the outbox is a plain list of messages, and filters match as a regular expression."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fieldmqtt.outbox import Outbox
from fieldmqtt.subscriptions import matches

_RECORD = 5  # bytes of the outbox that a message costs beside its packet
_PUBACK, _PUBREC, _PUBCOMP = "PUBACK", "PUBREC", "PUBCOMP"


class _Message:
    """What the model knows of a message: its packet, what it waits for, whether it was sent on this connection."""

    def __init__(self, packet_id: int, packet: bytes, qos: int) -> None:
        self.packet_id, self.packet, self.qos = packet_id, packet, qos
        self.awaits, self.sent, self.dup = _PUBACK if qos == 1 else _PUBREC, False, False

    def on_the_wire(self) -> bytes:
        """Nothing of the message when only PUBREL is left to be sent."""
        if self.awaits == _PUBCOMP:
            return b""
        return bytes((self.packet[0] | self.dup << 3,)) + self.packet[1:]


class OutboxBesideAList(RuleBasedStateMachine):
    """Does the same to both, and compares what can be seen."""

    @initialize(size=st.integers(40, 150))
    def start(self, size: int) -> None:
        self.size, self.outbox, self.messages, self.last_id = size, Outbox(size), [], 0

    @rule(qos=st.sampled_from((1, 2)), size=st.integers(4, 35))
    def publish(self, qos: int, size: int) -> None:
        at = self.outbox.reserve(size)
        if at < 0:
            assert self.messages, "an empty outbox has room for whatever it can ever hold"
            return
        packet_id = self.last_id = self.last_id % 65535 + 1
        packet = bytes((0x30 | qos << 1, *(packet_id * 7 + i & 0xFF for i in range(size - 1))))
        self.outbox.buffer[at : at + size] = packet
        self.outbox.commit(packet_id, size)
        self.messages.append(_Message(packet_id, packet, qos))

    @rule()
    def send_next(self) -> None:
        packet_id = self.outbox.next()
        message = next((m for m in self.messages if not m.sent), None)
        if message is None:
            assert packet_id == 0
            return
        assert packet_id == message.packet_id
        assert bytes(self.outbox.buffer[self.outbox.start : self.outbox.end]) == message.on_the_wire()
        message.sent = message.dup = True

    @precondition(lambda self: self.messages)
    @rule(data=st.data(), answer=st.sampled_from((_PUBACK, _PUBREC, _PUBCOMP)))
    def answer(self, data: st.DataObject, answer: str) -> None:
        message = data.draw(st.sampled_from(self.messages))
        taken = getattr(self.outbox, answer.lower())(message.packet_id)
        again = answer == _PUBREC and message.awaits == _PUBCOMP
        assert bool(taken) == (message.sent and (message.awaits == answer or again))
        if taken and answer == _PUBREC:
            message.awaits = _PUBCOMP
        elif taken:
            self.messages.remove(message)

    @rule(packet_id=st.integers(1, 65535))
    def answer_to_nothing(self, packet_id: int) -> None:
        if all(message.packet_id != packet_id for message in self.messages):
            assert not self.outbox.puback(packet_id)
            assert not self.outbox.pubrec(packet_id)
            assert not self.outbox.pubcomp(packet_id)

    @rule(session_present=st.booleans())
    def reconnect(self, session_present: bool) -> None:
        self.outbox.rewind(session_present)
        for message in self.messages:
            message.sent = False
            if not session_present:
                message.awaits, message.dup = _PUBACK if message.qos == 1 else _PUBREC, False

    @invariant()
    def counts_agree(self) -> None:
        assert self.outbox.pending == len(self.messages)
        assert self.outbox.in_flight == sum(message.sent for message in self.messages)
        assert sum(len(message.packet) + _RECORD for message in self.messages) <= self.size


TestOutboxBesideAList = OutboxBesideAList.TestCase
TestOutboxBesideAList.settings = settings(max_examples=200, stateful_step_count=60)

_level = st.sampled_from(("", "a", "b", "ab", "$a", "ä"))


@st.composite
def _filters(draw: st.DrawFn) -> str:
    """Topic filters that the specification allows."""
    levels = draw(st.lists(st.one_of(_level, st.just("+")), max_size=4))
    if not levels or draw(st.booleans()):
        levels.append("#")
    return "/".join(levels)


def _expression(topic_filter: str) -> str:
    """MQTT 3.1.1, section 4.7, as a regular expression."""
    if topic_filter == "#":
        return r"[^$].*"
    pattern = re.escape(topic_filter).replace(r"\+", "[^/]*")
    pattern = re.sub(r"/\\#$", "(/.*)?", pattern)
    return pattern if topic_filter[0] != "+" else rf"(?!\$){pattern}"


@settings(max_examples=1000)
@given(topic_filter=_filters().filter(bool), topic=st.lists(_level, min_size=1, max_size=5).map("/".join).filter(bool))
def test_filters_match_as_a_regular_expression(topic_filter: str, topic: str) -> None:
    expected = re.fullmatch(_expression(topic_filter), topic, re.DOTALL) is not None
    assert matches(topic_filter.encode(), topic.encode()) == expected
