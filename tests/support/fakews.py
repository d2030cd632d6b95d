"""A WebSocket server upon `fakenet`: behind it any of its brokers, which sees MQTT alone. For both interpreters."""

from support import fakenet
from support.framing import Reader, agreement, frame
from support.session import Session


class Wire:
    """The server's side of a connection. `raw` sends bytes as they are; `reader` has what the client has sent."""

    def __init__(self, sock, gateway):
        self.reader = Reader()
        self.sock = sock
        self._gateway = gateway
        self._at = self._taken = 0
        self._send = sock.reply
        sock.take, sock.reply, sock.packets = self.take, self.reply, self.packets

    def raw(self, data, delay=0):
        if delay:
            self.sock.network.clock.at(delay, lambda: self.raw(data))
        else:
            self._send(data)

    def take(self):
        """Whole MQTT packets since the last call; the request is answered."""
        sent = self.sock.sent
        asked = bool(self.reader.http)
        self.reader.feed(sent[self._at :])
        self._at = len(sent)
        if self.reader.http and not asked:
            answer = self._gateway.answer(self.reader.http)
            if answer:
                self.raw(answer, self._gateway.delay)
        packets, rest = fakenet.split(self.reader.mqtt[self._taken :])
        self._taken = len(self.reader.mqtt) - rest
        return packets

    def packets(self):
        return fakenet.split(self.reader.mqtt)[0]

    def reply(self, data, delay=0):
        for piece in self._gateway.framed(data):
            self.raw(piece, delay)

    def of_opcode(self, opcode):
        """Payloads of the client's frames of a kind."""
        return [payload for kind, payload, _ in self.reader.frames if kind == opcode]


class Gateway:
    """Makes of a broker one behind WebSocket. `answer(request)`: HTTP's answer; `framed(data)`: its frames."""

    def __init__(self, broker):
        self.broker = broker
        self.delay = 1  # ms until the request is answered
        self.answer = agreement
        self.framed = lambda data: [frame(data)]
        self.wires = []
        self._accepts = broker.accepts
        broker.accepts = self._opened

    def _opened(self, sock):
        self.wires.append(Wire(sock, self))
        return self._accepts(sock)


class WebSession(Session):
    """A Session through WebSocket. `wire`: the newest connection's; `gateway`: what the server does."""

    def __init__(self, broker=None, **settings):
        values = {"transport": "ws"}
        values.update(settings)
        super().__init__(broker, **values)
        self.gateway = Gateway(self.broker)

    @property
    def wire(self):
        return self.gateway.wires[-1]
