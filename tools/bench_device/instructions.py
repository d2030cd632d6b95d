# mypy: ignore-errors
"""Publishes at QoS 0 into the fake socket. `instructions.py CLIENT COUNT`, the folder `fake` first on the path."""

import socket
import sys

sys.modules["usocket"] = socket  # the name by which umqtt.simple knows it


def waiting(client, topic, payload, count):
    """umqtt.simple and MQTTClient."""
    client.connect()
    for _ in range(count):
        client.publish(topic, payload)


async def awaited(client, topic, payload, count):
    """AsyncMQTTClient."""
    await client.connect()
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
