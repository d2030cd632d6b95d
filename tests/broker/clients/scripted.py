"""Cases for the scripted broker."""

import asyncio

from common import collect, listen, main, real, settings, tell_events, until, work

from fieldmqtt import MQTTException


def tell(error):
    if isinstance(error, MQTTException):
        print("MQTTException", error.reason_code, error.reason)
    else:
        print(type(error).__name__, error.args[0] if error.args else "")


async def connect(new):
    client = new(settings.get("client_id", "device-1"))
    if "will" in settings:
        real(client).set_last_will(settings["will"], "gone", True, 1)
    try:
        print("connected", bool(await client.connect()))
    except OSError as error:
        tell(error)
        print("isconnected", real(client).isconnected())
        return
    print("isconnected", real(client).isconnected())
    await client.disconnect()


async def publish(new):
    client = new()
    await client.connect()
    print("published", await client.publish("zähler/°C", "21°C", qos=settings["qos"]))
    print("pending", real(client).pending())
    await client.disconnect()


async def resend(new):
    client = new(clean_session=False, backoff=(0.1, 1))
    tell_events(client)
    await client.connect()
    print("published", await client.publish("t", "hi", qos=settings["qos"], wait=False))
    await client.flush(10)
    await client.disconnect()


async def receive(new):
    client = new()
    messages = collect(client)
    await client.connect()
    await until(client, lambda: len(messages) >= settings["count"])
    print("messages", len(messages))
    await work(client, 0.3)
    await client.disconnect()


async def subscribe(new):
    client = new(backoff=(0.1, 1), clean_session=False)
    tell_events(client)
    await client.connect()
    try:
        await client.subscribe(["a/#", b"b/+"], 1)
        print("subscribed")
    except MQTTException as error:
        tell(error)
    messages = collect(client)
    await until(client, lambda: messages and messages[-1][1] == b"last")
    await client.unsubscribe("a/#")
    await client.disconnect()


async def lose(new):
    """Wait for messages until the connection fails, which raises here."""
    client = new(auto_reconnect=False)
    await client.connect()
    collect(client)
    try:
        await listen(client)
    except OSError as error:
        tell(error)
    print("isconnected", real(client).isconnected())


async def operation(new):
    """An operation that the broker never answers."""
    client = new(timeout=0.5)
    await client.connect()
    try:
        if settings["name"] == "subscribe":
            await client.subscribe("t")
        elif settings["name"] == "unsubscribe":
            await client.unsubscribe("t")
        else:
            await client.publish("t", "x", qos=settings["qos"])
    except OSError as error:
        tell(error)


async def stay(new):
    """Stay online, and come back."""
    client = new(backoff=(0.1, 0.5))
    tell_events(client)
    collect(client)
    await client.connect()
    await listen(client)


async def brokers(new):
    client = new(server=[("127.0.0.1", int(port)) for port in settings["ports"].split(",")])
    await client.connect()
    await client.publish("t", "x")
    await client.disconnect()


async def in_callback(new):
    """A callback that publishes and subscribes: nothing in it waits, nothing hangs."""
    client = new()
    seen, tasks = [], []

    def callback(topic, msg):
        seen.append(topic)
        answer = real(client).publish("answer", b"yes", qos=1, wait=False)
        if real(client) is client:  # asyncio
            tasks.append(asyncio.create_task(answer))

    await client.connect()
    real(client).set_callback(callback)
    await until(client, lambda: seen)
    await work(client, 0.1)
    await client.flush()
    await client.disconnect()


main(globals())
