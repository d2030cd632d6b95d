"""Cases for a WebSocket: payloads whose frames are of every kind, a server that says when to stop."""

from common import collect, listen, main, real, tell_events, until

from fieldmqtt import Outbox

SIZES = (0, 1, 119, 120, 600, 3000)


async def both_ways(new):
    """Every size at every QoS to the broker and back, then 64 KB at QoS 0."""
    large = bytearray(65536)
    for i in range(len(large)):
        large[i] = i % 251
    client = new(outbox=Outbox(8192))
    seen = []
    await client.connect()
    await client.subscribe("echo", 2, callback=lambda topic, msg: seen.append(msg))
    sent = [bytes((size & 0xFF,)) * size for size in SIZES]
    for qos in (0, 1, 2):
        for payload in sent:
            await client.publish("echo", payload, qos=qos)
    await until(client, lambda: len(seen) >= 3 * len(sent))
    print("same", seen == sent * 3)
    await client.publish("large", large)
    await client.disconnect()


async def hear(new):
    """Say what comes, and why the connection ends; answer `answer` at QoS 1."""
    client = new(auto_reconnect=False)
    messages = collect(client)
    tell_events(client)
    await client.connect()
    try:
        await until(client, lambda: messages and messages[-1][1] == b"answer")
        await client.publish("answer", b"a" * 1000, qos=1)
        print("answered")
        await listen(client)
    except OSError as error:
        print(type(error).__name__, error)
    print("isconnected", real(client).isconnected())


main(globals())
