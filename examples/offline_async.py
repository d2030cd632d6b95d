"""Go on while the broker is away: readings wait in the outbox, and are delivered in order when it is back.

This computer:  MICROPYPATH=lib:.frozen micropython examples/offline_async.py
A board:        mpremote run examples/online.py run examples/offline_async.py
Try it:         start it without a broker, and start the broker later; or stop the broker for a while
"""

import asyncio

from fieldmqtt import AsyncMQTTClient, Outbox

BROKER = "127.0.0.1"  # its name or address, or (name, port)
INTERVAL = 1  # seconds
READINGS = 20


def on_disconnect(reason):
    print("lost:", reason)


def on_connect(session_present):
    print("connected; the broker", "remembers" if session_present else "does not know", "this board")


async def main():
    client = AsyncMQTTClient("example-offline", BROKER, clean_session=False, outbox=Outbox(8192), backoff=(0.5, 30))
    client.on_connect = on_connect
    client.on_disconnect = on_disconnect
    await client.connect(wait=False)  # tries for ever, from now on
    for number in range(READINGS):
        await client.publish("examples/offline", str(number), qos=1, wait=False)
        print("reading", number, "taken;", client.pending(), "on their way")
        await asyncio.sleep(INTERVAL)
    await client.flush(60)
    print("all delivered")
    await client.disconnect()


asyncio.run(main())
