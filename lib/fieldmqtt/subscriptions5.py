"""The session's topic filters with what MQTT 5 adds: identifiers, options, properties, and reasons both ways."""

from binascii import crc32

from micropython import const

from .properties import block, field, number
from .subscriptions import Subscriptions
from .wire import to_bytes

# States of a filter, as in subscriptions.py.
_WANTED = const(0)
_SUBACK_PENDING = const(1)
_GRANTED = const(2)
_UNWANTED = const(4)
_UNSUBACK_PENDING = const(5)


class Subscriptions5(Subscriptions):
    """As Subscriptions; `matched`: the subscription identifiers of the message being delivered."""

    matched = ()  # type: tuple

    wanted = (0, b"")  # of the filters that are asked for next: options besides QoS, properties

    def want(self, topic_filter, state):
        """As Subscriptions; with what `wanted` says."""
        count = len(self.entries)
        entry = super().want(topic_filter, state)
        entry.is_new = len(self.entries) > count
        entry.more_options, entry.properties = self.wanted
        entry.identifier = self._identifier(entry)
        entry.reason_code = 0
        entry.reply = None  # the properties of SUBACK or UNSUBACK
        return entry

    # The identifier of a filter (section 3.8.2.1.2), two bytes on the wire. It comes from the filter, so that after a
    # restart the messages of a session that was kept find their callback.
    def _identifier(self, entry):
        identifier = crc32(entry.topic_filter) % 16383
        used = [other.identifier for other in self.entries if other is not entry]
        while identifier + 1 in used:
            identifier = (identifier + 1) % 16383
        return identifier + 1

    def check(self, topic_filter, options, limits):
        """Raise ValueError for what the server has said it does not have, or the specification forbids."""
        if options & 0x30 == 0x30:
            raise ValueError("retain_handling: 0, 1 or 2")
        name = to_bytes(topic_filter)
        shared = name.startswith(b"$share/")
        if shared and (not limits["shared_available"] or options & 4):
            raise ValueError("no_local: not with $share" if options & 4 else "$share: server has none")
        if (b"+" in name or b"#" in name) and not limits["wildcard_available"]:
            raise ValueError("wildcard: server has none")

    def first(self, subscribing, room):
        """Return the first entry to be sent if `room` bytes take it, else None. `changed`: there is more to be sent."""
        found = None
        for entry in self.entries:
            if entry.state == (_WANTED if subscribing else _UNWANTED):
                if found or len(entry.topic_filter) + len(entry.properties) > room:
                    self.changed = True
                    break
                found = entry
                entry.state = _SUBACK_PENDING if subscribing else _UNSUBACK_PENDING
                entry.index = 0
                entry.count = 1
        return found

    def wish(self, entry, subscribing, identified):
        """Return what stands behind the packet identifier of SUBSCRIBE or UNSUBSCRIBE."""
        properties = entry.properties
        if identified:
            properties = b"\x0b" + number(entry.identifier) + properties
        options = bytes((entry.options | entry.more_options,)) if subscribing else b""
        return block(properties) + field(entry.topic_filter) + options

    def replied(self, unsubscribing, packet_id, codes, properties):
        """Take the reason code of SUBACK or UNSUBACK. Return False for an answer to something else."""
        refused = codes[0] >= 0x80
        for entry in self.entries:
            if entry.packet_id == packet_id:
                entry.reply = properties
                if unsubscribing and refused and entry.state == _UNSUBACK_PENDING:
                    entry.reason_code = codes[0]
                    entry.state = _GRANTED  # still
                    entry.packet_id = 0
                    if entry.is_new:  # or never was
                        self.entries.remove(entry)
                    return True
        return self.answered(packet_id, None if unsubscribing else codes)

    def called(self, topic):
        """As Subscriptions; where the broker has said which filters match, topics are not compared."""
        known = [entry for entry in self.entries if entry.identifier in self.matched]
        if not known:
            return super().called(topic)
        return [entry.callback for entry in known if entry.callback] or self.others
