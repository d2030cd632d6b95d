"""MQTT 5 packets made and read in the plainest way: what scripted brokers speak, and the other half of a comparison.

It shares no line with the library. `decode` is strict, with the reason codes of the specification, and knows both
directions; it sees one packet at a time, so what depends on the connection's state is not its matter. Runs under
CPython and MicroPython.
"""

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 0x10, 0x20, 0x30, 0x40, 0x50, 0x62, 0x70
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = (
    0x82,
    0x90,
    0xA2,
    0xB0,
    0xC0,
    0xD0,
    0xE0,
    0xF0,
)
NAMES = {
    CONNECT: "CONNECT",
    CONNACK: "CONNACK",
    PUBLISH: "PUBLISH",
    PUBACK: "PUBACK",
    PUBREC: "PUBREC",
    PUBREL: "PUBREL",
    PUBCOMP: "PUBCOMP",
    SUBSCRIBE: "SUBSCRIBE",
    SUBACK: "SUBACK",
    UNSUBSCRIBE: "UNSUBSCRIBE",
    UNSUBACK: "UNSUBACK",
    PINGREQ: "PINGREQ",
    PINGRESP: "PINGRESP",
    DISCONNECT: "DISCONNECT",
    AUTH: "AUTH",
}
MALFORMED, PROTOCOL_ERROR, TOPIC_ALIAS_INVALID = 0x81, 0x82, 0x94

_ACKS = "PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK"

# identifier: (name, type, packets that may carry it), table 2-4. WILL is the will's in CONNECT.
PROPERTIES = {
    0x01: ("payload_format", "flag", "PUBLISH WILL"),
    0x02: ("message_expiry", "four", "PUBLISH WILL"),
    0x03: ("content_type", "string", "PUBLISH WILL"),
    0x08: ("response_topic", "string", "PUBLISH WILL"),
    0x09: ("correlation_data", "binary", "PUBLISH WILL"),
    0x0B: ("subscription_identifier", "varint", "PUBLISH SUBSCRIBE"),
    0x11: ("session_expiry", "four", "CONNECT CONNACK DISCONNECT"),
    0x12: ("assigned_client_identifier", "string", "CONNACK"),
    0x13: ("server_keepalive", "two", "CONNACK"),
    0x15: ("authentication_method", "string", "CONNECT CONNACK AUTH"),
    0x16: ("authentication_data", "binary", "CONNECT CONNACK AUTH"),
    0x17: ("request_problem_information", "flag", "CONNECT"),
    0x18: ("will_delay", "four", "WILL"),
    0x19: ("request_response_information", "flag", "CONNECT"),
    0x1A: ("response_information", "string", "CONNACK"),
    0x1C: ("server_reference", "string", "CONNACK DISCONNECT"),
    0x1F: ("reason_string", "string", "CONNACK DISCONNECT AUTH " + _ACKS),
    0x21: ("receive_maximum", "two", "CONNECT CONNACK"),
    0x22: ("topic_alias_maximum", "two", "CONNECT CONNACK"),
    0x23: ("topic_alias", "two", "PUBLISH"),
    0x24: ("maximum_qos", "flag", "CONNACK"),
    0x25: ("retain_available", "flag", "CONNACK"),
    0x26: (
        "user_properties",
        "pair",
        "CONNECT CONNACK PUBLISH WILL SUBSCRIBE UNSUBSCRIBE DISCONNECT AUTH " + _ACKS,
    ),
    0x27: ("maximum_packet_size", "four", "CONNECT CONNACK"),
    0x28: ("wildcard_available", "flag", "CONNACK"),
    0x29: ("subscription_identifiers_available", "flag", "CONNACK"),
    0x2A: ("shared_available", "flag", "CONNACK"),
}
IDENTIFIERS = {PROPERTIES[identifier][0]: identifier for identifier in PROPERTIES}

# What a property means that is not there, as far as it is the same in every packet: being there with this value is
# the same packet.
DEFAULTS = {
    "payload_format": 0,
    "session_expiry": 0,
    "request_problem_information": 1,
    "will_delay": 0,
    "request_response_information": 0,
    "receive_maximum": 65535,
    "topic_alias_maximum": 0,
}
_NEVER_0 = ("receive_maximum", "maximum_packet_size", "subscription_identifier")


# --- Making packets ----------------------------------------------------------------------


def varint(number):
    """A Variable Byte Integer (section 1.5.5)."""
    data = bytearray()
    while number > 127:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)
    return bytes(data)


def two(number):
    return number.to_bytes(2, "big")


def field(value):
    """A string or binary data: two bytes of length, then the bytes."""
    data = value.encode() if isinstance(value, str) else bytes(value)
    return two(len(data)) + data


_ENCODERS = {
    "flag": lambda value: bytes((value,)),
    "two": two,
    "four": lambda value: value.to_bytes(4, "big"),
    "varint": varint,
    "string": field,
    "binary": field,
    "pair": lambda pair: field(pair[0]) + field(pair[1]),
}


def properties(values):
    """Property Length and properties, of {name: value}, by ascending identifier; what may repeat is a list."""
    data = b""
    for identifier in sorted([IDENTIFIERS[name] for name in values]):
        name, kind, _ = PROPERTIES[identifier]
        value = values[name]
        for each in value if isinstance(value, (list, tuple)) else (value,):
            data += bytes((identifier,)) + _ENCODERS[kind](each)
    return varint(len(data)) + data


def packet(head, *parts):
    """A packet of its first byte and what follows the Remaining Length."""
    body = b"".join(parts)
    return bytes((head,)) + varint(len(body)) + body


def connack(code=0, session_present=0, **values):
    return packet(CONNACK, bytes((session_present, code)), properties(values))


def publish(topic, payload=b"", qos=0, packet_id=1, retain=0, dup=0, **values):
    number = two(packet_id) if qos else b""
    head = PUBLISH | dup << 3 | qos << 1 | retain
    payload = payload.encode() if isinstance(payload, str) else payload
    return packet(head, field(topic), number, properties(values), payload)


def ack(head, packet_id, code=0, **values):
    """PUBACK, PUBREC, PUBREL or PUBCOMP, in the shortest form."""
    rest = bytes((code,)) if code or values else b""
    return packet(head, two(packet_id), rest, properties(values) if values else b"")


def suback(packet_id, *codes, **values):
    return packet(SUBACK, two(packet_id), properties(values), bytes(codes))


def unsuback(packet_id, *codes, **values):
    return packet(UNSUBACK, two(packet_id), properties(values), bytes(codes))


def disconnect(code=0, **values):
    rest = bytes((code,)) if code or values else b""
    return packet(DISCONNECT, rest, properties(values) if values else b"")


def auth(code, **values):
    return packet(AUTH, bytes((code,)), properties(values))


# --- Reading packets ---------------------------------------------------------------------


class Broken(Exception):
    """The specification forbids this packet. args: the reason code to answer with, and why."""


class _Reader:
    def __init__(self, data, at, end):
        self.data = data
        self.at = at
        self.end = end

    def take(self, size):
        if self.at + size > self.end:
            raise Broken(MALFORMED, "ends too early")
        self.at += size
        return bytes(self.data[self.at - size : self.at])

    def rest(self):
        return self.take(self.end - self.at)

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def varint(self):
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if not byte and shift:
                    raise Broken(MALFORMED, "more bytes than necessary")
                return value
        raise Broken(MALFORMED, "variable byte integer of five bytes")

    def binary(self):
        return self.take(self.number(2))

    def string(self):
        return text(self.binary())

    def value(self, kind):
        if kind == "flag":
            return self.number(1)
        if kind in ("two", "four"):
            return self.number(2 if kind == "two" else 4)
        if kind == "pair":
            return (self.string(), self.string())
        return getattr(self, kind)()

    def packet_id(self):
        number = self.number(2)
        if not number:
            raise Broken(PROTOCOL_ERROR, "packet identifier 0")
        return number

    def properties(self, carrier):
        """Property Length and properties of this packet, as a dict."""
        length = self.varint()
        inner = _Reader(self.data, self.at, self.at + length)
        self.take(length)
        found = {}
        while inner.at < inner.end:
            identifier = inner.varint()
            name, kind, carriers = PROPERTIES.get(identifier, ("", "", ""))
            if carrier not in carriers.split():
                raise Broken(MALFORMED, "property %02x in %s" % (identifier, carrier))
            _keep(found, carrier, name, kind, inner.value(kind))
        return found


def _keep(found, carrier, name, kind, value):
    if (kind == "flag" and value > 1) or (name in _NEVER_0 and not value):
        raise Broken(PROTOCOL_ERROR, "%s %s" % (name, value))
    if name == "topic_alias" and not value:
        raise Broken(TOPIC_ALIAS_INVALID, "topic alias 0")
    if name == "response_topic" and ("+" in value or "#" in value or not value):
        raise Broken(PROTOCOL_ERROR, "response topic")
    if kind == "pair" or (name == "subscription_identifier" and carrier == "PUBLISH"):
        found.setdefault(name, []).append(value)
    elif name in found:
        raise Broken(PROTOCOL_ERROR, name + " twice")
    else:
        found[name] = value


def text(data):
    """The str of a UTF-8 Encoded String's bytes (section 1.5.4)."""
    try:
        value = str(data, "utf-8")
    except ValueError:  # UnicodeError is one
        raise Broken(MALFORMED, "not UTF-8")
    if "\0" in value:
        raise Broken(MALFORMED, "U+0000")
    return value


def decode(data):
    """What one whole packet says, as a dict. Raises Broken."""
    reader = _Reader(data, 1, len(data))
    size = reader.varint()
    if reader.at + size != len(data):
        raise Broken(MALFORMED, "Remaining Length %d of %d" % (size, len(data) - reader.at))
    head = data[0]
    name = NAMES.get(PUBLISH if head & 0xF0 == PUBLISH else head)
    if not name:
        raise Broken(MALFORMED, "packet type or flags")
    fields = {"packet": name}
    _READERS.get(name, _nothing)(reader, fields, head)
    if reader.at != reader.end:
        raise Broken(MALFORMED, "something behind the end")
    return fields


def _nothing(reader, fields, head):
    pass


def _connect(reader, fields, head):
    if reader.take(7) != b"\x00\x04MQTT\x05":
        raise Broken(0x84, "protocol name or version")
    flags = reader.number(1)
    if flags & 1 or flags >> 3 & 3 == 3 or (flags & 0x38 and not flags & 4):
        raise Broken(MALFORMED, "connect flags")
    fields["clean_start"] = flags >> 1 & 1
    fields["keepalive"] = reader.number(2)
    fields["properties"] = reader.properties("CONNECT")
    fields["client_id"] = reader.string()
    if flags & 4:
        values = reader.properties("WILL")
        fields["will"] = (reader.string(), reader.binary(), flags >> 5 & 1, flags >> 3 & 3, values)
    fields["user"] = reader.string() if flags & 0x80 else None
    fields["password"] = reader.binary() if flags & 0x40 else None


def _connack(reader, fields, head):
    flags = reader.number(1)
    fields["session_present"] = flags
    fields["code"] = reader.number(1)
    if flags > 1:
        raise Broken(MALFORMED, "acknowledge flags")
    if flags and fields["code"]:
        raise Broken(PROTOCOL_ERROR, "session present, and refused")
    fields["properties"] = reader.properties("CONNACK")


def _publish(reader, fields, head):
    topic = reader.string()
    qos = head >> 1 & 3
    if qos == 3:
        raise Broken(MALFORMED, "QoS 3")
    if "+" in topic or "#" in topic:
        raise Broken(MALFORMED, "wildcard in a topic name")
    fields["packet_id"] = reader.packet_id() if qos else None
    fields["properties"] = values = reader.properties("PUBLISH")
    if not (topic or "topic_alias" in values):
        raise Broken(PROTOCOL_ERROR, "neither topic nor alias")
    fields.update({"topic": topic, "qos": qos, "retain": head & 1, "dup": head >> 3 & 1, "payload": reader.rest()})


def _acknowledgement(reader, fields, head):
    fields["packet_id"] = reader.packet_id()
    fields["code"] = reader.number(1) if reader.at < reader.end else 0
    fields["properties"] = reader.properties(fields["packet"]) if reader.at < reader.end else {}


def _codes(reader, fields, head):
    fields["packet_id"] = reader.packet_id()
    fields["properties"] = reader.properties(fields["packet"])
    fields["codes"] = reader.rest()
    if not fields["codes"]:
        raise Broken(PROTOCOL_ERROR, "no reason code")


def _filters(reader, fields, head):
    fields["packet_id"] = reader.packet_id()
    fields["properties"] = reader.properties(fields["packet"])
    fields["filters"] = []
    while reader.at < reader.end:
        topic_filter = reader.string()
        fields["filters"].append((topic_filter, reader.number(1)) if head == SUBSCRIBE else topic_filter)
    if not fields["filters"]:
        raise Broken(PROTOCOL_ERROR, "no topic filter")


def _reason(reader, fields, head):
    fields["code"] = reader.number(1) if reader.at < reader.end else 0
    fields["properties"] = reader.properties(fields["packet"]) if reader.at < reader.end else {}
    if head == AUTH and "authentication_method" not in fields["properties"]:
        raise Broken(PROTOCOL_ERROR, "AUTH without a method")


_READERS = {
    "CONNECT": _connect,
    "CONNACK": _connack,
    "PUBLISH": _publish,
    "PUBACK": _acknowledgement,
    "PUBREC": _acknowledgement,
    "PUBREL": _acknowledgement,
    "PUBCOMP": _acknowledgement,
    "SUBSCRIBE": _filters,
    "SUBACK": _codes,
    "UNSUBSCRIBE": _filters,
    "UNSUBACK": _codes,
    "DISCONNECT": _reason,
    "AUTH": _reason,
}


def meaning(data):
    """As decode(), without properties that say what their absence would: two packets that mean the same are equal."""
    fields = decode(data)
    groups = [fields.get("properties", {})]
    if "will" in fields:
        groups.append(fields["will"][4])
    for values in groups:
        for name, default in DEFAULTS.items():
            if values.get(name) == default:
                del values[name]
    return fields
