"""The packets of MQTT 3.1.1 as data: every test of the wire reads them here, under CPython and under MicroPython.

`SENT_*` are packets of the client with the call that makes them, `RECEIVED_*` packets of the broker with what the
client makes of them, `MALFORMED` what the client must refuse. Every packet is written out byte by byte, so that no code
of ours can be wrong twice.
"""

_M = b"\x00\x04MQTT\x04"  # protocol name and level

# (name, arguments of the client, last will or None, bytes)
SENT_CONNECT = (
    ("client id only", {"client_id": "a"}, None, b"\x10\x0d" + _M + b"\x02\x00\x3c\x00\x01a"),
    ("client id as bytes", {"client_id": b"a"}, None, b"\x10\x0d" + _M + b"\x02\x00\x3c\x00\x01a"),
    ("empty client id", {"client_id": ""}, None, b"\x10\x0c" + _M + b"\x02\x00\x3c\x00\x00"),
    (
        "not a clean session",
        {"client_id": "a", "clean_session": False},
        None,
        b"\x10\x0d" + _M + b"\x00\x00\x3c\x00\x01a",
    ),
    ("keepalive 0", {"client_id": "a", "keepalive": 0}, None, b"\x10\x0d" + _M + b"\x02\x00\x00\x00\x01a"),
    ("keepalive 65535", {"client_id": "a", "keepalive": 65535}, None, b"\x10\x0d" + _M + b"\x02\xff\xff\x00\x01a"),
    (
        "user name only",
        {"client_id": "a", "user": "u"},
        None,
        b"\x10\x10" + _M + b"\x82\x00\x3c\x00\x01a\x00\x01u",
    ),
    (
        "user name and password",
        {"client_id": "a", "user": "u", "password": "pw"},
        None,
        b"\x10\x14" + _M + b"\xc2\x00\x3c\x00\x01a\x00\x01u\x00\x02pw",
    ),
    (
        "empty password",
        {"client_id": "a", "user": "u", "password": ""},
        None,
        b"\x10\x12" + _M + b"\xc2\x00\x3c\x00\x01a\x00\x01u\x00\x00",
    ),
    (
        "password that is not text",
        {"client_id": "a", "user": "u", "password": b"\x00\xff"},
        None,
        b"\x10\x14" + _M + b"\xc2\x00\x3c\x00\x01a\x00\x01u\x00\x02\x00\xff",
    ),
    (
        "will at QoS 0",
        {"client_id": "a"},
        ("w", "bye", False, 0),
        b"\x10\x15" + _M + b"\x06\x00\x3c\x00\x01a\x00\x01w\x00\x03bye",
    ),
    (
        "will at QoS 1",
        {"client_id": "a"},
        ("w", "bye", False, 1),
        b"\x10\x15" + _M + b"\x0e\x00\x3c\x00\x01a\x00\x01w\x00\x03bye",
    ),
    (
        "will at QoS 2",
        {"client_id": "a"},
        ("w", "bye", False, 2),
        b"\x10\x15" + _M + b"\x16\x00\x3c\x00\x01a\x00\x01w\x00\x03bye",
    ),
    (
        "retained will",
        {"client_id": "a"},
        (b"w", b"bye", True, 0),
        b"\x10\x15" + _M + b"\x26\x00\x3c\x00\x01a\x00\x01w\x00\x03bye",
    ),
    (
        "empty will",
        {"client_id": "a"},
        ("w", "", True, 1),
        b"\x10\x12" + _M + b"\x2e\x00\x3c\x00\x01a\x00\x01w\x00\x00",
    ),
    (
        "everything at once",
        {"client_id": "a", "user": "u", "password": "pw", "keepalive": 300, "clean_session": False},
        ("w", "bye", True, 2),
        b"\x10\x1c" + _M + b"\xf4\x01\x2c\x00\x01a\x00\x01w\x00\x03bye\x00\x01u\x00\x02pw",
    ),
    (
        "text beyond ASCII",
        {"client_id": "zähler", "user": "müller", "password": "€"},
        ("ö", "°C", False, 0),
        b"\x10\x2a"
        + _M
        + b"\xc6\x00\x3c\x00\x07z\xc3\xa4hler\x00\x02\xc3\xb6\x00\x03\xc2\xb0C"
        + b"\x00\x07m\xc3\xbcller\x00\x03\xe2\x82\xac",
    ),
    (
        "user name of 300 bytes",
        {"client_id": "a", "user": "u" * 300},
        None,
        b"\x10\xbb\x02" + _M + b"\x82\x00\x3c\x00\x01a\x01\x2c" + b"u" * 300,
    ),
    (
        "remaining length of two bytes",
        {"client_id": "a", "user": "u" * 113},
        None,
        b"\x10\x80\x01" + _M + b"\x82\x00\x3c\x00\x01a\x00\x71" + b"u" * 113,
    ),
)

# (name, arguments of publish, packet_id or None, bytes); the packet identifier is that of a session's first message
SENT_PUBLISH = (
    ("QoS 0", {"topic": "t", "msg": "hi"}, None, b"\x30\x05\x00\x01thi"),
    ("QoS 0, bytes", {"topic": b"t", "msg": b"hi"}, None, b"\x30\x05\x00\x01thi"),
    ("bytearray payload", {"topic": "t", "msg": bytearray(b"\x00\xff")}, None, b"\x30\x05\x00\x01t\x00\xff"),
    ("retained", {"topic": "t", "msg": "hi", "retain": True}, None, b"\x31\x05\x00\x01thi"),
    ("QoS 1", {"topic": "t", "msg": "hi", "qos": 1}, 1, b"\x32\x07\x00\x01t\x00\x01hi"),
    ("QoS 1, retained", {"topic": "t", "msg": "hi", "retain": True, "qos": 1}, 1, b"\x33\x07\x00\x01t\x00\x01hi"),
    ("QoS 2", {"topic": "t", "msg": "hi", "qos": 2}, 1, b"\x34\x07\x00\x01t\x00\x01hi"),
    ("QoS 2, retained", {"topic": "t", "msg": "hi", "retain": True, "qos": 2}, 1, b"\x35\x07\x00\x01t\x00\x01hi"),
    ("empty payload", {"topic": "t", "msg": ""}, None, b"\x30\x03\x00\x01t"),
    (
        "empty payload, QoS 1, retained",
        {"topic": "t", "msg": b"", "retain": True, "qos": 1},
        1,
        b"\x33\x05\x00\x01t\x00\x01",
    ),
    (
        "text beyond ASCII",
        {"topic": "zähler/wärme", "msg": "21°C"},
        None,
        b"\x30\x15\x00\x0ez\xc3\xa4hler/w\xc3\xa4rme21\xc2\xb0C",
    ),
    ("text of four-byte characters", {"topic": "t", "msg": "😀"}, None, b"\x30\x07\x00\x01t\xf0\x9f\x98\x80"),
    ("topic with spaces and slashes", {"topic": "/a b//", "msg": "1"}, None, b"\x30\x09\x00\x06/a b//1"),
    ("remaining length 127", {"topic": "t", "msg": b"x" * 124}, None, b"\x30\x7f\x00\x01t" + b"x" * 124),
    ("remaining length 128", {"topic": "t", "msg": b"x" * 125}, None, b"\x30\x80\x01\x00\x01t" + b"x" * 125),
    ("remaining length 16383", {"topic": "t", "msg": b"x" * 16380}, None, b"\x30\xff\x7f\x00\x01t" + b"x" * 16380),
    ("remaining length 16384", {"topic": "t", "msg": b"x" * 16381}, None, b"\x30\x80\x80\x01\x00\x01t" + b"x" * 16381),
    ("topic of 300 bytes", {"topic": "t" * 300, "msg": "x"}, None, b"\x30\xaf\x02\x01\x2c" + b"t" * 300 + b"x"),
    (
        "topic of 300 bytes, QoS 1",
        {"topic": "t" * 300, "msg": "x", "qos": 1},
        1,
        b"\x32\xb1\x02\x01\x2c" + b"t" * 300 + b"\x00\x01x",
    ),
    (
        "remaining length 128, QoS 1",
        {"topic": "t", "msg": b"x" * 123, "qos": 1},
        1,
        b"\x32\x80\x01\x00\x01t\x00\x01" + b"x" * 123,
    ),
)

# (name, arguments of publish, bytes when sent again on a session the broker has kept)
SENT_AGAIN = (
    ("QoS 1", {"topic": "t", "msg": "hi", "qos": 1}, b"\x3a\x07\x00\x01t\x00\x01hi"),
    ("QoS 1, retained", {"topic": "t", "msg": "hi", "retain": True, "qos": 1}, b"\x3b\x07\x00\x01t\x00\x01hi"),
    ("QoS 2", {"topic": "t", "msg": "hi", "qos": 2}, b"\x3c\x07\x00\x01t\x00\x01hi"),
    ("QoS 2, retained", {"topic": "t", "msg": "", "retain": True, "qos": 2}, b"\x3d\x05\x00\x01t\x00\x01"),
)

# (name, arguments of subscribe, bytes, bytes of the SUBACK)
SENT_SUBSCRIBE = (
    ("QoS 0", ("t",), b"\x82\x06\x00\x01\x00\x01t\x00", b"\x90\x03\x00\x01\x00"),
    ("QoS 1", (b"t", 1), b"\x82\x06\x00\x01\x00\x01t\x01", b"\x90\x03\x00\x01\x01"),
    ("QoS 2", ("t", 2), b"\x82\x06\x00\x01\x00\x01t\x02", b"\x90\x03\x00\x01\x02"),
    ("granted less", ("t", 2), b"\x82\x06\x00\x01\x00\x01t\x02", b"\x90\x03\x00\x01\x00"),
    ("wildcards", ("+/a/#", 1), b"\x82\x0a\x00\x01\x00\x05+/a/#\x01", b"\x90\x03\x00\x01\x01"),
    ("beyond ASCII", ("zähler/#", 0), b"\x82\x0e\x00\x01\x00\x09z\xc3\xa4hler/#\x00", b"\x90\x03\x00\x01\x00"),
    (
        "filter of 300 bytes",
        ("f" * 300, 0),
        b"\x82\xb1\x02\x00\x01\x01\x2c" + b"f" * 300 + b"\x00",
        b"\x90\x03\x00\x01\x00",
    ),
    (
        "three filters",
        (["a", b"b/+", "#"], 1),
        b"\x82\x10\x00\x01\x00\x01a\x01\x00\x03b/+\x01\x00\x01#\x01",
        b"\x90\x05\x00\x01\x01\x00\x01",
    ),
)

# (name, arguments of unsubscribe, bytes)
SENT_UNSUBSCRIBE = (
    ("one filter", ("t",), b"\xa2\x05\x00\x01\x00\x01t"),
    ("beyond ASCII", ("ö/+",), b"\xa2\x08\x00\x01\x00\x04\xc3\xb6/+"),
    ("two filters", (["a", b"b/+"],), b"\xa2\x0a\x00\x01\x00\x01a\x00\x03b/+"),
)

PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"

# (name, session_present, bytes)
RECEIVED_CONNACK = (
    ("new session", False, b"\x20\x02\x00\x00"),
    ("session present", True, b"\x20\x02\x01\x00"),
)

# (reason_code, a word of the meaning, bytes)
RECEIVED_REFUSAL = (
    (1, "version", b"\x20\x02\x00\x01"),
    (2, "identifier", b"\x20\x02\x00\x02"),
    (3, "unavailable", b"\x20\x02\x00\x03"),
    (4, "password", b"\x20\x02\x00\x04"),
    (5, "authori", b"\x20\x02\x00\x05"),
)

# (name, (topic, payload, retain, qos, dup), bytes, bytes the client answers with)
RECEIVED_PUBLISH = (
    ("QoS 0", (b"t", b"hi", False, 0, False), b"\x30\x05\x00\x01thi", b""),
    ("QoS 0, retained", (b"t", b"hi", True, 0, False), b"\x31\x05\x00\x01thi", b""),
    ("QoS 1", (b"t", b"hi", False, 1, False), b"\x32\x07\x00\x01t\x00\x01hi", b"\x40\x02\x00\x01"),
    ("QoS 1, again", (b"t", b"hi", False, 1, True), b"\x3a\x07\x00\x01t\xff\xffhi", b"\x40\x02\xff\xff"),
    ("QoS 1, again, retained", (b"t", b"hi", True, 1, True), b"\x3b\x07\x00\x01t\x01\x00hi", b"\x40\x02\x01\x00"),
    ("QoS 2", (b"t", b"hi", False, 2, False), b"\x34\x07\x00\x01t\x00\x0ahi", b"\x50\x02\x00\x0a"),
    ("QoS 2, again, retained", (b"t", b"", True, 2, True), b"\x3d\x05\x00\x01t\x80\x00", b"\x50\x02\x80\x00"),
    ("empty payload", (b"t", b"", False, 0, False), b"\x30\x03\x00\x01t", b""),
    ("empty payload, QoS 1", (b"t", b"", False, 1, False), b"\x32\x05\x00\x01t\x00\x07", b"\x40\x02\x00\x07"),
    (
        "text beyond ASCII",
        (b"z\xc3\xa4hler", b"21\xc2\xb0C", False, 0, False),
        b"\x30\x0e\x00\x07z\xc3\xa4hler21\xc2\xb0C",
        b"",
    ),
    ("topic of 300 bytes", (b"t" * 300, b"x", False, 0, False), b"\x30\xaf\x02\x01\x2c" + b"t" * 300 + b"x", b""),
    ("payload that is not text", (b"t", b"\x00\xff\xc0", False, 0, False), b"\x30\x06\x00\x01t\x00\xff\xc0", b""),
    ("topic of the broker", (b"$SYS/x", b"1", False, 0, False), b"\x30\x09\x00\x06$SYS/x1", b""),
    ("remaining length 127", (b"t", b"x" * 124, False, 0, False), b"\x30\x7f\x00\x01t" + b"x" * 124, b""),
    ("remaining length 128", (b"t", b"x" * 125, False, 0, False), b"\x30\x80\x01\x00\x01t" + b"x" * 125, b""),
    ("remaining length 16383", (b"t", b"x" * 16380, False, 0, False), b"\x30\xff\x7f\x00\x01t" + b"x" * 16380, b""),
    ("remaining length 16384", (b"t", b"x" * 16381, False, 0, False), b"\x30\x80\x80\x01\x00\x01t" + b"x" * 16381, b""),
)

# Each step of QoS 2 after the PUBLISH of packet identifier 1, in the direction «sending»: (received, answered)
SENDING_QOS_2 = ((b"\x50\x02\x00\x01", b"\x62\x02\x00\x01"), (b"\x70\x02\x00\x01", b""))
# … and «receiving».
RECEIVING_QOS_2 = ((b"\x34\x07\x00\x01t\x00\x01hi", b"\x50\x02\x00\x01"), (b"\x62\x02\x00\x01", b"\x70\x02\x00\x01"))

PUBACK = b"\x40\x02\x00\x01"
PUBREC = b"\x50\x02\x00\x01"
PUBREL = b"\x62\x02\x00\x01"
PUBCOMP = b"\x70\x02\x00\x01"
UNSUBACK = b"\xb0\x02\x00\x01"
PINGRESP = b"\xd0\x00"
CONNACK = b"\x20\x02\x00\x00"
CONNACK_SESSION_PRESENT = b"\x20\x02\x01\x00"

# (name, bytes, bytes the client answers with): of messages that the client does not know (any more).
# A PUBREC must be answered, else the broker keeps the identifier for ever; so must a PUBREL.
RECEIVED_UNKNOWN_ACK = (
    ("PUBACK", b"\x40\x02\x00\x07", b""),
    ("PUBREC", b"\x50\x02\x00\x07", b"\x62\x02\x00\x07"),
    ("PUBREL", b"\x62\x02\x00\x07", b"\x70\x02\x00\x07"),
    ("PUBCOMP", b"\x70\x02\x00\x07", b""),
    ("SUBACK", b"\x90\x03\x00\x07\x00", b""),
    ("UNSUBACK", b"\xb0\x02\x00\x07", b""),
    ("PINGRESP", b"\xd0\x00", b""),
)

# What the client must refuse with MQTTException: (state of the client, what is wrong, bytes). The states:
#   connecting    CONNECT sent, CONNACK awaited        subscribing    SUBSCRIBE of one filter sent, packet identifier 1
#   online        connected, nothing under way         unsubscribing  UNSUBSCRIBE sent, packet identifier 1
#   publishing 1  a QoS 1 PUBLISH sent, identifier 1   publishing 2   a QoS 2 PUBLISH sent, identifier 1
#   releasing     its PUBREL sent
MALFORMED = (
    ("connecting", "PUBLISH before CONNACK", b"\x30\x05\x00\x01thi"),
    ("connecting", "PINGRESP before CONNACK", b"\xd0\x00"),
    ("connecting", "SUBACK before CONNACK", b"\x90\x03\x00\x01\x00"),
    ("connecting", "PUBREL before CONNACK", b"\x62\x02\x00\x01"),
    ("connecting", "CONNACK with flags in its first byte", b"\x21\x02\x00\x00"),
    ("connecting", "CONNACK without a body", b"\x20\x00"),
    ("connecting", "CONNACK too short", b"\x20\x01\x00"),
    ("connecting", "CONNACK too long", b"\x20\x03\x00\x00\x00"),
    ("connecting", "CONNACK with unknown acknowledge flags", b"\x20\x02\x02\x00"),
    ("connecting", "CONNACK with an unknown return code", b"\x20\x02\x00\x06"),
    ("connecting", "CONNACK with return code 255", b"\x20\x02\x00\xff"),
    ("connecting", "refusal with session present", b"\x20\x02\x01\x05"),
    ("connecting", "remaining length of five bytes", b"\x20\x82\x80\x80\x80\x00\x00\x00"),
    ("connecting", "not MQTT but HTTP", b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n" + b" " * 40),
    ("connecting", "not MQTT but a TLS alert", b"\x15\x03\x01\x00\x02\x02\x46"),
    ("online", "second CONNACK", b"\x20\x02\x00\x00"),
    ("online", "packet type 0", b"\x00\x00"),
    ("online", "packet type 15", b"\xf0\x00"),
    ("online", "CONNECT from the broker", b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a"),
    ("online", "SUBSCRIBE from the broker", b"\x82\x06\x00\x01\x00\x01t\x00"),
    ("online", "UNSUBSCRIBE from the broker", b"\xa2\x05\x00\x01\x00\x01t"),
    ("online", "PINGREQ from the broker", b"\xc0\x00"),
    ("online", "DISCONNECT from the broker", b"\xe0\x00"),
    ("online", "remaining length of five bytes", b"\x30\x85\x80\x80\x80\x00\x00\x01thi"),
    ("online", "remaining length that never ends", b"\x30\xff\xff\xff\xff"),
    ("online", "PUBLISH of 256 MB", b"\x30\xff\xff\xff\x7f"),
    ("online", "PUBLISH at QoS 3", b"\x36\x07\x00\x01t\x00\x01hi"),
    ("online", "PUBLISH without a body", b"\x30\x00"),
    ("online", "PUBLISH with half a topic length", b"\x30\x01\x00"),
    ("online", "PUBLISH with an empty topic", b"\x30\x04\x00\x00hi"),
    ("online", "PUBLISH with a topic longer than the packet", b"\x30\x05\x00\x04thi"),
    ("online", "PUBLISH with a topic of 65535 bytes in 5", b"\x30\x05\xff\xffthi"),
    ("online", "PUBLISH with # in its topic", b"\x30\x05\x00\x03a/#"),
    ("online", "PUBLISH with + in its topic", b"\x30\x05\x00\x03+/a"),
    ("online", "PUBLISH with U+0000 in its topic", b"\x30\x06\x00\x02a\x00hi"),
    ("online", "PUBLISH at QoS 1 without a packet identifier", b"\x32\x03\x00\x01t"),
    ("online", "PUBLISH at QoS 1 with half a packet identifier", b"\x32\x04\x00\x01t\x00"),
    ("online", "PUBLISH at QoS 1 with packet identifier 0", b"\x32\x05\x00\x01t\x00\x00"),
    ("online", "PUBLISH at QoS 2 without a packet identifier", b"\x34\x03\x00\x01t"),
    ("online", "PUBLISH at QoS 2 with packet identifier 0", b"\x34\x05\x00\x01t\x00\x00"),
    ("online", "PUBACK with flags", b"\x42\x02\x00\x07"),
    ("online", "PUBACK without a body", b"\x40\x00"),
    ("online", "PUBACK too short", b"\x40\x01\x00"),
    ("online", "PUBACK too long", b"\x40\x03\x00\x07\x00"),
    ("online", "PUBACK with packet identifier 0", b"\x40\x02\x00\x00"),
    ("online", "PUBREC with flags", b"\x52\x02\x00\x07"),
    ("online", "PUBREC too short", b"\x50\x01\x00"),
    ("online", "PUBREC with packet identifier 0", b"\x50\x02\x00\x00"),
    ("online", "PUBREL without its flags", b"\x60\x02\x00\x07"),
    ("online", "PUBREL with other flags", b"\x63\x02\x00\x07"),
    ("online", "PUBREL too long", b"\x62\x04\x00\x07\x00\x00"),
    ("online", "PUBREL with packet identifier 0", b"\x62\x02\x00\x00"),
    ("online", "PUBCOMP with flags", b"\x72\x02\x00\x07"),
    ("online", "PUBCOMP too short", b"\x70\x01\x00"),
    ("online", "SUBACK with flags", b"\x92\x03\x00\x07\x00"),
    ("online", "SUBACK without a body", b"\x90\x00"),
    ("online", "SUBACK with packet identifier 0", b"\x90\x03\x00\x00\x00"),
    ("online", "UNSUBACK with flags", b"\xb2\x02\x00\x07"),
    ("online", "UNSUBACK too short", b"\xb0\x01\x00"),
    ("online", "UNSUBACK too long", b"\xb0\x03\x00\x07\x00"),
    ("online", "PINGRESP with flags", b"\xd1\x00"),
    ("online", "PINGRESP with a body", b"\xd0\x01\x00"),
    ("subscribing", "SUBACK without a return code", b"\x90\x02\x00\x01"),
    ("subscribing", "SUBACK with two return codes for one filter", b"\x90\x04\x00\x01\x00\x00"),
    ("subscribing", "SUBACK with return code 3", b"\x90\x03\x00\x01\x03"),
    ("subscribing", "SUBACK with return code 0x81", b"\x90\x03\x00\x01\x81"),
    ("subscribing", "UNSUBACK for a SUBSCRIBE", b"\xb0\x02\x00\x01"),
    ("unsubscribing", "SUBACK for an UNSUBSCRIBE", b"\x90\x03\x00\x01\x00"),
    ("publishing 1", "PUBREC for QoS 1", b"\x50\x02\x00\x01"),
    ("publishing 1", "PUBCOMP for QoS 1", b"\x70\x02\x00\x01"),
    ("publishing 2", "PUBACK for QoS 2", b"\x40\x02\x00\x01"),
    ("publishing 2", "PUBCOMP before PUBREC", b"\x70\x02\x00\x01"),
    ("releasing", "PUBACK after PUBREC", b"\x40\x02\x00\x01"),
)

# What the client leaves to the broker to check; it takes these as they are, and stays in step.
# The payload is the program's; the topic is handed over as bytes, so nothing on the device depends on its UTF-8.
# (what is wrong, (topic, payload, retain, qos, dup), bytes)
TOLERATED = (
    ("topic that is not UTF-8", (b"\xff\xc0", b"hi", False, 0, False), b"\x30\x06\x00\x02\xff\xc0hi"),
    ("DUP at QoS 0", (b"t", b"hi", False, 0, True), b"\x38\x05\x00\x01thi"),
)
