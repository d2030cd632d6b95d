"""What an MQTT 5 client must refuse, whole and byte by byte: with the right reason code, and nothing is delivered."""

import malformed5
import received5
from support import reference5
from support.answering import CONNECT
from support.malformed import BEFORE_CONNACK, met, silent
from support.session import raised
from support.session5 import Broker5, Session5


def _enter(state, received, settings, **network):
    """Bring a session into one of the states of the corpus, receive, return (session, exception)."""
    values = {"auto_reconnect": False, "network": network}
    values.update(settings)
    if state == "authenticating":
        values["auth"] = b"one"
    session = Session5(silent(Broker5()), **values)
    return session, met(session, state, received)


def _wrong_about(session, error, state, codes, quiet):
    """What is wrong with how a malformed packet was met; None: nothing. quiet: DISCONNECT may find no room."""
    if not isinstance(error, session.module.MQTTException):
        return repr(error)
    if error.reason_code not in codes:
        return "reason code 0x%02x" % error.reason_code
    if not (error.reason and session.messages == []):
        return "delivered, or says nothing"
    if session.network.open_sockets() or session.client.isconnected():
        return "connection not closed"
    farewells = [(fields["code"], fields["properties"]) for fields in session.broker.said("DISCONNECT")]
    if farewells != [(error.reason_code, {})] and not (farewells == [] and (state in BEFORE_CONNACK or quiet)):
        return "DISCONNECT %s" % farewells
    return None


def _wrong(rows, settings, **network):
    wrong = []
    for state, name, codes, received in rows:
        if network and len(received) > 1000:
            continue
        what = _wrong_about(*_enter(state, received, settings, **network), state, codes, "write_limit" in network)
        if what:
            wrong.append((state, name, what))
    return wrong


def _every(rows, step):
    return [rows[at] for at in range(0, len(rows), step)]


def _each(rows, settings=None):
    """The rows must be refused however their bytes come."""
    for network in ({}, {"read_limit": 1}):
        wrong = _wrong(rows, settings or {}, **network)
        assert not wrong, wrong


def test_malformed():
    _each(malformed5.MALFORMED)


def test_unexpected():
    _each(malformed5.UNEXPECTED)


def test_forbidden_to_clients_with_certain_settings():
    for settings, *row in malformed5.WITH_SETTINGS:
        _each([row], settings)


def test_property_in_the_wrong_packet():
    wrong = _wrong(malformed5.foreign(), {})
    assert not wrong, wrong


def test_property_twice():
    wrong = _wrong(malformed5.repeated(), {})
    assert not wrong, wrong


def test_malformed_over_a_stream_that_stalls():
    network = {"read_limit": 2, "write_limit": 1, "stall": 50, "seed": 3}
    wrong = _wrong(_every(malformed5.MALFORMED, 3) + _every(malformed5.UNEXPECTED, 2), {}, **network)
    assert not wrong, wrong


def test_the_client_comes_back_after_each():
    session = Session5(backoff=(0.1, 0.2)).connected()
    rows = [row for row in malformed5.MALFORMED if row[0] == "online" and len(row[3]) < 1000]
    for count, (_state, name, _codes, received) in enumerate(_every(rows, 4)):
        session.sock.reply(received)
        session.pump(1000)
        assert session.client.isconnected() and len(session.network.sockets) == count + 2, name
        assert session.messages == [], name
    session.client.publish("t", "x", qos=1)


def test_receive_maximum():
    for maximum in (1, 2, 3, 20):
        session = Session5(receive_maximum=maximum, auto_reconnect=False).connected()
        for number in range(1, maximum + 1):
            assert session.received(reference5.publish("t", "x", 2, number))[:1] == b"\x50"
        assert session.client.isconnected() and len(session.messages) == maximum
        session.sock.reply(reference5.publish("t", "x", 2, maximum + 1))
        error = raised(session.module.MQTTException, session.client.wait_msg, 5)
        assert error.reason_code == 0x93
        assert [fields["code"] for fields in session.broker.said("DISCONNECT")] == [0x93]
        assert len(session.messages) == maximum


def test_receive_maximum_counts_what_is_under_way():
    session = Session5(receive_maximum=2, auto_reconnect=False).connected()
    for number in range(1, 20):
        session.received(reference5.publish("t", "x", 2, number))
        session.received(reference5.publish("t", "x", 1, number + 100))
        assert session.received(reference5.ack(0x62, number)) == reference5.ack(0x70, number)
    assert len(session.messages) == 38 and session.client.isconnected()


def test_receive_maximum_begins_anew_with_each_connection():
    session = Session5(receive_maximum=2, clean_session=False, session_expiry=60, backoff=(0.1, 0.1)).connected()
    for _ in range(4):
        for number in (1, 2):
            session.received(reference5.publish("t", "x", 2, number, dup=1))
        session.broker.answers[CONNECT] = lambda packet: received5.CONNACK_SESSION_PRESENT
        session.sock.reset()
        session.pump(500)
    assert session.client.isconnected() and len(session.network.sockets) == 5
    assert len(session.messages) == 2


def test_a_payload_that_is_not_the_text_it_claims_to_be():
    session = Session5(auto_reconnect=False).connected()
    answer = session.received(reference5.publish("t", b"\xff\xc0", 1, 7, payload_format=1))
    if session.messages:  # section 3.3.2.3.2: the receiver may check it
        assert session.messages[0][1] == b"\xff\xc0"
        assert answer == reference5.ack(0x40, 7)
    else:
        assert answer in (reference5.ack(0x40, 7, 0x99), reference5.disconnect(0x99))
