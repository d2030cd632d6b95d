"""Prints the bytes that an awaited QoS 0 publish allocates, beside what the loop itself allocates."""

import asyncio
import gc
import sys

from fieldmqtt import AsyncMQTTClient


async def main():
    client = AsyncMQTTClient("board", "127.0.0.1", int(sys.argv[1]))
    await client.connect()
    topic, payload = b"zeit", b"null"
    for _ in range(100):
        await client.publish(topic, payload)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(300):
        await client.publish(topic, payload)
    print("bytes", (gc.mem_alloc() - before) // 300)


asyncio.run(main())
