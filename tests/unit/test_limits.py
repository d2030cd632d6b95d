"""Full buffers, large messages, failing networks: everything is bounded and nothing is left behind."""

from support.answering import PUBLISH, Broker, body
from support.session import Session, raised

_STREAMS = ({}, {"write_limit": 100}, {"write_limit": 1}, {"write_limit": 333, "stall": 70, "seed": 9})


def test_qos_0_larger_than_the_buffer():
    for size in (1000, 1015, 1016, 1017, 1018, 1019, 1020, 1024, 2000, 5000):
        for kind in (bytes, bytearray, memoryview):
            for network in _STREAMS if size < 1100 else _STREAMS[:2]:
                session = Session(network=network).connected()
                payload = bytes([i % 251 for i in range(size)])
                session.client.publish("t", kind(payload))
                session.client.publish("t", "after")
                session.client.flush(5)
                large, small = session.broker.of_type(PUBLISH)
                assert body(large) == b"\x00\x01t" + payload, size
                assert small == b"\x30\x08\x00\x01tafter", size


def test_a_payload_may_change_after_publish():
    for qos in (0, 1, 2):
        session = Session().connected()
        session.network.write_limit = 0
        payload = bytearray(b"before")
        session.client.publish("t", payload, qos=qos, wait=False)
        payload[:] = b"after!"
        session.network.write_limit = None
        session.pump(100)
        assert session.broker.of_type(PUBLISH)[0].endswith(b"before")


def test_full_outbox_waits_for_room():
    broker = Broker(delay=200)
    session = Session(broker, outbox=100, timeout=3).connected()
    for i in range(20):
        assert session.client.publish("t", b"x" * 20, qos=1, wait=False) == i + 1
    session.client.flush(5)
    assert len(broker.of_type(PUBLISH)) == 20


def test_full_outbox_has_a_deadline():
    broker = Broker()
    broker.answers[PUBLISH] = None
    session = Session(broker, outbox=100, timeout=3, keepalive=0).connected()
    start = session.clock.now
    error = raised(OSError, lambda: [session.client.publish("t", b"x" * 20, qos=1, wait=False) for _ in range(9)])
    assert error.args[0] in (110, 116, 60), error
    assert 2900 <= session.clock.now - start <= 3600
    assert 2 <= session.client.pending() <= 3
    assert session.client.isconnected()


def test_a_message_larger_than_the_outbox():
    session = Session(outbox=100).connected()
    raised(ValueError, session.client.publish, "t", b"x" * 100, qos=1)
    assert session.client.pending() == 0
    session.client.publish("t", b"x", qos=1)


def test_late_puback_finishes_the_message():
    broker = Broker()
    broker.answers[PUBLISH] = None
    session = Session(broker, timeout=1).connected()
    done = []
    session.client.on_publish = done.append
    raised(OSError, session.client.publish, "t", "x", qos=1)
    session.sock.reply(b"\x40\x02\x00\x01")
    session.pump(20)
    assert done == [1] and session.client.pending() == 0


def test_no_socket_is_left_open():
    broker = Broker()
    session = Session(broker, timeout=1)
    verdicts = ("refused", "connecting", None)
    for i in range(60):
        broker.accepts = lambda sock, i=i: verdicts[i % 3]
        broker.answers[1] = (lambda packet: b"\x20\x02\x00\x05") if i % 2 else None
        raised(OSError, session.client.connect)
        assert session.network.open_sockets() == []


def test_a_name_that_does_not_resolve():
    session = Session(server="nowhere.example", timeout=2)
    start = session.clock.now
    raised(OSError, session.client.connect)
    assert session.clock.now - start <= 2500
    session.client.connect(wait=False)
    session.pump(120_000)
    assert 3 <= len(session.network.names) <= 60, "it keeps trying, with pauses"


def test_connecting_again_closes_the_connection_before():
    session = Session().connected()
    for _ in range(3):
        session.client.connect()
        assert len(session.network.open_sockets()) == 1
    session.client.disconnect()
    session.client.disconnect()
    assert session.network.open_sockets() == []


def test_nothing_works_after_disconnect_until_connect():
    session = Session().connected()
    session.client.disconnect()
    for call in (lambda: session.client.publish("t", "x"), session.client.check_msg, session.client.wait_msg):
        raised(OSError, call)
    session.client.connect()
    session.client.publish("t", "x")


def test_host_and_port():
    for settings, expected in (
        ({}, ("broker", 1883)),
        ({"port": 2000}, ("broker", 2000)),
        ({"server": b"broker"}, ("broker", 1883)),
        ({"server": ("other", 99)}, ("other", 99)),
        ({"server": ["other"], "port": 7}, ("other", 7)),
    ):
        session = Session(**settings).connected()
        assert session.sock.address == expected, settings


def test_connecting_in_the_background():
    broker = Broker()
    broker.accepts = lambda sock: "refused"
    session = Session(broker)
    session.client.connect(wait=False)
    assert not session.client.isconnected()
    session.client.publish("t", "early", qos=1, wait=False)
    start = session.clock.now
    error = raised(OSError, session.client.publish, "t", "now", wait=False)
    assert error.args[0] == session.network.port.errno["ENOTCONN"], error
    assert session.clock.now == start, "nobody waits"
    session.pump(5000)
    broker.accepts = lambda sock: None
    session.pump(70_000)
    assert session.client.isconnected() and session.client.pending() == 0
