"""Prints the bytes that a call allocates on a stream that takes everything; heap_lock where it may allocate none."""

from allocation import locked, mean


class Stream:
    """Takes all; then gives the answers, one for each read."""

    answers = ()
    turn = 0

    def expect(self, answers, packet_id):
        self.answers = answers
        self.packet_id = packet_id
        self.turn = 0

    def write(self, buf, offset, n):
        return n

    def readinto(self, buf, n=-1):
        if self.turn >= len(self.answers):
            return None
        answer = self.answers[self.turn]
        self.turn += 1
        buf[0] = answer[0]
        buf[1] = answer[1]
        if answer[1]:
            buf[2] = 0
            buf[3] = self.packet_id
        return 2 + answer[1]


class Transport:
    def __init__(self, stream):
        self.stream = stream

    def wait(self, ms, writing, reading=True):
        pass

    def close(self):
        pass

    def connected(self):
        return True

    def begin(self, context, hostname):
        return self.stream


def main():
    from fieldmqtt import MQTTClient

    costs = []
    stream = Stream()
    client = online(MQTTClient, stream)
    topic, short, long = b"board/temperature", b"x" * 64, b"x" * 500

    def qos_0():
        client.publish(topic, short)

    def retained():
        client.publish(topic, long, True)

    def qos_1():
        stream.expect(_PUBACK, stream.packet_id + 1)
        client.publish(topic, short, False, 1)

    def qos_2():
        stream.expect(_QOS_2, stream.packet_id + 1)
        client.publish(topic, short, False, 2)

    def ping():
        stream.expect(_PINGRESP, stream.packet_id)
        client.ping()
        client.check_msg()

    for name, call in (
        ("QoS 0", qos_0),
        ("QoS 0 retained, 500 bytes", retained),
        ("QoS 1 and PUBACK", qos_1),
        ("QoS 2 and its acks", qos_2),
        ("PINGREQ", ping),
    ):
        costs.append((name, cost(call)))
    for entry in costs:
        print(*entry)


_PUBACK = ((0x40, 2),)
_QOS_2 = ((0x50, 2), (0x70, 2))
_PINGRESP = ((0xD0, 0),)


def cost(call):
    """Bytes a call. On versions that can do without the heap, it has to."""
    used = mean(20, call, 2)
    locked(1, call)
    return used


def online(kind, stream):
    """A client that is connected over `stream`."""
    import fieldmqtt.connection as connection

    connection.resolve = lambda host, port: None
    stream.expect(((0x20, 2),), 0)
    client = kind("board", "broker")
    client._opener = lambda *_: Transport(stream)
    client.connect()
    return client


main()
