"""Brokers with rules of their own: what a recipe sets where nothing else is said, and what it checks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tools.provision_schema import Config, SettingError, get

# AWS IoT Core, as its developer guide and its list of quotas have it.
_AWS_KEEPALIVE_S = (30, 1200)
_AWS_CLIENT_ID_BYTES = 128
_AWS_TOPIC_BYTES = 256
_AWS_TOPIC_SLASHES = 7
_AWS_MESSAGE_BYTES = 128 * 1024
_AWS_PORT = 8883
# The longest word after <prefix>/<name>/: command.
_LONGEST_TOPIC = "{prefix}/{name}/command"


@dataclass(frozen=True)
class Recipe:
    """`preset`: for fields without a value; `check` raises SettingError; `advice`: what its user must know."""

    preset: Mapping[str, Any]
    check: Callable[[Config, str], None]
    advice: tuple[str, ...]


def _aws(whole: Config, name: str) -> None:
    """Raise SettingError for what AWS IoT would refuse, or answer by closing the connection without a word."""
    server, port, tls = whole["mqtt"]["server"], whole["mqtt"]["port"], whole["mqtt"]["tls"]
    if ".iot." not in server or "amazonaws.com" not in server:
        how = "aws iot describe-endpoint --endpoint-type iot:Data-ATS"
        raise SettingError(f"mqtt.server: not an endpoint of AWS IoT, such as NAME-ats.iot.REGION.amazonaws.com; {how}")
    if whole["mqtt"]["websocket"]:
        raise SettingError("mqtt.websocket: AWS IoT wants signed requests for it, which boards do not make; remove it")
    if not tls or tls["insecure"]:
        raise SettingError("mqtt.tls: AWS IoT is reached by verified TLS only; give --ca AmazonRootCA1.pem")
    if not tls["cert"]:
        raise SettingError("mqtt.tls.cert: AWS IoT knows a board by its certificate; give --cert and --key")
    if tls["hostname"]:
        raise SettingError("mqtt.tls.hostname: AWS IoT needs the name of the endpoint itself; remove it")
    if port not in (0, _AWS_PORT):
        raise SettingError(f"mqtt.port: {_AWS_PORT}; 443 needs ALPN, which MicroPython does not have")
    _aws_sizes(whole, name)


def _aws_sizes(whole: Config, name: str) -> None:
    mqtt = whole["mqtt"]
    least, most = _AWS_KEEPALIVE_S
    if not least <= mqtt["keepalive"] <= most:
        raise SettingError(f"mqtt.keepalive: AWS IoT takes {least} to {most} s; for example --set mqtt.keepalive=60")
    if len(name.encode()) > _AWS_CLIENT_ID_BYTES or name.startswith("$"):
        raise SettingError(
            f"name: a client id of AWS IoT has at most {_AWS_CLIENT_ID_BYTES} bytes and begins without $"
        )
    topic = _LONGEST_TOPIC.format(prefix=mqtt["prefix"], name=name)
    if topic.count("/") > _AWS_TOPIC_SLASHES or len(topic.encode()) > _AWS_TOPIC_BYTES or topic.startswith("$"):
        limits = f"at most {_AWS_TOPIC_SLASHES} slashes and {_AWS_TOPIC_BYTES} bytes, and no $ at the beginning"
        raise SettingError(f"mqtt.prefix: a topic of AWS IoT has {limits}; {topic[:60]} does not fit")


def _public(whole: Config, name: str) -> None:
    """Raise SettingError for what should not be sent to everybody."""
    if get(whole, "mqtt.password"):
        raise SettingError("mqtt.password: not to a broker that everyone shares; remove it: --set mqtt.password=")
    if not get(whole, "name"):
        raise SettingError("name: on a broker that everyone shares choose one that nobody else has: --set name=…")


RECIPES: dict[str, Recipe] = {
    "aws-iot": Recipe(
        {"mqtt.port": _AWS_PORT, "mqtt.keepalive": 60, "ntp": "pool.ntp.org"},
        _aws,
        (
            "QoS 0 and 1 only: the firmware uses 1; your own program must not use 2, AWS IoT closes the connection.",
            f"A message has at most {_AWS_MESSAGE_BYTES // 1024} KB.",
            "The name is the client id: the policy of the certificate must allow it, and one board at a time uses it.",
            "The state is retained: the policy must allow iot:RetainPublish, which examples of policies leave out.",
        ),
    ),
    "public": Recipe(
        {"mqtt.server": "test.mosquitto.org", "mqtt.port": 1883},
        _public,
        (
            "Everyone can read what this board publishes, and everyone can send it commands: reboot is one of them.",
            "Nothing there is kept for long, and the broker may be away. It is for trying out, nothing else.",
        ),
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe of this name. Raises SettingError."""
    if name not in RECIPES:
        raise SettingError(f"--recipe {name[:40]}: there is no such recipe; there are {', '.join(RECIPES)}")
    return RECIPES[name]
