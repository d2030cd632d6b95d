"""Keeps its session and comes back by itself after the broker was away."""

import sys

from umqtt.robust import MQTTClient

received = []


def on_message(topic, msg):
    print("message", msg)
    received.append(msg)


client = MQTTClient("robust-1", "127.0.0.1", port=int(sys.argv[1]), keepalive=10)
client.DEBUG = True
client.set_callback(on_message)
if not client.connect(clean_session=False):
    print("new session")
    client.subscribe(b"orders/#", qos=1)
print("ready")
while len(received) < 2:
    client.wait_msg()
client.publish(b"done", b"2", qos=1)
client.disconnect()
