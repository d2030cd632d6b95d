"""What the cases of MQTT 5 share, besides `common`."""

from common import real, until

from fieldmqtt import MQTTException


def shown(message, left_out=()):
    """A message in one line, its properties by name but for those left out."""
    properties = message.properties or {}
    names = [name for name in sorted(properties) if name not in left_out]
    return " ".join([repr(part) for part in message[:4]] + ["%s=%r" % (name, properties[name]) for name in names])


def tell(client, left_out=("subscription_identifier",)):
    """Print every message that comes; returns the list they are kept in. One case shows which filter matched."""
    messages = []

    def callback(topic, msg):
        messages.append(real(client).message)
        print("message", shown(messages[-1], left_out))

    real(client).set_callback(callback)
    return messages


async def caught_up(client):
    """Wait until everything has come that the broker had for us: one more message stands behind it."""
    came = []
    await client.subscribe("caught/up", 1, callback=lambda topic, msg: came.append(msg))
    await client.publish("caught/up", "x", qos=1)
    await until(client, lambda: came)
    await client.unsubscribe("caught/up")


def tell_losses(client):
    """Print why a connection is lost, by name."""
    real(client).on_disconnect = lambda error: print("lost", hex(error.args[0]), getattr(error, "name", error))


async def refused(call):
    """Print what a call returns or raises."""
    try:
        print("result", await call)
    except MQTTException as error:
        print("refused", hex(error.reason_code), error.name)
    except ValueError:
        print("ValueError")
