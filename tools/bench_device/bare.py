# mypy: ignore-errors
"""The yardstick: the same packets through a blocking socket, encoded beforehand, one write a packet.

It does what no client can do without: it neither builds nor understands a packet, it counts bytes.
"""

import socket

from harness import CASE, HOST, PAYLOAD, PORT, TOPIC, WINDOW, measure

_TCP = 6
_ID = b"\0\1"  # every exchange is finished before the identifier is used again
_ACK = 4  # bytes of a PUBACK


def field(value):
    """A string with its length in front of it."""
    return bytes((len(value) >> 8, len(value) & 0xFF)) + value


def packet(head, *parts):
    """A packet shorter than 128 bytes."""
    body = b"".join(parts)
    return bytes((head, len(body))) + body


CONNECT = packet(0x10, field(b"MQTT"), b"\4\2\0\0", field(b"bare-" + CASE.encode()))
SUBSCRIBE = packet(0x82, _ID, field(TOPIC), b"\0")
PUBLISH = packet(0x30, field(TOPIC), PAYLOAD)
PUBLISH1 = packet(0x32, field(TOPIC), _ID, PAYLOAD)
PUBLISH2 = packet(0x34, field(TOPIC), _ID, PAYLOAD)
PUBREL = packet(0x62, _ID)
# One for each place in the window, for identifiers in flight must differ.
WINDOWED = [packet(0x32, field(TOPIC), bytes((0, i + 1)), PAYLOAD) for i in range(WINDOW)]

sock = socket.socket()
answer = bytearray(_ACK)
message = bytearray(len(PUBLISH))


def qos0(count):
    """The last one at QoS 1: when its PUBACK comes, the broker has had them all."""
    for _ in range(count):
        sock.write(PUBLISH)
    qos1(1)


def qos1(count):
    """One by one."""
    for _ in range(count):
        sock.write(PUBLISH1)
        sock.readinto(answer)


def window(count):
    """At most WINDOW in flight; as many PUBACKs a read as there are."""
    sent = acknowledged = 0
    while acknowledged < count * _ACK:
        while sent < count and sent - acknowledged // _ACK < WINDOW:
            sock.write(WINDOWED[sent % WINDOW])
            sent += 1
        acknowledged += len(sock.recv(WINDOW * _ACK))


def qos2(count):
    """One by one."""
    for _ in range(count):
        sock.write(PUBLISH2)
        sock.readinto(answer)
        sock.write(PUBREL)
        sock.readinto(answer)


def receive(count):
    """One read a message."""
    for _ in range(count):
        sock.readinto(message)


sock.connect(socket.getaddrinfo(HOST, PORT)[0][-1])
sock.setsockopt(_TCP, 1, 1)  # TCP_NODELAY
sock.write(CONNECT)
sock.readinto(answer)
if CASE == "receive":
    sock.write(SUBSCRIBE)
    sock.read(5)
measure({"qos0": qos0, "qos1": qos1, "window": window, "qos2": qos2, "receive": receive}[CASE])
sock.write(b"\xe0\0")
sock.close()
