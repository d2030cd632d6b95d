"""WebSocket's beginning: what HTTP's request says, and what every answer means. Runs on both interpreters."""

from binascii import a2b_base64

from support.answering import CONNECT
from support.fakews import WebSession
from support.framing import BINARY, accept, agreement, headers
from support.session import raised

_TIMEOUT = 2  # s
_MQTT_CONNACK = b"\x20\x02\x00\x00"


def _answered(answer, delay=1, timeout=_TIMEOUT, **settings):
    """A session whose server answers the request with what `answer(request)` says."""
    session = WebSession(timeout=timeout, **settings)
    session.gateway.answer = answer
    session.gateway.delay = delay
    return session


def _line(status):
    return lambda request: b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nno"


def test_the_request():
    session = WebSession(server=("broker", 8080), path="/a?b=c").connected()
    request = session.wire.reader.http
    key = headers(request)["sec-websocket-key"].encode()
    assert len(a2b_base64(key)) == 16
    assert request == (
        b"GET /a?b=c HTTP/1.1\r\nHost: broker:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: " + key + b"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
    )


def test_each_connection_has_a_key_of_its_own():
    session = WebSession(backoff=(0, 0)).connected()
    session.reconnected()
    first, second = [headers(wire.reader.http)["sec-websocket-key"] for wire in session.gateway.wires]
    assert first != second


def test_nothing_but_the_request_until_the_server_agrees():
    session = _answered(lambda request: None)
    session.client.connect(wait=False)
    session.pump(1000)
    reader = session.wire.reader
    assert reader.http and bytes(session.sock.sent) == reader.http
    session.wire.raw(agreement(reader.http))
    session.pump(50)
    assert session.client.isconnected()
    assert [frame[0] for frame in reader.frames] == [BINARY] and len(session.broker.of_type(CONNECT)) == 1


# HTTP's answer, what the exception has for a reason code (None: it is no MQTTException), what its text says.
_REFUSED = (
    (_line(b"200 OK"), 200, "path"),
    (_line(b"301 Moved Permanently"), 301, "moved"),
    (_line(b"302 Found"), 302, "moved"),
    (_line(b"400 Bad Request"), 400, "port, ssl"),
    (_line(b"401 Unauthorized"), 401, "login"),
    (_line(b"403 Forbidden"), 403, "not allowed"),
    (_line(b"404 Not Found"), 404, "path"),
    (_line(b"426 Upgrade Required"), 426, "port, ssl"),
    (_line(b"502 Bad Gateway"), 502, "behind"),
    (_line(b"503 Service Unavailable"), 503, "behind"),
    (_line(b"100 Continue"), 100, "100 Continue"),
    (_line(b"404 \xff\xfe"), 404, "path"),
    (lambda request: b"HTTP/1.0 404\n\n", 404, "path"),
    (lambda request: b"HTTP/1.1 abc\r\n\r\n", 0x82, "no HTTP"),
    (lambda request: b"\r\n", 0x82, "no HTTP"),
    (lambda request: b"SSH-2.0-dropbear\r\n", 0x82, "SSH-2.0-dropbear"),
    (lambda request: b"220 mail.example ESMTP\r\n", 0x82, "ESMTP"),
    (lambda request: _MQTT_CONNACK + b"\xff\n", 0x82, "port and ssl"),
    (lambda request: agreement(request).replace(accept(request), b"A" * 27 + b"="), 0x82, "accept"),
    (lambda request: b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", 0x82, "accept"),
    (lambda request: b"HTTP/1.1 101 \n\n", 0x82, "accept"),
)


def test_answers_that_are_no_agreement():
    for answer, reason_code, text in _REFUSED:
        session = _answered(answer, user="me", password="geheim")
        error = raised(session.module.MQTTException, session.client.connect)
        assert error.reason_code == reason_code and text in str(error), (text, error)
        assert session.sock.closed and session.clock.now < 500 and not session.wire.reader.frames, error


def test_a_port_that_closes():
    # A broker's plain port takes the request for a packet and closes; so does a server that wants TLS.
    for said in (b"", b"\x15\x03\x01\x00\x02\x02", b"HTTP/1.1 40"):
        session = _answered(lambda request: None)
        session.client.connect(wait=False)
        session.pump(100)
        session.wire.raw(said)
        session.sock.hang_up()
        session.pump(100)
        error = session.client.error
        assert not isinstance(error, session.module.MQTTException) and "are port and ssl right?" in str(error)
        assert session.gateway.wires[0].sock.closed


def test_the_connection_ends_in_the_middle_of_the_agreement():
    for ending in ("hang_up", "reset"):
        for count in range(0, 120, 7):
            session = _answered(lambda request, count=count: agreement(request)[:count])
            session.clock.at(20, lambda session=session, ending=ending: getattr(session.sock, ending)())
            error = raised(OSError, session.client.connect)
            assert error.args[0] in (104, -104), (ending, count, error)
            assert session.network.open_sockets() == []


def test_a_server_that_says_nothing_or_stops_in_the_middle():
    for count in (0, 1, 12, 30, 100):
        session = _answered(lambda request, count=count: agreement(request)[:count])
        before = session.clock.polls
        error = raised(OSError, session.client.connect)
        assert error.args[0] in (110, 116) and _TIMEOUT * 1000 <= session.clock.now <= _TIMEOUT * 1000 + 100
        assert session.clock.polls - before < 300 and session.network.open_sockets() == []


def test_lines_without_an_end():
    # The client reads what comes, keeps no more than a line, and gives up in time.
    for start, part in (
        (b"", b"x" * 500),
        (b"HTTP/1.1 101 ", b"y" * 500),
        (b"HTTP/1.1 101 OK\r\n", b"X-Header: " + b"z" * 490),
        (b"HTTP/1.1 101 OK\r\n", b"X-Header: z\r\n" * 40),
        (b"HTTP/1.1 101 OK\r\n", b" " * 500),
    ):
        session = _answered(lambda request, start=start: start, 0, 0.3)

        def flow(session=session, part=part):
            if session.gateway.wires and session.wire.reader.http and session.sock.unread() < 2000:
                session.wire.raw(part)
            session.clock.at(5, flow)

        session.clock.at(5, flow)
        error = raised(OSError, session.client.connect)
        assert error.args[0] in (110, 116) and 300 <= session.clock.now <= 400, (start, error)
        assert session.network.open_sockets() == []


def _long(request):
    """With lines that are longer than the client keeps, ends of which look like what it looks for."""
    first, rest = agreement(request).split(b"\r\n", 1)
    long = b"Set-Cookie: " + b"c" * 1000 + b"\r\nX-Empty: " + b" " * 1500 + b"\r\nX: " + b"x" * 252 + b"\r\n"
    return first + b"\r\n" + long + rest


_AGREEMENTS = (
    agreement,
    lambda request: agreement(request).replace(b"Sec-WebSocket-Accept: ", b"sec-websocket-accept:"),
    lambda request: agreement(request).replace(b"Sec-WebSocket-Accept: ", b"SEC-WEBSOCKET-ACCEPT:   "),
    lambda request: agreement(request).replace(b"\r\n", b"\n"),
    lambda request: b"HTTP/1.1 101\r\nsec-websocket-accept: " + accept(request) + b" \r\n\r\n",
    _long,
)


def test_agreements():
    for answer in _AGREEMENTS:
        session = _answered(answer).connected()
        session.client.publish("t", "x", qos=2)
        assert session.clock.now < 500, session.clock.now


def test_an_agreement_that_comes_byte_by_byte():
    session = _answered(lambda request: None)
    session.client.connect(wait=False)
    session.pump(20)
    for byte in agreement(session.wire.reader.http):
        session.wire.raw(bytes((byte,)))
        session.pump(2)
    session.pump(20)
    assert session.client.isconnected()


def test_frames_that_come_with_the_agreement():
    session = _answered(lambda request: agreement(request) + b"\x89\x02hi" + b"\x8a\x00").connected()
    session.client.publish("t", "x", qos=1)
    assert session.wire.of_opcode(10) == [b"hi"]


def test_refused_and_then_taken():
    session = _answered(_line(b"503 Service Unavailable"), backoff=(0.1, 0.1))
    session.client.connect(wait=False)
    session.pump(500)
    assert session.client.error.reason_code == 503 and len(session.network.sockets) > 2
    session.gateway.answer = agreement
    session.pump(500)
    assert session.client.isconnected() and len(session.network.open_sockets()) == 1


def test_nothing_goes_out_in_clear_text_when_tls_is_given_up_early():
    from support.faketls import Context

    session = WebSession(ssl=Context(), timeout=_TIMEOUT)
    session.client.connect(wait=False)
    while not session.network.sockets:
        session.client.check_msg()
    session.clock.sleep_ms(5)
    assert session.sock.state == "open" and session.sock.tls is None
    session.client.disconnect()
    assert session.sock.closed and bytes(session.sock.sent) == b"" and session.sock.writes == []


def test_a_certificate_that_does_not_verify():
    from support.faketls import Context

    session = WebSession(ssl=Context("certificate"), timeout=_TIMEOUT)
    error = raised(OSError, session.client.connect)
    assert "TLS" in str(error) and session.network.open_sockets() == [] and bytes(session.sock.sent) == b""
