"""MQTT 5: version=(5, 4) with a broker that knows only 3.1.1, be it from the beginning or from some day on."""

from support.answering import CONNECT, PINGREQ, PUBLISH, Broker, packet_id
from support.reference5 import connack, publish
from support.session import raised
from support.session5 import Auth, Broker5, Session5, connack_with

_BOTH = {"version": (5, 4), "backoff": (0.01, 0.01)}
_OLD_CONNACK = b"\x20\x02\x00\x00"


def _grow_old(broker, code=0):
    """From now on the broker knows only 3.1.1, and answers its CONNECT with this return code."""
    broker.strict = False
    broker.answers.update(Broker().answers)
    broker.answers[CONNECT] = lambda packet: b"\x20\x02\x00\x01" if packet[8] == 5 else b"\x20\x02\x00" + bytes((code,))
    return broker


def _old(code=0):
    return _grow_old(Broker5(), code)


def _versions(broker):
    return [packet[8] for packet in broker.of_type(CONNECT)]


def test_a_backlog_with_properties_is_larger_than_the_window():
    """What 3.1.1 acknowledges makes room for the next message, whether the message had properties or not."""
    session = Session5(_old(), outbox=8000, window=5, **_BOTH)
    for number in range(20):
        session.client.publish("t", b"%02d" % number, qos=1 + number % 2, wait=False, message_expiry=600)
    session.connected()
    session.client.flush()
    assert _versions(session.broker) == [5, 4]
    assert [packet[-2:] for packet in session.broker.of_type(PUBLISH)] == [b"%02d" % number for number in range(20)]


def test_a_server_that_has_spoken_mqtt_5_may_close():
    """A close before CONNACK then says nothing of its version; a new connect() asks anew."""
    session = Session5(session_expiry=600, **_BOTH).connected()
    closes = [1, 1, 1]

    def answer(packet):
        if not closes:
            return connack(session_present=1) if packet[8] == 5 else _OLD_CONNACK
        closes.pop()
        session.sock.hang_up()
        return None

    session.broker.strict = False
    session.broker.answers[CONNECT] = answer
    session.sock.hang_up()
    session.pump(3000)
    assert session.client.isconnected()
    assert _versions(session.broker) == [5] * 5
    session.client.disconnect()
    closes.append(1)
    session.client.connect()
    assert _versions(session.broker)[5:] == [5, 4]


def _downgraded(broker, **settings):
    """A client whose MQTT 5 connection has been followed by one of 3.1.1."""
    settings.update(_BOTH)
    session = Session5(broker, **settings).connected()
    _grow_old(broker)
    session.sock.hang_up()
    session.pump(500)
    assert session.client.isconnected() and _versions(broker) == [5, 5, 4]
    return session


def test_the_filters_that_the_last_message_of_mqtt_5_matched_are_forgotten():
    session = Session5(**_BOTH).connected()
    calls = []
    for topic_filter in ("a", "b"):
        session.client.subscribe(topic_filter, callback=lambda topic, msg, name=topic_filter: calls.append(name))
    identifier = session.broker.said("SUBSCRIBE")[0]["properties"]["subscription_identifier"]
    session.received(publish("a", "1", subscription_identifier=identifier))
    _grow_old(session.broker)
    session.sock.hang_up()
    session.pump(500)
    session.received(b"\x30\x04\x00\x01b!")
    assert calls == ["a", "b"] and session.messages == []


def test_the_limits_of_mqtt_5_are_forgotten():
    said = {"maximum_qos": 0, "retain_available": 0, "maximum_packet_size": 60, "wildcard_available": 0}
    session = _downgraded(connack_with(**said))
    limits = session.client.server_limits
    assert (limits["maximum_qos"], limits["retain_available"], limits["maximum_packet_size"]) == (2, 1, None)
    session.client.publish("t", "x" * 100, retain=True, qos=1)
    assert session.broker.of_type(PUBLISH) == [b"\x33\x69\x00\x01t\x00\x01" + b"x" * 100]
    assert session.client.subscribe("a/#", 1) == 1


def test_the_window_of_mqtt_5_is_forgotten():
    session = _downgraded(connack_with(receive_maximum=1), window=3)
    session.broker.answers[PUBLISH] = None
    for _ in range(5):
        session.client.publish("t", "x", qos=1, wait=False)
    session.pump()
    assert [packet_id(packet) for packet in session.broker.of_type(PUBLISH)] == [1, 2, 3]


def test_the_keep_alive_of_mqtt_5_is_forgotten():
    session = _downgraded(connack_with(server_keepalive=5), keepalive=600)
    session.client.wait_msg(400)
    assert session.broker.of_type(PINGREQ) == []
    session.client.wait_msg(100)
    assert len(session.broker.of_type(PINGREQ)) == 1


def test_authentication_needs_mqtt_5():
    """A broker must not get round it by knowing only 3.1.1."""
    error = raised(ValueError, Session5, auth=Auth(), version=(5, 4))
    assert "auth" in str(error) and "version=5" in str(error), str(error)


def test_who_is_refused_by_3_1_1_comes_back_late():
    for code in (2, 4, 5):
        session = Session5(_old(code), version=(5, 4), backoff=(0.1, 60))
        session.client.connect(wait=False)
        session.client.wait_msg(1200)
        times = session.broker.times_of(CONNECT)[1:]
        gaps = [after - before for before, after in zip(times, times[1:])]
        assert _versions(session.broker)[1:] == [4] * len(times)
        assert len(gaps) >= 8 and min(gaps) >= 59_000, (code, gaps)


def test_a_refusal_by_3_1_1_has_its_own_name():
    """The numbers are MQTT 5's too, and mean something else there."""
    for code, word in ((2, "identifier"), (3, "unavailable"), (4, "user"), (5, "authori")):
        session = Session5(_old(code), **_BOTH)
        error = raised(session.module.MQTTException, session.client.connect)
        assert error.reason_code == code and error.name == error.reason
        assert word in error.name, (code, error.name)


def _refusals(session):
    """What on_refused is told: (packet identifier, name of the reason code)."""
    told = []
    session.client.on_refused = lambda number, error: told.append((number, error.name))
    return told


def test_a_backlog_that_tx_size_has_become_too_small_for():
    """After a restart with a smaller tx_size: what cannot be put together is refused, and the rest is sent."""
    for length in (150, 231, 244, 247, 252, 300):
        outbox = Session5().module.Outbox(2000)
        before = Session5(outbox=outbox, tx_size=512)
        for topic in ("t" * length, "short"):
            before.client.publish(topic, "payload", qos=1, wait=False, content_type="c")
        session = Session5(_old(), outbox=outbox, tx_size=256, **_BOTH)
        refused = _refusals(session)
        session.connected().client.flush()
        whole = b"\x32" + bytes((0x80 | length + 11 & 127, length + 11 >> 7)) + bytes((length >> 8, length & 255))
        first = [whole + b"t" * length + b"\x00\x01payload"]
        second = [b"\x32\x10\x00\x05short\x00\x02payload"]
        if length < 232:  # which a client of that tx_size takes
            assert (refused, session.broker.of_type(PUBLISH)) == ([], first + second), length
        elif length > 250:
            assert (refused, session.broker.of_type(PUBLISH)) == ([(1, "packet too large")], second), length
        else:
            assert session.broker.of_type(PUBLISH)[-1:] == second
            assert len(refused) + len(session.broker.of_type(PUBLISH)) == 2
        raised(ValueError, session.client.publish, "t" * 245, "")
