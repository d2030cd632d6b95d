"""The ring of messages while the stream is blocked: what waits at its end, and behind it, is sent in order."""

import packets
from fieldmqtt import Outbox
from support.answering import CONNECT, PUBLISH, Broker, packet_id
from support.fakenet import Random
from support.session import Session


def _packet(number, size):
    """Something of `size` bytes that begins like a PUBLISH at QoS 1 and differs from message to message."""
    return b"\x32" + bytes([(number + i) % 251 for i in range(size - 1)])


class _Ring:
    """An outbox and the list of what must be in it: [packet identifier, packet, sent on this connection]."""

    def __init__(self, size):
        self.outbox = Outbox(size)
        self.model = []
        self.newest = 0

    def publish(self, size):
        at = self.outbox.reserve(size)
        if at < 0:
            assert self.model, "an empty ring has room"
            return False
        self.newest += 1
        packet = _packet(self.newest, size)
        self.outbox.buffer[at : at + size] = packet
        self.outbox.commit(self.newest, size)
        self.model.append([self.newest, packet, False])
        return True

    def send(self):
        expected = 0
        for entry in self.model:
            if not entry[2]:
                entry[2], expected = True, entry[0]
                break
        assert self.outbox.next() == expected
        if expected:
            sent = bytes(self.outbox.buffer[self.outbox.start : self.outbox.end])
            assert sent[1:] == entry[1][1:], expected

    def ack(self, which):
        sent = [entry for entry in self.model if entry[2]]
        if sent:
            entry = sent[which % len(sent)]
            assert self.outbox.puback(entry[0])
            self.model.remove(entry)

    def rewind(self, session_present):
        self.outbox.rewind(session_present)
        for entry in self.model:
            entry[2] = False

    def check(self, where):
        outbox = self.outbox
        in_flight = [entry for entry in self.model if entry[2]]
        assert outbox.pending == len(self.model) and outbox.in_flight == len(in_flight), where
        for entry in self.model:
            assert outbox.find(entry[0]) >= 0, where


def test_the_next_one_waits_behind_the_end_when_those_before_it_are_acknowledged():
    ring = _Ring(33)
    for step, value in (
        (ring.publish, 6),
        (ring.send, None),
        (ring.publish, 10),
        (ring.send, None),
        (ring.ack, 0),
        (ring.publish, 6),  # no room at the end: it goes to the start, and a marker is where it would have been
        (ring.ack, 0),  # now it is the oldest
        (ring.publish, 6),
        (ring.publish, 6),  # over the marker
    ):
        if value is None:
            step()
        else:
            assert step(value) is not False
        ring.check(ring.newest)
    for _ in range(4):
        ring.send()
    assert ring.newest == 5 and ring.outbox.in_flight == 3


def _act(ring, random, blocked):
    """One random step; returns whether the stream is blocked from now on."""
    step = random.below(20)
    if step < 8:
        ring.publish(6 + random.below(2) * 4 + random.below(2) * random.below(9))
    elif step < 12:
        if not blocked:
            ring.send()
    elif step < 17:
        ring.ack(random.below(3))
    elif step == 17:
        ring.rewind(random.below(2) > 0)
    else:
        blocked = random.below(2) > 0
    return blocked


def test_like_a_list_while_the_stream_is_blocked_now_and_then():
    for seed in range(1, 200):
        random = Random(seed)
        ring = _Ring((28, 31, 33, 40, 64)[seed % 5])
        blocked = False
        for _ in range(100):
            blocked = _act(ring, random, blocked)
            ring.check(seed)


class _LateBroker(Broker):
    """Acknowledges nothing by itself. `unacknowledged`: what came on this connection."""

    def __init__(self):
        super().__init__()
        self.answers[CONNECT] = lambda packet: packets.CONNACK_SESSION_PRESENT
        self.answers[PUBLISH] = self._note
        self.unacknowledged = []
        self.first_seen = []

    def _note(self, packet):
        number = packet_id(packet)
        self.unacknowledged.append(number)
        text = b"%d" % number
        assert packet.endswith(b"\x01t" + packet[5:7] + text + b"." * (number % 13)), packet
        if number not in self.first_seen:
            self.first_seen.append(number)
        return b""

    def opened(self, sock):
        self.unacknowledged = []
        return super().opened(sock)


def _disturb(session, random):
    """One random event on the connection."""
    broker, event = session.broker, random.below(10)
    if event < 4 and broker.unacknowledged:
        number = broker.unacknowledged.pop(random.below(len(broker.unacknowledged)))
        session.sock.reply(bytes((0x40, 2, number >> 8, number & 0xFF)))
    elif event < 8:
        session.network.write_limit = (0, 0, 5, None)[event - 4]
    elif event == 8 and session.client.isconnected() and random.below(5) == 0:
        session.sock.hang_up()
    session.pump(5)


def test_a_client_with_a_small_outbox_over_a_stream_that_blocks():
    for seed in range(1, 15):
        random = Random(seed)
        settings = {"outbox": 60 + seed, "keepalive": 0, "backoff": (0, 0), "timeout": 1}
        session = Session(_LateBroker(), clean_session=False, **settings).connected()
        client = session.client
        published = 0
        while published < 60:
            if client.pending() < 2 or random.below(3) == 0:
                payload = b"%d" % (published + 1) + b"." * ((published + 1) % 13)
                try:
                    assert client.publish("t", payload, qos=1, wait=False) == published + 1
                    published += 1
                except OSError:
                    pass  # the outbox is full, and nobody makes room
            _disturb(session, random)
        for _ in range(500):
            session.network.write_limit = None
            for number in session.broker.unacknowledged:
                session.sock.reply(bytes((0x40, 2, number >> 8, number & 0xFF)))
            session.broker.unacknowledged = []
            session.pump(5)
        assert client.pending() == 0, seed
        assert session.broker.first_seen == list(range(1, 61)), seed
