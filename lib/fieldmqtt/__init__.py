"""MQTT for sensor boards in the field.

    from fieldmqtt import MQTTClient

Names are loaded when they are first used, so that a synchronous program never
pays for the asyncio client, nor a 3.1.1 program for MQTT 5.
"""

_HOME = {
    "MQTTClient": "client",
    "AsyncMQTTClient": "aio",
    "MQTTClient5": "client5",
    "AsyncMQTTClient5": "aio5",
    "MQTTException": "protocol",
    "Message": "protocol",
    "Outbox": "outbox",
    "FlashOutbox": "flash",
    "Source": "streams",
    "receive_large": "streams",
}


def __getattr__(name):
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(name)
    value = getattr(__import__("fieldmqtt." + home, None, None, (name,)), name)
    globals()[name] = value
    return value
