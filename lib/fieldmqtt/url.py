"""Servers as URLs, and the settings and errors of WebSocket: loaded for these only.

mqtt://host   mqtts://host:8883   ws://user:password@host:8080/mqtt   wss://host/mqtt
"""

from binascii import unhexlify
from errno import ECONNRESET

from .transport import Transport
from .wire import MQTTException

_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
_PROTOCOL_ERROR = 0x82  # MQTT 5, section 2.4

# HTTP's status codes (RFC 9110, section 15), by what there is to do; the first digit stands for the others.
_HINTS = {
    2: "a web server; is path right?",
    3: "it has moved: another host, port or path",
    401: "a login is wanted",
    403: "not allowed here",
    404: "is path right?",
    4: "are port, ssl and path right?",
    5: "the broker behind this server does not answer",
}
# Close codes (RFC 6455, section 7.4.1).
_CLOSED = {
    1000: "normal",
    1001: "going away",
    1002: "protocol error",
    1003: "data not accepted",
    1008: "against its policy",
    1009: "too large",
    1011: "its own error",
}


def parse(server, port, user, password, ssl, transport, path):
    """Return (servers, port, user, password, ssl, opener) for a Connection; some of the servers may be URLs.

    opener(address, host, port) makes what is spoken through. Several URLs have scheme, login and path in common. The
    arguments port, password and path are for what a URL does not say; with the argument user, a URL's login does not
    count. Raises ValueError for what cannot work, without repeating a password.
    """
    servers = server if isinstance(server, list) else [server]
    if "://" in str(servers):
        servers, known = _taken_apart(servers, port)
        scheme, url_user, url_password, url_path = known
        if scheme in ("mqtts", "wss"):
            ssl = ssl or True
        elif ssl:
            raise ValueError("ssl: mqtts:// or wss://")
        said = "ws" if scheme[0] == "w" else "tcp"
        if transport not in ("tcp", said):
            raise ValueError("transport: ws:// or wss://")
        transport = said
        if user is None:
            user = url_user
            password = url_password if password is None else password
        path = url_path or path
        if url_path not in ("", "/") and transport == "tcp":
            raise ValueError("no path in " + scheme + "://")
    if transport == "tcp":
        return servers, port, user, password, ssl, Transport
    if transport != "ws" or path[:1] != "/" or min(path) <= " ":
        raise ValueError("transport: tcp or ws; path: /...")
    usual = 443 if ssl else 80
    return servers, port or usual, user, password, ssl, _opener(path, usual)


def _opener(path, usual):
    from .websocket import WebSocket

    def open_websocket(address, host, port):
        if min(host) <= " ":  # it may come from a peer, and goes into HTTP
            raise ValueError("host")
        host = "[%s]" % host if ":" in host else host
        return WebSocket(address, host if port == usual else "%s:%d" % (host, port), path)

    return open_websocket


# URLs as (host, port), and what they have in common.
def _taken_apart(urls, port):
    servers, known = [], None
    for url in urls:
        url = url.decode() if isinstance(url, bytes) else url
        if not isinstance(url, str) or "://" not in url:
            raise ValueError("server: all of them URLs, or none")
        server, found = _split(url, port)
        servers.append(server)
        if known and found != known:
            raise ValueError("server: the same scheme, login and path in all URLs")
        known = found
    return servers, known


# ((host, port), (scheme, user, password, path))
def _split(url, port):
    scheme, rest = url.split("://", 1)
    scheme = scheme.lower()
    if scheme not in _PORTS:
        raise ValueError("server: mqtt, mqtts, ws or wss://")
    at = min([rest.find(mark) for mark in "/?#" if mark in rest] or [len(rest)])
    place, path = rest[:at], rest[at:].split("#")[0]
    if "@" in rest[at:]:  # else the half of a password would be taken for a path, and sent to somebody
        raise ValueError("server: @ / ? # in a login are %40 %2F %3F %23")
    if path[:1] == "?":
        path = "/" + path
    login, place = place.rsplit("@", 1) if "@" in place else ("", place)
    user, password = login.split(":", 1) if ":" in login else (login, None)
    host, port_text = place, ""
    end = place.rfind("]") + 1  # an IPv6 address has colons of its own
    if ":" in place[end:]:
        host, port_text = place.rsplit(":", 1)
    if host[:1] == "[" and host[-1] == "]":
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if not host or "[" in host or not (port_text or "1").isdigit() or int(port_text or 1) > 65535:
        raise ValueError("server: scheme://host:port, scheme://[IPv6]:port")
    port = int(port_text or 0) or port or _PORTS[scheme]
    return (host, port), (scheme, _decoded(user) or None, _decoded(password), path)


# Percent-encoding (RFC 3986, section 2.1) as the bytes it stands for.
def _decoded(text):
    if text is None:
        return None
    first, *parts = text.encode().split(b"%")
    try:
        for part in parts:
            first += unhexlify(part[:2] or b"%") + part[2:]
    except ValueError:
        raise ValueError("server: % in a login is %25") from None
    return first


def problem(said):
    """Return the exception for what a WebSocket server said, bytes: "HTTP " and the first line of its answer, "HTTP" if
    it has closed instead; the payload of its close frame, nothing if it has just closed; "frame", "accept": wrong."""
    if said[:5] == b"HTTP ":
        return _refusal(said[5:])
    if said in (b"frame", b"accept"):
        return MQTTException(_PROTOCOL_ERROR, "WebSocket: wrong " + said.decode())
    text = "closed by the peer"
    if said == b"HTTP":
        text += " without HTTP: are port and ssl right?"
    elif len(said) > 1:
        code = said[0] << 8 | said[1]
        text += ": WebSocket %d %s" % (code, _text(said[2:]) or _CLOSED.get(code, ""))
    return OSError(ECONNRESET, text)


# The exception for a line that does not agree to speak WebSocket.
def _refusal(line):
    try:
        status = int(line[9:12])
    except ValueError:
        return MQTTException(_PROTOCOL_ERROR, "no HTTP, are port and ssl right? " + _text(line[:60]))
    hint = _HINTS.get(status) or _HINTS.get(status // 100, "")
    return MQTTException(status, "HTTP %s: %s" % (_text(line[9:]), hint))


# What a peer says need not be UTF-8.
def _text(said):
    try:
        return said.decode()
    except ValueError:
        return str(said)
