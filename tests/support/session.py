"""A client on `fakenet`, as far as most unit tests want it: connected to an answering broker."""

from support import fakenet
from support.answering import Broker


class Session:
    """`client` on `network` with `broker`; `module` is the fieldmqtt that lives there.

    settings: those of MQTTClient; `outbox` may be a size. `newest`: the packet identifier before the first.
    """

    def __init__(self, broker=None, will=None, network=None, newest=65535, **settings):
        self.broker = broker or Broker()
        self.network = fakenet.Network(self.broker, **(network or {}))
        self.module = fakenet.fieldmqtt_on(self.network)
        self.clock = self.network.clock
        values = {"client_id": "a", "server": "broker"}
        values.update(settings)
        if not isinstance(values.get("outbox"), self.module.Outbox):
            values["outbox"] = self.module.Outbox(values.get("outbox") or 4096)
            values["outbox"].newest = newest  # unless told otherwise the first one is 1, in a kept session too
        self.client = self.module.MQTTClient(**values)
        self.messages = []
        self.client.set_callback(lambda topic, msg: self.messages.append(tuple(self.client.message[:5])))
        if will:
            self.client.set_last_will(*will)

    @property
    def sock(self):
        """The newest connection, the broker's handle on it."""
        return self.network.sockets[-1]

    def connected(self, **arguments):
        self.client.connect(**arguments)
        return self

    def sent(self):
        """Forget what was sent so far; the next `sent()` returns the bytes since."""
        sent = bytes(self.sock.sent)
        self.sock.sent[:] = b""
        self.sock._taken = 0
        return sent

    def pump(self, ms=50):
        """Let the client work for `ms` of its time; nothing may come out of it but messages."""
        end = self.clock.now + ms
        while self.clock.now < end:
            if not self.client.check_msg():
                self.clock.sleep_ms(min(5, end - self.clock.now))

    def reconnected(self):
        """The peer hangs up, and the client comes back; return what it sends then, CONNECT left out."""
        before = len(self.network.sockets)
        self.sock.hang_up()
        for _ in range(1000):
            self.pump(20)
            if len(self.network.sockets) > before and self.client.isconnected():
                break
        self.pump(100)
        sent = self.sock.packets()
        assert sent[0][0] == 0x10
        return sent[1:]


def raised(kind, function, *arguments, **keywords):
    """Call; return the exception of that kind, fail when there is none."""
    try:
        function(*arguments, **keywords)
    except kind as error:
        return error
    raise AssertionError("no " + kind.__name__)
