"""Our end of an exchange of messages with another client: one direction, one QoS.

    micropython exchange.py send|receive sync|asyncio PORT name=… topic=… messages=FILE qos=0|1|2 level=4|5

FILE has a message in each line, `text` or `bytes` and its bytes in hexadecimal. The last one ends the exchange.
"""

import sys

sys.path.append("%s/broker/clients" % __file__.rsplit("/", 4)[0])

from binascii import hexlify, unhexlify

from common import main, real, settings, until

import fieldmqtt

_SIZE = 8192  # the largest message is 5 KB


def _messages():
    with open(settings["messages"]) as file:
        for line in file:
            kind, digits = line.split()
            data = unhexlify(digits)
            yield data.decode() if kind == "text" else data


def _client(new):
    name, version = settings["name"], int(settings["level"])
    return new(name, version=version, max_packet=_SIZE, outbox=fieldmqtt.Outbox(_SIZE))


async def send(new):
    """Publish each message; done when all are on their way (QoS 0) or acknowledged."""
    client = _client(new)
    await client.connect()
    for message in _messages():
        await client.publish(settings["topic"], message, qos=settings["qos"])
    await client.disconnect()


async def receive(new):
    """Print each message that comes, until the last one of FILE does."""
    client = _client(new)
    came = []

    def on_message(topic, msg):
        came.append(msg)
        print("got", topic.decode(), real(client).message.qos, hexlify(msg).decode())

    last = list(_messages())[-1]
    last = last.encode() if isinstance(last, str) else last
    await client.connect()
    granted = await client.subscribe(settings["topic"], settings["qos"], callback=on_message)
    print("ready", granted)
    await until(client, lambda: last in came)
    await client.disconnect()


main(globals())
