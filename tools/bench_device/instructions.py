# mypy: ignore-errors
"""Publishes at QoS 0 into the fake socket. `instructions.py CLIENT COUNT`, the folder `fake` first on the path."""

import gc
import socket
import sys

sys.modules["usocket"] = socket  # the name by which umqtt.simple knows it
kept = None  # what fills the heap


def settle():
    """Leave one hole in the heap and nothing else free.

    How far the allocator searches for the frame of a call depends on all that was allocated before, even on the length
    of this file's path, and moves the count by a tenth. With one hole it finds it at once, wherever it runs.
    """
    global kept
    hole = bytearray(600_000)
    size = 65536
    while size:
        try:
            kept = [kept, bytearray(size)]
        except MemoryError:
            size //= 2
    del hole
    gc.collect()
    kept = [kept, [object() for _ in range(1000)]]  # where the last one is put the next search begins


def waiting(client, topic, payload, count):
    """umqtt.simple and MQTTClient."""
    client.connect()
    settle()
    for _ in range(count):
        client.publish(topic, payload)


async def awaited(client, topic, payload, count):
    """AsyncMQTTClient."""
    await client.connect()
    settle()
    for _ in range(count):
        await client.publish(topic, payload)


def main(name, *message):
    """Publish the message with one of the clients."""
    if name == "umqtt_simple":
        from umqtt.simple import MQTTClient

        waiting(MQTTClient(b"bench", "nowhere"), *message)
    elif name == "ours_sync":
        from fieldmqtt import MQTTClient

        waiting(MQTTClient("bench", "nowhere"), *message)
    else:
        import asyncio

        from fieldmqtt import AsyncMQTTClient

        asyncio.run(awaited(AsyncMQTTClient("bench", "nowhere"), *message))


main(sys.argv[1], b"sensors/board1/temp", b"x" * 64, int(sys.argv[2]))
print("published")
