"""Every packet of an MQTT 5 client as the corpus has it, over streams of every sort."""

import packets5
from support import fakenet, reference5
from support.answering import SUBSCRIBE, UNSUBSCRIBE
from support.session import raised
from support.session5 import Broker5, Session5, connack_with, same, same_connect, split

_STREAMS = (
    {},
    {"write_limit": 1, "read_limit": 1},
    {"write_limit": 7, "read_limit": 3, "stall": 60, "seed": 5},
    {"stall": 90, "seed": 2},
)
_BIG = {"tx_size": 20000, "outbox": 20000}
_AUTHENTICATED = {"authentication_method": "M"}


def _streams(data):
    return _STREAMS if len(data) < 1000 else _STREAMS[:1]


def test_connect():
    for name, settings, will, will_properties, expected in packets5.SENT_CONNECT:
        for network in _streams(expected):
            broker = connack_with(**(_AUTHENTICATED if "auth" in settings else {}))
            session = Session5(broker, will, network, will_properties, **dict(packets5.ASKED, **settings))
            session.client.connect()
            assert same_connect(session.sent(), expected), name


def test_publish():
    for name, arguments, packet_id, expected in packets5.SENT_PUBLISH:
        for network in _streams(expected):
            session = Session5(network=network, **_BIG).connected()
            session.sent()
            assert session.client.publish(**arguments) == packet_id, name
            session.client.flush()
            pubrel = b"\x62\x02\x00\x01" if arguments.get("qos") == 2 else b""
            assert same(session.sent(), expected + pubrel), name


def test_publish_is_byte_for_byte_but_for_the_order_of_properties():
    for name, arguments, _packet_id, expected in packets5.SENT_PUBLISH:
        if len(expected) > 1000:
            continue
        session = Session5().connected()
        session.sent()
        session.client.publish(wait=False, **arguments)
        session.pump(5)
        sent = session.sent()[: len(expected)]
        assert sorted(sent) == sorted(expected) and sent[:5] == expected[:5], name


def test_subscribe():
    for name, arguments, expected, suback in packets5.SENT_SUBSCRIBE:
        if isinstance(arguments["topic"], list):
            continue
        for network in _STREAMS:
            broker = connack_with(subscription_identifiers_available=0)
            broker.answers[SUBSCRIBE] = lambda packet, suback=suback: suback
            session = Session5(broker, network=network).connected()
            session.sent()
            assert session.client.subscribe(**arguments) == suback[-1], name
            assert same(session.sent(), expected), name


def _filters(data):
    """What is asked for in these bytes: (filter, options) or filters, and the user properties with each."""
    asked = []
    for fields in split(data):
        values = fields["properties"].get("user_properties")
        asked += [(each, values) for each in fields["filters"]]
    return asked


def test_several_filters_may_go_in_one_packet_or_in_several():
    tables = (("subscribe", packets5.SENT_SUBSCRIBE), ("unsubscribe", packets5.SENT_UNSUBSCRIBE))
    for method, table in tables:
        for name, arguments, expected, _answer in table:
            session = Session5().connected()
            session.sent()
            getattr(session.client, method)(**arguments)
            assert _filters(session.sent()) == _filters(expected), name


def test_unsubscribe():
    for name, arguments, expected, unsuback in packets5.SENT_UNSUBSCRIBE:
        if isinstance(arguments["topic"], list):
            continue
        for network in _STREAMS:
            broker = Broker5()
            broker.answers[UNSUBSCRIBE] = lambda packet, unsuback=unsuback: unsuback
            session = Session5(broker, network=network).connected()
            session.sent()
            session.client.unsubscribe(**arguments)
            assert same(session.sent(), expected), name


def test_disconnect():
    for name, arguments, expected in packets5.SENT_DISCONNECT:
        for network in _STREAMS:
            session = Session5(session_expiry=3600, network=network).connected()
            session.sent()
            session.client.disconnect(**arguments)
            assert same(session.sent(), expected), name
            assert session.sock.closed, name


def test_what_a_disconnect_says_is_said_once():
    session = Session5(session_expiry=3600).connected()
    session.client.disconnect(reason_code=4, session_expiry=9)
    session.connected()
    session.sent()
    session.client.disconnect()
    assert session.sent() == b"\xe0\x00"


def test_one_write_for_each_packet():
    session = Session5(network=fakenet.ROOMY).connected()
    session.client.subscribe("t/#", 1, user_properties=[("k", "v")])
    session.client.publish("t", "x" * 500, content_type="text")
    session.client.publish(b"t", b"x", qos=1, correlation_data=b"x" * 100)
    session.client.publish("t", "x", qos=2, message_expiry=9)
    session.client.unsubscribe("t/#")
    session.client.disconnect(reason_code=4)
    assert len(session.sock.writes) == len(session.sock.packets()) == 8


def _untold(call, cases):
    """Those of the cases for which `call` does not raise ValueError."""
    untold = []
    for case in cases:
        try:
            call(**case)
        except ValueError as error:
            assert str(error), case
        except Exception as error:  # TypeError would not tell the caller what is wrong
            untold.append((repr(case)[:80], repr(error)))
        else:
            untold.append((repr(case)[:80], None))
    return untold


def test_properties_that_cannot_be_are_a_value_error():
    session = Session5().connected()
    session.broker.strict = False
    session.sent()
    properties = (
        {"message_expiry": -1},
        {"message_expiry": 1 << 32},
        {"payload_format": 2},
        {"content_type": "c" * 65536},
        {"correlation_data": b"d" * 65536},
        {"response_topic": "a/#"},
        {"response_topic": "+"},
        {"response_topic": ""},
        {"user_properties": [("k" * 65536, "v")]},
        {"user_properties": [("k", "v\0")]},
        {"content_type": "\0"},
        {"will_delay": 1},
        {"reason_string": "ok"},
        {"no_such_property": 1},
    )
    for qos in (0, 1):
        cases = [dict(values, topic="t", msg="x", qos=qos) for values in properties]
        untold = _untold(session.client.publish, cases)
        assert not untold, untold
    assert session.sent() == b""
    assert session.client.pending() == 0
    session.client.publish("t", "x", qos=1)


def test_a_will_that_cannot_be_is_a_value_error():
    cases = (
        {"will_delay": -1},
        {"will_delay": 1 << 32},
        {"response_topic": "#"},
        {"topic_alias": 1},
        {"subscription_identifier": 1},
    )
    untold = _untold(lambda **values: Session5().client.set_last_will("w", "bye", **values), cases)
    assert not untold, untold


def test_settings_that_cannot_work_are_a_value_error():
    cases = (
        {"version": 6},
        {"version": (4, 5)},
        {"session_expiry": -1},
        {"session_expiry": 1 << 32},
        {"receive_maximum": 0},
        {"receive_maximum": 65536},
        {"topic_alias_maximum": -1},
        {"topic_alias_maximum": 65536},
        {"user_properties": [("k" * 65536, "v")]},
    )
    untold = _untold(lambda **settings: Session5(**settings).client.connect(), cases)
    assert not untold, untold


def test_subscriptions_that_cannot_be_are_a_value_error():
    session = Session5().connected()
    session.broker.strict = False
    session.sent()
    cases = (
        {"topic": "t", "qos": 3},
        {"topic": "t", "retain_handling": 3},
        {"topic": "t", "retain_handling": -1},
        {"topic": "$share/g/t", "no_local": True},  # [MQTT-3.8.3-4]
        {"topic": ["t", "$share/g/t"], "no_local": True},
        {"topic": "$share/g"},
        {"topic": "$share/+/t"},
        {"topic": "t", "user_properties": [("k", "v" * 65536)]},
    )
    untold = _untold(session.client.subscribe, cases)
    assert not untold, untold
    session.pump(100)
    assert session.sent() == b"", "nothing of what was refused is kept"


def test_a_session_expiry_that_was_0_stays_0():
    session = Session5().connected()  # section 3.14.2.2.2
    raised(ValueError, session.client.disconnect, session_expiry=5)
    assert session.client.isconnected()
    session.client.disconnect(session_expiry=0)


def test_a_publish_larger_than_tx_size():
    for qos in (0, 1):
        session = Session5(tx_size=256, outbox=8000).connected()
        session.client.publish("t", b"x" * 4000, qos=qos, content_type="text")
        session.client.flush()
        said = session.broker.said("PUBLISH")[0]
        assert (said["payload"], said["properties"]) == (b"x" * 4000, {"content_type": "text"})


def test_properties_larger_than_tx_size_are_a_value_error_or_are_sent():
    for qos in (0, 1):
        for size in (200, 225, 235, 240, 245, 250, 256, 300):
            session = Session5(tx_size=256, outbox=8000, timeout=2).connected()
            values = {"user_properties": [("k", "v" * size)]}
            try:
                session.client.publish("t", b"x", qos=qos, **values)
                session.client.flush()
            except ValueError as error:
                assert size > 200 and str(error)
                assert session.client.pending() == 0 and session.client.isconnected()
            else:
                assert session.broker.said("PUBLISH")[0]["properties"] == values, size


def test_sent_again_with_its_properties():
    broker = Broker5(reference5.connack())
    broker.answers[3] = None
    session = Session5(broker, clean_session=False, session_expiry=60, backoff=(0.1, 0.1)).connected()
    session.client.publish("t", "hi", qos=1, wait=False, content_type="text", user_properties=[("k", "w"), ("k", "v")])
    session.client.publish("t", "ho", qos=2, wait=False, correlation_data=b"\x00")
    session.pump(20)
    broker.answers[1] = lambda packet: reference5.connack(session_present=1)
    session.sock.reset()
    session.pump(500)
    said = broker.said("PUBLISH")
    assert len(said) == 4 and len(broker.connections) == 2
    for first, again in ((said[0], said[2]), (said[1], said[3])):
        assert (first["dup"], again["dup"]) == (0, 1)
        assert dict(first, dup=1) == again
