"""A WebSocket server that says arbitrary bytes, cut anywhere. Compared with a reading of RFC 6455 of its own.

The first byte of an input chooses the settings, the rest is what the server says after it has agreed to speak
WebSocket, or in place of that; then `@` stands for the right Sec-WebSocket-Accept. Runs under CPython and MicroPython.
"""

import packets
from fuzz.decoder import LIMITS, SIZES, STALLS, TIMEOUT, Broken, expected, listen
from support.answering import CONNECT, Broker
from support.fakews import WebSession
from support.framing import CLOSE, PING, PONG, accept, agreement

_FIRST = (0x00, 0x02, 0x80, 0x82, 0x88, 0x89, 0x8A)  # FIN and opcode that a server may use


def unframed(stream):
    """What a client has to make of a stream: its MQTT, the pings in it, and how it ends: "", "close" or "wrong"."""
    mqtt, pings, at = b"", [], 0
    while at + 2 <= len(stream):
        first, size, start = stream[at], stream[at + 1], at + 2
        control = first & 8
        if first not in _FIRST or size > (125 if control else 127):
            return mqtt, pings, "wrong"
        if size > 125:
            start += 2 if size == 126 else 8
            if start > len(stream):
                break
            size = int.from_bytes(stream[at + 2 : start], "big")
            if size >> 63:
                return mqtt, pings, "wrong"
        payload = stream[start : start + min(size, len(stream))]
        if not control:
            mqtt += payload
        elif len(payload) < size:
            break
        elif first & 15 == PING:
            pings.append(payload)
        elif first & 15 == CLOSE:
            return mqtt, pings, "close"
        at = start + size
    return mqtt, pings, ""


def _answer(stream):
    def answer(request):
        return stream.replace(b"@", accept(request))

    return answer


def check(data):
    """Raise unless the client makes of the input what it must."""
    choice = data[0] if data else 0
    stream = bytes(data[1:])
    greeting = choice & 1
    network = {"read_limit": LIMITS[choice >> 1 & 3], "stall": STALLS[choice >> 5 & 1], "seed": choice + 1}
    broker = Broker()
    broker.answers[CONNECT] = lambda packet: packets.CONNACK
    max_packet = SIZES[choice >> 3 & 3]
    session = WebSession(
        broker, network=network, max_packet=max_packet, keepalive=0, timeout=TIMEOUT, auto_reconnect=False
    )
    session.gateway.answer = _answer(stream) if greeting else agreement
    error = None
    try:
        session.connected()
        if not greeting:
            session.wire.raw(stream)
        listen(session, len(stream) + 100)
    except OSError as raised:
        error = raised
    _common(session, error)
    if not greeting:
        _compare(session, error, network["stall"], max_packet, stream)


def _common(session, error):
    """What holds whatever was said; that the client's frames are right is checked as they come."""
    if bool(error) != session.sock.closed or session.client.isconnected() == session.sock.closed:
        raise Broken("closed: %r, after %r" % (session.sock.closed, error))
    if session.clock.now > TIMEOUT * 1000 + 100:
        raise Broken("outlasts its deadline: %d ms" % session.clock.now)
    if len(session.network.sockets) != 1:
        raise Broken("%d connections" % len(session.network.sockets))


def _compare(session, error, stalling, max_packet, stream):
    mqtt, pings, ending = unframed(stream)
    messages, answers, refused, _ = expected(mqtt, False, max_packet)
    if session.messages != messages:
        raise Broken("messages %r, expected %r" % (session.messages, messages))
    if bool(error) != bool(refused or ending):
        raise Broken("refused: %r, ending: %r, but %r" % (refused, ending, error))
    if (refused or ending == "wrong") and not isinstance(error, session.module.MQTTException):
        raise Broken("wrong, but %r" % error)
    sent = bytes(session.wire.reader.mqtt[len(session.wire.packets()[0]) :])  # after CONNECT
    if not answers.startswith(sent) or (sent != answers and not stalling):
        raise Broken("answered %r, expected %r" % (sent, answers))
    if not stalling:
        _control(session, pings, "" if refused else ending, refused)


def _control(session, pings, ending, refused):
    """Pongs and the close frame of the client, on a stream that takes everything."""
    pongs = session.wire.of_opcode(PONG)
    if pongs != pings[: len(pongs)] or (len(pongs) != len(pings) and not refused):
        raise Broken("pongs %r, expected %r" % (pongs, pings))
    closes = session.wire.of_opcode(CLOSE)
    if len(closes) != (1 if ending or refused else 0):
        raise Broken("close frames %r after %r" % (closes, ending))
    if ending == "wrong" and closes != [b"\x03\xea"]:
        raise Broken("close frames %r for a wrong frame" % closes)
