"""See messages.py: the program for AsyncMQTTClient."""

import asyncio
import gc

from mix import BACK, QOS, TOPICS, Mix, payload
from report import heap


def run(client, messages, every):
    asyncio.run(_run(client, messages, every))


async def _run(client, messages, every):
    mix = Mix(client)
    await client.connect()
    await client.subscribe(BACK, 2)
    for i in range(messages):
        await client.publish(TOPICS[i % 10], payload(i), False, QOS[i % 10], False)
        if i % 10 == 9:
            await asyncio.sleep_ms(0)  # the client's tasks want a turn now and then
        if (i + 1) % every == 0:
            await client.flush()
            mix.published(every)
            while mix.missing > 0:
                await client.wait_msg()
            gc.collect()  # so that the next message, which is the last one in the report, gets a place in a gap
            while not mix.go:
                await client.wait_msg()
            heap(i + 1)
    await client.disconnect()
