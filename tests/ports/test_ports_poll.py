"""What poll leaves out, and what comes of waking for nothing. Runs on both interpreters."""

from support import fakenet
from support.ports import STOCK
from support.session import Session, raised


def _ports():
    for name in STOCK:
        fakenet.use(name)
        yield name


def test_poll_that_says_nothing_of_a_broken_connection():
    for name in _ports():
        for auto_reconnect in (True, False):
            session = Session(keepalive=10, auto_reconnect=auto_reconnect, backoff=(0, 0)).connected()
            session.network.port.broken = lambda sock, flags: 0
            losses = []
            clock = session.clock
            session.client.on_disconnect = lambda reason, losses=losses, clock=clock: losses.append(clock.now)
            start = clock.now
            session.clock.at(3000, session.sock.reset)
            if auto_reconnect:
                session.client.wait_msg(30)
            else:
                raised(OSError, session.client.wait_msg, 30)
            assert losses and losses[0] - start <= 7600, (name, "found when PINGREQ is due")


def test_poll_that_says_nothing_of_a_failed_attempt():
    for name in _ports():
        session = Session(timeout=2)
        session.network.port.broken = lambda sock, flags: 0
        session.broker.accepts = lambda sock: "refused"
        start = session.clock.now
        raised(OSError, session.client.connect)
        assert session.clock.now - start <= 2100, name
        assert session.network.open_sockets() == [], name


def test_poll_that_finds_a_stream_ready_which_is_not():
    for name in _ports():
        for seed in range(1, 6):
            session = Session(keepalive=2, network={"stall": 95, "seed": seed}).connected()
            session.client.publish("t", "x" * 100, qos=2)
            session.sock.reply(b"\x32\x07\x00\x01t\x00\x01hi")
            session.client.wait_msg(5)
            assert [message[1] for message in session.messages] == [b"hi"], (name, seed)
            session.client.wait_msg(20)
            assert len(session.network.sockets) == 1, (name, seed)


def test_waiting_is_no_busy_loop():
    for name in _ports():
        session = Session(keepalive=10).connected()
        session.client.subscribe("t")
        session.pump(100)
        before = session.clock.polls
        session.client.wait_msg(100)
        assert session.clock.polls - before < 200, name


def test_waiting_for_room_is_no_busy_loop_when_something_has_come():
    # A long payload is half written and the stream takes no more: what comes now can't be handled, yet poll tells
    for name in _ports():
        session = Session(tx_size=64, keepalive=0, timeout=5).connected()
        session.network.write_limit = 0
        session.sock.reply(b"\x32\x07\x00\x01t\x00\x01hi", 10)
        before = session.clock.polls
        raised(OSError, session.client.publish, "t", b"x" * 500)
        assert session.clock.polls - before < 200, (name, session.clock.polls - before)
