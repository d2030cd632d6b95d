"""The fields of config.json as the firmware itself knows them, and its own checks, run on this computer.

There is no second list: `firmware/config.py` and the rules of `boards/common/` are imported as they are, with stand-ins
for the two modules that only a board has.
"""

import json
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from tools.device import board_files
from tools.toolchain import ROOT

Config = dict[str, Any]

FILE = "config.json"
LANINFO = "laninfo.txt"
HIDDEN = "****"
_SECRETS = ("password",)
_LOADING = threading.Lock()  # a fleet's boards are looked at in a thread each, and there is one sys.modules
_EXAMPLE = ROOT / "firmware" / "config.example.json"

# What an example shows where config.example.json has none and the default says nothing.
_EXAMPLES: dict[str, Any] = {
    "network.fallbacks": '[{"ssid": "barn", "password": "…"}]',
    "network.static.ip": "192.168.1.20",
    "network.static.subnet": "255.255.255.0",
    "network.static.gateway": "192.168.1.1",
    "network.static.dns": "192.168.1.1",
    "mqtt.port": 1883,
    "mqtt.websocket": "/mqtt",
    "mqtt.tls.ca": "ca.der",
    "mqtt.tls.cert": "cert.der",
    "mqtt.tls.key": "key.der",
    "mqtt.tls.hostname": "broker.example",
}


class SettingError(ValueError):
    """A setting that cannot be used. The message names the field and what to do, and holds no secret."""


@dataclass(frozen=True)
class Field:
    """One field: `types` and `default` are those of the firmware's table; `path` is such as mqtt.tls.ca."""

    path: str
    types: Any
    default: Any
    secret: bool
    required: bool


def _device() -> dict[str, ModuleType]:
    """The firmware's modules that check, by name."""
    with _LOADING:
        return _load()


@cache
def _load() -> dict[str, ModuleType]:
    found: dict[str, ModuleType] = {}
    with _stand_ins(found):
        for path in ("firmware/config.py", "boards/common/link.py", "boards/common/wifi.py"):
            file = ROOT / path
            spec = spec_from_file_location(f"fieldmqtt_device_{file.stem}", file)
            if not spec or not spec.loader:
                raise ImportError(path)
            sys.modules[file.stem] = found[file.stem] = module_from_spec(spec)
            spec.loader.exec_module(found[file.stem])
    return found


@contextmanager
def _stand_ins(found: dict[str, ModuleType]) -> Iterator[None]:
    """For this long there are `micropython` and `network`; afterwards sys.modules is as before."""
    names = ("micropython", "network", "config", "link", "wifi")
    before = {name: sys.modules.get(name) for name in names}
    sys.modules["micropython"], sys.modules["network"] = ModuleType("micropython"), ModuleType("network")
    sys.modules["micropython"].const = lambda value: value  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module


@cache
def fields() -> dict[str, Field]:
    """Every field by its path, in the firmware's order; sections are not among them."""
    return {field.path: field for field in _fields("", _device()["config"].FIELDS)}


def _fields(where: str, table: Mapping[str, Any]) -> Iterator[Field]:
    for name, (types, default, inner, _) in table.items():
        path = f"{where}.{name}" if where else name
        if types is dict:
            yield from _fields(path, inner)
        else:
            secret = name in _SECRETS or (types is list and any(field in _SECRETS for field in inner))
            required = default is _device()["config"].REQUIRED
            yield Field(path, types, None if required else default, secret, required)


def example(path: str) -> Any:
    """A value that shows what is meant, for `path` as it stands in a complaint; None for what is no field."""
    field = fields().get(path)
    if not field:
        return None
    if field.secret and field.types is str:
        return HIDDEN
    shown = get(json.loads(_EXAMPLE.read_text(encoding="utf-8")), path)
    return next((value for value in (shown, _EXAMPLES.get(path), field.default) if value is not None), None)


def find(path: str) -> Field:
    """The field of this path. Raises SettingError with the names that there are."""
    field = fields().get(path)
    if field:
        return field
    below = [name for name in fields() if name.startswith(f"{path}.")]
    if below:
        raise SettingError(f"{path}: a section; name one of its fields: {', '.join(below)}")
    raise SettingError(f"{path[:60]}: no such field; there are {', '.join(fields())}")


def parse(path: str, text: str) -> Any:
    """The value that `text` means for a field; an empty text means None, to remove the field, or a whole section."""
    if not text and any(name.startswith(f"{path}.") for name in fields()):
        return None
    field = find(path)
    if not text:
        return None
    try:
        if field.types is str:
            return text
        if field.types is bool:
            return {"true": True, "false": False, "yes": True, "no": False}[text.lower()]
        return json.loads(text)
    except (ValueError, KeyError):
        kind = {bool: "true or false", list: "a list in JSON"}.get(field.types, "a number")
        raise SettingError(f"{path}: it must be {kind}{_such_as(path)}") from None


def get(config: Mapping[str, Any], path: str) -> Any:
    """The value at `path`, None where there is none."""
    value: Any = config
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def put(config: Config, path: str, value: Any) -> None:
    """Set the value at `path`, or with None remove it and the sections that are empty then."""
    name, _, rest = path.partition(".")
    if rest:
        section = config.get(name)
        inner = section if isinstance(section, dict) else {}
        put(inner, rest, value)
        value = inner or None
    if value is None:
        config.pop(name, None)
    else:
        config[name] = value


def complete(config: Mapping[str, Any], board: str | None = None) -> Config:
    """Check as the firmware does, on `board` if it is known; return the whole with all defaults."""
    device = _device()
    try:
        whole: Config = device["config"].complete(config, board == "unix")
        device["link"].static_address(whole["network"])
        if board and network_kind(board) == "wifi":
            device["wifi"].known_networks(whole["network"])
    except ValueError as error:
        raise SettingError(_with_example(str(error))) from None
    if len(text(config)) > device["config"].MAX_BYTES:
        raise SettingError(f"{FILE}: larger than the {device['config'].MAX_BYTES} characters that a board reads")
    return whole


def problem(path: str, value: Any) -> str | None:
    """What the firmware says of this one value, None if it is fine; the rest of the configuration is not looked at."""
    config: Config = {}
    for field in fields().values():
        if field.required and (field.path == "mqtt.server" or field.path.startswith(path.rpartition(".")[0] + ".")):
            put(config, field.path, example(field.path))
    put(config, path, value)
    try:
        complete(config, "unix")
    except SettingError as error:
        if str(error).startswith(f"{path}:"):
            return str(error)
    return None


def _with_example(message: str) -> str:
    if "such as" in message:
        return message
    path = message.partition(":")[0].partition("[")[0]
    inner = [field.path for field in fields().values() if field.required and field.path.startswith(f"{path}.")]
    return message + _such_as(path if path in fields() or not inner else inner[0])


def _such_as(path: str) -> str:
    field = fields().get(path)
    if not field:
        return ""
    if field.secret:
        return f"; --set-secret {path} asks for it"
    value = example(path)
    shown = value if isinstance(value, str) else json.dumps(value)
    return f"; for example --set '{path}={shown}'"


def usual_port(mqtt: Mapping[str, Any]) -> int:
    """The port of the section mqtt where it names none."""
    if mqtt.get("websocket"):
        return 443 if mqtt.get("tls") else 80
    return 8883 if mqtt.get("tls") else 1883


def network_kind(board: str) -> str:
    """wifi, wired, or computer."""
    names = {path.name for path in board_files(board)}
    return "wifi" if "wifi.py" in names else "wired" if "wired.py" in names else "computer"


def text(config: Mapping[str, Any]) -> str:
    """config.json as it is written: no escapes, which boards would not all understand."""
    return json.dumps(config, indent=4, ensure_ascii=False) + "\n"


def read(data: bytes, where: str) -> Config:
    """The configuration in a file's content. Raises SettingError that names the line."""
    try:
        config = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise SettingError(f"{where}: not UTF-8; save it as UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise SettingError(f"{where}, line {error.lineno}: not JSON; a quote, a bracket, a comma?") from None
    except RecursionError:
        raise SettingError(f"{where}: not a configuration; firmware/config.example.json is one") from None
    if not isinstance(config, dict):
        raise SettingError(f"{where}: it must be an object, {{ … }}; firmware/config.example.json is one")
    return config


def masked(config: Any) -> Any:
    """The same with every secret hidden, to be shown."""
    if isinstance(config, Mapping):
        return {k: HIDDEN if k in _SECRETS and v is not None else masked(v) for k, v in config.items()}
    return [masked(item) for item in config] if isinstance(config, list) else config


def laninfo(path: Path) -> dict[str, str]:
    """network.static from a laninfo.txt, read as a board reads it. Raises SettingError."""
    try:
        address: Sequence[str] | None = _device()["link"].read_laninfo(str(path))
    except (ValueError, OSError) as error:
        raise SettingError(f"{error}; four lines: IP address, subnet mask, gateway, DNS server") from None
    if address is None:
        raise SettingError(f"{path.name}: it cannot be read; is the path right?")
    return dict(zip(("ip", "subnet", "gateway", "dns"), address, strict=True))
