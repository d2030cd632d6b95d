"""Packets of the corpus with a few bytes changed: the client takes what the reference decoder takes, no more."""

import malformed5
import received5
from support import fakenet, reference5
from support.session5 import Session5

_TOLERATED = ("more bytes than necessary",)  # in a variable byte integer: whoever receives it may take it
_BYTES = (0x00, 0x01, 0x02, 0x08, 0x0B, 0x1F, 0x23, 0x26, 0x7F, 0x80, 0xFF)
_PIECES = (b"\x26\0\1k\0\1v", b"\x1f\0\1a", b"\x01\x01", b"\x23\0\1", b"\x0b\x07")


def _seeds():
    """(first byte, what follows the Remaining Length) of PUBLISH packets and acknowledgements."""
    packets = [row[2] for row in received5.RECEIVED_PUBLISH if len(row[2]) < 128]
    packets += [row[3] for row in malformed5.MALFORMED if row[0] == "online" and len(row[3]) < 100]
    seeds = [(packet[0], packet[2:]) for packet in packets if len(packet) > 1 and packet[1] == len(packet) - 2]
    return seeds + [(head, row[-1]) for head in (0x40, 0x50, 0x62, 0x70) for row in received5.ACKNOWLEDGEMENTS]


def _mutated(body, chance):
    body = bytearray(body)
    for _ in range(1 + chance.below(3)):
        at = chance.below(len(body) + 1)
        way = chance.below(4)
        if way == 0:
            body = body[:at] + body[at + 1 :]
        elif way == 1:
            body = body[:at] + _PIECES[chance.below(len(_PIECES))] + body[at:]
        else:
            body = body[:at] + bytes((_BYTES[chance.below(len(_BYTES))],)) + body[at + (way == 2) :]
    return bytes(body)


def _met(data):
    """The message that the client makes of it, () if it takes it, or why it closes."""
    session = Session5(auto_reconnect=False).connected()
    session.sock.reply(data)
    try:
        session.client.wait_msg(0.02)
    except session.module.MQTTException as error:
        return str(error)
    if not session.messages:
        return ()
    topic, payload, _, _, _, properties = session.messages[0]
    properties = dict(properties or {})
    properties.pop("topic_alias", None)
    return topic, payload.encode() if isinstance(payload, str) else payload, properties


def _expected(data):
    """The same by the reference decoder."""
    try:
        fields = reference5.decode(data)
    except reference5.Broken as broken:
        return broken.args[1]
    if fields["packet"] != "PUBLISH":
        return ()
    alias = fields["properties"].pop("topic_alias", 1)
    if not fields["topic"] or not 0 < alias <= 8:
        return "topic alias"
    return fields["topic"].encode(), fields["payload"], fields["properties"]


def test_what_is_taken_is_what_may_be_taken():
    chance = fakenet.Random(2019)
    seeds = _seeds()
    counts = {str: 0, tuple: 0}
    wrong = []
    for _ in range(700):
        head, body = seeds[chance.below(len(seeds))]
        data = reference5.packet(head, _mutated(body, chance))
        expected = _expected(data)
        if expected in _TOLERATED or data[0] & 0xF0 in (0x90, 0xB0, 0xD0, 0xE0):
            continue
        met = _met(data)
        counts[type(expected)] += 1
        if type(met) is not type(expected) or (met != expected and isinstance(met, tuple)):
            wrong.append((data, expected, met))
    assert not wrong, (len(wrong), wrong[:5])
    assert min(counts.values()) > 50, counts
