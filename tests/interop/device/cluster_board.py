"""A board with a list of brokers, which publishes numbers or receives them until it is told to stop.

    micropython cluster_board.py publish|receive USER PASSWORD PORT PORT PORT

Says `ready` when it is connected, and subscribed. A line on standard input ends it. The publisher waits then until
everything is acknowledged and says how many messages that were, how many are not, the longest time in milliseconds in
which no acknowledgement came, and how often it took a new connection because of that. The receiver says every number
as it comes, and of each connection whether the session was there; at the end it disconnects.
"""

import select
import sys
import time

from fieldmqtt import MQTTClient

_TOPIC = "cluster/numbers"
_EVERY_S = 0.02
_PENDING = 20
_KEEPALIVE_S = 8  # with the timeout: 20 s without an acknowledgement, and the client takes a new connection
_FLUSH_S = 60

what, user, password = sys.argv[1:4]
brokers = [("127.0.0.1", int(port)) for port in sys.argv[4:]]
client = MQTTClient(what, brokers, 0, user, password, _KEEPALIVE_S, clean_session=False, backoff=(0.2, 2), timeout=8)
told = select.poll()
told.register(sys.stdin, select.POLLIN)


class Publisher:
    """Publishes a number every _EVERY_S, and counts the connections that the client left for want of a PUBACK."""

    def __init__(self):
        self.count = self.longest = self.renewed = 0
        self._last = time.ticks_ms()
        client.on_publish = self._acknowledged
        client.on_disconnect = self._left

    def _acknowledged(self, packet_id):
        self.longest = max(self.longest, self._silent())
        self._last = time.ticks_ms()

    def _left(self, reason):
        if "no PUBACK" in str(reason):
            self.renewed += 1

    def _silent(self):
        return time.ticks_diff(time.ticks_ms(), self._last)

    def longest_wait(self):
        return max(self.longest, self._silent()) if client.pending() else self.longest

    def publish(self):
        if client.pending() < _PENDING:
            client.publish(_TOPIC, str(self.count), qos=1, wait=False)
            self.count += 1


def publish():
    publisher = Publisher()
    client.connect()
    print("ready")
    while not told.poll(0):
        publisher.publish()
        client.wait_msg(_EVERY_S)
    end = time.time() + _FLUSH_S
    while client.pending() and time.time() < end:
        client.wait_msg(_EVERY_S)
    print("sent", publisher.count, client.pending(), publisher.longest_wait(), publisher.renewed)


def receive():
    def connected(session_present):
        print("session", session_present)

    client.on_connect = connected
    client.set_callback(lambda topic, payload: print("got", payload.decode()))
    while not told.poll(0):
        try:
            client.connect()
            client.subscribe(_TOPIC, 1)
            break
        except OSError as error:
            print("refused", error)
            time.sleep(1)
    print("ready")
    while not told.poll(0):
        client.wait_msg(0.1)


{"publish": publish, "receive": receive}[what]()
client.disconnect()
