"""A broker that says arbitrary bytes, cut anywhere, to a client that only listens. Compared with `reference`.

The first byte of an input chooses the settings, the rest is what the broker says. Runs under CPython and MicroPython.
"""

import packets
from fuzz.reference import Receiver, frame, heard
from support.answering import CONNECT, Broker
from support.session import Session

LIMITS = (None, 1, 3, 40)  # bytes that one read gives at most
SIZES = (16, 64, 300, 4096)  # max_packet
STALLS = (0, 30)  # of 100 reads and writes that give None
TIMEOUT = 1  # s


class Broken(Exception):
    """A promise is broken. Nothing of this kind may come out of the library, so nobody catches it."""


def settings(greeting=False, limit=0, size=3, stall=0):
    """The first byte of an input: the stream begins with CONNACK or after it; indices of the tables above."""
    return bytes((greeting | limit << 1 | size << 3 | stall << 5,))


def expected(stream, greeting, max_packet):
    """What the reference makes of a stream: its messages, answers, whether it is refused, whether it came online."""
    receiver = Receiver(online=not greeting)
    messages, answers, refused = heard(receiver, lambda at: frame(stream, at, max_packet))
    return messages, answers, refused, receiver.online


def listen(session, size):
    """Let the client read all that there is; the number of its steps has a bound."""
    events = []
    step = session.client.step

    def counting(now):
        events.append(step(now))
        return events[-1]

    session.client.step = counting
    idle = 0
    for _ in range(8 * size + 200):
        before = len(events)
        session.client.check_msg()  # which raises what went wrong in the call before
        idle = 0 if session.sock.unread() or any(events[before:]) else idle + 1
        if idle > 1:
            return
    raise Broken("no end after %d steps for %d bytes" % (len(events), size))


def hear(data, kind, broker, connack):
    """Have a client of this kind of session hear an input; connack: of inputs that begin behind it.

    Returns the session, what ended it or None, of how many reads and writes out of 100 None came, and of what the
    reference has to make something: the stream, whether it begins with CONNACK, max_packet.
    """
    choice = data[0] if data else 0
    stream = bytes(data[1:])
    greeting = choice & 1
    network = {"read_limit": LIMITS[choice >> 1 & 3], "stall": STALLS[choice >> 5 & 1], "seed": choice + 1}
    max_packet = SIZES[choice >> 3 & 3]
    broker.answers[CONNECT] = lambda packet: stream if greeting else connack
    session = kind(broker, network=network, max_packet=max_packet, keepalive=0, timeout=TIMEOUT, auto_reconnect=False)
    error = None
    try:
        session.connected()
        if not greeting:
            session.sock.reply(stream)
        listen(session, len(stream))
    except OSError as raised:
        error = raised
    return session, error, network["stall"], (stream, greeting, max_packet)


def check(data):
    """Raise unless the client makes of the input what it must."""
    session, error, stall, said = hear(data, Session, Broker(), packets.CONNACK)
    _compare(session, error, stall, *expected(*said))


def _compare(session, error, stalling, messages, answers, refused, online):
    sock = session.sock
    if session.messages != messages:
        raise Broken("messages %r, expected %r" % (session.messages, messages))
    if refused and not isinstance(error, session.module.MQTTException):
        raise Broken("malformed, but %r" % error)
    if bool(error) == (online and not refused):
        raise Broken("online: %r, refused: %r, but %r" % (online, refused, error))
    if bool(error) != sock.closed or session.client.isconnected() == sock.closed:
        raise Broken("closed: %r, after %r" % (sock.closed, error))
    if session.clock.now > TIMEOUT * 1000 + 100:
        raise Broken("outlasts its deadline: %d ms" % session.clock.now)
    sent = bytes(sock.sent[len(sock.packets()[0]) :])  # after CONNECT
    if not answers.startswith(sent) or (sent != answers and not stalling):
        raise Broken("answered %r, expected %r" % (sent, answers))
