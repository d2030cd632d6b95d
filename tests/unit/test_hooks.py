"""Hooks and callbacks that call the client, and what is refused: at once, as an exception that says so."""

from support import fakenet
from support.answering import PUBLISH, SUBSCRIBE, Broker, suback
from support.session import Session, raised

_MESSAGE = b"\x30\x04\x00\x01tp"


def _busy_hook(session, deepest, work):
    """A hook that does `work` and notes how deep it was called, and that it did not wait."""
    depth = [0]

    def hook(value):
        depth[0] += 1
        deepest.append(depth[0])
        start = session.clock.now
        work(value)
        assert session.clock.now == start, "nothing waits in a hook"
        depth[0] -= 1

    return hook


def _ask_everything(client):
    def work(value):
        for qos in (1, 2):
            client.publish("state", "x", qos=qos)
        client.subscribe("in/#", 1)
        for call in (client.wait_msg, client.check_msg, client.flush):
            raised(OSError, call)

    return work


def test_on_connect_and_on_disconnect_do_not_wait():
    for name in ("on_connect", "on_disconnect"):
        session = Session(backoff=(0, 0))
        deepest = []
        setattr(session.client, name, _busy_hook(session, deepest, _ask_everything(session.client)))
        session.connected()
        session.pump(200)
        session.sock.hang_up()
        session.pump(200)
        assert deepest == ([1, 1] if name == "on_connect" else [1])
        assert session.client.isconnected()
        assert session.client.pending() == 0, name
        assert len(session.broker.of_type(PUBLISH)) == 2 * len(deepest)


def test_on_publish_does_not_recurse():
    session = Session(keepalive=0, network=fakenet.ROOMY).connected()  # where QoS 0 had to wait for room: EAGAIN
    client, deepest = session.client, []

    def work(packet_id):
        if packet_id < 100:
            client.publish("next", "x", qos=1 + packet_id % 2)
            client.publish("log", "x")
            client.subscribe("in/#")

    client.on_publish = _busy_hook(session, deepest, work)
    client.publish("first", "x", qos=1)
    session.pump(3000)
    assert client.pending() == 0
    assert deepest and max(deepest) == 1, max(deepest)
    assert client.isconnected() and len(session.network.sockets) == 1


class _Mistake(Exception):
    pass


def test_the_next_message_is_delivered_at_once_after_a_callback_raised():
    session = Session().connected()
    seen = []

    def callback(topic, msg):
        seen.append(msg)
        if len(seen) == 1:
            raise _Mistake

    session.client.set_callback(callback)
    assert session.client.wait_msg(0.1) is False
    session.sock.reply(_MESSAGE * 2)
    raised(_Mistake, session.client.wait_msg, 5)
    start = session.clock.now
    assert session.client.wait_msg(5) is True
    assert len(seen) == 2 and session.clock.now == start


def test_messages_that_had_to_wait_for_room_are_delivered_at_once():
    session = Session(tx_size=64).connected()
    session.sock.reply(_MESSAGE * 3)
    assert session.client.check_msg() is True
    session.network.write_limit = 0
    session.client.publish("t", b"x" * 55, wait=False)
    session.network.write_limit = 1000
    start = session.clock.now
    assert session.client.wait_msg(5) is True and session.client.wait_msg(5) is True
    assert session.clock.now == start


def test_reconnecting_in_a_callback_is_an_error_and_keeps_the_connection():
    for name in ("reconnect", "connect"):
        session = Session().connected()
        client, errors = session.client, []
        call = getattr(client, name)
        client.set_callback(lambda topic, msg, call=call, errors=errors: errors.append(raised(OSError, call)))
        session.sock.reply(_MESSAGE)
        assert client.wait_msg(5) is True
        assert len(errors) == 1 and client.isconnected()
        assert client.publish("t", "x", qos=1) == 1
        assert len(session.network.sockets) == 1


def _refuse(packet):
    answer = suback(packet)
    return answer[:4] + b"\x80" * (len(answer) - 4)


def test_a_refused_filter_named_twice():
    broker = Broker()
    broker.answers[SUBSCRIBE] = _refuse
    session = Session(broker).connected()
    for filters in (["a", "a"], ["a", "b", "a"], "a"):
        error = raised(session.module.MQTTException, session.client.subscribe, filters)
        assert error.reason_code == 0x80
    assert session.client.isconnected()
    broker.answers[SUBSCRIBE] = suback
    assert session.client.subscribe(["a", "a"], 1) == [1, 1]


def test_a_refusal_that_nobody_waits_for_is_in_error():
    broker = Broker()
    session = Session(broker).connected()
    session.client.subscribe("granted", wait=False)
    session.pump(50)
    assert session.client.error is None
    broker.answers[SUBSCRIBE] = _refuse
    session.client.subscribe("secret/#", wait=False)
    session.pump(50)
    assert isinstance(session.client.error, session.module.MQTTException)
    assert session.client.error.reason_code == 0x80 and "secret/#" in session.client.error.reason
    assert session.client.isconnected()


def test_callbacks_of_shared_subscriptions():
    seen = []
    session = Session().connected()
    for topic_filter in ("$share/g/f", "$share/g/a/+", "$share/g/$other/#"):
        session.client.subscribe(topic_filter, callback=lambda topic, msg, f=topic_filter: seen.append((f, topic)))
    for topic in (b"f", b"a/b", b"$other/x", b"g/f", b"$share/g/f"):
        session.sock.reply(bytes((0x30, 2 + len(topic), 0, len(topic))) + topic)
    session.pump(50)
    assert seen == [("$share/g/f", b"f"), ("$share/g/a/+", b"a/b"), ("$share/g/$other/#", b"$other/x")]


def test_settings_that_cannot_work_are_refused_at_once():
    for settings in (
        {"window": 0},
        {"tx_size": 8},
        {"max_packet": 3},
        {"server": []},
        {"ssl_params": {"cadata": b"x"}},
        {"insecure": True},
    ):
        assert str(raised(ValueError, lambda settings=settings: Session(**settings))), settings


def test_a_will_that_does_not_fit_is_refused_at_once():
    session = Session(user="u" * 50, password="p" * 50)
    session.client.set_last_will("w", "small")
    raised(ValueError, session.client.set_last_will, "w", "x" * 2000)
    session.connected()
    assert b"\x00\x01w\x00\x05small" in session.sent(), "the one before is kept"
    for size in range(840, 930):
        session = Session(user="u" * 50, password="p" * 50)
        try:
            session.client.set_last_will("w", "x" * size)
        except ValueError:
            assert size > 850, size
        else:
            session.connected()
