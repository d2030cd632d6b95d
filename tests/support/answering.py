"""A broker for `fakenet`: answers every packet as a friendly broker does, unless the test changes an answer."""

# Not from `packets`: beside that corpus a board has no memory left for a test.
_CONNACK, _PINGRESP = b"\x20\x02\x00\x00", b"\xd0\x00"

CONNECT, PUBLISH, PUBACK, PUBREC, PUBREL, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 4, 5, 6, 8, 10, 12, 14


def body(packet):
    """The bytes after the remaining length."""
    at = 1
    while packet[at] & 0x80:
        at += 1
    return packet[at + 1 :]


def packet_id(packet):
    """Of a PUBLISH at QoS 1 or 2, or of a packet that begins with its identifier."""
    rest = body(packet)
    at = 0
    if packet[0] >> 4 == PUBLISH:
        at = 2 + (rest[0] << 8 | rest[1])
    return rest[at] << 8 | rest[at + 1]


def ack(first_byte, packet):
    number = packet_id(packet)
    return bytes((first_byte, 2, number >> 8, number & 0xFF))


def publish_ack(packet):
    qos = packet[0] >> 1 & 3
    return b"" if qos == 0 else ack(0x40 if qos == 1 else 0x50, packet)


def suback(packet):
    rest = body(packet)
    granted = bytearray()
    at = 2
    while at < len(rest):
        at += 2 + (rest[at] << 8 | rest[at + 1])
        granted.append(rest[at])
        at += 1
    return bytes((0x90, 2 + len(granted))) + rest[:2] + bytes(granted)


class Broker:
    """`answers[packet type]` makes the answer of a packet, None is silence; `received` is every packet that came."""

    def __init__(self, connack=_CONNACK, delay=1):
        self.received = []
        self.delay = delay  # ms until an answer is there
        self.times = []  # the clock at each packet
        self.connections = []
        self.accepts = lambda sock: None
        self.answers = {
            CONNECT: lambda packet: connack,
            PUBLISH: publish_ack,
            PUBREL: lambda packet: ack(0x70, packet),
            SUBSCRIBE: suback,
            UNSUBSCRIBE: lambda packet: ack(0xB0, packet),
            PINGREQ: lambda packet: _PINGRESP,
        }

    def opened(self, sock):
        self.connections.append(sock)
        return self.accepts(sock)

    def packet(self, sock, packet):
        self.received.append(packet)
        self.times.append(sock.network.clock.now)
        answer = self.answers.get(packet[0] >> 4)
        reply = answer(packet) if answer else b""
        if reply:
            sock.reply(reply, self.delay)

    def of_type(self, packet_type):
        return [packet for packet in self.received if packet[0] >> 4 == packet_type]

    def times_of(self, packet_type):
        return [at for at, packet in zip(self.times, self.received) if packet[0] >> 4 == packet_type]
