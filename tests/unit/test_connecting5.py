"""MQTT 5: versions, server references, pauses, keep alive and authentication, on a clock that nobody waits for."""

import packets5
import received5
from support.answering import CONNECT, PINGREQ, PUBLISH
from support.reference5 import auth, disconnect
from support.session import raised
from support.session5 import Auth, Broker5, Session5, connack_with

_OLD_CONNACK = b"\x20\x02\x00\x00"
_REFUSALS_OF_5 = (b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00", b"\x20\x02\x00\x84")


class Old(Broker5):
    """A broker that knows only 3.1.1: `refusal` is what it answers to MQTT 5, None: it closes."""

    strict = False

    def __init__(self, refusal):
        super().__init__()
        self.refusal = refusal
        self.versions = []

    def packet(self, sock, packet):
        if packet[0] == 0x10:
            self.versions.append(packet[8])
            self.answers[CONNECT] = lambda packet: _OLD_CONNACK if packet[8] == 4 else self.refusal
        super().packet(sock, packet)
        if packet[0] == 0x10 and packet[8] == 5:
            sock.hang_up()
            if self.refusal:
                sock._ended = False  # the answer first


def test_falls_back_to_3_1_1():
    for refusal in _REFUSALS_OF_5 + (None,):
        session = Session5(Old(refusal), version=(5, 4))
        start = session.clock.now
        assert session.client.connect() is False
        assert session.broker.versions == [5, 4]
        assert session.clock.now - start < 1000, "there is no pause between the two"
        session.broker.answers[PUBLISH] = lambda packet: b"\x40\x02\x00\x01"
        session.client.publish("t", "hi", qos=1, content_type="text")  # which 3.1.1 does not have
        assert session.broker.of_type(PUBLISH) == [b"\x32\x07\x00\x01t\x00\x01hi"]
        session.client.disconnect()


def test_a_refusal_of_other_sorts_is_no_reason_to_fall_back():
    for code in (0x80, 0x85, 0x87, 0x88):
        session = Session5(connack_with(code=code), version=(5, 4))
        assert raised(OSError, session.client.connect).reason_code == code
        assert len(session.broker.said("CONNECT")) == len(session.broker.received)


def test_without_fallback_the_error_says_why():
    for refusal in _REFUSALS_OF_5:
        session = Session5(Old(refusal))
        error = raised(session.module.MQTTException, session.client.connect)
        assert error.reason_code in (1, 0x84) and "version" in str(error), str(error)
        assert session.broker.versions == [5]


def test_a_broker_that_knows_neither():
    session = Session5(Old(None), version=(5, 4), timeout=5)
    session.broker.answers[CONNECT] = None
    session.broker.packet = lambda sock, packet: sock.hang_up()
    start = session.clock.now
    raised(OSError, session.client.connect)
    assert session.clock.now - start <= 5500
    session.client.connect(wait=False)
    session.pump(300_000)
    assert 3 <= len(session.network.sockets) <= 60, "it keeps trying, with pauses"


def _attempts(session, seconds):
    """When the client connected in the next seconds: ms from now."""
    start, before = session.clock.now, len(session.broker.times_of(CONNECT))
    session.client.wait_msg(seconds)
    return [at - start for at in session.broker.times_of(CONNECT)[before:]]


def test_pauses_after_the_server_has_disconnected():
    for code in packets5.refusals("DISCONNECT"):
        first = []
        for _ in range(6):
            session = Session5(backoff=(1, 60)).connected()
            session.sock.reply(disconnect(code))
            first.append(_attempts(session, 150)[0])
            assert session.client.isconnected()
        assert max(first) <= 121_000, (code, first)
        if code == 0x8E:  # who was thrown out by a namesake would throw him out in turn
            assert min(first) >= 59_000, first
        elif code in (0x89, 0x97, 0x96, 0x9F):  # the server has too much to do
            assert max(first) <= 60_000 and sum(first) > 3000, (code, first)
        elif code in (0x8B, 0x8D, 0x98):
            assert max(first) <= 3000, (code, first)


def test_pauses_after_a_refusal():
    for code in (0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C):
        session = Session5(connack_with(code=code), backoff=(1, 60))
        session.client.connect(wait=False)
        times = _attempts(session, 3600)
        gaps = [after - before for before, after in zip(times, times[1:])]
        assert 25 <= len(times) <= 62 and min(gaps) >= 59_000, (code, len(times))


def _names(reference, **settings):
    """The host and port that the client asks for when it is referred there."""
    session = Session5(connack_with(code=0x9D, server_reference=reference), timeout=3, **settings)
    raised(OSError, session.client.connect)
    return session.network.names


def test_server_references():
    for reference, expected in (
        ("other", ("other", 1883)),
        ("other:1999", ("other", 1999)),
        ("10.10.151.22:8883", ("10.10.151.22", 8883)),
        ("[fe80::9610:3eff:fe1c]:1883", ("fe80::9610:3eff:fe1c", 1883)),
        ("[fe80::1]", ("fe80::1", 1883)),
        ("first:1 second:2", ("first", 1)),
    ):
        names = _names(reference)
        assert names[:2] == [("broker", 1883), expected], (reference, names)


def test_references_that_say_nothing():
    for reference in ("", " ", ":", ":1883", "other:", "other:70000", "[", "[]:1", "a" * 300):
        names = _names(reference)
        assert names[0] == ("broker", 1883) and len(names) <= 4, (reference, names)


def test_no_more_than_three_hops():
    names = _names("other:1999")
    assert len(names) == 4, names


def test_hops_are_counted_in_a_row():
    """A server that moves now and then is followed each time, when the connections between were good."""
    session = Session5(backoff=(0.1, 0.1)).connected()
    for number in range(6):
        session.pump(40_000)
        session.sock.reply(disconnect(0x9D, server_reference="server%d" % number))
        session.pump(500)
        assert session.client.isconnected()
        assert session.sock.address == ("server%d" % number, 1883)


def test_a_reference_without_its_reason_code_is_not_followed():
    session = Session5(backoff=(0.1, 0.1)).connected()
    session.sock.reply(disconnect(0x8B, server_reference="other"))
    session.pump(500)
    assert session.client.isconnected() and session.sock.address == ("broker", 1883)


def test_a_server_that_refers_to_nobody():
    for code in (0x9C, 0x9D):
        session = Session5(backoff=(0.1, 0.1)).connected()
        session.sock.reply(disconnect(code))
        session.pump(500)
        assert session.client.isconnected() and session.sock.address == ("broker", 1883)


def test_back_home_when_the_other_server_does_not_answer():
    session = Session5(backoff=(0.1, 0.2), timeout=2).connected()
    session.broker.accepts = lambda sock: "refused" if sock.address[0] == "other" else None
    session.sock.reply(disconnect(0x9C, server_reference="other"))
    session.pump(20_000)
    assert session.client.isconnected() and session.sock.address == ("broker", 1883)


def test_server_keep_alive():
    for seconds in (1, 2, 30):
        session = Session5(connack_with(server_keepalive=seconds), keepalive=600).connected()
        start = session.clock.now
        session.pump(seconds * 5000)
        times = [start] + session.broker.times_of(PINGREQ)
        gaps = [after - before for before, after in zip(times, times[1:])]
        assert len(gaps) >= 4 and max(gaps) <= seconds * 1000, (seconds, gaps)
    session = Session5(connack_with(server_keepalive=0), keepalive=1).connected()
    session.pump(30_000)
    assert session.broker.of_type(PINGREQ) == [] and session.client.isconnected()


def test_server_keep_alive_holds_for_one_connection():
    session = Session5(connack_with(server_keepalive=1), keepalive=100).connected()
    session.broker.answers[CONNECT] = lambda packet: received5.CONNACK
    session.client.connect()
    session.pump(20_000)
    assert session.broker.of_type(PINGREQ) == []
    session.pump(60_000)
    assert len(session.broker.of_type(PINGREQ)) == 1


def _authenticating(challenges, **settings):
    """A session whose broker challenges so many times before CONNACK, and what its method was given."""
    auth_broker = connack_with(authentication_method="M", authentication_data=b"proof")
    answer = auth_broker.answers[CONNECT]
    left = list(challenges)

    def challenge(packet):
        if left:
            return auth(0x18, authentication_method="M", authentication_data=left.pop(0))
        return answer(packet)

    auth_broker.answers[CONNECT] = auth_broker.answers[15] = challenge
    method = Auth(b"first", [b"%d" % number for number in range(len(challenges) + 3)])
    return Session5(auth_broker, auth=method, **settings)


def test_authentication():
    for count in range(4):
        for network in ({}, {"read_limit": 1, "write_limit": 1}, {"read_limit": 3, "stall": 60}):
            session = _authenticating([b"c%d" % number for number in range(count)], network=network)
            session.client.connect()
            assert session.auth.said[-1 - count :] == [b"c%d" % n for n in range(count)] + [("done", b"proof")]
            said = session.broker.said("AUTH")
            assert [fields["code"] for fields in said] == [0x18] * count
            values = [fields["properties"] for fields in said]
            assert [each["authentication_data"] for each in values] == [b"%d" % number for number in range(count)]
            assert all(each["authentication_method"] == "M" for each in values)
            others = [fields["packet"] for fields in session.broker.decoded]
            assert others == ["CONNECT"] + ["AUTH"] * count, "[MQTT-3.1.2-30]"


def test_each_connection_authenticates():
    session = _authenticating([b"c", b"d"], backoff=(0.1, 0.1)).connected()
    session.sock.reset()
    session.pump(500)
    assert session.client.isconnected()
    assert session.auth.said.count(("done", b"proof")) == 2
    assert session.auth.said[-2:] == ["start", ("done", b"proof")]


def test_a_server_that_cannot_prove_itself():
    session = _authenticating([b"c", b"forged"])
    error = raised(OSError, session.client.connect)
    assert "the server does not know the secret" in str(error)
    assert session.network.open_sockets() == [] and not session.client.isconnected()


def test_a_server_whose_last_word_is_forged():
    """Nothing of this connection may have been used by then."""
    session = _authenticating([])

    def done(data):
        raise ValueError("wrong signature")

    session.auth.done = done
    online = []
    session.client.on_connect = online.append
    error = raised(OSError, session.client.connect)
    assert "wrong signature" in str(error)
    assert online == [] and session.network.open_sockets() == []


def test_reauthentication():
    session = _authenticating([]).connected()
    session.client.publish("t", "x", qos=1)
    steps = [auth(0x18, authentication_method="M", authentication_data=b"more"), auth(0, authentication_method="M")]
    session.broker.answers[15] = lambda packet: steps.pop(0)
    del session.auth.said[:]
    session.client.reauthenticate()
    assert session.auth.said == ["start", b"more", ("done", None)]
    assert [fields["code"] for fields in session.broker.said("AUTH")] == [0x19, 0x18]
    assert session.client.isconnected()
    session.client.publish("t", "x", qos=1)
    steps.append(auth(0, authentication_method="M"))
    session.client.reauthenticate()
    assert len(session.broker.connections) == 1


def test_reauthentication_has_a_deadline():
    session = _authenticating([], timeout=3, keepalive=0).connected()
    session.broker.answers[15] = None
    start = session.clock.now
    error = raised(OSError, session.client.reauthenticate)
    assert error.args[0] == session.network.port.errno["ETIMEDOUT"], error
    assert 2900 <= session.clock.now - start <= 3600


def test_an_auth_of_success_ends_what_was_begun_only():
    session = _authenticating([], auto_reconnect=False).connected()
    session.sock.reply(auth(0, authentication_method="M"))
    assert raised(session.module.MQTTException, session.client.wait_msg, 5).reason_code == 0x82


def test_assigned_client_identifier():
    session = Session5(connack_with(assigned_client_identifier="auto-1"), client_id="", backoff=(0.1, 0.1)).connected()
    session.sock.reset()
    session.pump(500)
    assert [fields["client_id"] for fields in session.broker.said("CONNECT")] == ["", "auto-1"]
