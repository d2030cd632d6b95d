"""Several tasks share one client: two sensors publish, each in its own time, while messages are received.

This is what asyncio is for, so it has no twin without.

This computer:  MICROPYPATH=lib:.frozen micropython examples/tasks_async.py
A board:        mpremote run examples/online.py run examples/tasks_async.py
End it:         mosquitto_pub -t examples/tasks/stop -n
"""

import asyncio

from fieldmqtt import AsyncMQTTClient

BROKER = "127.0.0.1"  # its name or address, or (name, port)
FAST, SLOW = 1, 5  # seconds


async def sensor(client, name, interval):
    number = 0
    while True:
        await client.publish("examples/tasks/" + name, str(number), qos=1)
        number += 1
        await asyncio.sleep(interval)


async def main():
    async with AsyncMQTTClient("example-tasks", BROKER) as client:
        await client.subscribe("examples/tasks/stop")
        sensors = [
            asyncio.create_task(sensor(client, "wind", FAST)),
            asyncio.create_task(sensor(client, "rain", SLOW)),
        ]
        async for message in client:
            print("ends:", message.topic.decode())
            break
        for task in sensors:
            task.cancel()


asyncio.run(main())
