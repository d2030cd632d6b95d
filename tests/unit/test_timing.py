"""Keep alive, deadlines and backoff, on a clock that nobody waits for; its ticks wrap in the middle."""

import packets
from support import fakenet
from support.answering import CONNECT, PINGREQ, PUBLISH, SUBSCRIBE, Broker
from support.session import Session, raised


def _lost(session):
    """Have the client note why and when it lost the connection."""
    losses = []
    session.client.on_disconnect = lambda reason: losses.append((session.clock.now, reason))
    return losses


def test_pingreq_in_time():
    for keepalive in (1, 2, 10, 60, 3600):
        for to_wrap in (500, keepalive * 1500, 1 << 29):
            session = Session(keepalive=keepalive, network={"to_wrap": to_wrap}).connected()
            losses = _lost(session)
            start = session.clock.now
            while session.clock.now - start < keepalive * 4500:
                session.client.wait_msg(keepalive)
            pings = session.broker.times_of(PINGREQ)
            times = [start] + pings
            gaps = [after - before for before, after in zip(times, times[1:])]
            assert 4 <= len(pings) <= 12, (keepalive, pings)
            assert max(gaps) <= keepalive * 1000, (keepalive, to_wrap, gaps)
            assert losses == [], (keepalive, to_wrap)


def test_no_pingreq_while_packets_are_sent():
    session = Session(keepalive=10).connected()
    for _ in range(20):
        session.client.publish("t", "x", qos=1)
        session.pump(4000)
    assert session.broker.of_type(PINGREQ) == []
    assert len(session.network.sockets) == 1


def test_pingreq_even_if_only_the_broker_talks():
    session = Session(keepalive=10).connected()
    for _ in range(20):
        session.sock.reply(b"\x30\x03\x00\x01t")
        session.pump(4000)
    pings = session.broker.times_of(PINGREQ)
    assert len(pings) >= 7  # [MQTT-3.1.2-23] a client must send something within keepalive
    assert max([after - before for before, after in zip(pings, pings[1:])]) <= 10000


def test_keepalive_0_never_pings():
    session = Session(keepalive=0).connected()
    session.client.wait_msg(5000)
    assert session.broker.of_type(PINGREQ) == []
    assert session.client.isconnected()


def test_missing_pingresp_is_a_lost_link():
    for keepalive in (1, 2, 10, 60, 300):
        for to_wrap in (500, keepalive * 1400, 1 << 29):
            broker = Broker()
            broker.answers[PINGREQ] = None
            session = Session(
                broker, keepalive=keepalive, auto_reconnect=False, network={"to_wrap": to_wrap}
            ).connected()
            losses = _lost(session)
            session.sock.reply(b"\x30\x03\x00\x01t", 300)
            session.client.wait_msg(5)
            heard = session.clock.now
            error = raised(OSError, session.client.wait_msg, keepalive * 10)
            assert session.clock.now - heard <= keepalive * 1500, (keepalive, to_wrap)
            assert session.clock.now - heard >= keepalive * 500, "too hasty"
            assert not isinstance(error, session.module.MQTTException)
            assert len(losses) == 1 and isinstance(losses[0][1], OSError)
            assert session.sock.closed


def test_publishing_does_not_hide_a_dead_link():
    broker = Broker()
    broker.answers[PINGREQ] = None
    session = Session(broker, keepalive=10).connected()
    start = session.clock.now
    losses = _lost(session)
    while not losses and session.clock.now < start + 60000:
        session.client.publish("t", "x")
        session.pump(1000)
    assert losses and losses[0][0] - start <= 15010  # pump() looks every 5 ms


def test_everything_has_a_deadline():
    for packet_type, call in (
        (SUBSCRIBE, lambda client: client.subscribe("t")),
        (10, lambda client: client.unsubscribe("t")),
        (PUBLISH, lambda client: client.publish("t", "x", qos=1)),
        (PUBLISH, lambda client: client.publish("t", "x", qos=2)),
        (6, lambda client: client.publish("t", "x", qos=2)),
    ):
        broker = Broker()
        broker.answers[packet_type] = None
        session = Session(broker, timeout=3).connected()
        start = session.clock.now
        error = raised(OSError, call, session.client)
        assert error.args[0] in (110, 116, 60), error  # ETIMEDOUT of the ports
        assert 2900 <= session.clock.now - start <= 3600, (packet_type, session.clock.now - start)


def test_connect_has_a_deadline():
    for accepts, connack in (
        (lambda sock: "connecting", packets.CONNACK),
        (lambda sock: None, None),
        (lambda sock: None, b"\x20\x02"),
    ):
        broker = Broker()
        broker.accepts = accepts
        broker.answers[CONNECT] = (lambda packet, connack=connack: connack) if connack else None
        for settings, arguments, expected in (({"timeout": 4}, {}, 4000), ({}, {"timeout": 2}, 2000)):
            session = Session(broker, **settings)
            start = session.clock.now
            error = raised(OSError, session.client.connect, **arguments)
            assert error.args[0] in (110, 116, 60), error
            assert expected - 100 <= session.clock.now - start <= expected + 600
            assert session.network.open_sockets() == []


def test_a_peer_that_takes_nothing():
    session = Session(timeout=3, keepalive=0).connected()
    session.network.write_limit = 0
    start = session.clock.now
    raised(OSError, session.client.publish, "t", "x" * 500, qos=1)
    raised(OSError, lambda: [session.client.publish("t", "x" * 500) for _ in range(100)])
    session.client.disconnect()
    assert session.clock.now - start <= 12000
    assert session.network.open_sockets() == []


def test_nothing_takes_longer_than_the_network():
    session = Session(network=fakenet.ROOMY).connected()
    client = session.client
    session.pump(1000)
    for call in (
        lambda: client.subscribe("t"),
        lambda: client.unsubscribe("t"),
        lambda: client.publish("t", "x"),
        lambda: client.publish("t", "x", qos=1),
        lambda: client.publish("t", "x", qos=2),
        client.disconnect,
        client.connect,
        client.reconnect,
    ):
        start = session.clock.now
        call()
        assert session.clock.now - start <= 10, "round trips take 2 ms here"
        session.pump(100) if client.isconnected() else None


def test_backoff_of_parts_of_a_second():
    session = Session(backoff=(0.1, 0.5)).connected()
    for _ in range(10):
        session.sock.reset()
        start = session.clock.now
        while session.sock.closed or session.sock.state == "reset" or not session.client.isconnected():
            session.pump(5)
        assert session.clock.now - start <= 600


def test_wait_msg_and_flush_keep_their_timeouts():
    session = Session().connected()
    for seconds in (0.25, 1, 7):
        start = session.clock.now
        session.client.wait_msg(seconds)
        assert abs(session.clock.now - start - seconds * 1000) <= 50
    session.broker.answers[PUBLISH] = None
    session.client.publish("t", "x", qos=1, wait=False)
    start = session.clock.now
    raised(OSError, session.client.flush, 2)
    assert abs(session.clock.now - start - 2000) <= 50


def test_check_msg_does_not_wait():
    session = Session().connected()
    start = session.clock.now
    session.sock.reply(b"\x30\x05\x00")
    for _ in range(100):
        assert session.client.check_msg() is False
    assert session.clock.now - start <= 100


def _attempts(backoff, refusals, seed_ms, seconds):
    """When a client tries to connect, the broker refusing with one of `refusals` each time."""
    broker = Broker()
    session = Session(broker, backoff=backoff, network={"to_wrap": 500 + seed_ms})
    session.connected()
    session.clock.sleep_ms(seed_ms)
    broker.accepts = lambda sock: refusals if isinstance(refusals, str) else None
    if isinstance(refusals, bytes):
        broker.answers[CONNECT] = lambda packet: refusals
    session.sock.reset()
    session.network.sockets.clear()
    broker.connections.clear()
    times = []
    end = session.clock.now + seconds * 1000
    while session.clock.now < end:
        session.client.wait_msg(0.1)
        while len(times) < len(broker.connections):
            times.append(session.clock.now)
    assert session.network.open_sockets() in ([], session.network.sockets[-1:]), "sockets are closed"
    return times


def _gaps(times):
    return [after - before for before, after in zip(times, times[1:])]


def test_backoff_grows_and_is_capped():
    gaps = _gaps(_attempts((1, 20), "refused", 0, 900))
    assert max(gaps) <= 20500, gaps
    assert 900 / 20 <= len(gaps) + 1 <= 900 / 3, "neither a hammer nor asleep"
    assert sum(gaps[-10:]) > 2 * sum(gaps[:3]), gaps


def test_backoff_has_jitter():
    first = [_attempts((4, 60), "refused", seed * 37, 60) for seed in range(6)]
    assert len({tuple(_gaps(times)[:3]) for times in first}) > 1, "all boards would come back at once"


def test_refused_login_backs_off_long():
    for code in (2, 4, 5):
        times = _attempts((1, 60), bytes((0x20, 2, 0, code)), 0, 600)
        assert 2 <= len(times) <= 45, (code, times)
        network = _attempts((1, 60), "refused", 0, 600)
        assert len(times) < len(network), (code, "a refused login waits longer than a missing network")


def test_takeover_does_not_ping_pong():
    broker = Broker()
    session = Session(broker, backoff=(1, 60)).connected()
    reasons = []
    session.client.on_disconnect = reasons.append
    # The other client of the same name comes back each time: the broker closes the connection soon after CONNACK.
    broker.answers[CONNECT] = lambda packet: packets.CONNACK
    for _ in range(3000):
        sock = session.sock
        if session.client.isconnected():
            sock.hang_up()
        session.pump(100)
    assert 3 <= len(broker.connections) <= 40, len(broker.connections)
    last = reasons[-1]
    assert isinstance(last, session.module.MQTTException) and last.reason_code == 0x8E, "session taken over"
    assert "client_id" in str(last), "it says what to look for"


def test_backoff_is_over_after_a_stable_connection():
    session = Session(backoff=(1, 60)).connected()
    for _ in range(5):
        session.client.wait_msg(120)
        lost, attempts = session.clock.now, len(session.network.sockets)
        session.sock.reset()
        while len(session.network.sockets) == attempts or not session.client.isconnected():
            session.pump(20)
            assert session.clock.now - lost < 5000
