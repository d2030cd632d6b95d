"""A session whose first connection ends after any number of bytes, in either direction. Runs on both interpreters."""

from flash.kit import SessionBroker
from support import fakenet
from support.answering import CONNECT, PUBACK, PUBREC, SUBSCRIBE, suback
from support.cut import first_cut
from support.ports import PORTS, STOCK
from support.session import Session, raised

_TO_CLIENT = {5: b"\x32\x08\x00\x03one\x00\x05!", 6: b"\x34\x08\x00\x03two\x00\x06!"}  # by packet identifier
_PUBCOMP = 7
_DUP = 8


class _Broker(SessionBroker):
    """Keeps a session, and has two messages for the client, at QoS 1 and 2, until it has acknowledged them."""

    def __init__(self):
        super().__init__()
        self._left = dict(_TO_CLIENT)
        self._sent = set()
        self.answers[CONNECT] = self._greet
        self.answers[PUBACK] = self._finish
        self.answers[PUBREC] = self._release
        self.answers[_PUBCOMP] = self._finish
        self.answers[SUBSCRIBE] = suback

    def _greet(self, packet):
        reply = self._connect(packet)
        for number in sorted(self._left):
            message = self._left[number]
            if number in self._sent and message[0] >> 4 == 3:
                message = bytes((message[0] | _DUP,)) + message[1:]
            self._sent.add(number)
            reply += message
        return reply

    def _finish(self, packet):
        self._left.pop(packet[3], None)
        return b""

    def _release(self, packet):
        self._left[packet[3]] = b"\x62\x02\x00" + packet[3:4]
        return self._left[packet[3]]

    def is_done(self):
        return not self._left


def _session(direction, count, ending, seed):
    """A client that subscribes and publishes at QoS 1 and 2; its first connection is cut. Returns (cuts, session)."""
    broker = _Broker()
    cuts, accepts = first_cut(direction, count, ending)
    broker.accepts = accepts
    network = {"seed": seed}
    session = Session(broker, network=network, clean_session=False, keepalive=4, timeout=3, backoff=(0, 0))
    client = session.client
    client.subscribe("#", 2, wait=False)
    client.connect(wait=False)
    for qos in (1, 2):
        client.publish("out", b"%d" % qos, qos=qos, wait=False)
    return cuts, session


def _is_done(session):
    entries_asked = session.client.isconnected() and session.broker.of_type(SUBSCRIBE)
    return entries_asked and not session.client.pending() and session.broker.is_done()


def _ends_well(where, cuts, session):
    """Everything arrives, QoS 2 once, before keep alive could find a dead connection. Returns whether it was cut."""
    while not _is_done(session):
        assert session.clock.now < 1500 and len(session.network.sockets) < 20, where
        session.client.wait_msg(0.05)
    delivered, received = session.broker.delivered, [message[0] for message in session.messages]
    assert delivered.count(b"2") == 1 and b"1" in delivered, (where, delivered)
    assert received.count(b"two") == 1 and b"one" in received, (where, received)
    assert len(session.network.open_sockets()) == 1, where
    return not cuts[0].left


def _at_every_byte(direction, ending):
    for name in STOCK:
        fakenet.use(name)
        step = 7 if PORTS[name].tls else 1  # the same bytes in records, and most of them the handshake's
        count = 0
        while _ends_well((name, count), *_session(direction, count, ending, count + 1)):
            count += step
        assert count > 45, (name, "the session has been cut everywhere")


def test_the_broker_closes_after_any_byte_it_has_sent():
    _at_every_byte("arrives", "hang_up")


def test_the_connection_is_reset_after_any_byte_the_broker_has_sent():
    _at_every_byte("arrives", "reset")


def test_the_broker_closes_after_any_byte_it_has_received():
    _at_every_byte("write", "hang_up")


def test_the_connection_is_reset_after_any_byte_the_broker_has_received():
    _at_every_byte("write", "reset")


def test_what_a_closed_connection_has_taken_is_gone_and_the_next_write_says_so():
    for name in STOCK[1:]:
        fakenet.use(name)
        session = Session(backoff=(0, 0), network=fakenet.ROOMY).connected()
        client, sock = session.client, session.sock
        sock.hang_up()
        client.publish("t", "lost")
        session.clock.sleep_ms(5)
        client.publish("t", "sent")
        assert b"lost" not in sock.sent and sock.closed, name
        assert session.sock is not sock and b"sent" in session.sock.sent, name
        assert isinstance(client.error, OSError) or client.error is None


def test_an_established_connection_that_breaks_is_made_again_whatever_it_says():
    for name in STOCK:
        fakenet.use(name)
        for number in (104, 103, 107, 110, 113, 116, 118, 128, 9, 12, 105, -1, -110):
            for auto_reconnect in (True, False):
                session = Session(backoff=(0, 0), auto_reconnect=auto_reconnect).connected()
                reasons = []
                session.client.on_disconnect = reasons.append
                session.sock.breaks("failed", number)
                if auto_reconnect:
                    session.client.publish("t", "x", qos=1)
                else:
                    raised(OSError, session.client.wait_msg, 1)
                assert len(reasons) == 1 and isinstance(reasons[0], OSError), (name, number)
                assert session.client.isconnected() == auto_reconnect, (name, number)
                assert len(session.network.open_sockets()) == auto_reconnect, (name, number)


def test_a_close_that_raises():
    for name in STOCK:
        fakenet.use(name)
        session = Session(backoff=(0, 0)).connected()
        sock = session.sock

        def close(sock=sock):
            sock.closed = True
            raise OSError(128)

        sock.close = close
        sock.reset()
        session.client.publish("t", "x", qos=1)
        assert session.client.isconnected() and sock.closed and len(session.network.open_sockets()) == 1, name
        session.sock.close = sock.close
        session.client.disconnect()
        assert not session.client.isconnected(), name
