"""The packets of an MQTT 5 broker as data, with what the client makes of them. See `packets5`."""

from packets5 import DEFAULT_LIMITS

_KV = b"\x26\x00\x01k\x00\x01v"
_KW = b"\x26\x00\x01k\x00\x01w"

CONNACK = b"\x20\x03\x00\x00\x00"
CONNACK_SESSION_PRESENT = b"\x20\x03\x01\x00\x00"

# (name, arguments of the client, session_present, some of server_limits, bytes)
RECEIVED_CONNACK = (
    ("nothing said", {}, False, DEFAULT_LIMITS, CONNACK),
    ("session present", {"clean_session": False, "session_expiry": 60}, True, {}, CONNACK_SESSION_PRESENT),
    (
        "everything said",
        {"session_expiry": 60, "request_response_information": True},
        False,
        {
            "session_expiry": 86400,
            "server_keepalive": 10,
            "response_information": "r/",
            "reason_string": "ok",
            "receive_maximum": 2,
            "topic_alias_maximum": 4,
            "maximum_qos": 1,
            "retain_available": 0,
            "user_properties": [("k", "v"), ("k", "w")],
            "maximum_packet_size": 256,
            "wildcard_available": 0,
            "subscription_identifiers_available": 0,
            "shared_available": 0,
        },
        b"\x20\x38\x00\x00\x35\x11\x00\x01\x51\x80\x13\x00\x0a\x1a\x00\x02r/\x1f\x00\x02ok\x21\x00\x02\x22\x00\x04\x24\x01"
        + b"\x25\x00"
        + _KV
        + _KW
        + b"\x27\x00\x00\x01\x00\x28\x00\x29\x00\x2a\x00",
    ),
    (
        "another order",
        {},
        False,
        {"maximum_packet_size": 256, "user_properties": [("k", "w"), ("k", "v")], "receive_maximum": 2},
        b"\x20\x19\x00\x00\x16" + _KW + b"\x27\x00\x00\x01\x00" + _KV + b"\x21\x00\x02",
    ),
    (
        "the largest values",
        {},
        False,
        {"receive_maximum": 65535, "topic_alias_maximum": 65535, "maximum_packet_size": 0xFFFFFFFF},
        b"\x20\x0e\x00\x00\x0b\x21\xff\xff\x22\xff\xff\x27\xff\xff\xff\xff",
    ),
    (
        "an identifier assigned",
        {"client_id": ""},
        False,
        {"assigned_client_identifier": "a-1"},
        b"\x20\x09\x00\x00\x06\x12\x00\x03a-1",
    ),
    (
        "property length 127",
        {},
        False,
        {"user_properties": [("k", "v" * 121)]},
        b"\x20\x82\x01\x00\x00\x7f\x26\x00\x01k\x00\x79" + b"v" * 121,
    ),
    (
        "property length 128",
        {},
        False,
        {"user_properties": [("k", "v" * 122)]},
        b"\x20\x84\x01\x00\x00\x80\x01\x26\x00\x01k\x00\x7a" + b"v" * 122,
    ),
)

_EVERY = {
    "payload_format": 1,
    "message_expiry": 3600,
    "content_type": "text",
    "response_topic": "a/b",
    "correlation_data": b"\x00\xff",
    "subscription_identifier": [1, 268435455],
    "user_properties": [("k", "v"), ("k", "w")],
}
_EVERY_BYTES = (
    b"\x01\x01\x02\x00\x00\x0e\x10\x03\x00\x04text\x08\x00\x03a/b\x09\x00\x02\x00\xff\x0b\x01\x0b\xff\xff\xff\x7f"
    + _KV
    + _KW
)

# (name, (topic, payload, retain, qos, dup, properties or None), bytes, bytes the client answers with).
# A topic alias need not be told among the properties.
RECEIVED_PUBLISH = (
    ("QoS 0", (b"t", b"hi", 0, 0, 0, None), b"\x30\x06\x00\x01t\x00hi", b""),
    ("QoS 1", (b"t", b"hi", 0, 1, 0, None), b"\x32\x08\x00\x01t\x00\x01\x00hi", b"\x40\x02\x00\x01"),
    ("QoS 1, again, retained", (b"t", b"hi", 1, 1, 1, None), b"\x3b\x08\x00\x01t\xff\xff\x00hi", b"\x40\x02\xff\xff"),
    ("QoS 2", (b"t", b"hi", 0, 2, 0, None), b"\x34\x08\x00\x01t\x00\x0a\x00hi", b"\x50\x02\x00\x0a"),
    ("empty payload", (b"t", b"", 0, 0, 0, None), b"\x30\x04\x00\x01t\x00", b""),
    (
        "payload of text",
        (b"t", "21°C", 0, 0, 0, {"payload_format": 1}),
        b"\x30\x0b\x00\x01t\x02\x01\x0121\xc2\xb0C",
        b"",
    ),
    (
        "payload of bytes, told so",
        (b"t", b"\xff\x00", 0, 0, 0, {"payload_format": 0}),
        b"\x30\x08\x00\x01t\x02\x01\x00\xff\x00",
        b"",
    ),
    ("every property", (b"t", "hi", 0, 0, 0, _EVERY), b"\x30\x34\x00\x01t\x2e" + _EVERY_BYTES + b"hi", b""),
    (
        "every property, QoS 1",
        (b"t", "hi", 0, 1, 0, _EVERY),
        b"\x32\x36\x00\x01t\x00\x01\x2e" + _EVERY_BYTES + b"hi",
        b"\x40\x02\x00\x01",
    ),
    (
        "subscription identifiers of every size",
        (b"t", b"hi", 0, 0, 0, {"subscription_identifier": [127, 128, 16383, 16384, 2097151, 2097152]}),
        b"\x30\x1b\x00\x01t\x15\x0b\x7f\x0b\x80\x01\x0b\xff\x7f\x0b\x80\x80\x01\x0b\xff\xff\x7f\x0b\x80\x80\x80\x01hi",
        b"",
    ),
    (
        "the same subscription identifier twice",  # section 3.3.4
        (b"t", b"hi", 0, 0, 0, {"subscription_identifier": [7, 7]}),
        b"\x30\x0a\x00\x01t\x04\x0b\x07\x0b\x07hi",
        b"",
    ),
    (
        "user properties keep their order, between others",
        (b"t", b"hi", 0, 0, 0, {"user_properties": [("k", "w"), ("k", "v"), ("k", "w"), ("", "")], "content_type": ""}),
        b"\x30\x23\x00\x01t\x1d" + _KW + _KV + b"\x03\x00\x00" + _KW + b"\x26\x00\x00\x00\x00hi",
        b"",
    ),
    (
        "text beyond ASCII",
        (b"\xc3\xb6", b"", 0, 0, 0, {"content_type": "°C", "user_properties": [("ö", "€😀")]}),
        b"\x30\x19\x00\x02\xc3\xb6\x14\x03\x00\x03\xc2\xb0C\x26\x00\x02\xc3\xb6\x00\x07\xe2\x82\xac\xf0\x9f\x98\x80",
        b"",
    ),
    (
        "the largest numbers",
        (b"t", b"", 0, 0, 0, {"message_expiry": 0xFFFFFFFF, "subscription_identifier": [268435455]}),
        b"\x30\x0e\x00\x01t\x0a\x02\xff\xff\xff\xff\x0b\xff\xff\xff\x7f",
        b"",
    ),
    (
        "message that is about to expire",
        (b"t", b"", 0, 0, 0, {"message_expiry": 0}),
        b"\x30\x09\x00\x01t\x05\x02" + bytes(4),
        b"",
    ),
    ("topic alias set", (b"t", b"hi", 0, 0, 0, {}), b"\x30\x09\x00\x01t\x03\x23\x00\x08hi", b""),
    (
        "property length 127",
        (b"t", b"hi", 0, 0, 0, {"content_type": "c" * 124}),
        b"\x30\x85\x01\x00\x01t\x7f\x03\x00\x7c" + b"c" * 124 + b"hi",
        b"",
    ),
    (
        "property length 128",
        (b"t", b"hi", 0, 1, 0, {"content_type": "c" * 125}),
        b"\x32\x89\x01\x00\x01t\x00\x01\x80\x01\x03\x00\x7d" + b"c" * 125 + b"hi",
        b"\x40\x02\x00\x01",
    ),
    (
        "property length 16383",
        (b"t", b"hi", 0, 0, 0, {"correlation_data": b"d" * 16380}),
        b"\x30\x86\x80\x01\x00\x01t\xff\x7f\x09\x3f\xfc" + b"d" * 16380 + b"hi",
        b"",
    ),
    (
        "property length 16384",
        (b"t", b"hi", 0, 0, 0, {"correlation_data": b"d" * 16381}),
        b"\x30\x88\x80\x01\x00\x01t\x80\x80\x01\x09\x3f\xfd" + b"d" * 16381 + b"hi",
        b"",
    ),
    ("remaining length 127", (b"t", b"x" * 123, 0, 0, 0, None), b"\x30\x7f\x00\x01t\x00" + b"x" * 123, b""),
    ("remaining length 128", (b"t", b"x" * 124, 0, 0, 0, None), b"\x30\x80\x01\x00\x01t\x00" + b"x" * 124, b""),
    (
        "remaining length 16384",
        (b"t", b"x" * 16380, 0, 0, 0, None),
        b"\x30\x80\x80\x01\x00\x01t\x00" + b"x" * 16380,
        b"",
    ),
)

# What stands behind the first byte and the Remaining Length of an acknowledgement of message 1:
# (name, reason code, properties, bytes). Section 3.4.2: less than 4 bytes have no Property Length.
ACKNOWLEDGEMENTS = (
    ("two bytes", 0, {}, b"\x00\x01"),
    ("with a reason code", 0, {}, b"\x00\x01\x00"),
    ("with a property length", 0, {}, b"\x00\x01\x00\x00"),
    ("with a reason string", 0, {"reason_string": "ok"}, b"\x00\x01\x00\x05\x1f\x00\x02ok"),
    (
        "with everything",
        0,
        {"reason_string": "°C", "user_properties": [("k", "v"), ("k", "w")]},
        b"\x00\x01\x00\x14" + _KV + b"\x1f\x00\x03\xc2\xb0C" + _KW,
    ),
    (
        "with 128 bytes of properties",
        0,
        {"user_properties": [("k", "v" * 122)]},
        b"\x00\x01\x00\x80\x01\x26\x00\x01k\x00\x7a" + b"v" * 122,
    ),
)

# The same of a refusal, to which the first byte and a reason code of 0x80 and more are put: (name, properties, bytes
# behind the reason code). Of CONNACK all but the first.
REFUSALS = (
    ("bare", {}, b""),
    ("with a property length", {}, b"\x00"),
    ("with a reason string", {"reason_string": "no"}, b"\x05\x1f\x00\x02no"),
    (
        "with everything",
        {"reason_string": "no", "user_properties": [("k", "v"), ("k", "w")]},
        b"\x13\x1f\x00\x02no" + _KV + _KW,
    ),
)

# (name, bytes, all that the client may answer with): of messages that the client does not know (any more). A PUBREC of
# success must be answered, else the broker keeps the identifier for ever; so must a PUBREL; 0x92 may be said or not
# (sections 3.6.2.1, 3.7.2.1).
_PUBREL = (b"\x62\x02\x00\x07", b"\x62\x03\x00\x07\x92", b"\x62\x04\x00\x07\x92\x00")
_PUBCOMP = (b"\x70\x02\x00\x07", b"\x70\x03\x00\x07\x92", b"\x70\x04\x00\x07\x92\x00")
RECEIVED_UNKNOWN_ACK = (
    ("PUBACK", b"\x40\x02\x00\x07", (b"",)),
    ("PUBACK that refuses", b"\x40\x03\x00\x07\x87", (b"",)),
    ("PUBACK with a reason string", b"\x40\x09\x00\x07\x10\x05\x1f\x00\x02ok", (b"",)),
    ("PUBREC", b"\x50\x02\x00\x07", _PUBREL),
    ("PUBREC with a reason code", b"\x50\x03\x00\x07\x10", _PUBREL),
    ("PUBREC with a property length", b"\x50\x04\x00\x07\x00\x00", _PUBREL),
    ("PUBREC that refuses", b"\x50\x04\x00\x07\x97\x00", (b"",)),
    ("PUBREL", b"\x62\x02\x00\x07", _PUBCOMP),
    ("PUBREL with a reason code", b"\x62\x03\x00\x07\x92", _PUBCOMP),
    ("PUBREL with a reason string", b"\x62\x09\x00\x07\x00\x05\x1f\x00\x02ok", _PUBCOMP),
    ("PUBCOMP", b"\x70\x02\x00\x07", (b"",)),
    ("PUBCOMP that does not know it", b"\x70\x03\x00\x07\x92", (b"",)),
    ("SUBACK", b"\x90\x04\x00\x07\x00\x00", (b"",)),
    ("UNSUBACK", b"\xb0\x04\x00\x07\x00\x00", (b"",)),
    ("PINGRESP", b"\xd0\x00", (b"",)),
)

# Where a property stands in a packet of the broker: (packet, first byte, bytes before the Property Length, bytes behind
# the properties).
FRAMES = (
    ("CONNACK", 0x20, b"\x00\x00", b""),
    ("PUBLISH", 0x30, b"\x00\x01t", b"hi"),
    ("PUBACK", 0x40, b"\x00\x01\x00", b""),
    ("PUBREC", 0x50, b"\x00\x01\x00", b""),
    ("PUBREL", 0x62, b"\x00\x01\x00", b""),
    ("PUBCOMP", 0x70, b"\x00\x01\x00", b""),
    ("SUBACK", 0x90, b"\x00\x01", b"\x00"),
    ("UNSUBACK", 0xB0, b"\x00\x01", b"\x00"),
    ("DISCONNECT", 0xE0, b"\x8b", b""),
    ("AUTH", 0xF0, b"\x18", b""),
)


def framed(frame, properties):
    """The packet of a row of FRAMES with these properties; fewer than 128 bytes of them."""
    _, head, before, behind = frame
    body = before + bytes((len(properties),)) + properties + behind
    return bytes((head, len(body))) + body
