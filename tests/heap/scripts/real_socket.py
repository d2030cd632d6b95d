"""Prints the bytes that a publish allocates on a real socket."""

import sys

from allocation import locked, mean

from fieldmqtt import MQTTClient

client = MQTTClient("board", "127.0.0.1", int(sys.argv[1]))
client.connect()
topic, payload, acked = b"zeit", b"null", b"eins"


def qos_0():
    client.publish(topic, payload)


def qos_1():
    client.publish(topic, acked, False, 1)


result_0 = mean(80, qos_0, 20)
locked(50, qos_0)
result_1 = mean(40, qos_1, 10)
client.disconnect()
print("QoS 0", result_0)
print("QoS 1 and PUBACK", result_1)
