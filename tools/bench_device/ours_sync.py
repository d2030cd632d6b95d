# mypy: ignore-errors
"""MQTTClient, in both versions of MQTT."""

from harness import CASE, HOST, PAYLOAD, PORT, TOPIC, VERSION, measure

from fieldmqtt import MQTTClient

client = MQTTClient("sync-" + CASE, HOST, PORT, version=VERSION)


def qos0(count):
    """See bare.py."""
    for _ in range(count):
        client.publish(TOPIC, PAYLOAD)
    client.publish(TOPIC, PAYLOAD, qos=1)


def qos1(count):
    """One by one."""
    for _ in range(count):
        client.publish(TOPIC, PAYLOAD, qos=1)


def window(count):
    """The client's own window of 20."""
    for _ in range(count):
        client.publish(TOPIC, PAYLOAD, qos=1, wait=False)
    client.flush()


def qos2(count):
    """One by one."""
    for _ in range(count):
        client.publish(TOPIC, PAYLOAD, qos=2)


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
measure({"qos0": qos0, "qos1": qos1, "window": window, "qos2": qos2, "receive": receive}[CASE])
client.disconnect()
