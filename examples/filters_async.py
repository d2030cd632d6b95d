"""A callback for each topic filter: `+` stands for one level, `#` for all that follow. Matched on the board.

This computer:  MICROPYPATH=lib:.frozen micropython examples/filters_async.py
A board:        mpremote run examples/online.py run examples/filters_async.py
Try it:         mosquitto_pub -t examples/filters/kitchen/temperature -m 21.5
End it:         mosquitto_pub -t examples/filters/stop -n
"""

import asyncio

from fieldmqtt import AsyncMQTTClient

BROKER = "127.0.0.1"  # its name or address, or (name, port)

running = True


def on_temperature(topic, msg):
    room = topic.split(b"/")[2]
    print(room.decode(), "has", float(msg), "degrees")


def on_door(topic, msg):
    print("door:", topic.decode(), msg.decode())


def on_anything_else(topic, msg):
    global running
    running = topic != b"examples/filters/stop"
    print("no callback of its own:", topic.decode())


async def main():
    client = AsyncMQTTClient("example-filters", BROKER)
    client.set_callback(on_anything_else)
    await client.connect()
    await client.subscribe("examples/filters/+/temperature", callback=on_temperature)
    await client.subscribe(["examples/filters/door", "examples/filters/garage/#"], qos=1, callback=on_door)
    await client.subscribe("examples/filters/stop")
    print("subscribed")
    while running:
        await asyncio.sleep(0.1)
    await client.disconnect()


asyncio.run(main())
