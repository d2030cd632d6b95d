"""Payloads larger than the memory: a file is published from flash, and one is received to flash, piece by piece.

This computer:  MICROPYPATH=lib:.frozen micropython examples/large_payload_async.py
A board:        mpremote run examples/online.py run examples/large_payload_async.py
Watch it:       mosquitto_sub -C 1 -t examples/large_payload/out > out.bin
End it:         mosquitto_pub -q 1 -t examples/large_payload/in -f FILE
"""

import asyncio
import os

from fieldmqtt import AsyncMQTTClient, Source, receive_large

BROKER = "127.0.0.1"  # its name or address, or (name, port)
SENT = "sent.bin"
RECEIVED = "received.bin"
SIZE = 100_000  # of the file that is made to be sent

is_whole = False


# At offset 0 a message begins: again if the connection was lost in the middle of it.
def on_piece(topic, piece, offset, size):
    global is_whole
    with open(RECEIVED + ".part", "ab" if offset else "wb") as file:
        file.write(piece)
    if offset + len(piece) == size:
        os.rename(RECEIVED + ".part", RECEIVED)
        is_whole = True


# A message that fits into max_packet comes as any other does.
def on_message(topic, payload):
    on_piece(topic, payload, 0, len(payload))


def make_file():
    with open(SENT, "wb") as file:
        for number in range(SIZE // 100):
            file.write(b"%099d\n" % number)


async def main():
    make_file()
    client = AsyncMQTTClient("example-large-payload", BROKER, timeout=60)  # for all of a payload
    receive_large(client, on_piece)
    await client.connect(timeout=10)
    await client.subscribe("examples/large_payload/in", qos=1, callback=on_message)
    with open(SENT, "rb") as file:
        await client.publish("examples/large_payload/out", Source(file, os.stat(SENT)[6]))
    print("sent", SENT)
    while not is_whole:
        await asyncio.sleep(0.1)
    print("received", RECEIVED, os.stat(RECEIVED)[6], "bytes")
    await client.disconnect()


asyncio.run(main())
