"""Prints the bytes that a publish through WebSocket allocates, and what its masking key alone does."""

import os
import sys

from allocation import mean

from fieldmqtt import MQTTClient

client = MQTTClient("board", "ws://127.0.0.1:" + sys.argv[1])
client.connect()
topic, short, long = b"zeit", b"x" * 64, b"y" * 1200


def key():
    os.urandom(4)


def qos_0():
    client.publish(topic, short)


def qos_0_long():
    client.publish(topic, long)


results = [("key", mean(100, key)), ("QoS 0", mean(100, qos_0)), ("QoS 0, 1200 bytes", mean(100, qos_0_long))]
client.disconnect()
for result in results:
    print(*result)
