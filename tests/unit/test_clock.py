"""The clock's ticks wrap (on a 32-bit board every 12.4 days), and the time of day jumps: nobody notices.

A scenario tells what happened and when. It is played with the wrap far away, then with the wrap in the midst of it:
what it tells must be the same to the millisecond.
"""

from support.answering import CONNECT, PINGREQ, PUBLISH, PUBREL, SUBSCRIBE, UNSUBSCRIBE, Broker
from support.session import Session, raised

_FAR = 1 << 28  # ms to the wrap: not within any of these scenarios


def _moments(ms):
    """So many ms from the start the ticks wrap: now and then, and just when something is due after `ms`."""
    return list(range(1, ms, ms // 4)) + [ms - 1, ms, ms + 1]


def _same_wherever_the_ticks_wrap(scenario, ms):
    expected = scenario(_FAR)
    for to_wrap in _moments(ms):
        told = scenario(to_wrap)
        assert told == expected, (to_wrap, told, expected)


def _session(to_wrap, silent=None, **settings):
    """A client, connected, whose broker does not answer packets of the type `silent`; the wrap is `to_wrap` ms away."""
    broker = Broker()
    if silent:
        broker.answers[silent] = None
    return Session(broker, network={"to_wrap": to_wrap + 2}, **settings).connected()  # connecting takes 2 ms


def _took(session, call, *arguments):
    start = session.clock.now
    raised(OSError, call, *arguments)
    return session.clock.now - start


def test_keep_alive():
    def scenario(to_wrap):
        session = _session(to_wrap, keepalive=4)
        session.client.wait_msg(20)
        return session.broker.times_of(PINGREQ), len(session.network.sockets)

    assert len(scenario(_FAR)[0]) == 6  # each 3 s
    _same_wherever_the_ticks_wrap(scenario, 18000)


def test_a_dead_link():
    def scenario(to_wrap):
        session = _session(to_wrap, silent=PINGREQ, keepalive=4, auto_reconnect=False)
        return _took(session, session.client.wait_msg)

    assert scenario(_FAR) == 6000
    _same_wherever_the_ticks_wrap(scenario, 6000)


def _deadline(silent, call, **settings):
    def scenario(to_wrap):
        session = _session(to_wrap, silent, timeout=3, **settings)
        return _took(session, call, session.client)

    assert 2900 <= scenario(_FAR) <= 3100
    _same_wherever_the_ticks_wrap(scenario, 3000)


def test_deadlines_of_acknowledgements():
    _deadline(SUBSCRIBE, lambda client: client.subscribe("t"))
    _deadline(UNSUBSCRIBE, lambda client: client.unsubscribe("t"))
    _deadline(PUBLISH, lambda client: client.publish("t", "x", qos=1))
    _deadline(PUBLISH, lambda client: client.publish("t", "x", qos=2))
    _deadline(PUBREL, lambda client: client.publish("t", "x", qos=2))


def test_deadlines_of_flush_and_of_a_full_outbox():
    def flush(client):
        client.publish("t", "x", qos=1, wait=False)
        client.flush()

    def fill(client):
        while True:
            client.publish("t", "x" * 50, qos=1, wait=False)

    _deadline(PUBLISH, flush)
    _deadline(PUBLISH, fill, outbox=200)


def test_deadline_of_a_peer_that_takes_nothing():
    def scenario(to_wrap):
        session = _session(to_wrap, timeout=3, keepalive=0)
        session.network.write_limit = 0
        return _took(session, session.client.publish, "t", "x" * 3000)

    assert 2900 <= scenario(_FAR) <= 3100
    _same_wherever_the_ticks_wrap(scenario, 3000)


def test_deadline_of_disconnect():
    def scenario(to_wrap):
        session = _session(to_wrap, timeout=3, keepalive=0)
        session.network.write_limit = 0
        start = session.clock.now
        session.client.disconnect()
        return session.clock.now - start

    assert 2900 <= scenario(_FAR) <= 3100
    _same_wherever_the_ticks_wrap(scenario, 3000)


def test_deadline_of_connect():
    for verdict in ("connecting", None):

        def scenario(to_wrap, verdict=verdict):
            broker = Broker()
            broker.accepts = lambda sock: verdict
            broker.answers[CONNECT] = None
            session = Session(broker, timeout=3, network={"to_wrap": to_wrap})
            return _took(session, session.client.connect), session.network.open_sockets()

        assert 2900 <= scenario(_FAR)[0] <= 3100
        _same_wherever_the_ticks_wrap(scenario, 3000)


def test_timeout_of_wait_msg():
    def scenario(to_wrap):
        session = _session(to_wrap)
        assert session.client.wait_msg(3) is False
        return session.clock.now

    _same_wherever_the_ticks_wrap(scenario, 3000)


def test_pause_after_a_refusal():
    """The pause is random, but its bounds are not: from the longest of the backoff to twice that."""
    for to_wrap in range(1, 12000, 2900):
        broker = Broker(connack=b"\x20\x02\x00\x05")
        session = Session(broker, backoff=(1, 2), network={"to_wrap": to_wrap})
        session.client.connect(wait=False)
        session.client.wait_msg(15)
        times = broker.times_of(CONNECT)
        gaps = [after - before for before, after in zip(times, times[1:])]
        assert 3 <= len(gaps) <= 7, (to_wrap, times)
        assert min(gaps) >= 2000 and max(gaps) <= 4010, (to_wrap, gaps)


def test_pause_while_nobody_listens():
    """From nothing to the limit, and never more: a pause across the wrap does not last for days."""
    for to_wrap in range(1, 12000, 2900):
        broker = Broker()
        broker.accepts = lambda sock: "refused"
        times = []
        session = Session(broker, backoff=(1, 2), network={"to_wrap": to_wrap})
        broker.accepts = lambda sock, clock=session.clock, times=times: times.append(clock.now) or "refused"
        session.client.connect(wait=False)
        session.client.wait_msg(12)
        gaps = [after - before for before, after in zip([0] + times, times + [12000])]
        assert max(gaps) <= 2010, (to_wrap, gaps)
        assert len(times) < 40, (to_wrap, "about one attempt a second, not one after the other")


def test_a_stable_connection_ends_the_backoff():
    """30 s without a loss count as stable, wherever the wrap is; then the first pause is short again."""
    for to_wrap in range(1000, 80000, 16700):
        session = Session(keepalive=5, backoff=(1, 60), network={"to_wrap": to_wrap}).connected()
        session.broker.accepts = lambda sock: "refused"
        session.sock.reset()
        session.client.wait_msg(30)
        session.broker.accepts = lambda sock: None
        while not session.client.isconnected():
            session.client.wait_msg(1)
        session.client.wait_msg(40)
        session.sock.reset()
        session.client.wait_msg(1.1)
        assert session.client.isconnected(), to_wrap


def test_the_time_of_day_is_not_asked_for():
    """Who sets the clock by NTP moves it by decades; here it fails when it is only looked at."""
    expected = []
    for ask in (None, _nobody):
        session = _session(_FAR, keepalive=4, timeout=3, backoff=(0, 0))
        if ask:
            session.clock.time = ask
        session.client.subscribe("t")
        session.client.publish("t", "x", qos=2)
        session.client.wait_msg(10)
        session.sock.reset()
        session.client.wait_msg(10)
        session.broker.answers[PUBLISH] = None
        took = _took(session, session.client.publish, "t", "x", False, 1)
        expected.append((took, session.broker.times, session.client.isconnected()))
    assert expected[0] == expected[1]
    assert expected[0][2] and len(session.broker.of_type(CONNECT)) == 2


def _nobody():
    raise AssertionError("the time of day was asked for")
