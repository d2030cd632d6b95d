"""Receive messages, with all that is known about each.

This computer:  MICROPYPATH=lib:.frozen micropython examples/subscribe_async.py
A board:        mpremote run examples/online.py run examples/subscribe_async.py
Try it:         mosquitto_pub -t examples/subscribe/greeting -m hello
End it:         mosquitto_pub -t examples/subscribe/greeting -m stop
"""

import asyncio

from fieldmqtt import AsyncMQTTClient

BROKER = "127.0.0.1"  # its name or address, or (name, port)


async def main():
    async with AsyncMQTTClient("example-subscribe", BROKER) as client:
        granted = await client.subscribe("examples/subscribe/#", qos=1)
        print("subscribed at QoS", granted)
        async for message in client:
            print(message.topic.decode(), message.payload.decode(), "QoS", message.qos, "retained", message.retain)
            if message.payload == b"stop":
                break


asyncio.run(main())
