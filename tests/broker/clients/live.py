"""Cases for a real broker."""

import asyncio

from common import collect, listen, main, real, settings, tell_events, until, work

from fieldmqtt import MQTTException


async def publish_many(new):
    """A loop of publishes, as people write it, each handed over; then wait for all."""
    client = new()
    await client.connect()
    for i in range(settings["count"]):
        await client.publish(b"many", b"%d" % i, qos=settings["qos"], wait=False)
    await client.flush(30)
    print("pending", real(client).pending())
    await client.disconnect()


async def publish_each(new):
    """The same, each publish awaited to its end."""
    client = new()
    await client.connect()
    for i in range(settings["count"]):
        await client.publish("many", str(i), qos=settings["qos"])
    await client.disconnect()


async def receive_many(new):
    client = new()
    seen = []
    real(client).set_callback(lambda topic, msg: seen.append(int(msg)))
    await client.connect()
    await client.subscribe("many", settings["qos"])
    print("subscribed")
    await until(client, lambda: len(seen) >= settings["count"], 30)
    await work(client, 0.2)
    print("in order", seen == list(range(settings["count"])))
    await client.disconnect()


async def session(new):
    """A persistent session: subscribe once, say what came."""
    client = new(clean_session=False)
    collect(client)
    print("session", bool(await client.connect()))
    if "subscribe" in settings:
        await client.subscribe(settings["subscribe"], 2)
        print("subscribed")
    await work(client, 0.5)
    await client.disconnect()


async def take_backlog(new):
    """Take what has queued for a kept session, over as many connections as that needs."""
    client = new(clean_session=False, backoff=(0.1, 0.2))
    tell_events(client)
    seen = []
    real(client).set_callback(lambda topic, msg: seen.append(int(msg)))
    await client.connect()
    await until(client, lambda: len(seen) >= settings["count"], 30)
    await work(client, 0.2)
    print("once and in order", seen == list(range(settings["count"])))
    await client.disconnect()


async def stay(new):
    """Stay, come back, say what comes; publish what standard input says, with `retain` if it says so."""
    client = new(backoff=(0.1, 0.5), clean_session=settings.get("clean_session", 1), **_tls())
    tell_events(client)
    collect(client)
    if "will" in settings:
        qos = settings["qos"]
        real(client).set_last_will("state", settings["will"], settings["retain"] == "yes", qos)
    await client.connect()
    if "subscribe" in settings:
        await client.subscribe(settings["subscribe"], 1)
    print("ready")
    await listen(client)


async def publish_over_restart(new):
    """Publish every 20 ms whatever happens to the broker; all must arrive."""
    client = new(backoff=(0.1, 0.3), clean_session=False, timeout=20)
    tell_events(client)
    await client.connect()
    print("ready")
    for i in range(settings["count"]):
        await client.publish("many", str(i), qos=settings["qos"], wait=False)
        await work(client, 0.02)
    await client.flush(20)
    print("pending", real(client).pending())
    await client.disconnect()


async def retained(new):
    client = new()
    collect(client)
    await client.connect()
    await client.publish("kept", "1", retain=True, qos=1)
    await client.subscribe("kept")
    await work(client, 0.2)
    await client.publish("kept", "2", True, 1)
    await work(client, 0.2)
    await client.publish("kept", "", True, 1)
    await client.unsubscribe("kept")
    await client.subscribe("kept")
    await work(client, 0.3)
    await client.disconnect()


async def try_connect(new):
    """Connect, tell how it went; one round trip when it went well."""
    client = new(**_tls())
    try:
        await client.connect()
        await client.publish("tls", "hello", qos=1)
        await client.disconnect()
        print("connected")
    except MQTTException as error:
        print("MQTTException", error.reason_code, error.reason)
    except OSError as error:
        print("OSError", error)


def _tls():
    if "cafile" not in settings and "insecure" not in settings and "context" not in settings:
        return {}
    if "context" in settings:
        import tls

        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        with open(settings["context"], "rb") as file:
            context.load_verify_locations(file.read())
        return {"ssl": context, "server": "localhost"}
    params = {}
    for name in ("cafile", "cert", "key", "server_hostname"):
        if name in settings:
            params[name] = settings[name]
    if "as_bytes" in settings:
        with open(params.pop("cafile"), "rb") as file:
            params["cadata"] = file.read()
    return {"ssl": True, "ssl_params": params, "insecure": "insecure" in settings, "server": "localhost"}


async def acl(new):
    client = new()
    messages = collect(client)
    await client.connect()
    await client.subscribe(["secret/#", "mine/#"], 1)
    await client.publish("secret/a", "1", qos=1)
    await client.publish("mine/a", "1", qos=1)
    print("ready")
    await until(client, lambda: (b"mine/b", b"2") in messages)
    await client.disconnect()


async def concurrent(new):
    """Ten tasks publish at once (asyncio only)."""
    async with new() as client:

        async def publisher(number):
            for i in range(20):
                await client.publish("many", "%d" % (number * 20 + i), qos=number % 3)

        await asyncio.gather(*[publisher(number) for number in range(10)])
        await client.flush()


async def iterate(new):
    """`async for` over the messages, until the text says stop (asyncio only)."""
    async with new() as client:
        await client.subscribe("in/#", 1)
        print("subscribed")
        async for message in client:
            print("message", message.topic, message.payload, message.qos)
            if message.payload == b"stop":
                break


async def one_task_stops(new):
    """A task that waits for messages is cancelled; the others go on (asyncio only)."""
    async with new() as client:
        await client.subscribe("in/#", 1)
        try:
            await asyncio.wait_for(client.__anext__(), 0.2)
        except asyncio.TimeoutError:
            print("nothing came")
        await client.publish("in/a", "after", qos=1)
        print((await client.__anext__()).payload)


async def cancel_publish(new):
    """A publish that is cancelled while it waits disturbs nobody (asyncio only)."""
    async with new() as client:
        tasks = [asyncio.create_task(client.publish("many", str(i), qos=2)) for i in range(10)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        for task in tasks:
            try:
                await task
            except asyncio.CancelledError:
                pass
        await client.publish("many", "last", qos=2)
        print("pending", client.pending())


async def disconnect_ends_iteration(new):
    """disconnect() ends `async for` in another task, and a publish that waits (asyncio only)."""
    client = new()
    await client.connect()

    async def reader():
        async for message in client:
            print("message", message.payload)
        print("iteration ended")

    task = asyncio.create_task(reader())
    await client.subscribe("in/#")
    await asyncio.sleep(0.05)
    await client.disconnect()
    await asyncio.wait_for(task, 2)
    async with client:  # it can be used again
        print("again", client.isconnected())


main(globals())
