"""The end of a paho client that has a thread of its own."""

from contextlib import suppress

import paho.mqtt.client as paho


def leave(client: paho.Client) -> None:
    """Disconnect, and end paho's thread."""
    client.disconnect()
    with suppress(AttributeError):  # paho 2.2 asks whether its thread is there, which may end before it is joined
        client.loop_stop()
