"""What an MQTT 5 client must refuse, with the reason code that its DISCONNECT must say. See `packets5`.

Where the specification names no reason code, or leaves open whether a packet is malformed or a protocol error, every
code that it allows is in the row. A client need not say anything before it closes while it is not connected yet, nor in
an authentication (section 4.13.1): then the code is its exception's.
"""

from packets5 import PROPERTIES
from received5 import FRAMES, framed

_81 = (0x81,)  # Malformed Packet
_82 = (0x82,)  # Protocol Error
_94 = (0x94,)  # Topic Alias invalid
_95 = (0x95,)  # Packet too large
_ANY = (0x81, 0x82)
_TOPIC = (0x81, 0x82, 0x90)  # … or Topic Name invalid

_KV = b"\x26\x00\x01k\x00\x01v"

# (state of the client, what is wrong, reason codes, bytes): wrong whatever came before. The states are those of
# `packets.MALFORMED`.
MALFORMED = (
    ("connecting", "CONNACK with flags in its first byte", _81, b"\x21\x03\x00\x00\x00"),
    ("connecting", "CONNACK without a body", _81, b"\x20\x00"),
    ("connecting", "CONNACK too short", _81, b"\x20\x01\x00"),
    ("connecting", "CONNACK without a property length, as in 3.1.1", _81, b"\x20\x02\x00\x00"),
    ("connecting", "CONNACK with something behind its properties", _81, b"\x20\x04\x00\x00\x00\x00"),
    ("connecting", "CONNACK with unknown acknowledge flags", _81, b"\x20\x03\x02\x00\x00"),
    ("connecting", "CONNACK with session present and an error", _ANY, b"\x20\x03\x01\x87\x00"),
    ("connecting", "CONNACK with a property length beyond its end", _81, b"\x20\x03\x00\x00\x03"),
    ("connecting", "CONNACK with half a property", _81, b"\x20\x05\x00\x00\x02\x21\x00"),
    ("connecting", "CONNACK with receive maximum 0", _82, b"\x20\x06\x00\x00\x03\x21\x00\x00"),
    ("connecting", "CONNACK with maximum packet size 0", _82, b"\x20\x08\x00\x00\x05\x27\x00\x00\x00\x00"),
    ("connecting", "CONNACK with maximum QoS 2", _82, b"\x20\x05\x00\x00\x02\x24\x02"),
    ("connecting", "CONNACK with retain available 2", _82, b"\x20\x05\x00\x00\x02\x25\x02"),
    ("connecting", "CONNACK with wildcard available 255", _82, b"\x20\x05\x00\x00\x02\x28\xff"),
    ("connecting", "CONNACK with subscription identifiers available 2", _82, b"\x20\x05\x00\x00\x02\x29\x02"),
    ("connecting", "CONNACK with shared available 2", _82, b"\x20\x05\x00\x00\x02\x2a\x02"),
    ("connecting", "CONNACK with an identifier that is not UTF-8", _81, b"\x20\x08\x00\x00\x05\x12\x00\x02\xc3\x28"),
    ("connecting", "refusal with a reason string that is not UTF-8", _81, b"\x20\x07\x00\x87\x04\x1f\x00\x01\xff"),
    ("connecting", "remaining length of five bytes", _81, b"\x20\x83\x80\x80\x80\x00\x00\x00\x00"),
    ("connecting", "not MQTT but HTTP", _ANY, b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n" + b" " * 40),
    ("connecting", "not MQTT but a TLS alert", _ANY, b"\x15\x03\x01\x00\x02\x02\x46"),
    ("connecting", "AUTH with flags", _ANY, b"\xf2\x06\x18\x04\x15\x00\x01M"),
    ("authenticating", "AUTH without a method", _82, b"\xf0\x05\x18\x03\x16\x00\x00"),
    ("authenticating", "AUTH without anything", _82, b"\xf0\x00"),
    ("authenticating", "AUTH with flags", _81, b"\xf1\x06\x18\x04\x15\x00\x01M"),
    ("authenticating", "AUTH with two methods", _82, b"\xf0\x0a\x18\x08\x15\x00\x01M\x15\x00\x01M"),
    ("authenticating", "AUTH with half its data", _81, b"\xf0\x0a\x18\x08\x15\x00\x01M\x16\x00\x02a"),
    ("online", "packet type 0", _ANY, b"\x00\x00"),
    ("online", "remaining length of five bytes", _81, b"\x30\x86\x80\x80\x80\x00\x00\x01t\x00hi"),
    ("online", "remaining length that never ends", _81, b"\x30\xff\xff\xff\xff"),
    ("online", "PUBLISH of 256 MB", _95, b"\x30\xff\xff\xff\x7f"),
    ("online", "PUBLISH larger than max_packet by a byte", _95, b"\x30\xfe\x1f\x00\x01t\x00" + b"x" * 4090),
    ("online", "PUBLISH at QoS 3", _81, b"\x36\x08\x00\x01t\x00\x01\x00hi"),
    ("online", "PUBLISH without a body", _81, b"\x30\x00"),
    ("online", "PUBLISH with half a topic length", _81, b"\x30\x01\x00"),
    ("online", "PUBLISH with a topic longer than the packet", _81, b"\x30\x06\x00\x05t\x00hi"),
    ("online", "PUBLISH without a property length", _81, b"\x30\x03\x00\x01t"),
    ("online", "PUBLISH with # in its topic", _TOPIC, b"\x30\x06\x00\x03a/#\x00"),
    ("online", "PUBLISH with + in its topic", _TOPIC, b"\x30\x06\x00\x03+/a\x00"),
    ("online", "PUBLISH with U+0000 in its topic", _81, b"\x30\x07\x00\x02a\x00\x00hi"),
    ("online", "PUBLISH with a topic that is not UTF-8", _81, b"\x30\x07\x00\x02\xff\xc0\x00hi"),
    ("online", "PUBLISH with neither topic nor alias", _82, b"\x30\x05\x00\x00\x00hi"),
    ("online", "PUBLISH at QoS 1 without a packet identifier", _81, b"\x32\x03\x00\x01t"),
    ("online", "PUBLISH at QoS 1 with packet identifier 0", _ANY, b"\x32\x06\x00\x01t\x00\x00\x00"),
    ("online", "PUBLISH at QoS 2 with packet identifier 0", _ANY, b"\x34\x06\x00\x01t\x00\x00\x00"),
    ("online", "PUBLISH at QoS 2 without a property length", _81, b"\x34\x05\x00\x01t\x00\x01"),
    ("online", "PUBLISH with a property length beyond its end", _81, b"\x30\x06\x00\x01t\x03hi"),
    ("online", "PUBLISH with a property length of five bytes", _81, b"\x30\x08\x00\x01t\x80\x80\x80\x80\x00"),
    ("online", "PUBLISH with half a property length", _81, b"\x30\x05\x00\x01t\x80\x80"),
    (
        "online",
        "PUBLISH with a property that ends behind the properties",
        _81,
        b"\x30\x0b\x00\x01t\x03\x02\x00\x00\x00\x01hi",
    ),
    ("online", "PUBLISH with an identifier and no value", _81, b"\x30\x07\x00\x01t\x01\x01hi"),
    ("online", "PUBLISH with half a string length", _81, b"\x30\x08\x00\x01t\x02\x03\x00hi"),
    ("online", "PUBLISH with a string longer than the properties", _81, b"\x30\x09\x00\x01t\x03\x03\x00\x02hi"),
    ("online", "PUBLISH with half a user property", _81, b"\x30\x0a\x00\x01t\x04\x26\x00\x01khi"),
    (
        "online",
        "PUBLISH with a user property that ends behind the properties",
        _81,
        b"\x30\x0d\x00\x01t\x06\x26\x00\x01k\x00\x02vhi",
    ),
    ("online", "PUBLISH with half a subscription identifier", _81, b"\x30\x08\x00\x01t\x02\x0b\x80hi"),
    (
        "online",
        "PUBLISH with a subscription identifier of five bytes",
        _81,
        b"\x30\x0c\x00\x01t\x06\x0b\x80\x80\x80\x80\x01hi",
    ),
    ("online", "PUBLISH with subscription identifier 0", _82, b"\x30\x08\x00\x01t\x02\x0b\x00hi"),
    ("online", "PUBLISH with property 0", _81, b"\x30\x08\x00\x01t\x02\x00\x00hi"),
    ("online", "PUBLISH with property 4", _81, b"\x30\x08\x00\x01t\x02\x04\x00hi"),
    ("online", "PUBLISH with property 127", _81, b"\x30\x08\x00\x01t\x02\x7f\x00hi"),
    ("online", "PUBLISH with property 129", _81, b"\x30\x09\x00\x01t\x03\x81\x01\x01hi"),
    ("online", "PUBLISH with property 255", _81, b"\x30\x08\x00\x01t\x02\xff\x01hi"),
    ("online", "PUBLISH with payload format 2", (0x81, 0x82, 0x99), b"\x30\x08\x00\x01t\x02\x01\x02hi"),
    ("online", "PUBLISH with topic alias 0", _94, b"\x30\x09\x00\x01t\x03\x23\x00\x00hi"),
    ("online", "PUBLISH with + in its response topic", _TOPIC, b"\x30\x0c\x00\x01t\x06\x08\x00\x03a/+hi"),
    ("online", "PUBLISH with # in its response topic", _TOPIC, b"\x30\x0a\x00\x01t\x04\x08\x00\x01#hi"),
    ("online", "PUBLISH with an empty response topic", _TOPIC, b"\x30\x09\x00\x01t\x03\x08\x00\x00hi"),
    ("online", "PUBLISH with U+0000 in its response topic", _81, b"\x30\x0b\x00\x01t\x05\x08\x00\x02a\x00hi"),
    ("online", "PUBLISH with a content type that is not UTF-8", _81, b"\x30\x0a\x00\x01t\x04\x03\x00\x01\xffhi"),
    (
        "online",
        "PUBLISH with a content type cut within a character",
        _81,
        b"\x30\x0b\x00\x01t\x05\x03\x00\x02\xe2\x82hi",
    ),
    (
        "online",
        "PUBLISH with a user property's name that is not UTF-8",
        _81,
        b"\x30\x0d\x00\x01t\x07\x26\x00\x01\xff\x00\x01vhi",
    ),
    (
        "online",
        "PUBLISH with a user property's value that is not UTF-8",
        _81,
        b"\x30\x0d\x00\x01t\x07\x26\x00\x01k\x00\x01\xffhi",
    ),
    ("online", "PUBACK with flags", _81, b"\x42\x02\x00\x07"),
    ("online", "PUBACK without a body", _81, b"\x40\x00"),
    ("online", "PUBACK too short", _81, b"\x40\x01\x00"),
    ("online", "PUBACK with packet identifier 0", _ANY, b"\x40\x02\x00\x00"),
    ("online", "PUBACK with a property length beyond its end", _81, b"\x40\x04\x00\x07\x00\x01"),
    ("online", "PUBACK with something behind its properties", _81, b"\x40\x05\x00\x07\x00\x00\x00"),
    ("online", "PUBACK with a reason string that is not UTF-8", _81, b"\x40\x08\x00\x07\x80\x04\x1f\x00\x01\xff"),
    ("online", "PUBREC with flags", _81, b"\x52\x02\x00\x07"),
    ("online", "PUBREC too short", _81, b"\x50\x01\x00"),
    ("online", "PUBREC with packet identifier 0", _ANY, b"\x50\x03\x00\x00\x00"),
    ("online", "PUBREC that refuses packet identifier 0", _ANY, b"\x50\x03\x00\x00\x80"),
    ("online", "PUBREC with something behind its properties", _81, b"\x50\x05\x00\x07\x00\x00\x00"),
    ("online", "PUBREL without its flags", _81, b"\x60\x02\x00\x07"),
    ("online", "PUBREL with other flags", _81, b"\x63\x02\x00\x07"),
    ("online", "PUBREL with packet identifier 0", _ANY, b"\x62\x02\x00\x00"),
    ("online", "PUBREL with half its properties", _81, b"\x62\x06\x00\x07\x00\x05\x1f\x00"),
    ("online", "PUBCOMP with flags", _81, b"\x72\x02\x00\x07"),
    ("online", "PUBCOMP without a body", _81, b"\x70\x00"),
    ("online", "PUBCOMP with a property length of five bytes", _81, b"\x70\x08\x00\x07\x00\x80\x80\x80\x80\x00"),
    ("online", "SUBACK with flags", _81, b"\x92\x04\x00\x07\x00\x00"),
    ("online", "SUBACK without a body", _81, b"\x90\x00"),
    ("online", "SUBACK without a property length", _81, b"\x90\x02\x00\x07"),
    ("online", "SUBACK with packet identifier 0", _ANY, b"\x90\x04\x00\x00\x00\x00"),
    ("online", "SUBACK with a property length beyond its end", _81, b"\x90\x04\x00\x07\x02\x00"),
    ("online", "UNSUBACK with flags", _81, b"\xb2\x04\x00\x07\x00\x00"),
    ("online", "UNSUBACK without a property length, as in 3.1.1", _81, b"\xb0\x02\x00\x07"),
    ("online", "PINGRESP with flags", _81, b"\xd1\x00"),
    ("online", "PINGRESP with a body", _81, b"\xd0\x01\x00"),
    ("online", "DISCONNECT with flags", _81, b"\xe1\x00"),
    ("online", "DISCONNECT with a property length beyond its end", _81, b"\xe0\x02\x8b\x01"),
    ("online", "DISCONNECT with something behind its properties", _81, b"\xe0\x03\x8b\x00\x00"),
    ("online", "AUTH with flags", _ANY, b"\xf1\x06\x18\x04\x15\x00\x01M"),
    ("subscribing", "SUBACK without a reason code", _ANY, b"\x90\x03\x00\x01\x00"),
    ("unsubscribing", "UNSUBACK without a reason code", _ANY, b"\xb0\x03\x00\x01\x00"),
)

# The same: right in itself, wrong now.
UNEXPECTED = (
    ("connecting", "PUBLISH before CONNACK", _82, b"\x30\x06\x00\x01t\x00hi"),
    ("connecting", "PINGRESP before CONNACK", _82, b"\xd0\x00"),
    ("connecting", "SUBACK before CONNACK", _82, b"\x90\x04\x00\x01\x00\x00"),
    ("connecting", "PUBREL before CONNACK", _82, b"\x62\x02\x00\x01"),
    ("connecting", "session present after Clean Start", _82, b"\x20\x03\x01\x00\x00"),  # [MQTT-3.2.2-4]
    ("connecting", "AUTH unasked", _82, b"\xf0\x06\x18\x04\x15\x00\x01M"),
    ("authenticating", "AUTH with another method", _82, b"\xf0\x06\x18\x04\x15\x00\x01N"),
    ("authenticating", "AUTH of success before CONNACK", _ANY, b"\xf0\x06\x00\x04\x15\x00\x01M"),
    ("authenticating", "AUTH that asks for another authentication", _ANY, b"\xf0\x06\x19\x04\x15\x00\x01M"),
    ("authenticating", "AUTH with an unknown reason code", _ANY, b"\xf0\x06\x01\x04\x15\x00\x01M"),
    ("authenticating", "CONNACK without the method", _82, b"\x20\x03\x00\x00\x00"),  # [MQTT-4.12.0-5]
    ("authenticating", "CONNACK with another method", _82, b"\x20\x07\x00\x00\x04\x15\x00\x01N"),
    ("online", "second CONNACK", _82, b"\x20\x03\x00\x00\x00"),
    ("online", "CONNECT from the broker", _82, b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01a"),
    ("online", "SUBSCRIBE from the broker", _82, b"\x82\x07\x00\x01\x00\x00\x01t\x00"),
    ("online", "UNSUBSCRIBE from the broker", _82, b"\xa2\x06\x00\x01\x00\x00\x01t"),
    ("online", "PINGREQ from the broker", _82, b"\xc0\x00"),
    ("online", "AUTH unasked", _82, b"\xf0\x06\x18\x04\x15\x00\x01M"),
    ("online", "AUTH of success unasked", _82, b"\xf0\x06\x00\x04\x15\x00\x01M"),
    ("online", "PUBLISH with a topic alias above the maximum", _94, b"\x30\x09\x00\x01t\x03\x23\x00\x09hi"),
    ("online", "PUBLISH with topic alias 65535", _94, b"\x30\x09\x00\x01t\x03\x23\xff\xffhi"),
    ("online", "PUBLISH with an unknown topic alias", _82, b"\x30\x08\x00\x00\x03\x23\x00\x08hi"),
    ("subscribing", "SUBACK with two reason codes for one filter", _ANY, b"\x90\x05\x00\x01\x00\x00\x00"),
    ("subscribing", "SUBACK with reason code 3", _ANY, b"\x90\x04\x00\x01\x00\x03"),
    ("subscribing", "UNSUBACK for a SUBSCRIBE", _ANY, b"\xb0\x04\x00\x01\x00\x00"),
    ("unsubscribing", "UNSUBACK with two reason codes for one filter", _ANY, b"\xb0\x05\x00\x01\x00\x00\x00"),
    ("unsubscribing", "SUBACK for an UNSUBSCRIBE", _ANY, b"\x90\x04\x00\x01\x00\x00"),
    ("publishing 1", "PUBREC for QoS 1", _82, b"\x50\x02\x00\x01"),
    ("publishing 1", "PUBREC that refuses QoS 1", _82, b"\x50\x03\x00\x01\x97"),
    ("publishing 1", "PUBCOMP for QoS 1", _82, b"\x70\x02\x00\x01"),
    ("publishing 2", "PUBACK for QoS 2", _82, b"\x40\x02\x00\x01"),
    ("publishing 2", "PUBACK that refuses QoS 2", _82, b"\x40\x03\x00\x01\x97"),
    ("publishing 2", "PUBCOMP before PUBREC", _82, b"\x70\x02\x00\x01"),
    ("releasing", "PUBACK after PUBREC", _82, b"\x40\x02\x00\x01"),
)

# What is forbidden to a client with these arguments: (arguments, state, what is wrong, reason codes, bytes).
_QUIET = {"request_problem_information": False}  # section 3.1.2.11.7
WITH_SETTINGS = (
    (
        {"topic_alias_maximum": 0},
        "online",
        "PUBLISH with an alias where there is none",
        _94,
        b"\x30\x09\x00\x01t\x03\x23\x00\x01hi",
    ),
    (
        {"topic_alias_maximum": 1},
        "online",
        "PUBLISH with an alias above the maximum",
        _94,
        b"\x30\x09\x00\x01t\x03\x23\x00\x02hi",
    ),
    (_QUIET, "publishing 1", "PUBACK with a reason string", _82, b"\x40\x09\x00\x01\x00\x05\x1f\x00\x02ok"),
    (_QUIET, "publishing 2", "PUBREC with a user property", _82, b"\x50\x0b\x00\x01\x00\x07" + _KV),
    (_QUIET, "subscribing", "SUBACK with a reason string", _82, b"\x90\x09\x00\x01\x05\x1f\x00\x02ok\x00"),
    (_QUIET, "unsubscribing", "UNSUBACK with a user property", _82, b"\xb0\x0b\x00\x01\x07" + _KV + b"\x00"),
)

# Where a row of FRAMES can come.
STATES = {
    "CONNACK": "connecting",
    "PUBACK": "publishing 1",
    "PUBREC": "publishing 2",
    "PUBCOMP": "releasing",
    "SUBACK": "subscribing",
    "UNSUBACK": "unsubscribing",
    "AUTH": "authenticating",
}
_METHOD = b"\x15\x00\x01M"  # without which AUTH is wrong anyway
_REPEATABLE = ("user_properties", "subscription_identifier")


def foreign():
    """Every property in every packet that may not have it, in the form of MALFORMED (section 2.2.2.2)."""
    rows = []
    for frame in FRAMES:
        for name, data, _, carriers in PROPERTIES:
            if frame[0] not in carriers.split():
                data = _METHOD + data if frame[0] == "AUTH" else data
                rows.append((STATES.get(frame[0], "online"), "%s in %s" % (name, frame[0]), _81, framed(frame, data)))
    return rows


def repeated():
    """Every property twice in every packet that may have it once, in the form of MALFORMED."""
    rows = []
    for frame in FRAMES:
        for name, data, _, carriers in PROPERTIES:
            if frame[0] in carriers.split() and name not in _REPEATABLE:
                # Of these two section 3.3.2.3 does not say what they are when they are repeated.
                codes = _ANY if name in ("payload_format", "message_expiry") else _82
                codes = _ANY if (frame[0], name) == ("DISCONNECT", "session_expiry") else codes
                method = _METHOD if frame[0] == "AUTH" and name != "authentication_method" else b""
                what = "%s twice in %s" % (name, frame[0])
                rows.append((STATES.get(frame[0], "online"), what, codes, framed(frame, method + data + data)))
    return rows
