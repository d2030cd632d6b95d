"""The packets of MQTT 5 as data: every test of the wire reads them here, under CPython and under MicroPython.

As in `packets`, which has 3.1.1: `SENT_*` are packets of the client with the call that makes them. `received5` has the
packets of the broker with what the client makes of them, `malformed5` what the client must refuse. Every packet is
written out byte by byte, so that no code of ours can be wrong twice. Properties stand by ascending identifier; a client
may choose another order (section 2.2.2.2), so whoever compares what was sent does so with `reference5.meaning`.
"""

# One of each property: (name, bytes, value, the packets that may carry it). WILL is the will's in CONNECT.
# Section 2.2.2.2, table 2-4.
_ACKS = "PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK"
PROPERTIES = (
    ("payload_format", b"\x01\x01", 1, "PUBLISH WILL"),
    ("message_expiry", b"\x02\x00\x00\x0e\x10", 3600, "PUBLISH WILL"),
    ("content_type", b"\x03\x00\x04text", "text", "PUBLISH WILL"),
    ("response_topic", b"\x08\x00\x03a/b", "a/b", "PUBLISH WILL"),
    ("correlation_data", b"\x09\x00\x02\x00\xff", b"\x00\xff", "PUBLISH WILL"),
    ("subscription_identifier", b"\x0b\x80\x01", [128], "PUBLISH SUBSCRIBE"),
    ("session_expiry", b"\x11\x00\x01\x51\x80", 86400, "CONNECT CONNACK DISCONNECT"),
    ("assigned_client_identifier", b"\x12\x00\x03a-1", "a-1", "CONNACK"),
    ("server_keepalive", b"\x13\x00\x0a", 10, "CONNACK"),
    ("authentication_method", b"\x15\x00\x01M", "M", "CONNECT CONNACK AUTH"),
    ("authentication_data", b"\x16\x00\x02\x00\xff", b"\x00\xff", "CONNECT CONNACK AUTH"),
    ("request_problem_information", b"\x17\x00", 0, "CONNECT"),
    ("will_delay", b"\x18\x00\x00\x00\x1e", 30, "WILL"),
    ("request_response_information", b"\x19\x01", 1, "CONNECT"),
    ("response_information", b"\x1a\x00\x02r/", "r/", "CONNACK"),
    ("server_reference", b"\x1c\x00\x04b:77", "b:77", "CONNACK DISCONNECT"),
    ("reason_string", b"\x1f\x00\x02ok", "ok", "CONNACK DISCONNECT AUTH " + _ACKS),
    ("receive_maximum", b"\x21\x00\x02", 2, "CONNECT CONNACK"),
    ("topic_alias_maximum", b"\x22\x00\x04", 4, "CONNECT CONNACK"),
    ("topic_alias", b"\x23\x00\x01", 1, "PUBLISH"),
    ("maximum_qos", b"\x24\x01", 1, "CONNACK"),
    ("retain_available", b"\x25\x00", 0, "CONNACK"),
    (
        "user_properties",
        b"\x26\x00\x01k\x00\x01v",
        [("k", "v")],
        "CONNECT CONNACK PUBLISH WILL SUBSCRIBE UNSUBSCRIBE DISCONNECT AUTH " + _ACKS,
    ),
    ("maximum_packet_size", b"\x27\x00\x00\x01\x00", 256, "CONNECT CONNACK"),
    ("wildcard_available", b"\x28\x00", 0, "CONNACK"),
    ("subscription_identifiers_available", b"\x29\x00", 0, "CONNACK"),
    ("shared_available", b"\x2a\x00", 0, "CONNACK"),
)

# What a server may say of its limits, and what it means when it says nothing (section 3.2.2.3).
DEFAULT_LIMITS = {
    "receive_maximum": 65535,
    "maximum_qos": 2,
    "retain_available": 1,
    "maximum_packet_size": None,
    "topic_alias_maximum": 0,
    "wildcard_available": 1,
    "subscription_identifiers_available": 1,
    "shared_available": 1,
}

# Section 2.4, table 2-6: (code, name, the packets of a server that may say it). Those of success are not all here.
REASON_CODES = (
    (0x10, "No matching subscribers", "PUBACK PUBREC"),
    (0x11, "No subscription existed", "UNSUBACK"),
    (0x80, "Unspecified error", "CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT"),
    (0x81, "Malformed Packet", "CONNACK DISCONNECT"),
    (0x82, "Protocol Error", "CONNACK DISCONNECT"),
    (0x83, "Implementation specific error", "CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT"),
    (0x84, "Unsupported Protocol Version", "CONNACK"),
    (0x85, "Client Identifier not valid", "CONNACK"),
    (0x86, "Bad User Name or Password", "CONNACK"),
    (0x87, "Not authorized", "CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT"),
    (0x88, "Server unavailable", "CONNACK"),
    (0x89, "Server busy", "CONNACK DISCONNECT"),
    (0x8A, "Banned", "CONNACK"),
    (0x8B, "Server shutting down", "DISCONNECT"),
    (0x8C, "Bad authentication method", "CONNACK DISCONNECT"),
    (0x8D, "Keep Alive timeout", "DISCONNECT"),
    (0x8E, "Session taken over", "DISCONNECT"),
    (0x8F, "Topic Filter invalid", "SUBACK UNSUBACK DISCONNECT"),
    (0x90, "Topic Name invalid", "CONNACK PUBACK PUBREC DISCONNECT"),
    (0x91, "Packet Identifier in use", "PUBACK PUBREC SUBACK UNSUBACK"),
    (0x92, "Packet Identifier not found", "PUBREL PUBCOMP"),
    (0x93, "Receive Maximum exceeded", "DISCONNECT"),
    (0x94, "Topic Alias invalid", "DISCONNECT"),
    (0x95, "Packet too large", "CONNACK DISCONNECT"),
    (0x96, "Message rate too high", "DISCONNECT"),
    (0x97, "Quota exceeded", "CONNACK PUBACK PUBREC SUBACK DISCONNECT"),
    (0x98, "Administrative action", "DISCONNECT"),
    (0x99, "Payload format invalid", "CONNACK PUBACK PUBREC DISCONNECT"),
    (0x9A, "Retain not supported", "CONNACK DISCONNECT"),
    (0x9B, "QoS not supported", "CONNACK DISCONNECT"),
    (0x9C, "Use another server", "CONNACK DISCONNECT"),
    (0x9D, "Server moved", "CONNACK DISCONNECT"),
    (0x9E, "Shared Subscriptions not supported", "SUBACK DISCONNECT"),
    (0x9F, "Connection rate exceeded", "CONNACK DISCONNECT"),
    (0xA0, "Maximum connect time", "DISCONNECT"),
    (0xA1, "Subscription Identifiers not supported", "SUBACK DISCONNECT"),
    (0xA2, "Wildcard Subscriptions not supported", "SUBACK DISCONNECT"),
)


def refusals(packet):
    """The reason codes, 0x80 and above, with which a server may refuse in this packet."""
    return [code for code, _, packets in REASON_CODES if code >= 0x80 and packet in packets.split()]


_M = b"\x00\x04MQTT\x05"  # protocol name and version
# What every CONNECT says here, 11 bytes: 20 messages, 8 aliases, 4096. The first two are asked for; the size is at most
# max_packet.
ASKED = {"receive_maximum": 20, "topic_alias_maximum": 8}
_P = b"\x21\x00\x14\x22\x00\x08\x27\x00\x00\x10\x00"
_KV = b"\x26\x00\x01k\x00\x01v"
_KW = b"\x26\x00\x01k\x00\x01w"
_MESSAGE = {  # every property of a message that a program may set, and its bytes (39)
    "payload_format": 1,
    "message_expiry": 3600,
    "content_type": "text",
    "response_topic": "a/b",
    "correlation_data": b"\x00\xff",
    "user_properties": [("k", "v"), ("k", "w")],
}
_MESSAGE_BYTES = b"\x01\x01\x02\x00\x00\x0e\x10\x03\x00\x04text\x08\x00\x03a/b\x09\x00\x02\x00\xff" + _KV + _KW


def _user_property(length):
    """A list of one user property that takes so many bytes."""
    return [("k", "v" * (length - 6))]


def _user_bytes(length):
    return b"\x26\x00\x01k" + bytes(((length - 6) >> 8, (length - 6) & 255)) + b"v" * (length - 6)


# (name, arguments of the client besides ASKED, last will or None, properties of the will, bytes).
# auth: what the client of the authentication method M says first.
SENT_CONNECT = (
    ("client id only", {"client_id": "a"}, None, {}, b"\x10\x19" + _M + b"\x02\x00\x3c\x0b" + _P + b"\x00\x01a"),
    ("empty client id", {"client_id": ""}, None, {}, b"\x10\x18" + _M + b"\x02\x00\x3c\x0b" + _P + b"\x00\x00"),
    (
        "a session to be kept",
        {"client_id": "a", "clean_session": False, "session_expiry": 3600},
        None,
        {},
        b"\x10\x1e" + _M + b"\x00\x00\x3c\x10\x11\x00\x00\x0e\x10" + _P + b"\x00\x01a",
    ),
    (
        "a new session that never ends",
        {"client_id": "a", "session_expiry": 0xFFFFFFFF},
        None,
        {},
        b"\x10\x1e" + _M + b"\x02\x00\x3c\x10\x11\xff\xff\xff\xff" + _P + b"\x00\x01a",
    ),
    (
        "password without a user name",  # section 3.1.2.9: unlike 3.1.1
        {"client_id": "a", "password": b"\x00\xff"},
        None,
        {},
        b"\x10\x1d" + _M + b"\x42\x00\x3c\x0b" + _P + b"\x00\x01a\x00\x02\x00\xff",
    ),
    (
        "user name and password",
        {"client_id": "a", "user": "u", "password": "pw"},
        None,
        {},
        b"\x10\x20" + _M + b"\xc2\x00\x3c\x0b" + _P + b"\x00\x01a\x00\x01u\x00\x02pw",
    ),
    (
        "retained will at QoS 1",
        {"client_id": "a"},
        ("w", "bye", True, 1),
        {},
        b"\x10\x22" + _M + b"\x2e\x00\x3c\x0b" + _P + b"\x00\x01a\x00\x00\x01w\x00\x03bye",
    ),
    (
        "will with every property",
        {"client_id": "a"},
        ("w", "bye", False, 2),
        dict(_MESSAGE, will_delay=30),
        b"\x10\x4e"
        + _M
        + b"\x16\x00\x3c\x0b"
        + _P
        + b"\x00\x01a\x2c"
        + _MESSAGE_BYTES[:25]
        + b"\x18\x00\x00\x00\x1e"
        + _KV
        + _KW
        + b"\x00\x01w\x00\x03bye",
    ),
    (
        "every property of CONNECT",
        {
            "client_id": "a",
            "session_expiry": 60,
            "auth": b"\x00\xff",
            "request_problem_information": False,
            "request_response_information": True,
            "receive_maximum": 1,
            "topic_alias_maximum": 16,
            "user_properties": [("k", "v"), ("k", "w")],
            "max_packet": 100,
        },
        None,
        {},
        b"\x10\x39"
        + _M
        + b"\x02\x00\x3c\x2b\x11\x00\x00\x00\x3c\x15\x00\x01M\x16\x00\x02\x00\xff\x17\x00"
        + b"\x19\x01\x21\x00\x01\x22\x00\x10"
        + _KV
        + _KW
        + b"\x27\x00\x00\x00\x64\x00\x01a",
    ),
    (
        "authentication that the server begins",
        {"client_id": "a", "auth": None},
        None,
        {},
        b"\x10\x1d" + _M + b"\x02\x00\x3c\x0f\x15\x00\x01M" + _P + b"\x00\x01a",
    ),
    (
        "property length 127",
        {"client_id": "a", "user_properties": _user_property(116)},
        None,
        {},
        b"\x10\x8d\x01" + _M + b"\x02\x00\x3c\x7f" + _P[:6] + _user_bytes(116) + _P[6:] + b"\x00\x01a",
    ),
    (
        "property length 128",
        {"client_id": "a", "user_properties": _user_property(117)},
        None,
        {},
        b"\x10\x8f\x01" + _M + b"\x02\x00\x3c\x80\x01" + _P[:6] + _user_bytes(117) + _P[6:] + b"\x00\x01a",
    ),
    (
        "property length 16383",
        {"client_id": "a", "user_properties": _user_property(16372), "tx_size": 20000},
        None,
        {},
        b"\x10\x8e\x80\x01" + _M + b"\x02\x00\x3c\xff\x7f" + _P[:6] + _user_bytes(16372) + _P[6:] + b"\x00\x01a",
    ),
    (
        "property length 16384",
        {"client_id": "a", "user_properties": _user_property(16373), "tx_size": 20000},
        None,
        {},
        b"\x10\x90\x80\x01" + _M + b"\x02\x00\x3c\x80\x80\x01" + _P[:6] + _user_bytes(16373) + _P[6:] + b"\x00\x01a",
    ),
)

# (name, arguments of publish, packet_id or None, bytes); the packet identifier is that of a session's first message
SENT_PUBLISH = (
    ("QoS 0", {"topic": "t", "msg": "hi"}, None, b"\x30\x06\x00\x01t\x00hi"),
    ("QoS 0, retained, bytes", {"topic": b"t", "msg": b"hi", "retain": True}, None, b"\x31\x06\x00\x01t\x00hi"),
    ("empty payload", {"topic": "t", "msg": ""}, None, b"\x30\x04\x00\x01t\x00"),
    ("QoS 1", {"topic": "t", "msg": "hi", "qos": 1}, 1, b"\x32\x08\x00\x01t\x00\x01\x00hi"),
    ("QoS 2, retained", {"topic": "t", "msg": "hi", "retain": True, "qos": 2}, 1, b"\x35\x08\x00\x01t\x00\x01\x00hi"),
    (
        "payload format",
        {"topic": "t", "msg": "hi", "payload_format": 1},
        None,
        b"\x30\x08\x00\x01t\x02\x01\x01hi",
    ),
    (
        "message expiry",
        {"topic": "t", "msg": "hi", "message_expiry": 0xFFFFFFFF},
        None,
        b"\x30\x0b\x00\x01t\x05\x02\xff\xff\xff\xffhi",
    ),
    (
        "empty strings",
        {"topic": "t", "msg": "hi", "content_type": "", "correlation_data": b"", "user_properties": [("", "")]},
        None,
        b"\x30\x11\x00\x01t\x0b\x03\x00\x00\x09\x00\x00\x26\x00\x00\x00\x00hi",
    ),
    ("every property", dict(_MESSAGE, topic="t", msg="hi"), None, b"\x30\x2d\x00\x01t\x27" + _MESSAGE_BYTES + b"hi"),
    (
        "every property, QoS 1",
        dict(_MESSAGE, topic="t", msg="hi", qos=1),
        1,
        b"\x32\x2f\x00\x01t\x00\x01\x27" + _MESSAGE_BYTES + b"hi",
    ),
    (
        "user properties keep their order",
        {"topic": "t", "msg": "hi", "user_properties": (("k", "w"), ("k", "v"), ("a", "b"), ("k", "w"))},
        None,
        b"\x30\x22\x00\x01t\x1c" + _KW + _KV + b"\x26\x00\x01a\x00\x01b" + _KW + b"hi",
    ),
    (
        "text beyond ASCII",
        {"topic": "t", "msg": "hi", "content_type": "°C", "user_properties": [("ö", "€")]},
        None,
        b"\x30\x16\x00\x01t\x10\x03\x00\x03\xc2\xb0C\x26\x00\x02\xc3\xb6\x00\x03\xe2\x82\xachi",
    ),
    (
        "property length 127",
        {"topic": "t", "msg": "hi", "user_properties": _user_property(127)},
        None,
        b"\x30\x85\x01\x00\x01t\x7f" + _user_bytes(127) + b"hi",
    ),
    (
        "property length 128, QoS 1",
        {"topic": "t", "msg": "hi", "qos": 1, "user_properties": _user_property(128)},
        1,
        b"\x32\x89\x01\x00\x01t\x00\x01\x80\x01" + _user_bytes(128) + b"hi",
    ),
    (
        "property length 16383",
        {"topic": "t", "msg": "hi", "user_properties": _user_property(16383)},
        None,
        b"\x30\x86\x80\x01\x00\x01t\xff\x7f" + _user_bytes(16383) + b"hi",
    ),
    (
        "property length 16384, QoS 1",
        {"topic": "t", "msg": "hi", "qos": 1, "user_properties": _user_property(16384)},
        1,
        b"\x32\x8a\x80\x01\x00\x01t\x00\x01\x80\x80\x01" + _user_bytes(16384) + b"hi",
    ),
    ("remaining length 127", {"topic": "t", "msg": b"x" * 123}, None, b"\x30\x7f\x00\x01t\x00" + b"x" * 123),
    ("remaining length 128", {"topic": "t", "msg": b"x" * 124}, None, b"\x30\x80\x01\x00\x01t\x00" + b"x" * 124),
    ("remaining length 16383", {"topic": "t", "msg": b"x" * 16379}, None, b"\x30\xff\x7f\x00\x01t\x00" + b"x" * 16379),
    (
        "remaining length 16384",
        {"topic": "t", "msg": b"x" * 16380},
        None,
        b"\x30\x80\x80\x01\x00\x01t\x00" + b"x" * 16380,
    ),
)

# (name, arguments of subscribe, bytes, bytes of the SUBACK) where the server has no subscription identifiers
SENT_SUBSCRIBE = (
    ("QoS 0", {"topic": "t"}, b"\x82\x07\x00\x01\x00\x00\x01t\x00", b"\x90\x04\x00\x01\x00\x00"),
    ("QoS 2", {"topic": "t", "qos": 2}, b"\x82\x07\x00\x01\x00\x00\x01t\x02", b"\x90\x04\x00\x01\x00\x01"),
    (
        "no local",
        {"topic": "t", "qos": 1, "no_local": True},
        b"\x82\x07\x00\x01\x00\x00\x01t\x05",
        b"\x90\x04\x00\x01\x00\x01",
    ),
    (
        "retain as published",
        {"topic": "t", "retain_as_published": True},
        b"\x82\x07\x00\x01\x00\x00\x01t\x08",
        b"\x90\x04\x00\x01\x00\x00",
    ),
    (
        "retained messages if it is new",
        {"topic": "t", "retain_handling": 1},
        b"\x82\x07\x00\x01\x00\x00\x01t\x10",
        b"\x90\x04\x00\x01\x00\x00",
    ),
    (
        "every option",
        {"topic": "t", "qos": 2, "no_local": True, "retain_as_published": True, "retain_handling": 2},
        b"\x82\x07\x00\x01\x00\x00\x01t\x2e",
        b"\x90\x04\x00\x01\x00\x02",
    ),
    (
        "user properties, three filters",
        {"topic": ["a", b"b/+", "#"], "qos": 1, "user_properties": [("k", "v"), ("k", "w")]},
        b"\x82\x1f\x00\x01\x0e" + _KV + _KW + b"\x00\x01a\x01\x00\x03b/+\x01\x00\x01#\x01",
        b"\x90\x06\x00\x01\x00\x01\x00\x01",
    ),
    (
        "shared",
        {"topic": "$share/g/t/#", "qos": 1},
        b"\x82\x12\x00\x01\x00\x00\x0c$share/g/t/#\x01",
        b"\x90\x04\x00\x01\x00\x01",
    ),
    (
        "SUBACK with properties",
        {"topic": "t", "qos": 1},
        b"\x82\x07\x00\x01\x00\x00\x01t\x01",
        b"\x90\x17\x00\x01\x13\x1f\x00\x02ok" + _KV + _KW + b"\x01",
    ),
)

# (name, arguments of unsubscribe, bytes, bytes of the UNSUBACK)
SENT_UNSUBSCRIBE = (
    ("one filter", {"topic": "t"}, b"\xa2\x06\x00\x01\x00\x00\x01t", b"\xb0\x04\x00\x01\x00\x00"),
    ("no such subscription", {"topic": "t"}, b"\xa2\x06\x00\x01\x00\x00\x01t", b"\xb0\x04\x00\x01\x00\x11"),
    (
        "user property, two filters",
        {"topic": ["a", b"b/+"], "user_properties": [("k", "v")]},
        b"\xa2\x12\x00\x01\x07" + _KV + b"\x00\x01a\x00\x03b/+",
        b"\xb0\x12\x00\x01\x0d\x1f\x00\x03ok." + _KV + b"\x00\x11",
    ),
)

# (name, arguments of disconnect, bytes) of a client that asked for a session of an hour
SENT_DISCONNECT = (
    ("plain", {}, b"\xe0\x00"),
    ("with the will", {"reason_code": 4}, b"\xe0\x01\x04"),
    ("the session ends", {"session_expiry": 0}, b"\xe0\x07\x00\x05\x11\x00\x00\x00\x00"),
    (
        "everything",
        {"session_expiry": 7, "user_properties": [("k", "v"), ("k", "w")], "reason_code": 4},
        b"\xe0\x15\x04\x13\x11\x00\x00\x00\x07" + _KV + _KW,
    ),
)
