"""URLs as `server`: what is connected to, and what they say of login and path. Runs on both interpreters."""

from support.answering import CONNECT, Broker
from support.faketls import Context
from support.fakews import WebSession
from support.framing import headers
from support.session import Session, raised

# URL, the host and port that are looked up, the path and Host of HTTP's request.
_PLAIN = (
    ("mqtt://broker", "broker", 1883),
    ("mqtt://broker/", "broker", 1883),
    ("MQTT://broker:1234", "broker", 1234),
    ("mqtt://[fe80::1]:1234", "fe80::1", 1234),
    ("mqtt://broker#note", "broker", 1883),
    (b"mqtt://broker:5", "broker", 5),
)
_WEB = (
    ("ws://broker", "broker", 80, "/mqtt", "broker"),
    ("ws://broker/", "broker", 80, "/", "broker"),
    ("ws://broker:8080/ws", "broker", 8080, "/ws", "broker:8080"),
    ("Ws://broker:80/a/b?c=d#e", "broker", 80, "/a/b?c=d", "broker"),
    ("ws://broker?token=1", "broker", 80, "/?token=1", "broker"),
    ("ws://broker:443/mqtt", "broker", 443, "/mqtt", "broker:443"),
    ("ws://[::1]/x", "::1", 80, "/x", "[::1]"),
    ("ws://[::1]:8080/x", "::1", 8080, "/x", "[::1]:8080"),
    ("ws://user:word@broker:81/x", "broker", 81, "/x", "broker:81"),
)


def _asked(session):
    """(path, Host) of HTTP's request."""
    request = headers(session.wire.reader.http)
    method, path, version = request[""].split(" ")
    assert (method, version) == ("GET", "HTTP/1.1")
    return path, request["host"]


def test_mqtt():
    for url, host, port in _PLAIN:
        session = Session(server=url, ssl=None).connected()
        assert session.network.names == [(host, port)], url
        session.client.disconnect()


def test_ws():
    for url, host, port, path, name in _WEB:
        session = WebSession(server=url, ssl=None, transport="tcp").connected()
        assert session.network.names == [(host, port)], url
        assert _asked(session) == (path, name), url


def test_secure():
    for url, port in (("mqtts://broker", 8883), ("mqtts://broker:5", 5)):
        context = Context()
        session = Session(server=url, ssl=context).connected()
        assert session.network.names == [("broker", port)] and context.hostname == "broker"
    for url, port, name in (("wss://broker", 443, "broker"), ("wss://broker:80/", 80, "broker:80")):
        context = Context()
        session = WebSession(server=url, ssl=context).connected()
        assert session.network.names == [("broker", port)] and context.hostname == "broker"
        assert _asked(session)[1] == name


def test_arguments_are_for_what_the_url_does_not_say():
    session = WebSession(server="ws://broker", port=8083, path="/other", ssl=None).connected()
    assert session.network.names == [("broker", 8083)] and _asked(session) == ("/other", "broker:8083")
    session = WebSession(server="ws://broker:81/mine", port=8083, path="/other", ssl=None).connected()
    assert session.network.names == [("broker", 81)] and _asked(session) == ("/mine", "broker:81")


def test_transport_without_a_url():
    for server, names, host in (
        ("broker", [("broker", 80)], "broker"),
        (b"broker", [("broker", 80)], "broker"),
        (("broker", 8080), [("broker", 8080)], "broker:8080"),
        (["broker"], [("broker", 80)], "broker"),
    ):
        session = WebSession(server=server, path="/x", ssl=None).connected()
        assert session.network.names == names and _asked(session) == ("/x", host), server
    session = WebSession(ssl=Context()).connected()
    assert session.network.names == [("broker", 443)]


def _login(url, **settings):
    """What CONNECT ends with, behind the client identifier `a`."""
    session = Session(server=url, ssl=None, **settings).connected()
    return session.broker.of_type(CONNECT)[0][15:]


def test_login():
    assert _login("mqtt://broker") == b""
    assert _login("mqtt://@broker") == b""
    assert _login("mqtt://me@broker") == b"\x00\x02me"
    assert _login("mqtt://me:@broker") == b"\x00\x02me\x00\x00"
    assert _login("mqtt://me:word@broker") == b"\x00\x02me\x00\x04word"
    assert _login("mqtt://m%65:p%40ss%3A%2f%25@broker") == b"\x00\x02me\x00\x07p@ss:/%"
    assert _login("mqtt://me:a:b@broker") == b"\x00\x02me\x00\x03a:b"
    assert _login("mqtt://me:%C3%bc\u00fc@broker") == b"\x00\x02me\x00\x04\xc3\xbc\xc3\xbc"
    assert _login("mqtt://me:word@broker", user="you", password="key") == b"\x00\x03you\x00\x03key"
    assert _login("mqtt://me@broker", password="key") == b"\x00\x02me\x00\x03key"
    assert _login("mqtt://me:word@broker", user="you") == b"\x00\x03you"  # nobody's name with another's password


_SECRET = "geheim"
_WRONG = (
    "http://me:geheim@broker",
    "://me:geheim@broker",
    "ws://me:geheim@",
    "ws://me:geheim@:80",
    "ws://me:geheim@broker:port",
    "ws://me:geheim@broker:-1",
    "ws://me:geheim@broker:99999",
    "ws://me:geheim@::1",
    "ws://me:geheim@[::1",
    "ws://me:geheim@::1]",
    "ws://me:geheim@[]",
    "ws://me:geheim/%@broker",
    "ws://me:1234/geheim@broker",  # a password that looks like a port, and a path
    "ws://me:12?geheim@broker",
    "ws://me:geheim#1@broker",
    "ws://me:geheim%@broker",
    "ws://me:geheim%4@broker",
    "ws://me:geheim%zz@broker",
    "ws://me:%+1geheim@broker",
    "mqtt://me:geheim@broker/path",
    "ws://me:geheim@broker/a path",
    "ws://me:geheim@broker/x\r\nX: y",
    "ws://me:geheim@broker/x\rX: y",
    ["ws://me:geheim@broker", "broker"],
    ["ws://me:geheim@broker", ("broker", 80)],
    ["ws://me:geheim@broker", "ws://me:word@broker"],
    ["ws://me:geheim@broker/a", "ws://me:geheim@broker/b"],
    ["ws://me:geheim@broker", "wss://me:geheim@broker"],
    ["ws://me:geheim@broker", 7],
)


def test_what_is_wrong_is_a_value_error_without_the_password():
    for server in _WRONG:
        error = raised(ValueError, Session, server=server, ssl=None)
        assert _SECRET not in str(error) and "12" not in str(error), (server, error)
        assert str(error), server


def test_settings_that_do_not_fit():
    for settings in (
        {"server": "mqtt://broker", "ssl": Context()},
        {"server": "ws://broker", "ssl": Context()},
        {"server": "mqtt://broker", "transport": "ws"},
        {"transport": "udp"},
        {"transport": "wss"},
        {"transport": "ws", "path": "mqtt"},
        {"transport": "ws", "path": ""},
        {"transport": "ws", "path": "/a b"},
        {"transport": "ws", "path": "/a\nb"},
    ):
        values = {"ssl": None}
        values.update(settings)
        raised(ValueError, Session, **values)


def test_the_next_url_is_tried():
    urls = ["ws://me:w%40rd@a/x", "ws://me:w%40rd@b:81/x"]
    broker = Broker()
    broker.accepts = lambda sock: "refused" if sock.address[0] == "a" else None
    session = WebSession(broker, server=urls, ssl=None, timeout=4)
    session.client.connect()
    assert session.network.names == [("a", 80), ("b", 81)] and _asked(session) == ("/x", "b:81")
    assert session.broker.of_type(CONNECT)[0].endswith(b"\x00\x02me\x00\x04w@rd")
    assert len(session.network.open_sockets()) == 1
