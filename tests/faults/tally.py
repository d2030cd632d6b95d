"""What arrived, and whether it is what MQTT 3.1.1 promises: nothing lost, QoS 2 once, in order."""

from collections import Counter
from dataclasses import dataclass, field

from faults.plan import CORRUPT
from faults.wire import Message


@dataclass
class Tally:
    """The messages that arrived at one end.

    Section 4.6: the first arrivals of a topic are in order. At QoS 1 one may come again later.
    """

    arrived: Counter[Message] = field(default_factory=Counter)
    out_of_order: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)  # topics of those that failed their own checksum
    _last: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def add(self, topic: str, label: str | None, place: int | None = None) -> Message | None:
        """Return the message, None for a damaged one. place: in the order to be expected, that of the labels else."""
        parts = topic.split("/")
        if label is None or len(parts) != 3 or parts[1] not in ("1", "2"):
            self.damaged.append(topic)
            return None
        message = int(parts[1]), label
        self.arrived[message] += 1
        if self.arrived[message] == 1:
            order = tuple(map(int, label.split("."))) if place is None else (place,)
            if order < self._last.get(topic, ()):
                self.out_of_order.append(f"{topic} {label} after {self._last[topic]}")
            else:
                self._last[topic] = order
        return message

    def twice(self) -> list[Message]:
        """QoS 2 messages that came more than once."""
        return [message for message, times in self.arrived.items() if message[0] == 2 and times > 1]

    def again(self) -> int:
        """How often a QoS 1 message came again, which is allowed."""
        return sum(times - 1 for (qos, _), times in self.arrived.items() if qos == 1)


@dataclass
class Outcome:
    """What came of a run. Messages are named (QoS, label)."""

    sent: int = 0  # in all
    lost: list[tuple[str, Message]] = field(default_factory=list)
    twice: list[tuple[str, Message]] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    invented: list[Message] = field(default_factory=list)  # never sent
    damaged: list[str] = field(default_factory=list)
    again: int = 0  # at QoS 1, which is allowed
    forgotten: int = 0  # by a broker that was killed: no fault of the client
    doubled: int = 0  # at QoS 2 by the broker: no fault of the client
    cut: int = 0  # at QoS 2: the power was cut between the note that it came and the end of the callback
    exceeding: list[Message] = field(default_factory=list)  # sent although the broker had as many as it takes
    aliased: int = 0  # sent with a topic alias in the place of the topic
    faults: Counter[str] = field(default_factory=Counter)
    connects: int = 0
    seconds: float = 0.0
    report: str = ""

    def too_many_lost(self) -> bool:
        """A byte that was changed on the way may cost a message; nothing else may."""
        return len(self.lost) > self.faults[CORRUPT]

    def problems(self) -> str:
        """Empty when every promise was kept; else what was broken, and how it came to that."""
        found = {"never sent": self.invented, "lost": self.lost if self.too_many_lost() else []}
        if not self.faults[CORRUPT]:
            found |= {"twice at QoS 2": self.twice, "out of order": self.out_of_order, "damaged": self.damaged}
            found |= {"above the Receive Maximum": self.exceeding}
        lines = [f"{len(items)} {what}: {items[:10]}" for what, items in found.items() if items]
        return "\n".join([*lines, self.report]) if lines else ""
