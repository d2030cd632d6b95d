# mypy: ignore-errors
"""umqtt.simple. It has no window, and refuses QoS 2."""

from harness import CASE, HOST, PAYLOAD, PORT, TOPIC, measure
from umqtt.simple import MQTTClient

client = MQTTClient(b"umqtt-" + CASE.encode(), HOST, PORT)


def qos0(count):
    """See bare.py."""
    for _ in range(count):
        client.publish(TOPIC, PAYLOAD)
    client.publish(TOPIC, PAYLOAD, qos=1)


def qos1(count):
    """One by one."""
    for _ in range(count):
        client.publish(TOPIC, PAYLOAD, qos=1)


def receive(count):
    """To a callback."""
    for _ in range(count):
        client.wait_msg()


def ignore(topic, msg):
    """The callback."""


client.connect()
if CASE == "receive":
    client.set_callback(ignore)
    client.subscribe(TOPIC)
measure({"qos0": qos0, "qos1": qos1, "receive": receive}[CASE])
client.disconnect()
