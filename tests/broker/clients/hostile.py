"""The victim of a hostile broker. It obeys the messages of topic `order`, and says what happens to it.

Orders: `publish N`, `subscribe FILTER`, `listen MS`, `heap`, `end`; whatever else comes is answered on topic `answer`.
"""

import asyncio
import gc
from time import sleep_ms, ticks_diff, ticks_ms

from common import Awaited, main, real, settings, tell_events, work

_PAUSE = 12  # messages of a flood after which its callback takes 2 ms


class Victim:
    def __init__(self, client):
        self.client = client
        self.orders = []
        self.flood = 0

    def callback(self, topic, msg):
        if topic == b"order":
            self.orders.append(msg)
        elif topic == b"flood":
            if int(msg) != self.flood:
                print("expected", self.flood, "got", msg)
            self.flood += 1
            if self.flood % _PAUSE == 0:
                sleep_ms(2)

    async def turn(self):
        if isinstance(self.client, Awaited):
            self.client.client.wait_msg(0.05)
        else:
            await asyncio.sleep_ms(5)

    async def obey(self, order):
        word, _, rest = order.partition(b" ")
        if word == b"publish":
            for i in range(int(rest)):
                await self.client.publish("data", b"%d" % i, qos=1, wait=False)
        elif word == b"subscribe":
            try:
                await self.client.subscribe(rest, 1, callback=self.callback, wait=False)
                print("filter asked for")
            except ValueError as error:
                print("filter refused:", error)
        elif word == b"listen":
            start = ticks_ms()
            await work(self.client, int(rest) / 1000)
            print("listened", ticks_diff(ticks_ms(), start))
        elif word == b"heap":
            gc.collect()
            print("flood", self.flood, "pending", real(self.client).pending(), "heap", gc.mem_alloc())
            self.flood = 0
        else:
            await self.client.publish("answer", order, qos=1, wait=False)


async def _iterate(me):
    async for message in me.client:
        me.callback(message.topic, message.payload)


async def victim(new):
    """With `loop=async for` it has no callback."""
    client = new(backoff=(0.01, 0.02))
    tell_events(client)
    me = Victim(client)
    await client.connect(wait=False)
    if "loop" in settings:
        me.loop = asyncio.create_task(_iterate(me))
    else:
        real(client).set_callback(me.callback)
    while b"end" not in me.orders:
        while me.orders:
            await me.obey(me.orders.pop(0))
        await me.turn()
    await client.disconnect()


main(globals())
