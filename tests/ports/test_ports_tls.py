"""What TLS adds: handshakes that fail, writes that must be repeated, records, errors with numbers of mbedTLS's own.

Runs on both interpreters.
"""

from support import fakenet, faketls
from support.answering import PUBLISH, body
from support.fakenet import Random
from support.ports import PORTS
from support.session import Session, raised

_TLS = [name for name in PORTS if PORTS[name].tls]


def _sessions(**settings):
    for name in _TLS:
        fakenet.use(name)
        for seed in range(1, 4):
            yield PORTS[name], Session(network={"seed": seed}, **settings)


def _failing(fault, **settings):
    values = {"ssl": faketls.Context(fault), "timeout": 2}
    values.update(settings)
    return _sessions(**values)


def test_a_certificate_that_does_not_verify():
    for port, session in _failing("certificate"):
        error = raised(OSError, session.client.connect)
        assert error.args[0] == port.errno["ECONNABORTED"], (port.name, error)
        assert "TLS" in str(error) and "not correctly signed" in str(error), (port.name, error)


def test_a_handshake_that_the_broker_breaks_off():
    for fault, number in (("alert", faketls.FATAL_ALERT), ("end", faketls.CONN_EOF)):
        for port, session in _failing(fault):
            error = raised(OSError, session.client.connect)
            assert error.args[0] == number, (port.name, fault, error)
            assert not session.client.isconnected()


def test_a_handshake_that_fails_leaves_no_socket_open():
    # mbedTLS lets go of the socket when a handshake fails: closing the TLS stream closes nothing then.
    for fault in ("certificate", "alert", "end", "silence"):
        for port, session in _failing(fault):
            for attempts in range(1, 4):
                raised(OSError, session.client.connect)
                assert len(session.network.sockets) == attempts
                assert session.network.open_sockets() == [], (port.name, fault)


def test_a_handshake_that_stalls_has_a_deadline():
    for port, session in _failing("silence"):
        start = session.clock.now
        error = raised(OSError, session.client.connect)
        assert error.args[0] == port.errno["ETIMEDOUT"], (port.name, error)
        assert 1900 <= session.clock.now - start <= 2100, port.name


def test_the_server_s_name_is_sent():
    for port, session in _sessions(ssl=faketls.Context(), ssl_params={"server_hostname": "name.example"}):
        session.connected()
        assert session.client._ssl.hostname == "name.example", port.name


def test_a_connection_that_is_reset_says_so_in_the_port_s_way():
    for port, session in _sessions(backoff=(0, 0)):
        reasons = []
        session.client.on_disconnect = reasons.append
        session.connected()
        session.sock.reset()
        session.pump(100)
        number = 104 if port.tls_names_errors else -104
        assert [reason.args[0] for reason in reasons] == [number], (port.name, reasons)
        assert session.client.isconnected(), port.name


def test_an_alert_ends_the_connection():
    for port, session in _sessions(auto_reconnect=False):
        session.connected()
        session.sock.arrives(faketls.seal(faketls.ALERT, b"\x02\x28", 0))
        error = raised(OSError, session.client.wait_msg, 1)
        assert error.args[0] == faketls.FATAL_ALERT, (port.name, error)
        assert session.network.open_sockets() == []


def test_close_notify_is_the_end():
    for port, session in _sessions(auto_reconnect=False):
        session.connected()
        session.sock.arrives(faketls.seal(faketls.ALERT, b"\x01\x00", 0))
        raised(OSError, session.client.wait_msg, 1)
        assert session.network.open_sockets() == [], port.name


def _numbered(session, number, size):
    """Publish something that can be told apart. Return it, None if it was not accepted."""
    payload = b"%d:" % number + b"x" * size
    try:
        session.client.publish("t", payload, qos=number % 3, wait=False)
    except OSError:
        return None
    return payload


def _let_flow(session, random):
    """The stream takes everything, little, or nothing; the client does some work."""
    session.network.write_limit = (None, 0, 1, 30, 5000)[random.below(5)]
    if random.below(4) == 0:
        session.client.ping()
    session.client.check_msg()
    session.clock.sleep_ms(random.below(20))


def test_writes_that_are_refused_come_again_as_they_were():
    # The stream itself checks it: mbedTLS does not, and loses what has been added or sends twice what is missing.
    # tx_size above the 4096 bytes of a record: then one write of the client is several of mbedTLS.
    for name in _TLS:
        fakenet.use(name)
        for tx_size in (64, 1024, 10_000):
            for seed in range(1, 4):
                random = Random(seed)
                session = Session(tx_size=tx_size, outbox=20_000, network={"seed": seed}, timeout=1).connected()
                accepted = []
                for number in range(40):
                    size = random.below((20, 200, 6000)[random.below(3)])
                    accepted.append(_numbered(session, number, size))
                    _let_flow(session, random)
                session.network.write_limit = None
                session.pump(30_000)
                assert len(session.network.sockets) == 1, (name, tx_size, seed)
                _all_arrived(session, [payload for payload in accepted if payload], (name, tx_size, seed))


def _all_arrived(session, accepted, where):
    """Everything once, and in order for each QoS."""
    arrived = {0: [], 1: [], 2: []}
    for packet in session.broker.of_type(PUBLISH):
        qos = packet[0] >> 1 & 3
        arrived[qos].append(bytes(body(packet)[5 if qos else 3 :]))
    for qos in arrived:
        assert arrived[qos] == [p for p in accepted if int(p[: p.find(b":")]) % 3 == qos], (where, qos)


def test_many_packets_in_one_record_are_all_delivered():
    # A record is decrypted as a whole; what is left of it when the buffer is full, poll may not tell.
    for tells in (True, False):
        for port, session in _sessions(max_packet=64):
            session.network.port.poll_sees_decrypted = tells
            session.connected()
            session.sock.reply(b"\x30\x1e\x00\x01t" + b"y" * 27 + b"\x30\x05\x00\x01thi" * 300)
            session.pump(2000)
            assert len(session.messages) == 301, (port.name, tells)
            start = session.clock.now
            session.sock.reply(b"\x30\x05\x00\x01thi" * 100)
            for _ in range(100):
                assert session.client.wait_msg(1) is True, (port.name, tells)
            assert session.clock.now - start < 100, (port.name, tells)


def test_a_message_in_many_small_records():
    for port, session in _sessions():
        session.connected()
        for byte in b"\x32\x07\x00\x01t\x00\x01hi":
            session.sock.reply(bytes((byte,)))
        session.pump(20)
        assert [message[1] for message in session.messages] == [b"hi"], port.name
