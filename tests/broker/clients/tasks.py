"""Cases of asyncio's tasks, and of a stream that takes nothing for a while (the last one, both clients)."""

import asyncio
import select
import sys
from time import sleep, ticks_diff, ticks_ms

from common import main, settings

from fieldmqtt import FlashOutbox, MQTTException


async def callback_raises(new):
    """A callback that raises at every other message; the client goes on."""
    async with new() as client:

        def callback(topic, msg):
            print("message", msg.decode())
            if msg == b"bad":
                raise ValueError("the callback's own")

        await client.subscribe("in/#", 1, callback=callback)
        print("subscribed")
        for _ in range(3):
            await client.wait_msg(5)
        await client.publish("out", "alive", qos=1)


async def answer_each(new):
    """Let messages queue, then answer each one at QoS 1 while the others wait."""
    async with new() as client:
        await client.subscribe("in/#", settings["qos"])
        print("subscribed")
        await asyncio.sleep(0.7)
        count = 0
        async for message in client:
            await client.publish("out", message.payload, qos=1)
            count += 1
            if count == settings["count"]:
                break
        print("dropped", client.dropped)


async def slow_consumer(new):
    async with new() as client:
        await client.subscribe("in/#", 1)
        print("subscribed")
        seen = []
        async for message in client:
            seen.append(int(message.payload))
            if len(seen) == settings["count"]:
                break
            await asyncio.sleep(0.005)
        print("in order", seen == list(range(settings["count"])))


async def fail_with_a_message(new):
    """An exception in the loop ends the program, `break` does not."""
    try:
        async with new(clean_session=False) as client:
            async for message in client:
                print("taken", message.payload.decode())
                if message.payload == b"2":
                    break
            client.acknowledge()
            client.acknowledge()
            print("acknowledged")
            async for message in client:
                print("taken", message.payload.decode())
                raise ValueError("the program's own")
    except ValueError:
        print("failed")


async def take_when_told(new):
    """The outbox on flash; a message is taken for each line of standard input, or with `callback` stays in there."""
    client = new(outbox=FlashOutbox(settings["folder"]), clean_session=False, backoff=(0.1, 0.1))
    client.on_disconnect = lambda reason: print("lost")

    def callback(topic, msg):
        print("called", msg.decode())
        sleep(10)

    if "callback" in settings:
        client.set_callback(callback)
    await client.connect()
    poll = select.poll()
    poll.register(sys.stdin, select.POLLIN)
    while True:
        while not poll.poll(0):
            await asyncio.sleep_ms(5)
        if sys.stdin.readline() == "disconnect\n":
            return await client.disconnect()
        message = await client.__anext__()
        print("taken", message.payload.decode())


async def ends_after_outage(new):
    """disconnect() ends `async for` although the connection was lost in between."""
    client = new(backoff=(0.1, 0.2))
    client.on_disconnect = lambda reason: print("lost")
    await client.connect()

    async def read():
        async for message in client:
            print("message", message.payload)
        print("iteration ended")

    task = asyncio.create_task(read())
    print("ready")
    while client.isconnected():
        await asyncio.sleep(0.02)
    while not client.isconnected():
        await asyncio.sleep(0.02)
    print("back")
    await client.disconnect()
    await asyncio.wait_for(task, 2)
    print("error", client.error)


async def subscribe_at_once(new):
    """Two tasks subscribe at the same time, to different filters and to the same."""
    async with new() as client:
        for first, second in (("a", "b"), ("c", "c")):
            results = await asyncio.gather(
                client.subscribe(first, 1), client.subscribe(second, 1), return_exceptions=True
            )
            print("results", *["refused" if isinstance(result, MQTTException) else result for result in results])


async def publish_without_pause(new):
    """Publish numbers at QoS 0 until the stream has taken nothing for a while, then some more."""
    import tls

    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    with open(settings["cafile"], "rb") as file:
        context.load_verify_locations(file.read())
    client = new(ssl=context, server="localhost", keepalive=0)
    await client.connect()
    number, more = 0, 200
    while more and number < 100_000:
        start = ticks_ms()
        await client.publish(b"t", b"%06d" % number + b"x" * 200, wait=False)
        number += 1
        if more < 200 or ticks_diff(ticks_ms(), start) > 300:
            more -= 1
    await client.publish(b"t", b"%06d" % number + b"x" * 200)
    print("published", number + 1)
    await client.disconnect()


main(globals())
