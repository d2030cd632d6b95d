"""What reason codes of MQTT 5 mean (section 2.4), in words. Loaded when a peer refuses something."""

from micropython import const

from .wire import MQTTException

_FAILED = const(0x80)

_NAMES = {
    0x00: "success",
    0x01: "unacceptable protocol version",  # of a server that knows only 3.1.1
    0x04: "disconnect with will message",
    0x10: "no matching subscribers",
    0x11: "no subscription existed",
    0x18: "continue authentication",
    0x19: "re-authenticate",
}
# From 0x80 on, without a gap.
_FAILURES = (
    "unspecified error",
    "malformed packet",
    "protocol error",
    "implementation specific error",
    "unsupported protocol version",
    "client identifier not valid",
    "bad user name or password",
    "not authorised",
    "server unavailable",
    "server busy",
    "banned",
    "server shutting down",
    "bad authentication method",
    "keep alive timeout",
    "session taken over",
    "topic filter invalid",
    "topic name invalid",
    "packet identifier in use",
    "packet identifier not found",
    "receive maximum exceeded",
    "topic alias invalid",
    "packet too large",
    "message rate too high",
    "quota exceeded",
    "administrative action",
    "payload format invalid",
    "retain not supported",
    "QoS not supported",
    "use another server",
    "server moved",
    "shared subscriptions not supported",
    "connection rate exceeded",
    "maximum connect time",
    "subscription identifiers not supported",
    "wildcard subscriptions not supported",
)


def name(reason_code):
    """Return the name of a reason code."""
    if 0 <= reason_code - _FAILED < len(_FAILURES):
        return _FAILURES[reason_code - _FAILED]
    return _NAMES.get(reason_code, "reason code 0x%02x" % reason_code)


def problem(reason_code, properties=None):
    """Return the MQTTException for what the peer said. Besides what every one has: name, and properties as a dict."""
    properties = properties or {}
    error = MQTTException(reason_code, properties.get("reason_string") or name(reason_code))
    error.name = name(reason_code)  # type: ignore[attr-defined]
    error.properties = properties  # type: ignore[attr-defined]
    return error
