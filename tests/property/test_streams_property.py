"""However the bytes of the network are cut: the same pieces put together, the same messages, the same answers."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from support.streaming import MAX_PACKET, PUBACK, PUBREC, VERSIONS, ack, acks, content, listening, published

_sizes = st.integers(0, 30) | st.integers(MAX_PACKET - 20, MAX_PACKET + 20) | st.integers(0, 2000)
_topics = st.integers(1, 40) | st.integers(MAX_PACKET - 40, MAX_PACKET - 25)


@settings(max_examples=150)
@given(
    version=st.sampled_from(VERSIONS),
    sent=st.lists(st.tuples(_topics, _sizes, st.integers(0, 2), st.booleans()), min_size=1, max_size=5),
    cuts=st.lists(st.integers(0, 8000), max_size=12).map(sorted),
    limit=st.none() | st.integers(1, 300),
)
def test_any_split(version: Any, sent: list[tuple[int, int, int, bool]], cuts: list[int], limit: int | None) -> None:
    made = listening(version, network={"read_limit": limit}, keepalive=0)
    stream, small, large, answers = b"", [], [], []
    for packet_id, (length, size, qos, dup) in enumerate(sent, 1):
        topic, payload = "t" * length, content(size)
        packet = published(version, topic, payload, qos, packet_id, 0, int(dup and qos > 0))
        message = (topic.encode(), payload, 0, qos, int(dup and qos > 0))
        (large if len(packet) > MAX_PACKET else small).append(message)
        answers += [[], [ack(PUBACK, packet_id)], [ack(PUBREC, packet_id)]][qos]
        stream += packet
    before = 0
    for at in [*cuts, len(stream)]:
        made.sock.reply(stream[before:at])
        before = max(before, min(at, len(stream)))
        made.pump(10)
    while made.sock.unread():
        made.pump(20)
    made.pump(20)
    assert made.pieces.messages == large
    assert [message[:5] for message in made.messages] == small
    assert acks(made) == answers
    assert len(made.network.sockets) == 1
