"""The corpus of MQTT 5 against the reference decoder: two readings of the specification that must agree."""

import malformed5
import packets5
import received5
from support import reference5
from support.reference5 import Broken, decode, meaning


def _well_formed():
    """(name, bytes) of every packet that is right."""
    rows = [(row[0], row[-1]) for table in (packets5.SENT_CONNECT, packets5.SENT_PUBLISH) for row in table]
    for table in (packets5.SENT_SUBSCRIBE, packets5.SENT_UNSUBSCRIBE):
        rows += [(row[0], data) for row in table for data in row[2:]]
    rows += [(row[0], row[-1]) for table in (packets5.SENT_DISCONNECT, received5.RECEIVED_CONNACK) for row in table]
    rows += [(row[0], row[2]) for row in received5.RECEIVED_PUBLISH]
    for head in (0x40, 0x50, 0x62, 0x70):
        rows += [(row[0], reference5.packet(head, row[-1])) for row in received5.ACKNOWLEDGEMENTS]
    for row in received5.RECEIVED_UNKNOWN_ACK:
        rows += [(row[0], row[1])] + [(row[0], answer) for answer in row[2] if answer]
    return rows


def _decoded(data):
    """What decode() makes of it: a dict, or the reason code of its refusal."""
    try:
        return decode(data)
    except Broken as broken:
        return broken.args[0]


def test_what_is_right_is_right():
    wrong = [(name, _decoded(data)) for name, data in _well_formed() if not isinstance(_decoded(data), dict)]
    assert not wrong, wrong
    assert len(_well_formed()) > 100


def test_what_is_right_is_made_from_its_meaning():
    made = {
        "CONNACK": _connack,
        "PUBLISH": _publish,
        "SUBACK": _suback,
        "UNSUBACK": _unsuback,
        "DISCONNECT": _disconnect,
    }
    count = 0
    for name, data in _well_formed():
        fields = decode(data)
        if fields["packet"] in made:
            count += 1
            assert decode(made[fields["packet"]](fields, fields["properties"])) == fields, name
    assert count > 50


def _connack(fields, values):
    return reference5.connack(fields["code"], fields["session_present"], **values)


def _publish(fields, values):
    names = ("topic", "payload", "qos", "packet_id", "retain", "dup")
    return reference5.publish(*[fields[name] for name in names], **values)


def _suback(fields, values):
    return reference5.suback(fields["packet_id"], *fields["codes"], **values)


def _unsuback(fields, values):
    return reference5.unsuback(fields["packet_id"], *fields["codes"], **values)


def _disconnect(fields, values):
    return reference5.disconnect(fields["code"], **values)


def test_acknowledgements_say_what_their_rows_say():
    for head in (0x40, 0x50, 0x62, 0x70):
        for name, code, values, data in received5.ACKNOWLEDGEMENTS:
            fields = decode(reference5.packet(head, data))
            assert (fields["packet_id"], fields["code"], fields["properties"]) == (1, code, values), name
            assert meaning(reference5.ack(head, 1, code, **values)) == fields, name


def test_received_messages_say_what_their_rows_say():
    for name, message, data, _answer in received5.RECEIVED_PUBLISH:
        fields = decode(data)
        topic, payload, retain, qos, dup, values = message
        assert (fields["topic"].encode(), fields["retain"], fields["qos"], fields["dup"]) == (
            topic,
            retain,
            qos,
            dup,
        ), name
        assert fields["payload"] == (payload.encode() if isinstance(payload, str) else payload), name
        found = dict(fields["properties"])
        found.pop("topic_alias", None)
        assert found == (values or {}), name


def test_one_of_each_property():
    assert len(packets5.PROPERTIES) == len(reference5.PROPERTIES) == 27
    for name, data, value, carriers in packets5.PROPERTIES:
        assert reference5.properties({name: value}) == bytes((len(data),)) + data, name
        known, _, there = reference5.PROPERTIES[data[0]]
        assert (known, sorted(carriers.split())) == (name, sorted(there.split())), name


def test_every_property_in_every_packet_that_may_have_it():
    count = 0
    for frame in received5.FRAMES:
        for name, data, value, carriers in packets5.PROPERTIES:
            if frame[0] in carriers.split():
                method = b"\x15\x00\x01M" if frame[0] == "AUTH" and name != "authentication_method" else b""
                fields = _decoded(received5.framed(frame, method + data))
                assert isinstance(fields, dict) and fields["properties"][name] == value, (name, frame[0], fields)
                count += 1
    assert count == 45


def test_what_is_malformed_is_refused_with_its_reason_code():
    rows = list(malformed5.MALFORMED) + malformed5.foreign() + malformed5.repeated()
    assert len(rows) > 350
    wrong = []
    for _state, name, codes, data in rows:
        verdict = _decoded(data)
        if verdict not in codes and not (0x95 in codes or "HTTP" in name or "never ends" in name):
            wrong.append((name, verdict))
    assert not wrong, wrong


def test_what_is_unexpected_is_right_in_itself():
    rows = list(malformed5.UNEXPECTED) + [row[1:] for row in malformed5.WITH_SETTINGS]
    wrong = [(name, _decoded(data)) for _, name, _, data in rows if not isinstance(_decoded(data), dict)]
    assert not wrong, wrong


def test_every_proper_prefix_of_a_packet_is_refused():
    for name, data in _well_formed():
        for cut in range(2, min(len(data), 60)):
            assert not isinstance(_decoded(data[:cut]), dict), (name, cut)


def test_names_of_reason_codes_are_distinct():
    codes = [code for code, _, _ in packets5.REASON_CODES]
    assert codes == sorted(set(codes))
    assert [code for code in range(0x80, 0xA3) if code not in codes] == []
