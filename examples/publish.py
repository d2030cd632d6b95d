"""Publish: a state that the broker keeps (retained), and readings, each acknowledged by the broker (QoS 1).

This computer:  MICROPYPATH=lib:.frozen micropython examples/publish.py
A board:        mpremote run examples/online.py run examples/publish.py
Watch it:       mosquitto_sub -v -t 'examples/#'
"""

import json
import time

from fieldmqtt import MQTTClient

BROKER = "127.0.0.1"  # its name or address, or (name, port)
INTERVAL = 1  # seconds


def main():
    client = MQTTClient("example-publish", BROKER)
    client.connect()
    client.publish("examples/publish/state", "online", retain=True)
    for number in range(5):
        reading = {"number": number, "uptime": time.ticks_ms() // 1000}
        client.publish("examples/publish/reading", json.dumps(reading), qos=1)
        print("the broker has reading", number)
        client.wait_msg(INTERVAL)  # the connection is kept alive meanwhile
    client.disconnect()


main()
