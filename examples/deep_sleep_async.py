"""Wake, publish, sleep: what cannot be delivered now waits on flash, and is delivered after a later wake-up.

This computer:  MICROPYPATH=lib:.frozen micropython examples/deep_sleep_async.py
A board:        mpremote run examples/online.py run examples/deep_sleep_async.py
"""

import asyncio

import machine

from fieldmqtt import AsyncMQTTClient
from fieldmqtt.flash import FlashOutbox

BROKER = "127.0.0.1"  # its name or address, or (name, port)
SLEEP = 600  # seconds
FOLDER = "outbox"  # on flash


async def main():
    outbox = FlashOutbox(FOLDER, full="drop")  # when it is full the oldest go
    client = AsyncMQTTClient("example-deep-sleep", BROKER, timeout=5, outbox=outbox)
    await client.publish("examples/deep_sleep/temperature", "21.5", qos=1, wait=False)
    await client.publish("examples/deep_sleep/battery", "3.71", qos=1, wait=False)
    try:
        await client.connect()
        await client.flush(10)
        print("delivered")
        await client.disconnect()
    except OSError as error:
        print(client.pending(), "wait for the next time:", error)
    outbox.sync()  # what was delivered is not sent again


asyncio.run(main())
if hasattr(machine, "deepsleep"):  # a computer has none
    machine.deepsleep(SLEEP * 1000)
