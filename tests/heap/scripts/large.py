"""256 KB out and in, then 20 of 20 KB: prints what is allocated after the third message and after the last one."""

import gc
import sys

gc.threshold(1024)  # collect often while modules are loaded: what stays then lies close together

face, port = sys.argv[1], int(sys.argv[2])
_SIZES = [256 * 1024] + [20 * 1024] * 20
total = messages = 0


class Same:
    """A stream of 0x55 without an end."""

    def readinto(self, buf):
        buf[:] = _BYTES[: len(buf)]
        return len(buf)


_BYTES = memoryview(b"\x55" * 512)


def callback(topic, piece, offset, size):
    global total, messages
    total += len(piece)
    messages += offset + len(piece) == size
    if piece[0] != 0x55 or piece[-1] != 0x55:
        print("wrong", offset)


def allocated(number):
    if number in (2, len(_SIZES) - 1):
        gc.collect()
        print("allocated", gc.mem_alloc())


def run():
    from fieldmqtt import MQTTClient, Source, receive_large

    client = MQTTClient("large", "127.0.0.1", port, max_packet=1024, tx_size=256)
    receive_large(client, callback)
    client.connect()
    client.subscribe("large", 1)
    for number, size in enumerate(_SIZES):
        client.publish("large", Source(Same(), size))
        while messages <= number:
            client.wait_msg(10)
        allocated(number)
    client.disconnect()


async def run_async():
    import asyncio

    from fieldmqtt import AsyncMQTTClient, Source, receive_large

    client = AsyncMQTTClient("large", "127.0.0.1", port, max_packet=1024, tx_size=256)
    receive_large(client, callback)
    await client.connect()
    await client.subscribe("large", 1)
    for number, size in enumerate(_SIZES):
        await client.publish("large", Source(Same(), size))
        while messages <= number:
            await asyncio.sleep_ms(5)
        allocated(number)
    await client.disconnect()


if face == "sync":
    run()
else:
    import asyncio

    asyncio.run(run_async())
print("received", total)
