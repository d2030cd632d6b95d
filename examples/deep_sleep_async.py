"""Wake, publish, sleep: flush() returns when the broker has everything, and says so when it has not.

This computer:  MICROPYPATH=lib:.frozen micropython examples/deep_sleep_async.py
A board:        mpremote run examples/online.py run examples/deep_sleep_async.py
"""

import asyncio

import machine

from fieldmqtt import AsyncMQTTClient

BROKER = "127.0.0.1"  # its name or address, or (name, port)
SLEEP = 600  # seconds


async def main():
    client = AsyncMQTTClient("example-deep-sleep", BROKER, timeout=5)
    try:
        await client.connect()
        await client.publish("examples/deep_sleep/temperature", "21.5", qos=1, wait=False)
        await client.publish("examples/deep_sleep/battery", "3.71", qos=1, wait=False)
        await client.flush(10)
        print("delivered")
        await client.disconnect()
    except OSError as error:
        print("not delivered:", error)  # and lost: what waits is in RAM, which deep sleep clears


asyncio.run(main())
if hasattr(machine, "deepsleep"):  # a computer has none
    machine.deepsleep(SLEEP * 1000)
