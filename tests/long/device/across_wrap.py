"""A deadline and keep alive of the asyncio client across the wrap: across_wrap.py PORT MS."""

import asyncio  # before the clock is another one
import sys
import time

import board_time

board_time.install(int(sys.argv[2]))

from fieldmqtt import AsyncMQTTClient  # noqa: E402


async def run():
    client = AsyncMQTTClient("clock", "127.0.0.1", int(sys.argv[1]), keepalive=2, timeout=1.5)
    await client.connect()
    start = time.ticks_ms()
    try:
        await client.subscribe("t")
    except OSError as error:
        print("ended", time.ticks_diff(time.ticks_ms(), start), error.args[0])
    await asyncio.sleep(2)
    print("online", client.isconnected(), client.error)
    await client.disconnect()


asyncio.run(run())
