"""Publishes a reading as JSON, in the style of a first program."""

import json
import sys
import time

from umqtt.simple import MQTTClient

client = MQTTClient(client_id="client1", server=b"localhost", port=int(sys.argv[1]))
client.connect()
for number in range(3):
    data = {"number": number, "temperature": 21.5}
    client.publish(topic="message/client1", msg=json.dumps(data))
    time.sleep(0.05)
client.disconnect()
