"""A whole session against a hostile broker: every event is a method, every promise is checked after each step.

`check(data)` reads the events from bytes, the state machine of test_fuzz.py calls the methods. A step of the client
takes 1 ms here, so what goes on for ever outlasts its deadline. Runs under CPython and MicroPython.
"""

from fuzz.decoder import Broken
from fuzz.hostile_broker import HostileBroker
from fuzz.reference import MOST_RECEIVED, Malformed, Receiver, frame, number
from support.fakenet import split
from support.session import Session

_TIMEOUT = 300  # ms
_LATE = 100  # ms that a call may last beyond its deadline
_MAX_PACKET = 128
_TX_SIZE = 100
_OUTBOX = 300
_MOST_HELD = 20  # messages in the outbox
_FILTERS = ("a", "a/+", "#", "b/#", "$share/g/a")
_TOPICS = (b"a", b"a/b", b"$SYS/x", b"c", b"\xc3\x28")
_ACKS = (0x40, 0x50, 0x62, 0x70, 0x90, 0xB0)
_FLOODS = (b"\xd0\x00", b"\x40\x02\x00\x63", b"\x50\x02\x00\x63", b"\x30\x03\x00\x01t", b"\x3c\x05\x00\x01t\x00\x63")
_WINDOW = 500  # bytes that the broker may be ahead of the client
_FULL = ("wait", "wait", "refuse", "drop")
_LIMITS = (None, 1, 5, 30)


class Tantrum(Exception):
    """What a callback raises that has a fault."""


class Ordeal:
    """The client, its broker, and what must be true of them.

    choice: bit 0 asks for a session that is kept, bits 1 and 2 say what the callback does (1: it publishes, 2: it
    raises), bits 3 and 4 what the outbox does when it is full.
    """

    settings = {}  # of the client, besides
    most_filters = len(_FILTERS)
    make_broker, make_session = HostileBroker, Session

    def __init__(self, choice=0):
        self.broker = self.make_broker()
        sizes = {"max_packet": _MAX_PACKET, "tx_size": _TX_SIZE, "outbox": _OUTBOX, "window": 3}
        sizes.update(self.settings)
        self.session = self.make_session(
            self.broker, clean_session=not choice & 1, timeout=_TIMEOUT / 1000, keepalive=1, backoff=(0, 0), **sizes
        )
        self.client, self.network, self.clock = self.session.client, self.session.network, self.session.clock
        self.receiver = Receiver()
        self._sock = self._message = self._error = None
        self.outbox = self.client._protocol.outbox
        self.outbox.full = _FULL[choice >> 3 & 3]
        self._mood = choice >> 1 & 3
        self.messages = []  # what the last step has delivered
        self.accepted = {}  # packet identifier -> (qos, payload, order), until it is finished
        self.recorded = set()  # those at QoS 2 for which PUBREC has come
        self.finished = []  # and what it has finished
        self.wanted = set()  # filters
        self.subacks = self.dropped = self.delivered = self.counter = 0
        self.strict = True  # False: what the client has sent the broker may have in part
        self._step = self.client.step
        self.client.step = self.step
        self.client.set_callback(self._heard)
        self.client.on_publish = self.finished.append
        self.client.connect(wait=False)

    # --- What the program does ------------------------------------------------------------

    def pump(self, ms):
        end = self.clock.now + ms
        while self.clock.now < end:
            if not self.call(0, self.client.check_msg):
                self.clock.sleep_ms(5)

    def listen(self, ms):
        self.call(ms, self.client.wait_msg, ms / 1000)

    def publish(self, choice, size):
        qos = choice % 3
        self.counter += 1
        payload = b"%d " % self.counter + b"x" * size
        packet_id = self.call(_TIMEOUT, self.client.publish, "topic", payload, qos=qos, wait=False)
        while self.dropped < self.outbox.dropped:  # always the oldest
            self.dropped += 1
            del self.accepted[min(self.accepted, key=lambda each: self.accepted[each][2])]
        if packet_id in self.accepted:
            raise Broken("packet identifier %d is in use" % packet_id)
        if packet_id:
            self.counter += 1
            self.accepted[packet_id] = (qos, payload, self.counter)
        self._settled()

    def subscribe(self, choice):
        topic_filter = _FILTERS[choice % len(_FILTERS)]
        self.wanted.add(topic_filter)
        callback = self._heard if choice & 64 else None
        before = self.subacks
        arguments = {"callback": callback, "wait": choice > 127}
        granted = self.call(_TIMEOUT, self.client.subscribe, topic_filter, choice % 3, **arguments)
        if isinstance(self._error, self.session.module.MQTTException):  # refused, and forgotten
            self.wanted.discard(topic_filter)
        elif granted is not None and self.subacks == before:
            raise Broken("granted, but there was no SUBACK")

    def unsubscribe(self, choice):
        topic_filter = _FILTERS[choice % len(_FILTERS)]
        self.wanted.discard(topic_filter)
        self.call(_TIMEOUT, self.client.unsubscribe, topic_filter, wait=choice > 127)

    def ping(self):
        self.call(0, self.client.ping)

    # --- What the broker and the network do -----------------------------------------------

    def say(self, data):
        """Arbitrary bytes, as far as the client's network has room for them."""
        for sock in self.network.open_sockets():
            if sock.state == "open" and sock.unread() < _WINDOW:
                sock.reply(data)

    def forge(self, choice, packet_id):
        """An acknowledgement of something, of nothing, or of the wrong kind."""
        head = _ACKS[choice % len(_ACKS)]
        code = bytes((choice & 0x83,)) if head == 0x90 else b""
        self.say(bytes((head, 2 + len(code), 0, packet_id % 8)) + code)

    def deliver(self, choice, packet_id):
        topic = _TOPICS[choice % len(_TOPICS)]
        flags = choice >> 4
        identifier = bytes((packet_id >> 7, packet_id & 0x7F)) if flags & 6 else b""
        rest = bytes((0, len(topic))) + topic + identifier + b"hi"
        self.say(bytes((0x30 | flags, len(rest))) + rest)

    def flood(self, choice, count):
        """More packets at once than can be handled in time."""
        self.say(_FLOODS[choice % len(_FLOODS)] * (count & 127))

    def spoil(self, place, mask):
        self.broker.spoils.append((place, mask))

    def silence(self, count):
        self.broker.silent = count % 8

    def keep_session(self, choice):
        self.broker.session_present = bool(choice & 1)

    def verdict(self, choice):
        self.broker.verdicts.append(("refused", "connecting")[choice & 1])

    def throttle(self, choice):
        self.network.read_limit = _LIMITS[choice & 3]
        self.network.write_limit = (_LIMITS + (0,))[(choice >> 2) % 5]
        self.strict = self.strict and self.network.write_limit is None

    def hang_up(self):
        if self.network.sockets:
            self.session.sock.hang_up()

    def reset(self):
        if self.network.sockets:
            self.session.sock.reset()

    # --- What must be true ----------------------------------------------------------------

    def call(self, patience, function, *arguments, **keywords):
        """Call the client: nothing but an OSError may come out, and that in time."""
        start = self.clock.now
        result = self._error = None
        try:
            result = function(*arguments, **keywords)
        except (OSError, Tantrum) as error:
            self._error = error
        if self.clock.now - start > patience + _LATE:
            raise Broken("outlasts its deadline: %d ms, not %d" % (self.clock.now - start, patience))
        if function != self.client.publish:
            self._settled()
        return result

    def step(self, now):
        """In the place of the client's own: compares each packet handled with the reference."""
        self.clock.now += 1
        sock = self.network.sockets[-1] if self.network.sockets else None
        if sock is not self._sock:
            self._sock = sock
            self.receiver.online = False
        self.messages.clear()
        self.finished.clear()
        error = None
        try:
            event = self._step(now)
        except Tantrum as raised:
            event, error = 0x30, raised
        if event:
            self._handled(sock, event, self.messages, self.finished)
        elif self.messages or self.finished:
            raise Broken("something came of no packet")
        elif self.strict and sock and not sock.closed and self._next_of(sock):
            raise Broken("a packet that has come is not handled")
        self._bounded()
        self._forget()
        if error:
            raise error
        return event

    # On a small heap what has been dealt with is in the way.
    def _forget(self):
        del self.network.sockets[:-1]
        sock = self._sock
        if not sock or sock.state != "open":
            return
        if len(sock.sent) > _WINDOW and not split(sock.sent)[1]:
            self.session.sent()
        if sock.at > _WINDOW:
            sock.given = sock.given[sock.at :]
            sock.at = 0
        if len(sock.published) > 2 * _MOST_HELD:
            del sock.published[:-_MOST_HELD]
            sock.released = {packet_id for packet_id in sock.released if packet_id in self.accepted}

    def _heard(self, _topic, _payload):
        if self.client.message is not self._message:  # several filters may match
            self._message = self.client.message
            self.messages.append(tuple(self._message[:5]))
            self.delivered += 1
            if self._mood == 1:
                self.publish(1, 3)
            elif self._mood == 2:
                raise Tantrum

    # The packet that the client has read and not handled, True for a malformed one, None.
    def _next_of(self, sock):
        try:
            return frame(sock.given, sock.at, _MAX_PACKET, len(sock.given) - sock.unread())
        except Malformed:
            return True

    def _handled(self, sock, event, messages, finished):
        found = self._next_of(sock)
        if found in (None, True):
            raise Broken("event %02x of %r" % (event, found))
        head, body, sock.at = found
        online = self.receiver.online
        try:
            message = self.receiver.take(head, body)[0]
        except Malformed as error:
            raise Broken("taken although malformed: %02x %r: %s" % (head, body, error))
        if messages != ([message] if message else []):
            raise Broken("delivered %r, expected %r" % (messages, message))
        if not online:
            self._online(sock)
        self.subacks += head == 0x90
        if head in (0x40, 0x50, 0x70):
            self._acknowledged(sock, head, number(body), finished)
        elif finished:
            raise Broken("finished by no acknowledgement: %02x %r" % (head, finished))

    def _online(self, sock):
        accepted = sorted(self.accepted.values(), key=lambda message: message[2])
        sock.missing = [payload for _, payload, _ in accepted]
        if not self.receiver.session_present:
            self.recorded.clear()
        sock.recorded = set(self.recorded)

    # A message is finished by its right acknowledgement, and by nothing else.
    def _acknowledged(self, sock, head, packet_id, finished):
        qos = self.accepted.get(packet_id, (0,))[0]
        sent = any(packet_id == each for each, _ in sock.published)
        sent = sent or (packet_id in sock.released and packet_id in sock.recorded)
        right = head == 0x40 if qos == 1 else qos == 2 and head == 0x70 and packet_id in self.recorded
        if finished != [packet_id] * len(finished) or (finished and not right):
            raise Broken("finished by a wrong acknowledgement: %02x of %d, %r" % (head, packet_id, finished))
        if self.strict and right and sent != bool(finished):
            raise Broken("finished or not: %02x of %d, sent: %r, finished: %r" % (head, packet_id, sent, finished))
        if finished:
            del self.accepted[packet_id]
            self.recorded.discard(packet_id)
        elif head == 0x50 and qos == 2 and (sent or not self.strict):
            self.recorded.add(packet_id)

    def _bounded(self):
        protocol = self.client._protocol
        sizes = (len(protocol._rx), len(protocol._tx), len(self.outbox.buffer))
        if sizes != (_MAX_PACKET, _TX_SIZE, _OUTBOX):
            raise Broken("buffers of %r bytes" % (sizes,))
        if len(self.outbox.received) > MOST_RECEIVED or len(protocol.subscriptions.entries) > self.most_filters:
            raise Broken("more is kept than the bounds allow")
        if any(not sock.closed for sock in self.network.sockets[:-1]):
            raise Broken("a socket is left open")

    # Between two calls: what was accepted and is not finished is pending.
    def _settled(self):
        if self.client.pending() != len(self.accepted):
            raise Broken("pending: %d, but %r" % (self.client.pending(), self.accepted))

    def finish(self):
        """Whatever has happened: with a friendly broker all is well again, and nothing is missing."""
        self._come_back()
        self.strict = True
        self.client.flush(5)
        self.pump(50)
        sock = self.session.sock
        if [payload for _, payload in sock.published] != sock.missing:
            raise Broken("sent again %r, expected %r" % (sock.published, sock.missing))
        if sock.subscribed != self.wanted:
            raise Broken("subscribed again %r, expected %r" % (sock.subscribed, self.wanted))
        for qos in (0, 1, 2):
            self.publish(qos, 0)
        self.client.flush(5)
        delivered = self.delivered
        self.say(b"\x30\x07\x00\x05after")
        self.pump(20)
        if self.delivered != delivered + 1 or self.session.sock is not sock:
            raise Broken("not as good as new")

    # Lose the connection; with a friendly broker there is another.
    def _come_back(self):
        old = self.network.sockets[-1] if self.network.sockets else None
        self._mood = 0
        self.broker.be_friendly()
        self.network.read_limit = self.network.write_limit = None
        self.hang_up()
        deadline = self.clock.now + 10 * _TIMEOUT
        while not self.client.isconnected() or self.session.sock is old:
            if self.clock.now > deadline:
                raise Broken("does not come back: %r" % self.client.error)
            self.listen(100)


# The events of an input: a byte that names the method, then its arguments, a byte each.
_SAY = 0
EVENTS = (
    (Ordeal.say, 1),
    (Ordeal.pump, 1),
    (Ordeal.listen, 1),
    (Ordeal.publish, 2),
    (Ordeal.subscribe, 1),
    (Ordeal.unsubscribe, 1),
    (Ordeal.ping, 0),
    (Ordeal.forge, 2),
    (Ordeal.deliver, 2),
    (Ordeal.spoil, 2),
    (Ordeal.silence, 1),
    (Ordeal.keep_session, 1),
    (Ordeal.verdict, 1),
    (Ordeal.throttle, 1),
    (Ordeal.hang_up, 0),
    (Ordeal.reset, 0),
    (Ordeal.flood, 2),
)


def check(data):
    """Live through the events of an input. The first byte is the session's."""
    ordeal = Ordeal(data[0] if data else 0)
    live(ordeal, data, EVENTS)
    ordeal.finish()


def live(ordeal, data, events):
    """Read the events from bytes; the first of the table is `say`."""
    at = 1
    while at < len(data):
        kind = data[at] % len(events)
        event, count = events[kind]
        at += 1
        end = at + count
        if end > len(data):
            break
        arguments = list(data[at:end])
        if kind == _SAY:  # its argument is the number of bytes that follow
            end += arguments[0]
            arguments = [bytes(data[at + 1 : end])]
        event(ordeal, *arguments)
        at = end
