"""Every packet of the client, byte by byte as the corpus has it, over streams of every sort."""

import packets
from support import fakenet
from support.answering import Broker
from support.session import Session, raised

_STREAMS = (
    {},
    {"write_limit": 1, "read_limit": 1},
    {"write_limit": 7, "read_limit": 3, "stall": 60, "seed": 5},
    {"stall": 90, "seed": 2},
)
_BIG = {"tx_size": 20000, "outbox": 20000}


def test_connect():
    for name, settings, will, expected in packets.SENT_CONNECT:
        for network in _STREAMS:
            session = Session(will=will, network=network, **settings)
            session.client.connect()
            assert session.sent() == expected, name


def test_connect_argument_overrides_clean_session():
    session = Session(clean_session=True)
    session.client.connect(clean_session=False)
    assert session.sent()[9] == 0


def test_publish():
    for name, arguments, packet_id, expected in packets.SENT_PUBLISH:
        for network in _STREAMS if len(expected) < 1000 else _STREAMS[:1]:
            session = Session(network=network, **_BIG).connected()
            session.sent()
            assert session.client.publish(**arguments) == packet_id, name
            session.client.flush()
            pubrel = packets.PUBREL if arguments.get("qos") == 2 else b""
            assert session.sent() == expected + pubrel, name


def test_subscribe():
    for name, arguments, expected, suback in packets.SENT_SUBSCRIBE:
        for network in _STREAMS:
            broker = Broker()
            broker.answers[8] = lambda packet, suback=suback: suback
            session = Session(broker, network=network).connected()
            session.sent()
            session.client.subscribe(*arguments)
            assert session.sent() == expected, name


def test_unsubscribe():
    for name, arguments, expected in packets.SENT_UNSUBSCRIBE:
        for network in _STREAMS:
            session = Session(network=network).connected()
            session.sent()
            session.client.unsubscribe(*arguments)
            assert session.sent() == expected, name


def test_ping_and_disconnect():
    for network in _STREAMS:
        session = Session(network=network).connected()
        session.sent()
        session.client.ping()
        session.pump(2000)
        session.client.disconnect()
        assert session.sent() == packets.PINGREQ + packets.DISCONNECT
        assert session.sock.closed


def test_one_write_for_each_packet():
    session = Session(network=fakenet.ROOMY).connected()
    session.client.subscribe("t/#", 1)
    session.client.publish("t", "x" * 500)
    session.client.publish(b"t", b"x", qos=1)
    session.client.publish("t", "x", qos=2)
    session.client.unsubscribe("t/#")
    session.client.disconnect()
    assert len(session.sock.writes) == len(session.sock.packets()) == 8


def _untold(call, cases):
    """Those of the cases for which `call` does not raise ValueError."""
    untold = []
    for case in cases:
        try:
            call(*case)
        except ValueError as error:
            assert str(error), case
        except OSError as error:
            untold.append((repr(case)[:60], error.args[0]))
        else:
            untold.append((repr(case)[:60], None))
    return untold


def test_a_message_that_cannot_be_sent_is_a_value_error():
    session = Session().connected()
    session.sent()
    cases = [(topic, "x") for topic in ("", "a/#", "a/+/b", "t\x00", "t" * 65536)]
    cases += [("t", "x", False, qos) for qos in (3, -1)]
    untold = _untold(session.client.publish, cases)
    assert not untold, untold
    assert session.sent() == b""


def test_a_filter_that_cannot_be_is_a_value_error():
    session = Session().connected()
    session.sent()
    cases = [("",), ("a/#/b",), ("a#",), ("+a",), ("a/b+",), ("a\x00",), ("t", 3), ("t", -1), ([],), ("t" * 65536,)]
    untold = _untold(session.client.subscribe, cases)
    untold += _untold(session.client.unsubscribe, [case for case in cases if len(case) == 1])
    assert not untold, untold
    assert session.sent() == b""
    session.pump(100)
    assert session.sent() == b"", "nothing of what was refused is kept"


def test_settings_that_cannot_work_are_a_value_error():
    cases = (
        ({"password": "secret"},),  # [MQTT-3.1.2-22] no password without a user name
        ({"keepalive": 65536},),
        ({"keepalive": -1},),
        ({"client_id": "x" * 65536},),
        ({"client_id": "", "clean_session": False},),  # [MQTT-3.1.3-8]
    )
    untold = _untold(lambda settings: Session(**settings).client.connect(), cases)
    assert not untold, untold


def test_a_will_that_cannot_be_is_a_value_error():
    cases = (("a/#", "x"), ("", "x"), ("t", "x", False, 3))
    untold = _untold(lambda *will: Session(will=will).client.connect(), cases)
    assert not untold, untold


def test_what_is_secret_is_in_no_error():
    for settings in ({"password": "top-secret"}, {"password": "top-secret" * 7000, "user": "u"}):
        error = raised(Exception, lambda settings=settings: Session(**settings).client.connect())
        assert "top-secret" not in repr(error) and "top-secret" not in str(error)


def test_more_filters_than_fit_in_a_packet():
    filters = ["sensors/%03d/" % i + "x" * (i % 50) for i in range(100)]
    for tx_size in (128, 256, 257, 263, 1024):
        session = Session(tx_size=tx_size).connected()
        session.sent()
        assert session.client.subscribe(filters, 1) == [1] * 100
        asked = session.sock.packets()
        assert all(packet[0] == 0x82 and len(packet) <= tx_size for packet in asked), tx_size
        found = b"".join(asked)
        for topic_filter in filters:
            assert bytes((0, len(topic_filter))) + topic_filter.encode() + b"\x01" in found, tx_size
