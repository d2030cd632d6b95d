"""MQTT 5: coming back to a server, following its references, and authentication that fails half-way."""

import received5
from support import fakenet, reference5
from support.answering import CONNECT
from support.reference5 import auth, connack, disconnect, packet, publish
from support.session import raised
from support.session5 import Auth, Broker5, Session5, connack_with

_QUICK = {"backoff": (0.01, 0.01)}


def _says(*connacks):
    """A broker that answers the next CONNECTs so, and all after them with success."""
    broker = Broker5()
    left = list(connacks)
    broker.answers[CONNECT] = lambda packet: left.pop(0) if left else received5.CONNACK
    return broker


# --- The last will -----------------------------------------------------------------------


def test_a_will_is_too_large_for_a_server_that_announces_less_than_before():
    """Its CONNECT was taken before, and what is announced is for one connection: the client comes back."""
    less = connack(maximum_packet_size=60)
    for connacks in ((less, less, less), (received5.CONNACK, less, less)):
        session = Session5(_says(*connacks), will=("w", "x" * 80), **_QUICK).connected()
        for count in (2, 3, 4):
            session.sock.hang_up()
            session.pump(500)
            assert session.client.isconnected() and len(session.broker.connections) == count
        assert session.broker.said("CONNECT")[-1]["will"][:2] == ("w", b"x" * 80)


def test_a_will_that_tx_size_has_no_room_for_leaves_the_old_one():
    session = Session5(tx_size=256, will=("w", "old"), **_QUICK).connected()
    for values in ({"content_type": "y" * 200}, {"user_properties": [("k", "v" * 30)] * 6}):
        error = raised(ValueError, session.client.set_last_will, "w", "x" * 100, **values)
        assert "tx_size" in str(error), str(error)
    session.sock.hang_up()
    session.pump(500)
    assert session.client.isconnected() and len(session.broker.connections) == 2
    assert session.broker.said("CONNECT")[-1]["will"][:2] == ("w", b"old")


# --- Server references -------------------------------------------------------------------


def test_connect_begins_at_home_after_a_reference_was_followed():
    session = Session5(_says(connack(0x9C, server_reference="other"))).connected()
    assert session.sock.address == ("other", 1883)
    session.client.disconnect()
    session.client.connect()
    assert session.sock.address == ("broker", 1883)
    assert session.network.names == [("broker", 1883), ("other", 1883), ("broker", 1883)]


def test_connect_begins_at_home_after_a_reference_was_lost():
    for home in ("broker", ["broker", "second"]):
        session = Session5(_says(connack(0x9C, server_reference="other")), server=home, **_QUICK)
        session.broker.accepts = lambda sock: "refused" if sock.address[0] == "other" else None
        session.client.connect(wait=False)
        session.pump(3000)
        assert session.client.isconnected() and session.sock.address == ("broker", 1883)
        session.client.disconnect()
        session.client.connect()
        assert session.client.isconnected() and session.sock.address == ("broker", 1883)


def _followed(reference):
    """Where the client goes that is referred there, again and again: the names that it asks for."""
    session = Session5(connack_with(code=0x9D, server_reference=reference), port=1999)
    error = raised(session.module.MQTTException, session.client.connect)
    assert error.reason_code == 0x9D
    names = session.network.names
    assert names[0] == ("broker", 1999)
    return names[1:]


def test_what_a_reference_names():
    for reference, expected in (
        ("h", ("h", 1999)),
        ("h:1884", ("h", 1884)),
        ("h:65535", ("h", 65535)),
        ("fe80::1", ("fe80::1", 1999)),
        ("[fe80::1]", ("fe80::1", 1999)),
        ("[::1]:1884", ("::1", 1884)),
    ):
        assert _followed(reference) == [expected] * 3, (reference, _followed(reference))


def test_references_that_are_not_followed():
    for reference in ("", ":1883", "h:99999", "h:65536", "h:0", "h:", "h:mqtt", "[]:1884"):
        assert _followed(reference) == [], (reference, _followed(reference))


# --- Authentication ----------------------------------------------------------------------


class Needy(Auth):
    """Goes on from what the server says, and has not thought of a server that says nothing."""

    def step(self, data):
        return b"answer to " + data


def test_an_auth_without_the_data_that_the_method_needs():
    session = Session5(auth=Needy())
    session.broker.answers[CONNECT] = lambda packet: auth(0x18, authentication_method="M")
    error = raised(session.module.MQTTException, session.client.connect)
    assert error.reason_code == 0x87 and not session.client.isconnected()
    assert session.network.open_sockets() == []


def test_an_auth_without_data_on_the_living_connection():
    broker = connack_with(authentication_method="M")
    session = Session5(broker, auth=Needy(), auto_reconnect=False, network=fakenet.ROOMY).connected()
    broker.answers[15] = lambda packet: auth(0x18, authentication_method="M")
    error = raised(session.module.MQTTException, session.client.reauthenticate)
    assert error.reason_code == 0x87
    assert [fields["code"] for fields in session.broker.said("DISCONNECT")] == [0x87]


def test_reauthenticate_while_somebody_disconnects():
    session = Session5(connack_with(authentication_method="M"), auth=b"first").connected()
    session.broker.answers[15] = lambda packet: publish("stop")
    session.client.set_callback(lambda topic, msg: session.client.disconnect())
    error = raised(OSError, session.client.reauthenticate)
    assert "not connected" in str(error)
    assert len(session.broker.connections) == 1 and not session.client.isconnected()


# --- Packets of the server ---------------------------------------------------------------


def _padded(size):
    """A PUBLISH of that many bytes."""
    data = publish("t", b"x" * (size - 6))
    assert len(data) == size
    return data


def test_packets_that_end_too_early_at_the_end_of_the_buffer():
    for short in (b"\x90\x00", b"\x90\x01\x00", b"\x90\x02\x00\x01", b"\xb0\x00", b"\xb0\x01\x00", b"\xb0\x02\x00\x01"):
        session = Session5(max_packet=64, auto_reconnect=False, network=fakenet.ROOMY).connected()
        session.sock.reply(_padded(64 - len(short)) + short)
        assert session.client.wait_msg(1)
        error = raised(session.module.MQTTException, session.client.wait_msg, 1)
        assert error.reason_code == 0x81, (short, error)
        assert session.broker.said("DISCONNECT")[-1]["code"] == 0x81


def test_connack_ends_too_early_at_the_end_of_the_buffer():
    for short in (b"\x20\x00", b"\x20\x01\x00", b"\x20\x02\x00\x00"):
        empty = auth(0x18, authentication_method="M", authentication_data=b"")
        data = b"x" * (64 - len(short) - len(empty))
        before = auth(0x18, authentication_method="M", authentication_data=data)
        assert len(before + short) == 64
        session = Session5(max_packet=64, auth=b"first")
        session.broker.answers[CONNECT] = lambda packet, answer=before + short: answer
        error = raised(session.module.MQTTException, session.client.connect)
        assert error.reason_code == 0x81 and session.auth.said[-1] == data


def test_user_properties_are_kept_up_to_64():
    """So a packet takes no more memory than that; what stands behind them is read all the same."""
    pairs = [("k%d" % number, "v") for number in range(70)]
    block = b"".join([b"\x26" + reference5.field(key) + reference5.field(value) for key, value in pairs])
    block += b"\x03" + reference5.field("text")
    session = Session5().connected()
    session.received(packet(0x30, b"\x00\x01t", reference5.varint(len(block)), block, b"hi"))
    assert session.messages[0][:2] == (b"t", b"hi")
    assert session.messages[0][5] == {"user_properties": pairs[:64], "content_type": "text"}
    session.received(publish("t", "x", user_properties=pairs[:64]))
    assert session.messages[1][5] == {"user_properties": pairs[:64]}
    session.client.auto_reconnect = False
    session.sock.reply(disconnect(0x8B, user_properties=pairs))
    session.pump(20)
    assert session.client.error.properties == {"user_properties": pairs[:64]}


def test_suback_has_no_reason_code_of_unsuback():
    session = Session5(auto_reconnect=False, network=fakenet.ROOMY).connected()
    session.broker.answers[10] = lambda packet: reference5.unsuback(reference5.decode(packet)["packet_id"], 0x11)
    session.client.unsubscribe("never/subscribed")
    session.broker.answers[8] = lambda packet: reference5.suback(reference5.decode(packet)["packet_id"], 0x11)
    error = raised(session.module.MQTTException, session.client.subscribe, "a")
    assert error.reason_code == 0x81
    assert session.broker.said("DISCONNECT")[-1]["code"] == 0x81
