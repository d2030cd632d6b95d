# mypy: ignore-errors
"""The other side of pair.py, with umqtt.simple as its examples use it.

micropython umqtt_pair.py ask|answer PORT REQUEST RESPONSE COUNT QOS
"""

import sys

from umqtt.simple import MQTTClient

case, port, request, response, count, qos = sys.argv[1:]
count, qos = int(count), int(qos)
came = []


def on_message(topic, msg):
    came.append(msg)


def wait_for(number):
    """umqtt's wait_msg() also returns for a packet that is no message."""
    while len(came) <= number:
        client.wait_msg()
    return came[number]


client = MQTTClient("umqtt-" + case, "127.0.0.1", int(port))
client.set_callback(on_message)
client.connect()
client.subscribe((response if case == "ask" else request).encode(), qos)
print("ready")
for number in range(count):
    if case == "ask":
        client.publish(request.encode(), b"request %d \0\xff" % number, qos=qos)
        print("answer", wait_for(number))
    else:
        client.publish(response.encode(), b"answer to " + wait_for(number), qos=qos)
client.disconnect()
