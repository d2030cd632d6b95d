"""Publish over TLS, with the broker's certificate verified. docs/tls.md tells how to come by the file CA.

This computer:  MICROPYPATH=lib:.frozen micropython examples/publish_tls_async.py
A board:        mpremote cp ca.der : + run examples/online.py run examples/publish_tls_async.py
"""

import asyncio
import time

from fieldmqtt import AsyncMQTTClient

BROKER = "broker.example"  # the name in its certificate, or (name, port)
CA = "ca.der"  # the certificate of who signed the broker's
USER, PASSWORD = None, None


def set_clock():
    """A certificate is valid from one day to another, and a board does not know the date after power on."""
    if time.gmtime()[0] < 2025:
        import ntptime

        ntptime.settime()


async def main():
    set_clock()
    client = AsyncMQTTClient("example-tls", BROKER, user=USER, password=PASSWORD, ssl=True, ssl_params={"cafile": CA})
    await client.connect()
    await client.publish("examples/publish_tls", "nobody else can read this", qos=1)
    print("the broker has it")
    await client.disconnect()


asyncio.run(main())
