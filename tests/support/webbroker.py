"""mosquitto with WebSocket listeners, one of them with TLS, beside its usual one."""

import socket
import time

from support.certificates import Pair
from tools.broker import Broker, free_port

# Before 2.0.12 its WebSocket listeners cannot be bound to this computer: without a login everyone could use them.
LOGIN = ("shed", "s3cret")
_START_S = 10.0


class WebBroker(Broker):
    """`port` is that of MQTT itself, `ws` and `wss` are those of the others; only LOGIN may log in."""

    def __init__(self, server: Pair) -> None:
        self.ws, self.wss = free_port(), free_port()
        secure = [f"certfile {server.pem}", f"keyfile {server.key_pem}"]
        extra = [f"listener {self.ws}", "protocol websockets", f"listener {self.wss}", "protocol websockets", *secure]
        super().__init__(users=dict([LOGIN]), extra=extra)

    def start(self) -> None:
        """Returns when all listeners are open."""
        super().start()
        deadline = time.monotonic() + _START_S
        for port in (self.ws, self.wss):
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert time.monotonic() < deadline, self.log()
                    time.sleep(0.02)
