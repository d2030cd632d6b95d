"""What the tests of the outbox on flash share, on both interpreters: a folder, a broker, a board."""

import os

from support import fakenet
from support.answering import CONNECT, PUBLISH, PUBREC, PUBREL, Broker, ack, body, packet_id, publish_ack
from support.session import Session

CONNACK = {False: b"\x20\x02\x00\x00", True: b"\x20\x02\x01\x00"}


def library():
    """The fieldmqtt that Session uses."""
    return fakenet.fieldmqtt_on(fakenet.Network(Broker()))


def _temporary():
    """Where files are in RAM, if there is such a place: each flush() of MicroPython waits for the disk."""
    try:
        os.stat("/dev/shm")
        return "/dev/shm"
    except OSError:
        return getattr(os, "getenv", lambda name: None)("TMPDIR") or "/tmp"  # boards have no environment


class Folder:
    """A name for an outbox's folder in a folder of its own, which is gone after the `with`."""

    def __enter__(self):
        number = int.from_bytes(os.urandom(6), "big")
        self.parent = "%s/fieldmqtt-flash-%012x" % (_temporary(), number)
        os.mkdir(self.parent)
        self.path = self.parent + "/outbox"
        return self

    def __exit__(self, _kind, _value, _trace):
        _remove(self.parent)

    def name(self, name):
        return self.path + "/" + name

    def names(self):
        return sorted(os.listdir(self.path))

    def segments(self):
        """The names of the segments, oldest first."""
        return [name for name in self.names() if not name.startswith("state")]

    def read(self, name):
        with open(self.name(name), "rb") as file:
            return file.read()

    def write(self, name, data):
        with open(self.name(name), "wb") as file:
            file.write(data)

    def size(self):
        """Bytes in all segments."""
        return sum([os.stat(self.name(name))[6] for name in self.segments()])

    def copy(self):
        """What is in every file."""
        return {name: self.read(name) for name in self.names()}

    def restore(self, copy):
        """Make it as it was when copy() was called, or give it other contents."""
        if os.stat(self.parent) and "outbox" in os.listdir(self.parent):
            _remove(self.path)
        os.mkdir(self.path)
        for name in copy:
            self.write(name, copy[name])


def _remove(path):
    try:
        names = os.listdir(path)
    except OSError:
        os.remove(path)
        return
    for name in names:
        _remove(path + "/" + name)
    os.rmdir(path)


def packet(number, qos=1, size=40):
    """A PUBLISH of `size` bytes (14 to 129) with this packet identifier, which is its payload as well."""
    head = bytes((0x30 | qos << 1, size - 2, 0, 5)) + b"topic" + bytes((number >> 8, number & 0xFF))
    return head + (b"%05d" % number + b"x" * size)[: size - len(head)]


def put(outbox, number, qos=1, size=40):
    """Accept a message; False: there is no room."""
    at = outbox.reserve(size)
    if at < 0:
        return False
    outbox.buffer[at : at + size] = packet(number, qos, size)
    outbox.commit(number, size)
    return True


def take(outbox):
    """What is sent next: (packet identifier, the PUBLISH), b"" for a PUBREL; None: nothing."""
    number = outbox.next()
    return (number, bytes(outbox.buffer[outbox.start : outbox.end])) if number else None


def take_all(outbox):
    """What is sent when nothing is acknowledged and there is no window."""
    records = []
    while True:
        record = take(outbox)
        if record is None:
            return records
        records.append(record)


def drain(outbox):
    """Send and acknowledge everything, at any QoS; return the identifiers in the order in which they were sent."""
    sent = []
    while True:
        record = take(outbox)
        if record is None:
            return sent
        number = record[0]
        sent.append(number)
        if not outbox.puback(number):
            outbox.pubrec(number)
            assert outbox.pubcomp(number), number


class SessionBroker(Broker):
    """Keeps a session as sections 4.1 and 4.3 want it. `delivered`: the payloads that its subscribers got.

    unseen: packet types that do not reach it; unanswered: those whose answer does not reach the client.
    """

    def __init__(self):
        super().__init__()
        self.session_present = False
        self.unseen = self.unanswered = ()
        self.delivered = []
        self._received = {}  # QoS 2: what waits for PUBREL
        self.answers[CONNECT] = self._connect
        self.answers[PUBLISH] = self._publish
        self.answers[PUBREL] = self._pubrel
        self.answers[PUBREC] = lambda packet: ack(0x62, packet)

    def packet(self, sock, packet):
        kind = packet[0] >> 4
        if kind in self.unseen:
            return
        self.received.append(packet)
        self.times.append(sock.network.clock.now)
        answer = self.answers.get(kind)
        reply = answer(packet) if answer else b""
        if reply and kind not in self.unanswered:
            sock.reply(reply, self.delay)

    def forget(self):
        """Lose the session."""
        self.session_present = False
        self._received.clear()

    def _connect(self, _packet):
        reply = CONNACK[self.session_present]
        self.session_present = True
        return reply

    def _publish(self, packet):
        rest = body(packet)
        payload = bytes(rest[2 + (rest[0] << 8 | rest[1]) + 2 :])
        if packet[0] & 4:
            self._received.setdefault(packet_id(packet), payload)
        else:
            self.delivered.append(payload)
        return publish_ack(packet)

    def _pubrel(self, packet):
        payload = self._received.pop(packet_id(packet), None)
        if payload is not None:
            self.delivered.append(payload)
        return ack(0x70, packet)


class Board(Session):
    """A Session whose client has a FlashOutbox. What comes after the next Board on its folder is after a loss of power.

    flash: arguments of FlashOutbox; settings: those of MQTTClient.
    """

    def __init__(self, folder, broker=None, flash=None, **settings):
        self.outbox = library().FlashOutbox(folder.path, **(flash or {}))
        values = {"clean_session": False, "keepalive": 0}
        values.update(settings)
        super().__init__(broker or SessionBroker(), outbox=self.outbox, **values)

    def packets(self):
        """What the client sent on the newest connection, CONNECT left out."""
        return self.sock.packets()[1:]

    def publish_all(self, payloads, qos=1):
        """Hand messages over without waiting; return their packet identifiers."""
        return [self.client.publish("t", payload, qos=qos, wait=False) for payload in payloads]
