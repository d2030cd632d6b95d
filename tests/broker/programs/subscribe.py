"""Waits for messages, first blocking, then looking now and then."""

import sys
import time

from umqtt.simple import MQTTClient

received = []


def on_message(topic, msg):
    print(topic, msg)
    received.append(msg)


client = MQTTClient(client_id="client2", server=b"localhost", port=int(sys.argv[1]))
client.connect()
client.set_callback(on_message)
client.subscribe(topic=b"message/client1")
print("ready")
client.wait_msg()
while len(received) < 3:
    client.check_msg()
    time.sleep(0.02)
client.disconnect()
