"""Every broker that the cases are tried on, by name."""

import os
from collections.abc import Callable

from interop.bring import brought, node
from interop.serve_aedes import Aedes
from interop.serve_amqtt import Amqtt
from interop.serve_mosquitto import AwsStandIn, Mosquitto
from interop.serve_rabbitmq import RabbitMq
from interop.serve_url import BROKER, ByUrl
from interop.served import Served
from tools import packages, toolchain


def _mosquitto() -> Mosquitto:
    program = toolchain.mosquitto()
    if not program:
        raise packages.Unavailable("there is no mosquitto; run: make setup")
    return Mosquitto(program)


def _mosquitto_2_1() -> Mosquitto:
    return Mosquitto(brought("mosquitto-2.1") / "mosquitto")


def _aws_stand_in() -> AwsStandIn:
    return AwsStandIn(brought("mosquitto-2.1") / "mosquitto")


def _aedes() -> Aedes:
    packages_folder = brought("aedes")
    return Aedes(node()[0], packages_folder)


# What makes a broker, and brings it first where it is missing; entering it starts it.
# Raises packages.Unavailable: why it cannot be had here.
BROKERS: dict[str, Callable[[], Served]] = {
    "mosquitto": _mosquitto,
    "mosquitto-2.1": _mosquitto_2_1,
    "rabbitmq": lambda: RabbitMq(brought("rabbitmq")),
    "aedes": _aedes,
    "amqtt": lambda: Amqtt(brought("amqtt")),
    "aws-stand-in": _aws_stand_in,
}
if os.environ.get(BROKER):
    BROKERS["url"] = lambda: ByUrl(os.environ)
