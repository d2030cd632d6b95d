"""A whole program under a small heap: 300 messages out at every QoS, each coming back."""

import gc
import sys

gc.threshold(1024)  # collect often while modules are loaded: what stays then lies close together

face, port = sys.argv[1], int(sys.argv[2])
received = 0


def callback(topic, msg):
    global received
    received += 1


def run():
    from fieldmqtt import MQTTClient

    client = MQTTClient("small", "127.0.0.1", port, keepalive=30)
    client.set_callback(callback)
    client.connect()
    client.subscribe("out/#", 1)
    for i in range(300):
        client.publish("out/" + str(i % 7), str(i), qos=i % 3)
    while received < 300:
        client.wait_msg(10)
    client.disconnect()


async def run_async():
    import asyncio

    from fieldmqtt import AsyncMQTTClient

    async with AsyncMQTTClient("small", "127.0.0.1", port, keepalive=30) as client:
        client.set_callback(callback)
        await client.subscribe("out/#", 1)
        for i in range(300):
            await client.publish("out/" + str(i % 7), str(i), qos=i % 3)
        while received < 300:
            await asyncio.sleep_ms(20)


if face == "sync":
    run()
else:
    import asyncio

    asyncio.run(run_async())
print("received", received)
