"""Catches OSError and calls reconnect(), as robust's users do by hand."""

import sys
import time

from umqtt.robust import MQTTClient

client = MQTTClient(client_id="robust-2", server="127.0.0.1", port=int(sys.argv[1]))
client.connect()
for number in range(60):
    try:
        client.publish(b"count", str(number).encode(), qos=1)
    except OSError as error:
        print("error", error)
        client.reconnect()
    if number == 5:
        print("ready")
    time.sleep(0.02)
client.disconnect()
