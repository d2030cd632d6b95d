"""WebSocket on the sockets of each port: what takes little, stalls, breaks. Runs on both interpreters."""

from flash.kit import SessionBroker
from support import fakenet
from support.answering import PUBLISH, body
from support.cut import first_cut
from support.fakews import WebSession
from support.framing import CLOSE, PING, PONG, frame
from support.ports import PORTS, STOCK
from support.session import raised

_EVERY = STOCK + ("eagain",)
_NETWORKS = (
    {"write_limit": 1},
    {"read_limit": 1},
    {"stall": 60, "write_limit": 3, "read_limit": 2},
    {"stall": 90},
    {},
)


def _sessions(ports=_EVERY, **settings):
    """(where, session) on each port, with streams that give and take now more, now less."""
    for name in ports:
        fakenet.use(name)
        for seed, network in enumerate(_NETWORKS, 1):
            yield (name, network), WebSession(network=dict(network, seed=seed), timeout=30, **settings)


def _published(session, qos):
    return [body(packet)[5 if qos else 3 :] for packet in session.broker.of_type(PUBLISH) if packet[0] >> 1 & 3 == qos]


def test_messages_both_ways():
    for where, session in _sessions(outbox=8192):
        session.connected()
        session.gateway.framed = lambda data: [frame(data[:3], fin=False), frame(b"!", PING), frame(data[3:], 0)]
        for qos in (0, 1, 2):
            session.client.publish("t", b"%d" % qos * 700, qos=qos)
            session.sock.reply(b"\x34\x07\x00\x01t\x00" + bytes((qos + 1,)) + b"hi")
        while len(session.messages) < 3:
            assert session.client.wait_msg(5), where
        for qos in (0, 1, 2):
            assert _published(session, qos) == [b"%d" % qos * 700], where
        assert [message[1] for message in session.messages] == [b"hi"] * 3, where
        assert set(session.wire.of_opcode(PONG)) == {b"!"}, where
        assert len(session.network.sockets) == 1, where


def test_a_message_that_is_given_up_leaves_the_frames_whole():
    for name in _EVERY:
        fakenet.use(name)
        session = WebSession(network={"write_limit": 1 << 20}, timeout=1).connected()
        session.client.publish("t", "first")
        for text in ("second", "a third that is longer", "no"):
            session.network.write_limit = 0
            try:
                session.client.publish("t", text, wait=False)
            except OSError:
                pass
        session.network.write_limit = 1 << 20
        session.client.publish("t", "last", qos=1)
        published = _published(session, 0)
        accepted = [b"first", b"second", b"a third that is longer", b"no"]
        assert published and published == accepted[: len(published)], (name, published)
        assert _published(session, 1) == [b"last"] and len(session.network.sockets) == 1, name


def test_keep_alive_and_the_end():
    for where, session in _sessions(keepalive=2):
        session.connected().client.wait_msg(20)
        assert len(session.network.sockets) == 1, where
        session.client.disconnect()
        assert session.wire.packets()[-1] == b"\xe0\x00" and session.sock.closed, where
        assert session.wire.of_opcode(CLOSE) in ([b"\x03\xe8"], []), where


def test_close_frames_and_wrong_frames():
    for data, number, code in ((frame(b"\x03\xf0", CLOSE), 104, b"\x03\xf0"), (b"\x81\x02", 0x82, b"\x03\xea")):
        for where, session in _sessions(auto_reconnect=False):
            session.connected()
            session.wire.raw(data)
            error = raised(OSError, session.client.wait_msg, 5)
            assert error.args[0] == number, (where, error)
            assert session.network.open_sockets() == [], where
            assert session.wire.of_opcode(CLOSE) in ([code], []), where
            if not session.network.write_limit and not session.network._stall:
                assert session.wire.of_opcode(CLOSE), where


def test_answers_that_are_no_agreement():
    for where, session in _sessions():
        session.gateway.answer = lambda request: b"HTTP/1.1 404 Not Found\r\n\r\n"
        error = raised(OSError, session.client.connect)
        assert error.args[0] == 404 and session.network.open_sockets() == [], (where, error)


def _kept(count, direction, ending, seed):
    """A session that the broker keeps; its first connection ends after so many bytes in one direction."""
    broker = SessionBroker()
    session = WebSession(
        broker, network={"seed": seed}, clean_session=False, keepalive=4, timeout=3, backoff=(0, 0), tx_size=128
    )
    cuts, accepts = first_cut(direction, count, ending)
    session.gateway._accepts = accepts
    session.client.connect(wait=False)
    for qos in (1, 2):
        session.client.publish("out", b"%d" % qos, qos=qos, wait=False)
    return cuts, session


def test_a_connection_that_ends_after_any_byte():
    for name in STOCK:
        fakenet.use(name)
        for direction in ("write", "arrives"):
            for ending in ("hang_up", "reset"):
                count, cut = 0, True
                while cut:
                    where = (name, direction, ending, count)
                    cuts, session = _kept(count, direction, ending, count + 1)
                    while session.client.pending() or not session.client.isconnected():
                        assert session.clock.now < 1500 and len(session.network.sockets) < 20, where
                        session.client.wait_msg(0.05)
                    delivered = session.broker.delivered
                    assert delivered.count(b"2") == 1 and b"1" in delivered, (where, delivered)
                    assert len(session.network.open_sockets()) == 1, where
                    cut = not cuts[0].left
                    count += 67 if PORTS[name].tls else 13 if count < 150 else 3
                assert count > 180, where
