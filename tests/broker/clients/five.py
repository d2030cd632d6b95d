"""Cases of MQTT 5 for a real broker: what a message carries, requests, subscriptions. See `five_sessions`."""

import asyncio

from common import Awaited, main, real, settings, until
from common5 import caught_up, refused, tell

EVERYTHING = {
    "payload_format": 1,
    "content_type": "text/plain; charset=utf-8",
    "message_expiry": 600,
    "response_topic": "answers/1",
    "correlation_data": b"\0\xff7",
    "user_properties": [("unit", "°C"), ("place", "shed"), ("unit", "K"), ("", "")],
}


async def carry(new):
    """A message with every property at each QoS, received by ourselves, too; then one of somebody else."""
    client = new("carrier", version=5)
    messages = tell(client)
    await client.connect()
    await client.subscribe("carried/#", 2)
    for qos in (0, 1, 2):
        await client.publish("carried/%d" % qos, "21.5 °C", qos=qos, **EVERYTHING)
    await client.publish("carried/plain", "21.5 °C")
    await until(client, lambda: len(messages) == 4)
    print("ready")
    await until(client, lambda: len(messages) == 6)
    await client.disconnect()


async def user_properties(new):
    """Wherever there may be some, twice of one name."""

    def pairs(packet):
        return [("packet", packet), ("n", "1"), ("n", "2")]

    client = new("repeater", version=5, user_properties=pairs("CONNECT"))
    real(client).set_last_will("will", "gone", user_properties=pairs("will"))
    await client.connect()
    await client.subscribe("a/b", user_properties=pairs("SUBSCRIBE"))
    await client.publish("other", "x", qos=1, user_properties=pairs("PUBLISH"))
    await client.unsubscribe("a/b", user_properties=pairs("UNSUBSCRIBE"))
    await client.disconnect(user_properties=pairs("DISCONNECT"))


async def answer(new):
    """The other side of `ask`: three requests are answered in the opposite order, later ones at once."""
    client = new("answerer", version=5)
    asked = []
    await client.connect()
    await client.subscribe("ask/#", 1, callback=lambda topic, msg: asked.append(real(client).message))
    print("ready")
    await until(client, lambda: len(asked) == 3)
    for message in reversed(asked):
        await client.reply(message, b"answer to " + message.payload, 1, content_type="text/plain")
    await until(client, lambda: len(asked) == 4)
    await client.reply(asked[3], "höher", payload_format=1)
    await client.disconnect()


async def ask(new):
    """Three requests at once, one alone, and one that nobody answers."""
    client = new("asker", version=5)
    await client.connect()
    if isinstance(client, Awaited):
        keys = [client.client.request("ask/%d" % i, "%d" % i, qos=i, wait=False) for i in range(3)]
        answers = [client.client.response(key) for key in keys]
    else:
        answers = await asyncio.gather(*[client.request("ask/%d" % i, "%d" % i, qos=i) for i in range(3)])
    for message in answers:
        print("answer", message.payload, message.properties["content_type"])
    print("answer", repr((await client.request("ask/more", "more", timeout=5)).payload))
    try:
        await client.request("nobody", "?", timeout=0.2)
    except OSError as error:
        print("nobody", error.args[0])
    await client.disconnect()


async def share(new):
    """One of a crew, and a subscription of its own."""
    client = new(settings["name"], version=5)
    jobs, orders = [], []
    await client.connect()
    await client.subscribe("$share/crew/jobs/+", 1, callback=lambda topic, msg: jobs.append(int(msg)))
    await client.subscribe("orders/#", 1, callback=lambda topic, msg: orders.append(msg))
    print("ready")
    await until(client, lambda: orders)
    print("jobs", jobs)
    print("orders", orders)
    await client.disconnect()


async def identify(new):
    """Overlapping filters, with a callback and without: each is told once of each message that it matches."""
    client = new("identifier", version=5)
    calls = []

    def note(name):
        def called(topic, msg):
            calls.append((name, msg))
            print(name, real(client).message.properties["subscription_identifier"])

        return called

    tell(client, left_out=())
    await client.connect()
    for name, topic_filter in (("all", "a/#"), ("level", "a/+/c"), ("one", "a/b/c"), ("mixed", "mixed/x")):
        await client.subscribe(topic_filter, 1, callback=note(name))
    await client.subscribe(["other/#", "mixed/#"], 1)
    for number, topic in enumerate(("a/b/c", "a/x/c", "other/x", "mixed/x", "mixed/y")):
        await client.publish(topic, str(number + 1), qos=1)
    await caught_up(client)
    print("calls", sorted(calls))
    await client.unsubscribe(["a/#", "a/+/c", "a/b/c", "mixed/x", "other/#", "mixed/#"])
    await client.disconnect()


async def options(new):
    """No local, retain as published, retain handling."""
    client = new("optional", version=5)
    tell(client)
    await client.connect()
    await client.publish("kept/1", "kept", retain=True, qos=1)
    await client.subscribe("mine", 1, no_local=True)
    await client.publish("mine", "an echo", qos=1)
    for flag in (False, True):  # mosquitto keeps the flag of a filter that is subscribed again
        await client.subscribe("flag", 1, retain_as_published=flag, retain_handling=2)
        await client.publish("flag", "as published: %s" % flag, retain=True, qos=1)
        await client.unsubscribe("flag")
    for handling in (0, 1, 2):
        for time in ("first", "again"):
            print("retain handling", handling, time)
            await client.subscribe("kept/#", 1, retain_handling=handling)
            await caught_up(client)
        await client.unsubscribe("kept/#")
    for topic in ("kept/1", "flag"):
        await client.publish(topic, b"", retain=True, qos=1)
    await client.disconnect()


async def permissions(new):
    """What the broker's rules forbid is told, whoever waits; what nobody wants is told, too."""
    client = new("guest", version=5)
    real(client).on_refused = lambda packet_id, error: print("on_refused", packet_id, hex(error.reason_code))
    await client.connect()
    for qos in (1, 2):
        await refused(client.publish("secret", "x", qos=qos))
    await refused(client.publish("secret", "x", qos=1, wait=False))
    await client.flush()
    await refused(client.publish("mine/nobody", "x", qos=1))
    print("acknowledged", real(client).acknowledged)
    await refused(client.subscribe("secret"))
    await refused(client.subscribe(["mine/a", "mine/b"], 1))
    await refused(client.unsubscribe("mine/a"))
    print("pending", real(client).pending(), real(client).isconnected())
    await client.disconnect()


main(globals())
