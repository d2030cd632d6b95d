# mypy: ignore-errors
# (a class that stands before another one, whose attributes are not known here)
"""What MQTT 5 adds to the calls of both clients, and to the life of their connection: everything but the waiting."""

from errno import ECONNRESET, ENOTCONN, ETIMEDOUT
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

from .properties import block, encode, take
from .protocol5 import Protocol5
from .sending5 import Addressed
from .wire import MQTTException, to_bytes

# Packet types, as properties are allowed for them; the will is 0.
_CONNECT = const(1)
_PUBLISH = const(13)  # what its caller may say of it
_SUBSCRIBE = const(8)
_UNSUBSCRIBE = const(10)
_DISCONNECT = const(14)

_MOVED = (0x9C, 0x9D)  # reason codes: use another server, server moved
_BUSY = (0x89, 0x96, 0x97, 0x9F)  # server busy, message rate too high, quota exceeded, connection rate exceeded
_ELSEWHERE = (0x88, 0x89, 0x8B, 0x97)  # unavailable, busy, shutting down, quota: another one of the list may do better
_UNSUPPORTED = (0x01, 0x84)  # protocol version

_AGAIN = const(0x19)  # re-authenticate
# States of a filter, as in subscriptions.py.
_WANTED = const(0)
_UNWANTED = const(4)

# States, as in connection.py.
_GREETING = const(3)
_ONLINE = const(4)
_HOPS = const(3)  # servers that refer to another one in a row
_GIVE_UP = const(16)  # as in sending5.py
_MOST = const(1024)  # identifiers at QoS 2, as in outbox.py: a broker of default settings has no more waiting
_STABLE = const(30000)  # ms, as in connection.py


class Calls5:
    """Stands before MQTTClient or AsyncMQTTClient in their MQTT 5 forms; `_client` is the one."""

    _protocol_class = Protocol5
    # Who is refused for these comes back late: version, identifier, login, banned, method, taken over; 3.1.1's first.
    _refused = (0x01, 0x02, 0x04, 0x05, 0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x8E)  # type: tuple[int, ...]
    on_refused = None
    _hops = 0
    _stuck = None  # how far the message was written when PINGREQ was due last and could not be sent
    _second = 0  # ticks_ms when the protocol's seconds were counted last
    _requests = None  # see requests5

    def __init__(self, *args, version=5, auth=None, lower_qos=False, **kwargs):
        """As MQTTClient, and whatever CONNECT may have as property (section 3.1.2.11), by its name:

        session_expiry (s, 0), receive_maximum (1 to 1024), topic_alias_maximum (of the server's aliases, 8),
        user_properties, request_response_information, request_problem_information.
        clean_session is Clean Start; with a session_expiry the reconnects go on with the session all the same.
        auth: see docs/mqtt5.md. lower_qos: publish with the server's maximum QoS instead of raising ValueError.
        """
        self._versions = version if isinstance(version, tuple) else (version,)
        settings = {"receive_maximum": _MOST, "topic_alias_maximum": 8}
        settings.update(take(kwargs, _CONNECT))
        if auth and self._versions != (5,):
            raise ValueError("auth: needs version=5")
        if self._versions not in ((5,), (5, 4)) or not 0 < settings["receive_maximum"] <= _MOST:
            raise ValueError("version: 5, (5, 4) or 4; receive_maximum: 1 to 1024")
        # mosquitto 2.0.11 sends one byte more than that, and sends it again whenever it is refused.
        settings["maximum_packet_size"] = kwargs.get("max_packet", 4096) - 1
        self._client.__init__(self, *args, **kwargs)
        self._protocol.agree(settings, auth, lower_qos)
        self._home = self._servers
        self._asked_keepalive = self._keepalive
        self._second = ticks_ms()

    @property
    def server_limits(self):
        """A dict of what the server said of itself in CONNACK, with the specification's defaults for the rest."""
        return self._protocol.limits

    @property
    def acknowledged(self):
        """The last acknowledgement that said more than success: (packet_id, reason_code, properties or None)."""
        return self._protocol.acknowledged

    @property
    def expired(self):
        """Messages that were too old to be sent."""
        return self._protocol.expired

    def set_last_will(self, topic, msg, retain=False, qos=0, **properties):
        """The message that the broker publishes when this client vanishes. Takes effect at the next connect.

        Properties: will_delay, message_expiry (s), payload_format, content_type, response_topic, correlation_data,
        user_properties.
        """
        encoded = encode(properties, 0)
        before = self._will
        self._client.set_last_will(self, topic, msg, retain, qos)
        size = len(encoded) + len(encode(self._protocol.settings, _CONNECT))
        for part in self._will[:2] + self._login[:3]:
            size += len(part or b"")
        will, self._will = self._will + (encoded,), before
        self._protocol.fits(size)
        self._will = will

    # --- The beginnings and ends of calls -------------------------------------------------

    def _begin(self, clean_session, attempts, timeout=None):
        if self._delivering and attempts > 0:
            self._check()  # before anything changes
        if self._servers is not self._home:  # what an earlier server has referred to
            self._servers = self._home
            self._broker = 0
            self._address = None
        self._protocol.level = 5
        self._protocol.goodbye = b""
        self._hops = 0
        self._speaks_5 = None  # the broker of the list that has done so
        self._protocol.kept = False
        self._client._begin(self, clean_session, attempts, timeout)

    # What publish() takes in the place of the topic.
    def _addressed(self, topic, properties):
        if not properties:
            return topic
        self._count(ticks_ms())
        return Addressed(topic, encode(properties, _PUBLISH))

    def _want5(self, topic, qos, callback, wanted, options, user_properties):
        """As _want; options: no_local, retain_as_published and retain_handling as they stand in the packet."""
        properties = encode({"user_properties": user_properties}, _SUBSCRIBE if wanted else _UNSUBSCRIBE)
        protocol = self._protocol
        for topic_filter in topic if isinstance(topic, (list, tuple)) else (topic,):
            size = len(to_bytes(topic_filter)) + len(properties)
            protocol.fits(size)
            protocol.demand(size + 9)
            if wanted:
                protocol.subscriptions.check(topic_filter, options, protocol.limits)
        protocol.subscriptions.wanted = options, properties
        return self._want(topic, qos, callback, _WANTED if wanted else _UNWANTED)

    # As Calls; with the server's reason.
    def _granted(self, entries):
        try:
            return self._client._granted(self, entries)
        except MQTTException:
            raise refusal(entries) from None

    # As Calls; what is raised tells as much as what was caught.
    def _check(self):
        try:
            self._client._check(self)
        except MQTTException as error:
            error.name = getattr(self.error, "name", error.reason)
            error.properties = getattr(self.error, "properties", {})
            raise

    def _removed(self, entries):
        error = refusal(entries)
        if error:
            raise error

    # The end of publish(): raise what stood against the message.
    def _kept(self, packet_id, dropped):
        self._client._kept(self, packet_id, dropped)
        for one in self._protocol.refused:
            if one[0] == packet_id:
                self._protocol.refused.remove(one)
                raise one[1]

    # What DISCONNECT is to say (section 3.14).
    def _take_leave(self, session_expiry, user_properties, reason_code):
        if session_expiry and not self._protocol.settings.get("session_expiry"):
            raise ValueError("session_expiry: 0 at connect")
        properties = encode({"session_expiry": session_expiry, "user_properties": user_properties}, _DISCONNECT)
        if reason_code or properties:
            goodbye = bytes((reason_code,)) + block(properties)
            self._protocol.fits(len(goodbye))
            self._protocol.demand(len(goodbye))
            self._protocol.goodbye = goodbye

    def _reauthenticate(self):
        self._check()
        auth = self._protocol.auth
        if not auth or not self.isconnected():
            raise ValueError("no auth was given") if not auth else OSError(ENOTCONN, "not connected")
        self._protocol.authenticate(_AGAIN, auth.start())
        self._flush()

    def _authenticating(self):
        if not self.isconnected():  # refused
            raise self.error or OSError(ENOTCONN, "not connected")
        return self._protocol.authenticating

    def _exchange(self):
        from .requests5 import Requests

        self._requests = self._requests or Requests(self)
        return self._requests

    # --- The life of the connection --------------------------------------------------------

    def step(self, now):
        """As Connection.step."""
        self._count(now)
        protocol = self._protocol
        protocol.given_up = 0
        event = self._client.step(self, now)
        while protocol.fresh:
            self._notify(self._tell_refused, protocol.fresh.pop(0))
        return event

    def _tell_refused(self, one):
        self.error = one[1]
        if self.on_refused:
            self.on_refused(*one)

    def due(self, now):
        """As Connection.due."""
        return 0 if self._protocol.given_up >= _GIVE_UP else self._client.due(self, now)

    # The seconds by which messages grow old.
    def _count(self, now):
        seconds = ticks_diff(now, self._second) // 1000
        if seconds < 0:  # more than ticks_ms can tell
            self._second = now
        elif seconds:
            self._protocol.now += seconds
            self._second = ticks_add(self._second, seconds * 1000)

    def _await_connack(self, now):
        event = self._client._await_connack(self, now)
        if event:
            limits = self._protocol.limits
            self._speaks_5 = self._broker if self._protocol.level == 5 else None
            seconds = limits.get("server_keepalive")
            self._keepalive = self._asked_keepalive if seconds is None else seconds * 750
            identifier = limits.get("assigned_client_identifier")
            if identifier:
                self._login = (identifier.encode(),) + self._login[1:]
            self._alive(now)
        return event

    def _lost(self, error):
        state, broker = self._state, self._broker
        code = error.reason_code if isinstance(error, MQTTException) else None
        said = getattr(error, "properties", None)  # by the server
        if state == _ONLINE and ticks_diff(ticks_ms(), self._since) >= _STABLE:
            self._hops = 0
        if state == _ONLINE and code and said is None and self._protocol.level == 5:
            self._reproach(code)
        elif state == _GREETING and _closed(error) and self._versions == (5,):
            error = OSError(ECONNRESET, "MQTT 5 unknown? version=(5, 4): %s" % error)
        self._cause = error  # without what Connection guesses
        at_once = (
            self._follow(said, state) if code in _MOVED else state == _GREETING and self._other_version(code, error)
        )
        if at_once and self._attempts > 0:
            self._attempts += 1  # this one was none
        if code in _BUSY:
            self._failures += 3
        self._client._lost(self, error)
        if at_once:
            self._broker = 0 if code in _MOVED else broker
            self._due = ticks_ms()
        elif state == _ONLINE and code in _ELSEWHERE:
            self._broker = (broker + 1) % len(self._servers)

    def _pause(self, error):
        return self._client._pause(self, self._cause)

    # No room for PINGREQ: a message larger than tx is being written. A link that takes none of it is dead.
    def _ping(self, now, event=0):
        protocol = self._protocol
        if protocol.room() or not protocol._body_end:
            self._stuck = None
        elif self._stuck != protocol._body_start:
            self._stuck = protocol._body_start
            self._stuck_since = now
        elif ticks_diff(now, self._stuck_since) >= self._keepalive:
            raise OSError(ETIMEDOUT, "writing")
        self._client._ping(self, now, event)

    # Tell the server what it has done wrong (section 4.13), if it can be said at once.
    def _reproach(self, code):
        self._protocol.goodbye = bytes((code,)) + b"\0"
        try:
            if self._protocol.disconnect():
                self._protocol.flush()
        except OSError:
            pass  # dead already
        self._protocol.goodbye = b""

    # Section 4.11: the first server of the reference comes before those that were given.
    def _follow(self, said, state):
        reference = (said or {}).get("server_reference", "").split(" ")[0]
        if not reference or self._hops >= _HOPS or (state == _ONLINE and not self.auto_reconnect):
            return False
        host, colon, port = reference.rpartition(":")
        # "host", "[::1]" and "::1" have no port.
        if not colon or reference.endswith("]") or (":" in host and not host.endswith("]")):
            host, port = reference, str(self._port)
        host = host.strip("[]")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            return False
        self._hops += 1
        self._servers = [(host, int(port))] + self._home
        return True

    # A broker that does not know MQTT 5 says so, or closes. What closes either way is asked in turn.
    def _other_version(self, code, error):
        protocol = self._protocol
        if len(self._versions) > 1 and (code in _UNSUPPORTED or (_closed(error) and self._speaks_5 != self._broker)):
            protocol.level = 9 - protocol.level
            return protocol.level == 4
        return False


def _closed(error):
    return error.args and error.args[0] == ECONNRESET


def refusal(entries):
    """Return the MQTTException for the first of these subscriptions that was refused, None: there is none."""
    from .reasons5 import problem

    for entry in entries:
        if entry.reason_code >= 0x80:
            error = problem(entry.reason_code, entry.reply)
            error.topic_filter = entry.topic_filter
            return error
