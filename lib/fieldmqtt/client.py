"""The synchronous client: umqtt's names over a core that never waits. Here is only the waiting."""

from time import sleep_ms, ticks_diff, ticks_ms

from micropython import const

from .calls import Calls

_PUBLISH = const(0x30)  # packet type, as in protocol.py
_WANTED = const(0)  # states of a filter, as in subscriptions.py
_UNWANTED = const(4)


class MQTTClient(Calls):
    """An MQTT client that is driven by its own calls: whatever waits also receives, keeps alive and reconnects.

    A program that does something else for longer calls check_msg() now and then. See Connection for
    the constructor. Inside a callback nothing waits: what is published there is on its way when it returns.
    Every call that waits raises OSError(ETIMEDOUT) after `timeout` seconds. A message at QoS 1 or 2 is in
    the outbox all the same by then, and is delivered when the broker can be reached, unless the outbox was full.
    """

    _event = 0  # what the last step handled: when it was something, more may be in the buffer

    def connect(self, clean_session=None, timeout=None, *, wait=True):
        """Connect; return whether the broker had kept this client's session.

        Tries every broker of the list once and raises the last one's OSError or MQTTException.
        wait=False: return at once and keep trying, from check_msg() and all that waits.
        """
        self._begin(clean_session, len(self._servers) if wait else -1, timeout)
        if wait:
            deadline = self._deadline(timeout)
            try:
                while not self.isconnected():
                    self._wait(deadline)
            finally:
                if not self.isconnected():
                    self._close()
        return self._protocol.session_present

    def disconnect(self):
        """Tell the broker and close; the last will is not published. Raises nothing when there is no connection."""
        deadline = self._deadline(None)
        try:
            while not self._farewell():
                self._wait(deadline)
            while self._unfinished(0):
                self._wait(deadline)
        except OSError:
            pass  # dead already
        self._close()
        self.error = None

    def publish(self, topic, msg, retain=False, qos=0, wait=True):
        """Send a message; return its packet identifier (None at QoS 0).

        wait=True returns when the message is written (QoS 0) or acknowledged to the end (QoS 1 and 2).
        wait=False hands it over; it only waits for room in the outbox, and at QoS 0 raises
        OSError(ENOTCONN) without a connection. Allocates nothing for bytes (QoS 0; QoS 1 as well unless
        it waits for room); a str is encoded. Raises ValueError for a message that can't be sent at all.
        """
        packet_id = self._protocol.publish(topic, msg, retain, qos)
        if packet_id == 0:
            return None
        return self._complete(packet_id, topic, msg, retain, qos, wait)

    # What publish() does when it is not done at once; apart from it, so that the usual case stays light.
    def _complete(self, packet_id, topic, msg, retain, qos, wait):
        deadline = self._deadline(None)
        while packet_id is None:
            self._put_off(wait or qos)
            self._wait(deadline)
            packet_id = self._protocol.publish(topic, msg, retain, qos)
        self._flush()
        dropped = self._protocol.outbox.dropped
        while wait and self._unfinished(packet_id) and not self._delivering:
            self._wait(deadline)
        self._kept(packet_id, dropped)
        return packet_id if qos else None

    def subscribe(self, topic, qos=0, *, callback=None, wait=True):
        """Subscribe to a topic filter or a list of them; return the QoS granted, or a list of them.

        callback(topic, payload) is called for what matches; without it the one of set_callback() is.
        Filters are remembered, and subscribed again when the broker has lost the session.
        Raises MQTTException when the broker refuses one.
        """
        entries = self._want(topic, qos, callback, _WANTED)
        if wait and not self._delivering:
            self._await(entries)
            return self._granted(entries)

    def unsubscribe(self, topic, *, wait=True):
        """Unsubscribe a topic filter or a list of them."""
        entries = self._want(topic, 0, None, _UNWANTED)
        if wait and not self._delivering:
            self._await(entries)

    def wait_msg(self, timeout=None):
        """Wait for a message and deliver it. True: delivered; False: none came within timeout (s; None: for ever)."""
        deadline = None if timeout is None else self._deadline(timeout)
        while True:
            self._turn(60000 if deadline is None else max(0, ticks_diff(deadline, ticks_ms())))
            if self._event == _PUBLISH:
                return True
            if deadline is not None and ticks_diff(deadline, ticks_ms()) <= 0:
                return False

    def check_msg(self, attempts=None):
        """Do what there is to do without waiting; deliver at most one message and return whether it did.

        attempts: not used, for umqtt.robust's callers.
        """
        self._check()
        for _ in range(20):  # acknowledgements are handled on the way
            self._event = self.step(ticks_ms())
            if self._event == _PUBLISH:
                return True
            if not self._event:
                break
        return False

    def flush(self, timeout=None):
        """Wait until every message at QoS 1 and 2 is acknowledged, for example before a deep sleep."""
        deadline = self._deadline(timeout)
        while self.pending() or self._unfinished(0):
            self._wait(deadline)

    def _await(self, entries):
        deadline = self._deadline(None)
        while not self._answered(entries):
            self._wait(deadline)

    # One turn of waiting until a deadline.
    def _wait(self, deadline):
        now = ticks_ms()
        left = ticks_diff(deadline, now)
        if left <= 0:
            self._expire()
        self._turn(left)

    # Wait at most ms for something to do, and do it.
    def _turn(self, ms):
        self._check()
        if not self._event:
            ms = min(ms, self.due(ticks_ms()))
            if self._transport:
                self._transport.wait(ms, self._writing(), self._protocol.room() > 7)
            else:
                sleep_ms(ms)
        self._event = 1  # also if a callback raises
        self._event = self.step(ticks_ms())
