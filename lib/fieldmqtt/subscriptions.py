"""The session's topic filters: what was asked for, what the broker granted, who is called.

Subscribing, and subscribing again after a reconnect, are one mechanism: an entry says what
state its filter should be in, and the protocol sends what is still to be sent.
"""

from micropython import const

from .wire import to_bytes

# What an entry waits for, also in the modules that ask for it. WANTED and UNWANTED are still to be sent.
_WANTED = const(0)
_SUBACK_PENDING = const(1)
_GRANTED = const(2)
_REFUSED = const(3)
_UNWANTED = const(4)
_UNSUBACK_PENDING = const(5)


class Subscription:
    """A topic filter with its options, its callback and the broker's answer in `reason_code`."""

    def __init__(self, topic_filter):
        self.topic_filter = topic_filter
        self.state = _WANTED
        self.packet_id = 0  # of the request that waits for its answer
        self.index = self.count = 0  # which of the request's filters this is, and how many there are
        self.reason_code = 0
        self.options = 0
        self.callback = None


class Subscriptions:
    """The filters of this session, in the order in which they were asked for."""

    # Who is called for what no filter's callback claims.
    others = ()  # type: tuple

    def __init__(self):
        self.entries = []
        self.changed = False  # something is to be sent

    def want(self, topic_filter, state):
        """Return the entry of this filter, a new one where there is none, with a state to be sent."""
        for entry in self.entries:
            if entry.topic_filter == topic_filter:
                break
        else:
            entry = Subscription(topic_filter)
            self.entries.append(entry)
        entry.state = state
        entry.packet_id = 0  # an answer to what was asked before counts no more
        self.changed = True
        return entry

    def batch(self, subscribing, room):
        """Return the entries for the next SUBSCRIBE or UNSUBSCRIBE, as many as `room` bytes take; from now on
        they wait for its answer. `changed` tells whether there are more."""
        state = _WANTED if subscribing else _UNWANTED
        batch = []  # type: list
        for entry in self.entries:
            if entry.state == state:
                room -= len(entry.topic_filter) + 3
                if room < 0:
                    self.changed = True
                    break
                entry.state = _SUBACK_PENDING if subscribing else _UNSUBACK_PENDING
                entry.index = len(batch)
                batch.append(entry)
        for entry in batch:
            entry.count = len(batch)
        return batch

    def answered(self, packet_id, codes):
        """Take the reason codes of a SUBACK, or None for UNSUBACK. Return False for an answer to something else."""
        for entry in list(self.entries):
            if entry.packet_id != packet_id:
                continue
            entry.packet_id = 0
            if codes is None:
                if entry.state != _UNSUBACK_PENDING:
                    return False
                self.entries.remove(entry)
            elif entry.state != _SUBACK_PENDING or len(codes) != entry.count:
                return False
            else:
                entry.reason_code = codes[entry.index]
                entry.state = _REFUSED if entry.reason_code & 0x80 else _GRANTED
        return True

    def uses(self, packet_id):
        """True while this identifier waits for SUBACK or UNSUBACK."""
        for entry in self.entries:
            if entry.packet_id == packet_id:
                return True
        return False

    def rewind(self, session_present):
        """On a fresh connection: without the session everything wanted is to be sent again;
        with it only what had not been answered."""
        self.changed = True
        for entry in list(self.entries):
            entry.packet_id = 0
            if entry.state >= _UNWANTED:
                entry.state = _UNWANTED
                if not session_present:
                    self.entries.remove(entry)
            elif entry.state != _GRANTED or not session_present:
                entry.state = _WANTED

    def called(self, topic):
        """Return who is called for a topic name: the callbacks of all filters that match, or else `others`."""
        found = []
        for entry in self.entries:
            if entry.callback and matches(entry.topic_filter, topic):
                found.append(entry.callback)
        return found or self.others

    def dispatch(self, topic, payload):
        """Call who is to be called for a message; return whom."""
        called = self.called(topic)
        for callback in called:
            callback(topic, payload)
        return called


def matches(topic_filter, topic):
    """True when the topic name (bytes) matches the topic filter (bytes). Allocates nothing.

    MQTT 3.1.1, section 4.7: `+` stands for one level, `#` for the level above and all below,
    and neither matches a first level that starts with `$`.
    """
    end = len(topic_filter)
    size = len(topic)
    f = t = 0
    if topic_filter.startswith(b"$share/"):  # brokers have shared subscriptions in 3.1.1 as well
        f = topic_filter.find(b"/", 7) + 1
    if size and topic[0] == 36 and topic_filter[f] != 36:  # $
        return False
    while f < end:
        c = topic_filter[f]
        if c == 35:  # '#'
            return True
        if c == 43:  # '+'
            while t < size and topic[t] != 47:
                t += 1
        elif t < size and topic[t] == c:
            t += 1
        else:
            # "a/#" matches "a" as well
            return t == size and c == 47 and f + 2 == end and topic_filter[f + 1] == 35
        f += 1
    return t == size


def check_filter(topic_filter):
    """Return a topic filter as bytes. Raises ValueError for one that the specification forbids (sections 1.5.3, 4.7.1;
    MQTT 5: 4.8.2)."""
    topic_filter = to_bytes(topic_filter)
    levels = str(topic_filter, "utf-8").split("/")
    wrong = not topic_filter or b"\0" in topic_filter
    if levels[0] == "$share" and (len(levels) < 3 or levels[1] in ("", "+") or levels[2:] == [""]):
        wrong = True
    if levels[-1] == "#":
        levels.pop()
    for level in levels:
        if level != "+" and ("+" in level or "#" in level):
            wrong = True
    if wrong:
        raise ValueError("topic filter: + and # stand alone, # last")
    return bytes(topic_filter)


def topic_name(topic, longest):
    """Return a topic name as bytes. Raises ValueError for one that can't be published to (sections 1.5.3, 4.7)."""
    name = to_bytes(topic)
    if name is topic:
        str(name, "utf-8")  # the broker would close, and again whenever the message is sent again
    if not name or b"+" in name or b"#" in name or b"\0" in name or len(name) > longest:
        raise ValueError("topic: empty, too long, or with + # NUL")
    return name
