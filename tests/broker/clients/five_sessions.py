"""Cases of MQTT 5 for a real broker: sessions, what grows old, wills, limits, the ends of connections. See `five`."""

import asyncio
from time import ticks_ms

from common import main, real, settings, until, work
from common5 import refused, tell, tell_losses

_SESSIONS = (  # name, session expiry at connect, at disconnect (None: not said there)
    ("kept", 60, None),
    ("expired", 1, None),
    ("shortened", 60, 1),
    ("lengthened", 1, 60),
    ("ended", 60, 0),
    ("none", 0, None),
)
WILL_PROPERTIES = {
    "message_expiry": 600,
    "payload_format": 1,
    "content_type": "text/plain",
    "response_topic": "wake/1",
    "correlation_data": b"\0\1",
    "user_properties": [("why", "power"), ("why", "who knows")],
}


async def expiry(new):
    """Sessions and messages that grow old together, at the broker and in our own outbox: all wait for one time."""
    for name, at_connect, at_disconnect in _SESSIONS:
        client = new(name, version=5, session_expiry=at_connect)
        await client.connect()
        await client.subscribe("for/" + name, 1)
        await client.disconnect(session_expiry=at_disconnect)
    sender = new("sender", version=5)
    await sender.connect()
    for seconds in (1, 60, None):
        await sender.publish("for/kept", "expiry %s" % seconds, qos=1, message_expiry=seconds)
    await sender.disconnect()
    for seconds in (1, 60, None):
        await sender.publish("late", "expiry %s" % seconds, qos=1, wait=False, message_expiry=seconds)
    await asyncio.sleep(2.6)
    for name, _, _ in _SESSIONS:
        client = new(name, version=5, session_expiry=60, clean_session=False)
        messages = tell(client)
        print("session", name, bool(await client.connect()))
        while name == "kept" and len(messages) < 2:
            await work(client, 0.01)
        await client.disconnect(session_expiry=0)
    await sender.connect()
    await sender.flush()
    print("not sent", real(sender).expired, "pending", real(sender).pending())
    await sender.disconnect()


async def clean_start(new):
    """Clean Start ends the old session; what is kept of the new one is another matter."""
    client = new("starter", version=5, session_expiry=60)
    print("first", bool(await client.connect()))
    await client.disconnect()
    print("clean start", bool(await client.connect(clean_session=True)))
    await client.disconnect()
    print("gone on with", bool(await client.connect(clean_session=False)))
    await client.disconnect(session_expiry=0)
    client = new("starter", version=5)
    await client.connect()
    await refused(client.disconnect(session_expiry=60))
    await client.disconnect()


async def cut(new):
    """A connection that is lost by itself goes on with its session, though the first CONNECT was a clean start."""
    client = new("comeback", version=5, session_expiry=60, backoff=(0.05, 0.1))
    real(client).on_connect = lambda session_present: print("online", bool(session_present))
    messages = tell(client)
    await client.connect()
    await client.subscribe("news", 1)
    print("ready")
    await until(client, lambda: messages)
    await client.disconnect(session_expiry=0)


async def will(new):
    """Wait to be killed, or leave as `how` says."""
    client = new("mortal", version=5, session_expiry=60, clean_session=False)
    delay = settings["delay"]
    real(client).set_last_will("state", "gone, 0 °C", False, 1, will_delay=int(delay), **WILL_PROPERTIES)
    print("session", bool(await client.connect()))
    if "how" in settings:
        await client.disconnect(reason_code=4 if settings["how"] == "with will" else 0, session_expiry=0)
    else:
        await work(client, 20)


async def backlog(new):
    """What has come while we were away, no faster than we take it."""
    client = new("slow", version=5, session_expiry=60, receive_maximum=int(settings["maximum"]))
    messages = tell(client)
    await client.connect()
    await client.subscribe("backlog", 2)
    await client.disconnect()
    print("away")
    input()
    await client.connect(clean_session=False)
    await until(client, lambda: len(messages) == settings["count"])
    await client.disconnect(session_expiry=0)


async def pour(new):
    """Publish more than the server takes at once: publishing waits, and never fails."""
    client = new("pouring", version=5)
    await client.connect()
    print("receive_maximum", real(client).server_limits["receive_maximum"])
    for i in range(settings["count"]):
        await client.publish("many", str(i), qos=1 + i % 2, wait=False)
    await client.flush()
    print("pending", real(client).pending())
    await client.disconnect()


async def repeat(new):
    """The same few topics again and again, at every QoS."""
    client = new("repeating", version=5)
    await client.connect()
    print("topic_alias_maximum", real(client).server_limits["topic_alias_maximum"])
    for i in range(settings["count"]):
        await client.publish("building/7/floor/3/room/31/sensor/%d" % (i % 2), "21.5", qos=i % 3)
    await client.disconnect()


async def large(new):
    """Our limit: what is larger does not come, and nothing breaks."""
    client = new("small", version=5, max_packet=200)
    messages = tell(client)
    await client.connect()
    await client.subscribe("sized", 1)
    print("ready")
    await until(client, lambda: len(messages) == 2)
    await client.disconnect()


async def limits(new):
    """The server's limits are known, and kept before anything is sent: packets are measured with their properties."""
    client = new("careful", version=5)
    await client.connect()
    said = real(client).server_limits
    for name in sorted(said):
        print("limit", name, said[name])
    now = ticks_ms()
    print("something to do within", 0 < real(client).due(now) <= 20 * 750)
    await refused(client.publish("t", bytes(300), qos=1))
    await refused(client.publish("t", b"x" * 150, user_properties=[("n", "v" * 150)]))
    await refused(client.publish("t", bytes(270), qos=1))
    await refused(client.publish("t", "x", qos=2))
    await refused(client.publish("t", "x", retain=True))
    real(client).set_last_will("state", bytes(300))
    await refused(client.connect())
    lower = new("careful", version=5, lower_qos=True)
    await lower.connect()
    await lower.publish("t", "lowered", qos=2)
    await lower.disconnect()
    await client.disconnect()


async def nameless(new):
    """The server gives a name, by which it knows us again."""
    client = new("", version=5, session_expiry=60)
    print("session", bool(await client.connect()))
    print("name", real(client).server_limits["assigned_client_identifier"])
    await client.subscribe("a", 1)
    print("session", bool(await client.reconnect()))
    await client.disconnect(session_expiry=0)


async def taken_over(new):
    """Two clients of one name: the first notices that it has gone."""
    first, second = new("twin", version=5), new("twin", version=5)
    tell_losses(first)
    await first.connect()
    await second.connect()
    await until(first, lambda: real(first).error)
    await first.disconnect()
    await second.disconnect()


async def thrown_out(new):
    """We believe that the broker has retained messages: it says that it has none, and closes.

    On the next connection it has said so in time: the message is given up.
    """
    client = new("outdated", version=5, session_expiry=60, backoff=(0.05, 0.1))
    tell_losses(client)
    real(client).on_refused = lambda packet_id, error: print("on_refused", hex(error.reason_code), error.name)
    await client.connect()
    real(client).server_limits["retain_available"] = 1
    await client.publish("kept", "x", retain=True, qos=1, wait=False)
    await client.flush()
    print("error", hex(real(client).error.reason_code), "pending", real(client).pending())
    await client.disconnect(session_expiry=0)


async def login(new):
    """What CONNACK says."""
    for password in ("wrong", "right"):
        await refused(new("guest", version=5, user="guest", password=password).connect())


main(globals())
