"""What the calls of both clients have in common: everything but the waiting.

A call begins something, then waits for a deadline as long as a question is not answered: MQTTClient by
polling, AsyncMQTTClient by awaiting. The beginnings and the questions are here.
"""

from errno import EAGAIN, ECONNABORTED, ENOBUFS, ENOTCONN, ETIMEDOUT
from time import ticks_add, ticks_ms

from micropython import const

from .connection import Connection, refusal
from .subscriptions import check_filter
from .wire import not_yet

_GRANTED = const(2)  # states of a filter, as in subscriptions.py
_REFUSED = const(3)


class Calls(Connection):
    """A Connection with the beginnings of connect, publish, subscribe and disconnect, and their ends."""

    _taken = None  # the acknowledgement that an asyncio program owes for the message it works with

    def reconnect(self):
        """Drop the connection and connect again to the same session, as umqtt.robust does."""
        return self.connect(False)  # type: ignore[attr-defined]

    def ping(self):
        """Send PINGREQ now. Keep alive does so by itself."""
        if self.isconnected():
            self._ping(ticks_ms())
            self._flush()

    # Start anew, with so many attempts (negative: for ever). Every broker gets its share of the timeout.
    def _begin(self, clean_session, attempts, timeout=None):
        if self._delivering and attempts > 0:
            self._check()
        self._farewell()
        self._close()
        if clean_session is not None:
            self.clean_session = clean_session
        self._protocol.connect(*self._login, self.clean_session, self._will)  # what cannot work says so here
        self._protocol.reset(None)
        self._attempts = attempts  # left before giving up; negative: for ever
        self._failures = 0  # since a connection was stable last
        self._short = 0  # connections in this time that came to an end
        self._patience = (self._timeout if timeout is None else int(timeout * 1000)) // len(self._servers)
        self._start()

    def _put_off(self, wait):
        """Protocol.publish says «not now»: see whether the connection is the reason, and whether there is to wait."""
        error, self._protocol.failure = self._protocol.failure, None
        if error and not not_yet(error):
            self._lost(error)
        if not (wait or self.isconnected()):
            raise OSError(ENOTCONN)

    def _unfinished(self, packet_id):
        """True while a message is on its way: QoS 0 until it is written, else until it is acknowledged.

        packet_id: what Protocol.publish returned, 0 for all at QoS 0. Raises OSError for -1 when the connection is
        lost: the message went down half written. (It takes several steps to make another one.)
        """
        if packet_id > 0:
            outbox = self._protocol.outbox
            return outbox.uses(packet_id) and packet_id not in outbox.orphans
        if packet_id < 0 and not self.isconnected():
            raise OSError(ECONNABORTED, "half sent")
        return self.isconnected() and self._protocol.writing()

    def _kept(self, packet_id, dropped):
        """Raise OSError if the message that was waited for, when `dropped` had been, may have been dropped as well."""
        outbox = self._protocol.outbox
        if packet_id > 0 and outbox.dropped != dropped and (outbox.lost - packet_id) % 65535 < 32768:
            raise OSError(ENOBUFS, "dropped")

    def _want(self, topic, qos, callback, state):
        """Note filters to be subscribed or unsubscribed; return their entries."""
        filters = []
        for topic_filter in topic if isinstance(topic, (list, tuple)) else (topic,):
            topic_filter = check_filter(topic_filter)
            self._protocol.fits(len(topic_filter))
            filters.append(topic_filter)
        if not filters or qos not in (0, 1, 2):
            raise ValueError("no filter, or qos not 0-2")
        entries = []
        for topic_filter in filters:
            entry = self._protocol.subscriptions.want(topic_filter, state)
            entry.options = qos
            entry.callback = callback
            entries.append(entry)
        if self.isconnected():
            self._protocol.subscribe()
            self._flush()
        return entries

    def _answered(self, entries):
        """True when the broker has answered for all these entries."""
        for entry in entries:
            if entry.state not in (_GRANTED, _REFUSED) and entry in self._protocol.subscriptions.entries:
                return False
        return True

    def _granted(self, entries):
        """Return the QoS granted, an int for one filter, else a list. Raises MQTTException if one was refused."""
        refused = None
        codes = []
        known = self._protocol.subscriptions.entries
        for entry in entries:
            codes.append(entry.reason_code)
            if entry.state == _REFUSED:
                refused = entry
                if entry in known:
                    known.remove(entry)
        if refused:
            raise refusal(refused)
        return codes[0] if len(codes) == 1 else codes

    # True when the stream is waited for to take something, too.
    def _writing(self):
        return self._protocol.stream is None or self._protocol.writing()

    # Queue DISCONNECT and begin to write it; False: not now, a long payload is being written.
    def _farewell(self):
        if self.isconnected():
            self._attempts = 1  # what happens to the connection now is nobody's loss
            self._protocol.acknowledge(self._taken)
            self._taken = None
            if not self._protocol.disconnect():
                return False
            self._flush()
        return True

    # Raise what makes waiting pointless.
    def _check(self):
        if self._delivering:
            raise OSError(EAGAIN, "in a callback: wait=False")
        if not self._state:  # idle
            error = self.error or OSError(ENOTCONN, "not connected")
            raise type(error)(*error.args)  # a new one: each raise adds to an exception's traceback

    def _deadline(self, timeout):
        return ticks_add(ticks_ms(), self._timeout if timeout is None else int(timeout * 1000))

    # A deadline has passed. A packet half written from the caller's buffer can't be finished later.
    def _expire(self):
        if not self._protocol.room():
            self._lost(OSError(ETIMEDOUT, "writing"))
        raise OSError(ETIMEDOUT)
