"""A device that publishes and receives numbered messages, and says on its output what it has accepted and received.

    micropython traffic.py sync|asyncio PORT RUN FOLDER VERSION TRANSPORT

FOLDER is the flash outbox's, "-" stands for the outbox in RAM. VERSION: 4, or 5; then some messages have properties.
TRANSPORT: tcp, or ws; then there is a login.
What is to be done comes on the standard input: `upto N`: publish until N messages were published at QoS 1 and N at
QoS 2; `end`: wait until all are acknowledged, end. A line that is whole ends with a semicolon: the device may be killed
while it writes one.
"""

import asyncio
import select
import sys

import numbered

from fieldmqtt import AsyncMQTTClient, MQTTClient

FACE, PORT, RUN, FOLDER, VERSION = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5])
TRANSPORT = sys.argv[6]
PATIENCE_S = 1  # for an attempt to connect
TIMEOUT_S = 60  # for whatever else waits: nothing here may come to that
TOPICS = [numbered.topic("down", qos, n).encode() for qos in (1, 2) for n in (0, 1)]
WAITED = 20  # with the outbox in RAM one of so many messages is published with wait=True
RECEIVE_MAXIMUM = 3  # with version 5: the broker has to wait for us all the time


class Orders:
    """What the host wants, as far as it has said."""

    def __init__(self):
        self.upto = 0
        self.ending = False
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)

    def read(self):
        while not self.ending and self._poll.poll(0):
            words = sys.stdin.readline().split()
            if not words or words[0] == "end":
                self.ending = True
            elif words[0] == "upto":
                self.upto = int(words[1])


def got(message):
    name = message.topic.decode() if bytes(message.topic) in TOPICS else "?"  # a byte may have changed on the way
    label = numbered.label(message.payload)
    if VERSION == 5:
        has = message.properties or {}
        if not numbered.described(label, has.get("content_type"), has.get("user_properties", [])):
            label = None
    print("got %s %s;" % (name, label))


def properties(n):
    return numbered.properties(RUN, n) if VERSION == 5 else {}


def waits(n):
    return FOLDER == "-" and n % WAITED == WAITED - 1


def accepted(qos, n):
    print("accepted %d %d.%d;" % (qos, RUN, n))


def make(kind):
    if FOLDER == "-":
        keywords = {}
    else:
        from fieldmqtt import FlashOutbox

        keywords = {"outbox": FlashOutbox(FOLDER)}
    if VERSION == 5:
        keywords.update(version=5, session_expiry=3600, receive_maximum=RECEIVE_MAXIMUM)
    if TRANSPORT != "tcp":
        keywords.update(transport=TRANSPORT, user=numbered.LOGIN[0], password=numbered.LOGIN[1])
    client = kind(
        "device-1",
        "127.0.0.1",
        PORT,
        keepalive=1,
        timeout=TIMEOUT_S,
        clean_session=False,
        max_packet=1024,
        backoff=(0.02, 0.1),
        **keywords,
    )
    client.on_connect = lambda session_present: print("online %d;" % session_present)
    client.on_disconnect = lambda reason: print("lost %s %s;" % (type(reason).__name__, reason))
    return client


def ended(client):
    print("pending %d;" % client.pending())
    print("end;")


def run_sync(orders):
    client = make(MQTTClient)
    client.set_callback(lambda _topic, _payload: got(client.message))
    client.connect(timeout=PATIENCE_S, wait=False)
    client.subscribe("down/#", 2, wait=RUN == 0)
    print("ready;")
    n = 0
    while True:
        orders.read()
        if n < orders.upto:
            for qos in (1, 2):
                where, what = numbered.topic("up", qos, n), numbered.payload(RUN, n)
                client.publish(where, what, qos=qos, wait=waits(n), **properties(n))
                accepted(qos, n)
            client.check_msg()
            n += 1
        elif orders.ending:
            break
        else:
            client.wait_msg(0.01)
    client.flush(TIMEOUT_S)
    ended(client)
    client.disconnect()


async def receive(client):
    async for message in client:
        got(message)


async def publish(client, orders, qos):
    n = 0
    while not (orders.ending and n >= orders.upto):
        if n < orders.upto:
            where, what = numbered.topic("up", qos, n), numbered.payload(RUN, n)
            await client.publish(where, what, qos=qos, wait=waits(n), **properties(n))
            accepted(qos, n)
            n += 1
        else:
            await asyncio.sleep_ms(10)


async def obey(orders):
    while not orders.ending:
        orders.read()
        await asyncio.sleep_ms(10)


async def run_asyncio(orders):
    client = make(AsyncMQTTClient)
    await client.connect(timeout=PATIENCE_S, wait=False)
    receiver = asyncio.create_task(receive(client))
    await client.subscribe("down/#", 2, wait=RUN == 0)
    print("ready;")
    await asyncio.gather(obey(orders), publish(client, orders, 1), publish(client, orders, 2))
    await client.flush(TIMEOUT_S)
    ended(client)
    await client.disconnect()
    await receiver


if FACE == "sync":
    run_sync(Orders())
else:
    asyncio.run(run_asyncio(Orders()))
