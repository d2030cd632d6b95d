"""What is published: message i goes to topic soak/<i % 10>, half at QoS 0; three of ten come back."""

TOPICS = [b"soak/%d" % i for i in range(10)]
QOS = (0, 0, 0, 0, 0, 1, 1, 1, 1, 2)
BACK = [TOPICS[4], TOPICS[8], TOPICS[9], b"soak/go"]
_FILLING = b"x" * 96


def payload(i):
    """The number of the message, and from 0 to 96 bytes more: no two neighbours are of one size."""
    return b"%d %s" % (i, _FILLING[: i % 97])


class Mix:
    """Looks at what comes back, and prints lines that begin with «wrong». `missing`: so many have not come back;
    `go`: the host wants more.
    """

    def __init__(self, client):
        self._next = {4: 4, 8: 8, 9: 9}  # topic: the number of the message that has to come
        self.missing = 0
        self.go = False
        client.set_callback(self._received)
        client.on_disconnect = self._lost

    def published(self, messages):
        """So many more are published: three of ten have to come back, and after those the host says go."""
        self.missing += messages // 10 * 3
        self.go = False

    def _received(self, topic, msg):
        if topic == b"soak/go":
            self.go = True
            return
        kind, number = topic[-1] - 48, int(msg.split()[0])
        if number != self._next[kind]:
            print("wrong: received", number, "not", self._next[kind])
        self._next[kind] = number + 10
        self.missing -= 1

    def _lost(self, reason):
        print("wrong: connection lost,", reason)
