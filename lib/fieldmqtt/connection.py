"""The life of a connection, as one state machine that never waits.

    idle -> opening -> greeting -> online -> (lost) -> resting -> opening -> ...

`step(now)` advances it by at most one packet. Both clients are built on this class (through `calls`, what
their calls have in common) and add only the waiting: they call step() when the stream is ready or `due(now)`
milliseconds have passed. `now` is `time.ticks_ms()`.
"""

import os
from errno import ECONNABORTED, ETIMEDOUT
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

from .outbox import Outbox
from .protocol import Protocol
from .subscriptions import topic_name
from .transport import Transport, resolve
from .wire import MQTTException, to_bytes

_IDLE = const(0)  # nothing is wanted
_RESTING = const(1)  # until _due, then the next attempt
_OPENING = const(2)  # TCP connects
_GREETING = const(3)  # TLS handshake, CONNECT and CONNACK
_ONLINE = const(4)

_FOREVER = const(-1)

# The backoff ends when a broker still answers so long after CONNACK; so two clients with the same
# identifier, which throw each other out, do so ever more rarely.
_STABLE = const(30000)  # ms

# Packet types, as in protocol.py.
_CONNACK = const(0x20)
_PUBLISH = const(0x30)
_SUBACK = const(0x90)

_FILTER_REFUSED = const(3)  # its state, as in subscriptions.py
_TAKEN_OVER = const(0x8E)  # reason code "session taken over" (MQTT 5, section 3.14.2.1)


class Connection:
    """What MQTTClient and AsyncMQTTClient have in common: settings, state machine, callbacks.

    client_id, user, password, topics and payloads: str (sent as UTF-8) or bytes.
    server: a host name or address, (host, port), or a list of these, tried in turn.
    port: 0 stands for 1883, or 8883 with TLS. keepalive and timeout: seconds; timeout is the
    deadline of every operation. ssl: an SSLContext, or True for one made from ssl_params.
    auto_reconnect=False: a lost connection raises. max_packet: the largest packet that is received,
    bytes. tx_size: room for a packet to be sent, bytes. window: most messages in flight.
    backoff: (first, longest) pause between attempts, seconds.
    Raises ValueError for settings that cannot work.
    """

    # Instances get these when they are first set: a small instance is a fast one.
    message = None  # the Message being delivered
    error = None  # why the connection was lost, or could not be made, last
    on_connect = on_disconnect = on_publish = None
    _will = None
    _transport = None  # type: Transport
    _address = None  # of the broker whose turn it is, once resolved
    _broker = 0  # whose turn it is
    _patience = 0  # ms for an attempt
    _delivering = False
    _hold = False  # nothing is read for now: TCP lets the broker wait

    _protocol_class = Protocol
    _opener = Transport
    # Reason codes of CONNACK that trying again soon will not change.
    _refused = (1, 2, 4, 5)  # type: tuple[int, ...]

    def __new__(cls, *args, **kwargs):
        """MQTT 5 has clients of its own, loaded for version=5."""
        if kwargs.get("version", 4) != 4 and cls.__name__ in ("MQTTClient", "AsyncMQTTClient"):
            return getattr(__import__("fieldmqtt"), cls.__name__ + "5")(*args, **kwargs)
        return object.__new__(cls)

    def __init__(
        self,
        client_id,
        server,
        port=0,
        user=None,
        password=None,
        keepalive=60,
        ssl=None,
        ssl_params={},  # noqa: B006 (never changed)
        *,
        insecure=False,
        version=4,
        timeout=10,
        clean_session=True,
        auto_reconnect=True,
        max_packet=4096,
        tx_size=1024,
        outbox=None,
        window=20,
        backoff=(1, 60),
        transport="tcp",
        path="/mqtt",
    ):
        if transport != "tcp" or "://" in str(server):
            from .url import parse

            server, port, user, password, ssl, self._opener = parse(server, port, user, password, ssl, transport, path)
        if version != 4:
            raise ValueError("version 5: MQTTClient5")
        if not 0 <= keepalive <= 65535:
            raise ValueError("keepalive: 0 to 65535")
        if ssl is True:
            from .tls import context

            ssl = context(ssl_params, insecure)
        elif not ssl and (ssl_params or insecure):
            raise ValueError("ssl_params need ssl=True")
        self._ssl = ssl
        self._hostname = ssl_params.get("server_hostname")
        self._servers = server if isinstance(server, list) else [server]
        if window < 1 or not 64 <= tx_size < 65536 or max_packet < 16 or not self._servers:
            raise ValueError("window, tx_size or max_packet")
        self._port = port or (8883 if ssl else 1883)
        self._login = (to_bytes(client_id), to_bytes(user), to_bytes(password), keepalive)
        self._keepalive = keepalive * 750  # ms from a sign of life to PINGREQ, and from that to the end
        self._timeout = int(timeout * 1000)
        self._backoff = backoff
        self._protocol = self._protocol_class(outbox or Outbox(), tx_size, max_packet, window)
        # The broker may have an exchange of an earlier life open: a new message under its identifier would be lost.
        if not (clean_session or self._protocol.last_id):
            self._protocol.last_id = int.from_bytes(os.urandom(2), "big")
        self.clean_session = clean_session
        self.auto_reconnect = auto_reconnect
        self._state = _IDLE

    # --- What the user asks, without waiting --------------------------------------------

    def set_callback(self, f):
        """Call f(topic, payload), both bytes, for messages whose filter has no callback of its own."""
        self._protocol.subscriptions.others = (f,) if f else ()

    def set_last_will(self, topic, msg, retain=False, qos=0):
        """The message that the broker publishes when this client vanishes. Takes effect at the next connect."""
        if qos not in (0, 1, 2):
            raise ValueError("qos: 0, 1 or 2")
        will = (topic_name(topic, 65535), to_bytes(msg), retain, qos)
        size = 0
        for part in will[:2] + self._login[:3]:
            if part:
                size += len(part)
        self._protocol.fits(size)
        self._will = will

    def isconnected(self):
        """True from CONNACK until the connection is lost."""
        return self._state == _ONLINE

    def pending(self):
        """Messages at QoS 1 and 2 that were accepted and are not finished."""
        return self._protocol.outbox.pending

    # --- The state machine ---------------------------------------------------------------

    def step(self, now):
        """Advance by at most one packet; return its type, 0 for none. Never waits, but getaddrinfo may.

        Callbacks are called from here, and what they raise is passed on.
        """
        event = 0
        try:
            if self._state == _ONLINE:
                event = self._online(now)
            elif self._state != _IDLE:
                event = self._connect(now)
        except (OSError, ValueError, MemoryError) as error:
            self._lost(error)
        if event == _PUBLISH:
            self._deliver()
        elif event == _CONNACK:
            self._notify(self.on_connect, self._protocol.session_present)
        elif event == _SUBACK:  # who waits for it gets an exception; for the others it is here
            for entry in self._protocol.subscriptions.entries:
                if entry.state == _FILTER_REFUSED:
                    self.error = refusal(entry)
        elif self._protocol.finished:
            packet_id = self._protocol.finished
            self._protocol.finished = 0
            self._notify(self.on_publish, packet_id)
        return event

    # Call a hook; inside it nothing waits.
    def _notify(self, hook, value):
        if hook:
            before = self._delivering
            self._delivering = True
            try:
                hook(value)
            finally:
                self._delivering = before

    def due(self, now):
        """Milliseconds until step() has something to do although the stream is silent."""
        if self._state == _IDLE or (self._state == _ONLINE and not self._keepalive):
            return 60000
        return max(0, ticks_diff(self._due, now))

    def _online(self, now):
        protocol = self._protocol
        if protocol.writing():
            protocol.flush()  # which may make the room that receive() wants for answers
        if protocol.subscriptions.changed:
            protocol.subscribe()  # before receive(): nothing may raise behind a message
        event = 0 if self._hold else protocol.receive()
        if event not in (0, 0x10, 0x30, 0x60):  # all but PUBLISH, whether new or known, and PUBREL answer one of ours
            self._alive(now)
        elif self._keepalive and ticks_diff(now, self._due) >= 0:
            if self._asked and not (event or self._hold):
                raise OSError(ETIMEDOUT, "no PINGRESP")
            self._ping(now, event)
        self._flush()  # if this loses the connection, what has been received is delivered all the same
        return event

    # Both directions have been seen to work: PINGREQ is due after 3/4 of the keep alive time. If that
    # has no answer within another 3/4, the link is lost: 1.5 times keepalive after the last sign of life.
    def _alive(self, now):
        if ticks_diff(now, self._since) >= _STABLE:
            self._failures = self._short = 0
        outbox = self._protocol.outbox
        if outbox.moved or not outbox.in_flight:
            outbox.moved = False
            self._moved = now
        elif self._keepalive and ticks_diff(now, self._moved) > self._timeout + 2 * self._keepalive:  # all but that
            raise OSError(ETIMEDOUT, "no PUBACK")
        self._asked = False  # whether a PINGREQ has not been answered
        self._due = ticks_add(now, self._keepalive)

    # Asking again gives no more time to answer, unless other packets come in, behind which the answer stands.
    def _ping(self, now, event=0):
        if not self._protocol.ping():
            self._due = ticks_add(now, 1000)  # no room: it must not come into a long payload
        elif event or self._hold or not self._asked:
            self._alive(now)
            self._asked = True

    def _connect(self, now):
        late = ticks_diff(now, self._due) >= 0
        if self._state == _RESTING:
            if late:
                self._open(now)
            return 0
        if late:
            raise OSError(ETIMEDOUT, "connecting")
        if self._state == _OPENING:
            if not self._transport.connected():
                return 0
            self._protocol.reset(self._transport.begin(self._ssl, self._hostname or self._server()[0]))
            self._protocol.connect(*self._login, self.clean_session, self._will)
            self._state = _GREETING
        return self._await_connack(now)

    def _open(self, now):
        self._due = ticks_add(now, self._patience)
        host, port = self._server()
        if self._address is None:
            self._address = resolve(host, port)
        self._transport = self._opener(self._address, host, port)
        self._state = _OPENING

    # Host and port of the broker whose turn it is.
    def _server(self):
        server = self._servers[self._broker]
        host, port = server if isinstance(server, tuple) else (server, self._port)
        return (host if isinstance(host, str) else host.decode()), port

    def _await_connack(self, now):
        protocol = self._protocol
        protocol.flush()
        event = 0 if protocol.writing() else protocol.receive()
        if event:
            self._state = _ONLINE
            self._since = now  # when it went online
            self._alive(now)
            self._attempts = _FOREVER if self.auto_reconnect else 1
        return event

    # Begin to connect with the next step.
    def _start(self):
        self._state = _RESTING
        self._due = ticks_ms()  # when the state ends; online: when PINGREQ or its answer is due
        self.error = None

    def _flush(self):
        if self._state == _ONLINE:
            try:
                self._protocol.flush()
            except (OSError, MemoryError) as error:
                self._lost(error)

    def _deliver(self):
        message = self.message = self._protocol.message
        self._delivering = True
        try:
            if not self._protocol.subscriptions.dispatch(message.topic, message.payload):
                self._unclaimed(message)
        finally:  # whatever the callback raised: it has had the message, and a broker waits for the answer
            self._delivering = False
            self._protocol.acknowledge()
            self._flush()

    # A message for which there is no callback.
    def _unclaimed(self, message):
        pass

    # The connection is gone, or could not be made: decide what comes next.
    def _lost(self, error):
        now = ticks_ms()
        online = self._state == _ONLINE
        self._close()
        self._address = None
        if isinstance(error, ValueError):  # so TLS reports a certificate that does not verify
            error = OSError(ECONNABORTED, ("TLS: " if self._ssl else "") + str(error).strip())
        if not online:
            self._broker = (self._broker + 1) % len(self._servers)
        elif ticks_diff(now, self._since) < _STABLE:
            self._short += 1
            if self._short > 2 and not isinstance(error, MQTTException):
                error = MQTTException(_TAKEN_OVER, "client_id in use twice? (%s)" % error)
        self._failures += 1
        self.error = error
        if self._attempts > 0:
            self._attempts -= 1
        if self._attempts:
            self._state = _RESTING
            at_once = self._attempts > 0 or (self._broker and not online)
            self._due = ticks_add(now, 0 if at_once else self._pause(error))
        if online:
            self._notify(self.on_disconnect, error)

    # Full jitter: anything up to a limit that doubles with each failure. Who was refused comes back late.
    def _pause(self, error):
        longest = int(self._backoff[1] * 1000)
        limit = min(longest, int(self._backoff[0] * 1000) << min(self._failures - 1, 16))
        refused = isinstance(error, MQTTException) and error.reason_code in self._refused
        chance = int.from_bytes(os.urandom(4), "big")
        return longest + chance % (longest + 1) if refused else chance % (limit + 1)

    def _close(self):
        if self._transport:
            self._transport.close()
            self._transport = None
        self._protocol.reset(None)
        self._state = _IDLE


def refusal(entry):
    return MQTTException(entry.reason_code, "refused: " + entry.topic_filter.decode())
