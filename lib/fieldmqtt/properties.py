"""MQTT 5 properties (section 2.2.2.2): keyword arguments become bytes, bytes become a dict.

Names are the specification's, shortened where they end in Interval, Indicator or Available. Text is str, binary data
bytes, everything else int. What may stand in a packet more than once is a list: user_properties of (name, value),
subscription_identifier of int.
"""

from micropython import const

from .subscriptions import topic_name
from .wire import MQTTException, to_bytes

_MALFORMED = const(0x81)
_PROTOCOL_ERROR = const(0x82)

# Kinds of values; 1, 2 and 4 are numbers of so many bytes, those of one byte 0 or 1; 6 is binary data.
_VARIABLE = const(0)
_TEXT = const(5)
_PAIR = const(7)

_MANY = const(64)  # most user properties of a packet that are kept

_NAMES = (
    "message_expiry",
    "payload_format",
    "content_type",
    "response_topic",
    "correlation_data",
    "subscription_identifier",
    "session_expiry",
    "assigned_client_identifier",
    "server_keepalive",
    "authentication_method",
    "authentication_data",
    "request_problem_information",
    "will_delay",
    "request_response_information",
    "response_information",
    "server_reference",
    "reason_string",
    "receive_maximum",
    "topic_alias_maximum",
    "topic_alias",
    "maximum_qos",
    "retain_available",
    "user_properties",
    "maximum_packet_size",
    "wildcard_available",
    "subscription_identifiers_available",
    "shared_available",
)
_IDENTIFIERS = (
    b"\x02\x01\x03\x08\x09\x0b\x11\x12\x13\x15\x16\x17\x18\x19\x1a\x1c\x1f\x21\x22\x23\x24\x25\x26\x27\x28\x29\x2a"
)
_KINDS = b"\4\1\5\5\6\0\4\5\2\5\6\1\4\1\5\5\5\2\2\2\1\1\7\4\1\1\1"
# The packets that may have them, two bytes each: bit n stands for packet type n, bit 0 for the will in
# CONNECT, bit 13 for what the caller may give a PUBLISH; its other properties are ours.
_PACKETS = (
    b"\x20\x09\x20\x09\x20\x09\x20\x09\x20\x09\x01\x08\x40\x06\0\x04\0\x04\x80\x06\x80\x06\0\x02\0\x01\0\x02\0\x04\x40\x04"
    b"\xca\xf4\0\x06\0\x06\0\x08\0\x04\0\x04\xff\xff\0\x06\0\x04\0\x04\0\x04"
)


def field(value):
    """Return a string or binary field (sections 1.5.4, 1.5.6): its length and its bytes. Raises ValueError."""
    value = to_bytes(value)
    if len(value) > 65535:
        raise ValueError("longer than 65535 bytes")
    return len(value).to_bytes(2, "big") + value


def number(value):
    """Return a variable byte integer (section 1.5.5)."""
    made = b""
    while value > 127:
        made += bytes((value & 127 | 128,))
        value >>= 7
    return made + bytes((value,))


def block(properties):
    """Return encoded properties as they stand in a packet: behind their length."""
    return number(len(properties)) + properties if properties else b"\0"


def encode(properties, kind):
    """Return a dict of properties as bytes, without their length; a None is left out. kind: as in _PACKETS.

    Raises ValueError for what this packet does not have, or a value that cannot be.
    """
    made = b""
    for name, value in properties.items():
        index = _NAMES.index(name) if name in _NAMES else -1
        if index < 0 or not _allowed(index, kind):
            raise ValueError("property not known here: " + name)
        if value is None:
            continue
        try:
            for one in value if _KINDS[index] == _PAIR else (value,):
                if name == "response_topic":
                    topic_name(one, 65535)
                piece = _IDENTIFIERS[index : index + 1] + _value(_KINDS[index], one)
                made = made + piece if index else piece + made  # message_expiry comes first: it is counted down
        except (TypeError, AttributeError, IndexError):
            raise ValueError("property of the wrong type: " + name) from None
    return made


def take(arguments, kind):
    """Take the properties that this packet may have out of a dict of keyword arguments; return them as a dict."""
    return {name: arguments.pop(name) for name in _NAMES if name in arguments and _allowed(_NAMES.index(name), kind)}


def _value(kind, value):
    if kind == _PAIR:
        if not isinstance(value, (list, tuple)):
            raise TypeError
        return _value(_TEXT, value[0]) + _value(_TEXT, value[1])
    if kind >= _TEXT:
        value = field(value)
        if kind == _TEXT and 0 in value[2:]:
            raise ValueError("NUL in a text")
        return value
    value = int(value)
    if not 0 <= value < (2 if kind == 1 else 1 << (8 * kind or 28)):
        raise ValueError("property out of range: %d" % value)
    return value.to_bytes(kind, "big") if kind else number(value)


def decode(view, at, end, kind):
    """Read properties, their length first, from view[at:end]. Return a dict and where they end.

    Raises MQTTException for what the specification forbids.
    """
    found = {}  # type: dict
    try:
        size, at = _variable(view[:end], at)
        if at + size > end:
            raise IndexError
        end = at + size
        view = view[:end]
        while at < end:
            index = _IDENTIFIERS.find(bytes(view[at : at + 1]))
            if index < 0 or not _allowed(index, kind):
                raise IndexError
            name = _NAMES[index]
            value, at = _read(view, at + 1, _KINDS[index])
            if name in ("user_properties", "subscription_identifier"):
                found[name] = found.get(name, [])
                if len(found[name]) < _MANY:
                    found[name].append(value)
            elif name in found or (not value and name in ("receive_maximum", "maximum_packet_size")):
                raise MQTTException(_PROTOCOL_ERROR, name)
            else:
                found[name] = value
    except (IndexError, ValueError):
        at = -1
    if at != end:
        raise MQTTException(_MALFORMED, "properties")
    return found, at


def _allowed(index, kind):
    return (_PACKETS[2 * index] << 8 | _PACKETS[2 * index + 1]) >> kind & 1


# One value and where it ends. Raises IndexError or ValueError where it is cut off or broken.
def _read(view, at, kind):
    if kind == _VARIABLE:
        value, at = _variable(view, at)
        if not value:  # a subscription identifier
            raise MQTTException(_PROTOCOL_ERROR, "subscription identifier 0")
        return value, at
    if kind == _PAIR:
        name, at = _read(view, at, _TEXT)
        value, at = _read(view, at, _TEXT)
        return (name, value), at
    if kind < _TEXT:
        if at + kind > len(view):
            raise IndexError
        value = int.from_bytes(bytes(view[at : at + kind]), "big")
        if kind == 1 and value > 1:
            raise MQTTException(_PROTOCOL_ERROR, "neither 0 nor 1")
        return value, at + kind
    end = at + 2 + (view[at] << 8 | view[at + 1])
    value = bytes(view[at + 2 : end])
    if kind == _TEXT:
        if 0 in value:
            raise ValueError
        value = str(value, "utf-8")
    return value, end


def _variable(view, at):
    value = 0
    for shift in (0, 7, 14, 21):
        value |= (view[at] & 127) << shift
        at += 1
        if view[at - 1] < 128:
            return value, at
    raise ValueError
