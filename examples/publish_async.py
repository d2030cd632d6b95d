"""Publish: a state that the broker keeps (retained), and readings, each acknowledged by the broker (QoS 1).

This computer:  MICROPYPATH=lib:.frozen micropython examples/publish_async.py
A board:        mpremote run examples/online.py run examples/publish_async.py
Watch it:       mosquitto_sub -v -t 'examples/#'
"""

import asyncio
import json
import time

from fieldmqtt import AsyncMQTTClient

BROKER = "127.0.0.1"  # its name or address, or (name, port)
INTERVAL = 1  # seconds


async def main():
    client = AsyncMQTTClient("example-publish", BROKER)
    await client.connect()
    await client.publish("examples/publish/state", "online", retain=True)
    for number in range(5):
        reading = {"number": number, "uptime": time.ticks_ms() // 1000}
        await client.publish("examples/publish/reading", json.dumps(reading), qos=1)
        print("the broker has reading", number)
        await asyncio.sleep(INTERVAL)  # the connection is kept alive meanwhile
    await client.disconnect()


asyncio.run(main())
