"""Connections that cannot be made, with the errors and the silences of each port. Runs on both interpreters."""

from support import fakenet
from support.answering import Broker
from support.ports import PORTS, STOCK
from support.session import Session, raised


def _ports():
    for name in STOCK:
        fakenet.use(name)
        yield PORTS[name]


def _sessions(verdict=None, **settings):
    """(port, session): on each port some whose network is now faster, now slower, and says `verdict` to connections."""
    for port in _ports():
        for seed in range(1, 5):
            broker = Broker()
            broker.accepts = lambda sock: verdict
            values = {"timeout": 2}
            values.update(settings)
            yield port, Session(broker, network={"seed": seed}, **values)


def _numbers(port):
    """What connections fail with on this port. Through TLS the driver's -1 does not arrive as such."""
    return [number for number in port.unreachable if number > 0 or not port.tls]


def _at_rest(session):
    return not session.client.isconnected() and session.network.open_sockets() == []


def test_a_refused_connection_raises_at_once_and_leaves_no_socket():
    for port, session in _sessions("refused"):
        start = session.clock.now
        error = raised(OSError, session.client.connect)
        assert error.args[0] == port.refused, (port.name, error)
        assert session.clock.now - start <= 20, port.name
        assert _at_rest(session), port.name


def test_an_attempt_that_fails_raises_what_the_port_says():
    for port in _ports():
        for number in _numbers(port):
            broker = Broker()
            broker.accepts = lambda sock, number=number: number
            session = Session(broker, timeout=2)
            error = raised(OSError, session.client.connect)
            assert error.args[0] == number, (port.name, number, error)
            assert not isinstance(error, session.module.MQTTException), port.name
            assert _at_rest(session), (port.name, number)


def test_connect_itself_raises():
    # 114 and 115 are EALREADY and EINPROGRESS on Linux, but ENETUNREACH and ENETDOWN on ESP32; 118 and 119 the reverse.
    for port in _ports():
        not_yet = (port.errno["EALREADY"], port.errno["EINPROGRESS"])
        for number in port.unreachable + (12, 105, 114, 115, 118, 119, -110):
            if number in not_yet:
                continue
            session = Session(timeout=2)
            session.network.unreachable = number
            start = session.clock.now
            error = raised(OSError, session.client.connect)
            assert error.args[0] == number, (port.name, number, error)
            assert session.clock.now == start, (port.name, number)
            assert _at_rest(session), (port.name, number)


def test_no_socket_to_be_had():
    for port in _ports():
        session = Session(timeout=2)

        def socket(*_):
            raise OSError(12)

        session.network.socket = socket
        assert raised(OSError, session.client.connect).args[0] == 12, port.name
        del session.network.socket
        session.client.connect()
        assert session.client.isconnected(), port.name


def test_a_name_that_does_not_resolve():
    for port in _ports():
        session = Session(server="nowhere.example", timeout=2)
        error = raised(OSError, session.client.connect)
        assert error.args[0] == port.no_address and "nowhere.example" in str(error), (port.name, error)
        assert session.network.sockets == [], port.name


def test_the_next_broker_is_tried_whatever_the_first_says():
    for port in _ports():
        for verdict in _numbers(port) + ["refused", "connecting"]:
            session = Session(server=["a", "b"], timeout=4)
            session.broker.accepts = lambda sock, verdict=verdict: verdict if sock.address[0] == "a" else None
            session.client.connect()
            assert session.client.isconnected() and session.sock.address[0] == "b", (port.name, verdict)
            assert len(session.network.open_sockets()) == 1, (port.name, verdict)


def test_the_background_goes_on_until_the_network_is_there():
    for port in _ports():
        for number in port.unreachable:
            session = Session(timeout=2, backoff=(0.1, 0.5))
            session.network.unreachable = number
            session.client.connect(wait=False)
            session.client.publish("t", "x", qos=1, wait=False)
            session.pump(3000)
            assert _at_rest(session) and session.client.error.args[0] == number, (port.name, number)
            session.network.unreachable = 0
            session.client.flush(3)
            assert session.client.isconnected() and session.client.pending() == 0, (port.name, number)


def test_small_packets_are_not_held_back():
    for port, session in _sessions():
        session.connected()
        assert session.sock.options == {(6, port.nodelay or 1): 1}, port.name


def test_a_black_hole_has_a_deadline():
    for port, session in _sessions("connecting"):
        start = session.clock.now
        error = raised(OSError, session.client.connect)
        assert error.args[0] == port.errno["ETIMEDOUT"], (port.name, error)
        assert 1900 <= session.clock.now - start <= 2100, port.name
        assert _at_rest(session), port.name
