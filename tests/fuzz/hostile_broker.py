"""A broker on `fakenet` that answers as a friendly one does, until it is told to spoil, swallow or refuse.

It notes on each connection what it has said and heard. Runs under CPython and MicroPython.
"""

import packets
from support.answering import CONNECT, PUBLISH, PUBREL, SUBSCRIBE, Broker, body, packet_id


class HostileBroker(Broker):
    def __init__(self):
        super().__init__(delay=0)
        self.answers[CONNECT] = lambda packet: self.connack()
        self.be_friendly()

    def be_friendly(self):
        self.session_present = False
        self.silent = 0  # so many packets get no answer
        self.spoils = []  # (place, mask): how the next answers are changed; mask 0: cut there
        self.verdicts = []  # what becomes of the next attempts to connect: see fakenet.Network

    def connack(self):
        return packets.CONNACK_SESSION_PRESENT if self.session_present else packets.CONNACK

    def packet(self, sock, packet):
        kind = packet[0] >> 4
        self.note(sock, kind, packet)
        answer = self.answers.get(kind)
        reply = answer(packet) if answer else b""
        if reply and self.silent:
            self.silent -= 1
        elif reply:
            sock.reply(self._spoilt(reply), self.delay)

    def _spoilt(self, reply):
        if not self.spoils:
            return reply
        place, mask = self.spoils.pop(0)
        place %= len(reply)
        return reply[:place] + bytes((reply[place] ^ mask,)) + reply[place + 1 :] if mask else reply[:place]

    def opened(self, sock):
        sock.given = bytearray()  # all that the client was sent
        sock.at = 0  # as far as it has handled that
        sock.published = []  # (packet identifier, payload) of each message at QoS 1 and 2
        sock.released = set()
        sock.subscribed = set()
        plain = sock.reply

        def reply(data, delay=0):
            if delay:
                sock.network.clock.at(delay, lambda: reply(data))
            elif not sock.closed:
                sock.given += data
                plain(data)

        sock.reply = reply
        return self.verdicts.pop(0) if self.verdicts else None

    def note(self, sock, kind, packet):
        """Keep what a packet of the client says."""
        rest = body(packet)
        if kind == PUBLISH and packet[0] & 6:
            sock.published.append((packet_id(packet), rest[4 + (rest[0] << 8 | rest[1]) :]))
        elif kind == PUBREL:
            sock.released.add(packet_id(packet))
        elif kind == SUBSCRIBE:
            at = 2
            while at < len(rest):
                end = at + 2 + (rest[at] << 8 | rest[at + 1])
                sock.subscribed.add(str(rest[at + 2 : end], "utf-8"))
                at = end + 1
