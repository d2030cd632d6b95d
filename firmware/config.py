"""config.json: read, checked, completed with defaults. Every complaint names the field.

The table below is the reference of all fields; config.example.json shows them in use. The host tools ask by it, and
check with complete() before anything goes to a board: this file runs under CPython too.
"""

import json

from micropython import const

FILE = "config.json"
MAX_BYTES = const(8192)

REQUIRED = object()

# field: (types, default, smallest, largest). Smallest and largest are for numbers; those of texts are lengths.
# A dict instead is a section of its own; it is checked in the same way.
_ADDRESS = (str, REQUIRED, 7, 15)  # one for all that have the same rule: each would be an object of its own in RAM
_PATH = (str, None, 1, 200)
_WIFI = {
    "ssid": (str, REQUIRED, 1, 32),
    "password": (str, None, 0, 64),  # secret
}
_STATIC = {
    "ip": _ADDRESS,
    "subnet": _ADDRESS,
    "gateway": _ADDRESS,
    "dns": _ADDRESS,
}
_TLS = {  # file names on the board, DER or PEM
    "ca": _PATH,  # who signed the broker's certificate; needed unless insecure
    "cert": _PATH,  # this board's own certificate, for brokers that ask for one
    "key": _PATH,  # and its private key
    "hostname": (str, None, 1, 253),  # the name in the broker's certificate, when `server` is another
    "insecure": (bool, False, 0, 1),  # true: anyone may claim to be the broker
}
_MQTT = {
    "server": (str, REQUIRED, 1, 253),
    "port": (int, 0, 1, 65535),  # default 1883, with tls 8883; with websocket 80, with both 443
    "websocket": _PATH,  # the path, such as /mqtt: through a WebSocket. Default: MQTT over TCP or TLS itself
    "user": (str, None, 0, 200),
    "password": (str, None, 0, 1000),  # secret
    "keepalive": (int, 60, 5, 3600),  # s
    "version": (int, 4, 4, 5),  # of MQTT: 4 is 3.1.1. With 5 readings grow old, and a short loss is no "offline"
    "expiry": (int, 604800, 0, 31536000),  # s after which nobody needs a reading any more; 0: never. For version 5
    "prefix": (str, "fieldmqtt", 1, 100),  # topics are <prefix>/<name>/reading, …
    "outbox": (int, 16384, 1024, 65000),  # bytes of RAM for what waits for the broker
    "flash": (int, 262144, 0, 1000000),  # bytes of flash for it; 0: it waits in RAM only, and is lost with the power
    "full": (str, "refuse", 1, 20),  # when there is no room: "refuse" the new ones, or "drop" the oldest
    "tls": (dict, None, _TLS, None),
}
_NETWORK = {  # see boards/common/link.py for the rules of dhcp, laninfo.txt and static; unused on unix
    "ssid": (str, None, 1, 32),  # needed on boards with WiFi
    "password": (str, None, 0, 64),  # secret
    "fallbacks": (list, None, _WIFI, 8),  # more known networks, tried in turn
    "country": (str, None, 2, 2),
    "hostname": (str, None, 1, 32),
    "power_save": (bool, False, 0, 1),
    "dhcp": (bool, False, 0, 1),
    "static": (dict, None, _STATIC, None),
}
FIELDS = {
    "name": (str, None, 1, 64),  # of this board in topics, and its client id; default: the chip's number
    "interval": ((int, float), 10, 0.1, 86400),  # s between readings
    "watchdog": (int, 0, 60, 3600),  # s without a sign of life until the board is reset; 0: not armed
    "ntp": (str, None, 1, 253),  # a time server; without it the clock is not set. Boards need it to verify TLS
    "network": (dict, {}, _NETWORK, None),
    "mqtt": (dict, REQUIRED, _MQTT, None),
}

# Two name servers that do not answer keep getaddrinfo() for 14 s, and one turn may ask for two names: time and broker.
_WHY = {"watchdog": "; name servers that do not answer hold the program for half a minute"}


def load(path=FILE, keeps_time=True):
    """Return the configuration as a dict with every default filled in. Raises ValueError that names what is wrong.

    keeps_time: False on boards whose clock begins anew when they are switched on.
    """
    return complete(_read(path), keeps_time)


def complete(given, keeps_time=True):
    """Return `given` with every default filled in. Raises ValueError that names the field."""
    config = _section("", FIELDS, given)
    for where, text in (("name", config["name"]), ("mqtt.prefix", config["mqtt"]["prefix"])):
        if text and (set(text) & set("+#\0") or (where == "name" and "/" in text)):
            raise ValueError("%s: it becomes part of a topic; + # and (in the name) / cannot be used" % where)
    if config["mqtt"]["full"] not in ("refuse", "drop"):
        raise ValueError("mqtt.full: refuse or drop")
    if 0 < config["mqtt"]["flash"] < 8192:
        raise ValueError("mqtt.flash: 0, or 8192 to 1000000 bytes")
    path = config["mqtt"]["websocket"]
    if path and (path[0] != "/" or min(path) <= " "):
        raise ValueError("mqtt.websocket: a path, which begins with / and has no space")
    _check_tls(config["mqtt"]["tls"], keeps_time or config["ntp"])
    return config


def _check_tls(tls, has_time):
    if not tls:
        return
    if not (tls["ca"] or tls["insecure"]):
        raise ValueError('mqtt.tls.ca: missing; the file that verifies the broker, or "insecure": true')
    if bool(tls["cert"]) != bool(tls["key"]):
        raise ValueError("mqtt.tls: cert and key belong together")
    if not (has_time or tls["insecure"]):
        # an RP2040 begins in 2021, an ESP32 in 2000: every certificate would be "not yet valid", for ever
        raise ValueError("ntp: missing; verified TLS needs the date: name a time server, such as pool.ntp.org")


def bounds(field):
    """Return (smallest, largest) of a number at the top of the configuration."""
    return FIELDS[field][2:]


def _read(path):
    try:
        with open(path) as file:
            return _parse(file)
    except OSError:
        raise ValueError("there is no file %s; copy config.example.json and edit it" % path)


def _parse(file):
    text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise ValueError("larger than %d characters" % MAX_BYTES)
    file.seek(0)
    try:
        return json.load(file)
    except ValueError:
        # json does not say where it stopped, but the file knows how far it was read
        line = text.encode()[: max(0, file.tell() - 1)].count(b"\n") + 1
        raise ValueError("not JSON, near line %d: a quote, a bracket, a word?" % line)


def _section(where, table, given):
    if not isinstance(given, dict):
        raise ValueError("%s: it must be an object, { … }" % (where or "the whole"))
    for field in given:
        if field not in table:
            raise ValueError("%s: no such field; there are %s" % (_path(where, field), ", ".join(sorted(table))))
    return {field: _field(_path(where, field), rule, given.get(field, REQUIRED)) for field, rule in table.items()}


def _field(where, rule, value):
    types, default, least, most = rule
    if value is REQUIRED or value is None:
        if default is REQUIRED:
            raise ValueError("%s: missing" % where)
        return _section(where, least, default) if default == {} else default
    # bool is a kind of int for Python, not for people
    if not isinstance(value, types) or (isinstance(value, bool) and types is not bool):
        raise ValueError("%s: it must be %s" % (where, _KINDS[types]))
    if types is dict:
        return _section(where, least, value)
    if types is list:
        return _list(where, least, most, value)
    _check_size(where, types, default, least, most, value)
    return value


def _list(where, table, most, values):
    if len(values) > most:
        raise ValueError("%s: at most %d" % (where, most))
    return [_section("%s[%d]" % (where, i), table, value) for i, value in enumerate(values)]


# Values are not repeated in messages: a password may be among them.
def _check_size(where, types, default, least, most, value):
    if types is str:
        size, unit = len(value.encode()), " bytes long"
    else:
        size, unit = value, ""
    if value != default and not least <= size <= most:
        raise ValueError("%s: it must be %s to %s%s%s" % (where, least, most, unit, _WHY.get(where, "")))


def _path(where, field):
    return "%s.%s" % (where, field) if where else field


_KINDS = {
    str: 'a text, "…"',
    int: "a whole number",
    (int, float): "a number",
    bool: "true or false",
    dict: "an object, { … }",
    list: "a list, [ … ]",
}
