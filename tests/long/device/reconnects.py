"""Lose the connection again and again: reconnects.py sync|asyncio PORT COUNT EVERY [CA].

Each time that `EVERY` connections, or attempts to make one, have come to an end, prints the open files and the heap.
"""

import sys

from report import heap, open_files

import fieldmqtt

face, port, count, every = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
settings = {"timeout": 5, "backoff": (0.001, 0.001)}
if len(sys.argv) > 5:
    settings.update(ssl=True, ssl_params={"cafile": sys.argv[5], "server_hostname": "localhost"})
kind = fieldmqtt.MQTTClient if face == "sync" else fieldmqtt.AsyncMQTTClient
client = kind("reconnects", "127.0.0.1", port, **settings)
ends = 0
last = None


def ended():
    """Count: each end is another exception in `client.error`. True when it is time for a report."""
    global ends, last
    if client.error is None or client.error is last:
        return False
    last = client.error
    ends += 1
    return ends % every == 0


def report():
    """The client is disconnected: what is open or allocated now is so for longer than one attempt."""
    print("open", open_files())
    heap(ends)


def run():
    from time import sleep_ms

    client.connect(wait=False)
    while ends < count:
        client.check_msg()
        if ended():
            client.disconnect()
            report()
            client.connect(wait=False)
        sleep_ms(1)
    client.disconnect()


async def run_async():
    await client.connect(wait=False)
    while ends < count:
        await asyncio.sleep_ms(1)
        if ended():
            await client.disconnect()
            await asyncio.sleep_ms(20)  # its tasks end
            report()
            await client.connect(wait=False)
    await client.disconnect()


print("open", open_files())
if face == "sync":
    run()
else:
    import asyncio

    asyncio.run(run_async())
