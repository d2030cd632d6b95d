"""What the client scripts share: one case, both faces of the library, the settings from the command line.

    micropython SCRIPT CASE sync|asyncio PORT [key=value…]

A case is `async def case(new)`; `new(…)` makes the client. It awaits every method: the asynchronous client as it is,
the synchronous one behind `Awaited`, so that each case tests both.
"""

import asyncio
import sys
from time import ticks_add, ticks_diff, ticks_ms

import fieldmqtt

_NUMBERS = ("keepalive", "timeout", "max_packet", "tx_size", "window", "count", "qos", "port", "clean_session")
settings = {}


class Awaited:
    """The synchronous client, its methods to be awaited. `client` is the client itself."""

    def __init__(self, client):
        self.client = client

    def __getattr__(self, name):
        method = getattr(self.client, name)

        async def call(*arguments, **keywords):
            return method(*arguments, **keywords)

        return call


def real(client):
    """The client itself, for its attributes and for the methods that nobody awaits."""
    return client.client if isinstance(client, Awaited) else client


def collect(client):
    """Keep and print every message that comes; returns the list they are kept in."""
    messages = []

    def callback(topic, msg):
        message = real(client).message
        messages.append((topic, msg))
        print(
            "message",
            topic.decode(),
            msg.decode(),
            "qos",
            message.qos,
            "retain",
            int(message.retain),
            "dup",
            int(message.dup),
        )

    real(client).set_callback(callback)
    return messages


def tell_events(client):
    """Print what happens to the connection."""
    real(client).on_connect = lambda session_present: print("online", bool(session_present))
    real(client).on_disconnect = lambda reason: print("lost", type(reason).__name__, reason)
    real(client).on_publish = lambda packet_id: print("done", packet_id)


async def work(client, seconds):
    """Let the client do its work for a while: the synchronous one is driven, the other one has its tasks."""
    if isinstance(client, Awaited):
        end = ticks_add(ticks_ms(), int(seconds * 1000))
        while ticks_diff(end, ticks_ms()) > 0:
            client.client.wait_msg(ticks_diff(end, ticks_ms()) / 1000)
    else:
        await asyncio.sleep(seconds)


async def listen(client):
    """Receive for ever; a lost connection raises when the client does not reconnect."""
    if isinstance(client, Awaited):
        while True:
            client.client.wait_msg()
    async for message in client:
        print("unclaimed", message.topic.decode())


async def until(client, condition, seconds=10):
    """Let the client work until `condition()`."""
    start = ticks_ms()
    while not condition():
        if ticks_diff(ticks_ms(), start) > seconds * 1000:
            raise OSError("condition not reached in %d s" % seconds)
        await work(client, 0.01)


def _new(face, port):
    kind = fieldmqtt.MQTTClient if face == "sync" else fieldmqtt.AsyncMQTTClient

    def new(client_id="device-1", **keywords):
        values = {"port": port, "timeout": 5}
        for name in ("keepalive", "timeout", "max_packet", "tx_size", "window", "clean_session", "user", "password"):
            if name in settings:
                values[name] = settings[name]
        values.update(keywords)
        if "outbox" not in values:
            values["outbox"] = fieldmqtt.Outbox()
            values["outbox"].newest = 65535  # the first packet identifier is 1, in a kept session too
        client = kind(client_id, values.pop("server", "127.0.0.1"), **values)
        return Awaited(client) if face == "sync" else client

    return new


def main(cases):
    """Run the case that the command line names."""
    case, face, port = sys.argv[1:4]
    for argument in sys.argv[4:]:
        name, value = argument.split("=", 1)
        settings[name] = (float(value) if "." in value else int(value)) if name in _NUMBERS else value
    asyncio.run(cases[case](_new(face, int(port))))
    print("end")
