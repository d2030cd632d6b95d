# mypy: ignore-errors
"""AsyncMQTTClient."""

import asyncio

from harness import CASE, HOST, PAYLOAD, PORT, TOPIC, measure_async

from fieldmqtt import AsyncMQTTClient

client = AsyncMQTTClient("async-" + CASE, HOST, PORT)


async def qos0(count):
    """See bare.py."""
    for _ in range(count):
        await client.publish(TOPIC, PAYLOAD)
    await client.publish(TOPIC, PAYLOAD, qos=1)


async def qos1(count):
    """One by one."""
    for _ in range(count):
        await client.publish(TOPIC, PAYLOAD, qos=1)


async def window(count):
    """The client's own window of 20."""
    for _ in range(count):
        await client.publish(TOPIC, PAYLOAD, qos=1, wait=False)
    await client.flush()


async def qos2(count):
    """One by one."""
    for _ in range(count):
        await client.publish(TOPIC, PAYLOAD, qos=2)


async def receive(count):
    """As messages to iterate over."""
    async for _ in client:
        count -= 1
        if not count:
            return


async def main():
    """Connect, measure, disconnect."""
    async with client:
        if CASE == "receive":
            await client.subscribe(TOPIC)
        await measure_async({"qos0": qos0, "qos1": qos1, "window": window, "qos2": qos2, "receive": receive}[CASE])


asyncio.run(main())
