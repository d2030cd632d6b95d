"""An MQTT 5 client that does what the test says, step by step, for the scripted broker.

On its standard input come the client's arguments and a list of steps (method, its arguments), as Python text. Each step
prints its name with what it returned or raised. Besides the methods of the client: `will`, `until` N messages have
come, `work` S seconds, `lost` until the connection is, `online` until it is back, `limits` and `acknowledged`.
"""

import sys

from common import main, real, until, work

from fieldmqtt import MQTTException


class Method:
    """An authentication method that tells what it is given, and answers `re:` and that."""

    method = "M"

    def __init__(self, first):
        self.first = first

    def start(self):
        print("auth start")
        return self.first

    def step(self, data):
        print("auth step", data)
        if data == b"forged":
            raise ValueError("it does not know the secret")
        return b"re:" + data if data else None

    def done(self, data):
        print("auth done", data)


def shown(error):
    if isinstance(error, MQTTException) and hasattr(error, "properties"):
        return "MQTTException 0x%02x %s | %s | %s" % (
            error.reason_code,
            error.name,
            error.reason,
            ordered(error.properties),
        )
    if isinstance(error, MQTTException):
        return "MQTTException 0x%02x %s" % (error.reason_code, error.reason)
    return "%s %s" % (type(error).__name__, error)


def ordered(values):
    return " ".join(["%s=%r" % (name, values[name]) for name in sorted(values or {})])


class Steps:
    def __init__(self, client):
        self.client = client
        self.messages = []
        self.losses = []
        real(client).set_callback(self.came)
        real(client).on_disconnect = self.lost
        real(client).on_connect = lambda session_present: print("online", bool(session_present))
        real(client).on_refused = lambda packet_id, error: print("refused", packet_id, shown(error))

    def came(self, topic, msg):
        message = real(self.client).message
        self.messages.append(message)
        print("message", topic.decode(), repr(msg), "qos", message.qos, ordered(message.properties))

    def named(self, name):
        """A callback that tells its name."""

        def callback(topic, msg):
            self.messages.append(None)
            print("callback", name, topic.decode(), repr(msg))

        return callback

    def lost(self, error):
        self.losses.append(error)
        print("lost", shown(error))

    async def take(self, method, arguments):
        client = self.client
        if method == "will":
            return real(client).set_last_will(**arguments)
        if method == "until":
            return await until(client, lambda: len(self.messages) >= arguments)
        if method == "work":
            return await work(client, arguments)
        if method == "lost":
            return await until(client, lambda: self.losses)
        if method == "online":
            return await until(client, real(client).isconnected)
        if method == "limits":
            return ordered(real(client).server_limits)
        if method == "acknowledged":
            packet_id, code, properties = real(client).acknowledged
            return "%d 0x%02x %s" % (packet_id, code, ordered(properties))
        if "callback" in arguments:
            arguments["callback"] = self.named(arguments["callback"])
        if method == "reply":
            return await client.reply(self.messages[-1], **arguments)
        return await getattr(client, method)(**arguments)


async def steps(new):
    arguments = {"version": 5, "backoff": (0.05, 0.1)}
    arguments.update(eval(sys.stdin.readline()))
    if "auth" in arguments:
        arguments["auth"] = Method(arguments["auth"])
    client = new(**arguments)

    plan = Steps(client)
    for method, given in eval(sys.stdin.readline()):
        try:
            result = await plan.take(method, given)
        except (OSError, ValueError) as error:
            result = shown(error)
        print(method, result.payload if hasattr(result, "payload") else result)


main(globals())
