"""The judges of the runs see what is wrong: a tally of what arrived, a ledger of what was said."""

import pytest

import packets
from faults.device import numbered
from faults.plan import CORRUPT
from faults.tally import Outcome, Tally
from faults.wire import Ledger


def test_order_is_that_of_the_first_arrivals() -> None:
    tally = Tally()
    for label in ("0.0", "0.2", "0.0", "0.10", "1.0"):
        tally.add("up/1/0", label)
    tally.add("up/1/1", "0.1")
    assert not tally.out_of_order and not tally.twice() and tally.again() == 1
    tally.add("up/1/0", "0.4")
    assert tally.out_of_order == ["up/1/0 0.4 after (1, 0)"]


def test_twice_at_qos_2() -> None:
    tally = Tally()
    for _ in range(2):
        tally.add("up/2/0", "0.0")
    assert tally.twice() == [(2, "0.0")] and tally.again() == 0


def test_damage_is_seen() -> None:
    payload = numbered.payload(3, 7)
    assert numbered.label(payload) == "3.7"
    for at in range(len(payload)):
        changed = payload[:at] + bytes([payload[at] ^ 0x10]) + payload[at + 1 :]
        assert numbered.label(changed) != "3.7"


@pytest.mark.parametrize("field", ["lost", "twice", "out_of_order", "damaged", "invented"])
def test_what_is_wrong_is_named_with_its_report(field: str) -> None:
    assert not Outcome(report="seed 7").problems()
    assert "seed 7" in Outcome(**{field: ["it"]}, report="seed 7").problems()


def test_a_changed_byte_may_cost_one_message() -> None:
    outcome = Outcome(lost=[("up", (1, "0.0"))])
    outcome.faults[CORRUPT] = 1
    assert not outcome.problems()
    outcome.lost.append(("up", (1, "0.1")))
    assert outcome.problems()


class Conversation:
    """What the ledger makes of packets, heard byte by byte. Their packet identifier is 1 unless another is given."""

    def __init__(self) -> None:
        self.ledger = Ledger()

    def device(self, *said: bytes) -> None:
        self._say(True, said)

    def broker(self, *said: bytes) -> None:
        self._say(False, said)

    def _say(self, to_broker: bool, said: tuple[bytes, ...]) -> None:
        for byte in b"".join(said):
            self.ledger.hear(0, to_broker, bytes([byte]))


def _publish(n: int, packet_id: int = 1) -> bytes:
    body = b"\0\1t" + packet_id.to_bytes(2, "big") + numbered.payload(0, n)
    return bytes([0x34, len(body)]) + body


def test_a_whole_exchange_is_in_order() -> None:
    said = Conversation()
    said.device(_publish(0), packets.PUBREL)
    said.broker(packets.PUBREC, _publish(1), packets.PUBREL)
    said.device(packets.PUBREC, packets.PUBCOMP)
    assert len(said.ledger.acknowledged[2, "0.0"]) == 1
    assert said.ledger.completed == {(2, "0.1")} and said.ledger.offered == {(2, "0.1"): 1}
    assert not said.ledger.repeated and not said.ledger.hidden


def test_the_device_says_it_again_under_another_identifier() -> None:
    said = Conversation()
    said.device(_publish(0), _publish(0))
    assert not said.ledger.repeated, "the same again is what DUP is for"
    said.device(_publish(0, packet_id=2))
    assert said.ledger.repeated == [(2, "0.0")]


def test_the_device_says_it_again_after_pubrel() -> None:
    said = Conversation()
    said.device(_publish(0), packets.PUBREL, _publish(0))
    assert said.ledger.repeated == [(2, "0.0")]


def test_without_a_session_the_device_may_say_it_again() -> None:
    said = Conversation()
    said.device(_publish(0), packets.PUBREL)
    said.broker(packets.CONNACK)
    said.device(_publish(0, packet_id=2))
    assert not said.ledger.repeated and said.ledger.sessions == 1


def test_the_broker_says_it_again_after_pubrel() -> None:
    said = Conversation()
    said.broker(_publish(0), _publish(0))
    assert said.ledger.offered == {(2, "0.0"): 1}
    said.broker(packets.PUBREL, _publish(0))
    assert said.ledger.offered == {(2, "0.0"): 2}


def test_the_broker_uses_an_open_identifier_for_another_message() -> None:
    said = Conversation()
    said.broker(_publish(0), _publish(1))
    assert said.ledger.hidden == {(2, "0.1")}
