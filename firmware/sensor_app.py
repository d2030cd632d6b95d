"""The sensor board's program: one loop that steps the link, the MQTT client and itself, and never waits for long.

Topics, below <prefix>/<name>/:
    reading   a JSON object every `interval` seconds, QoS 1
    state     {"state": "online", …} retained; "offline" when the board says goodbye or (by last will) vanishes
    command   what the board is told, see commands.py
    result    its answers

Readings that cannot be delivered wait in the outbox, on flash, where they outlive a reboot and the loss of power. When
it is full, new ones are refused and counted, or the oldest are dropped and counted (mqtt.full); the gap shows in `seq`,
which counts all readings from 0 at each start.

With mqtt.version 5 a reading older than mqtt.expiry is not delivered any more, neither from the outbox nor by a broker
that keeps it for somebody: a week unless told otherwise, for readings have their time and late ones are of use. And the
broker waits a minute before it says "offline", and keeps the session for five: a board that is back by then has not
been away, and gets the commands of that time.

A link may say that it is up while nothing gets through: drivers do. So without the broker for 10 min of link time the
interface is started again, each 10 min; after 6 h of it the board is.
"""

import gc
import json
import os
import sys
import time
from errno import ENOBUFS

from micropython import const

import clock
import commands
import sensors
from fieldmqtt import MQTTClient, Outbox

_VERSION = "0.1.0"  # as in pyproject.toml
_MICROPYTHON = "%d.%d.%d" % sys.implementation.version[:3]

_PAUSE_MS = const(20)  # between two turns of the loop
_AFTER_CRASH_S = const(1)
_ASIDE_S = const(60)
_FAREWELL_S = const(2)
_RESTART_LINK_S = const(600)  # link time without the broker, as is the next
_RESTART_BOARD_S = const(6 * 3600)
_MAX_COMMANDS = const(8)  # waiting to be carried out; more at once are dropped and counted
_ABSENT_S = const(60)  # with MQTT 5 nobody is told of a shorter absence
_SESSION_S = const(300)  # and the session outlives this one
_TOO_LARGE = const(0x95)  # reason code "packet too large"
_FOLDER = "outbox"  # where readings wait on flash


def _tls_params(tls):
    """Return ssl_params for the section mqtt.tls; raises ValueError that names a file which is not there."""
    params = {}
    for theirs, ours in (("cafile", "ca"), ("cert", "cert"), ("key", "key"), ("server_hostname", "hostname")):
        if tls[ours]:
            params[theirs] = tls[ours]
            if ours != "hostname":
                _check_file("mqtt.tls." + ours, tls[ours])
    return params


def _check_file(field, name):
    try:
        os.stat(name)
    except OSError:
        raise ValueError("%s: there is no file %s on the board" % (field, name))


def _blame(params):
    """Raise ValueError that names the field of mqtt.tls whose file cannot be used, if it is one of them."""
    from fieldmqtt.tls import context

    for names, fields in ((("cafile",), "mqtt.tls.ca"), (("cert", "key"), "mqtt.tls.cert and key")):
        tried = {name: params[name] for name in names if name in params}
        try:
            if tried:
                context(tried, "cafile" not in tried)
        except (OSError, ValueError) as e:
            files = ", ".join([params[name] for name in names])
            raise ValueError("%s: %s: %s" % (fields, str(e).strip(), files))


def make_client(config, name, outbox):
    """Return the MQTT client that config["mqtt"] describes, not yet connected. Raises ValueError that names a field."""
    mqtt = config["mqtt"]
    tls = mqtt["tls"]
    params = _tls_params(tls) if tls else {}
    more = {"version": 5, "session_expiry": _SESSION_S} if mqtt["version"] == 5 else {}  # type: dict[str, object]
    if mqtt["websocket"]:
        more["transport"], more["path"] = "ws", mqtt["websocket"]
    where = [mqtt[field] for field in ("server", "port", "user", "password", "keepalive")]
    insecure = bool(tls and tls["insecure"])
    try:
        return MQTTClient(name, *where, True if tls else None, params, insecure=insecure, outbox=outbox, **more)
    except (OSError, ValueError):
        _blame(params)
        raise


class App:
    """One sensor board. `config` is what config.load() returns, `board` the module of the board."""

    def __init__(self, config, board):
        """Prepare everything; nothing happens before run(). Raises ValueError that names a wrong field."""
        self.board = board
        self.name = config["name"] or "".join("%02x" % byte for byte in board.unique_id())
        self.errors = {"link": 0, "mqtt": 0, "sensor": 0, "clock": 0, "program": 0}
        self.last_error = None
        self.refused = 0  # readings that did not fit into the outbox
        self.reboot_wanted = False
        self._watchdog_ms = config["watchdog"] * 1000
        self._watchdog = None
        self._interval_ms = int(config["interval"] * 1000)
        self._seq = 0
        self._last = time.ticks_ms()
        self._uptime_s = self._uptime_ms = 0
        self._next = self._last  # ticks_ms of the next reading: the first one is taken at once
        self._topic = "%s/%s/" % (config["mqtt"]["prefix"], self.name)
        self._clock = clock.NetworkTime(config["ntp"])
        self._link = board.link(config)
        self._link.on_error = lambda text: self.failed("link", text)
        self._waiting = []  # commands that arrived, as (payload, retained)
        self._results = []  # answers that still have to be sent
        self._announce = False  # the state still has to be sent
        self._begun = False  # connect() was called
        self._client_due = 0  # uptime, s
        self._client_error = None
        self._silent_s = 0  # of link time without the broker
        self._restart_link_s = _RESTART_LINK_S  # when the interface is started again, in the same count
        self._prepare_client(config)

    def _prepare_client(self, config):
        self._outbox = self._open_outbox(config["mqtt"])
        client = make_client(config, self.name, self._outbox)
        mqtt = config["mqtt"]
        five = mqtt["version"] == 5
        self._lasting = {"message_expiry": mqtt["expiry"]} if five and mqtt["expiry"] else {}  # of a reading
        will = json.dumps({"state": "offline", "reason": "lost"})
        client.set_last_will(self._topic + "state", will, True, 1, **({"will_delay": _ABSENT_S} if five else {}))
        client.on_connect = self._on_connect
        client.subscribe(self._topic + "command", 1, callback=self._on_command, wait=False)
        self._client = client

    def _open_outbox(self, mqtt):
        if mqtt["flash"]:
            try:
                from fieldmqtt import FlashOutbox

                return FlashOutbox(_FOLDER, mqtt["flash"], mqtt["outbox"], full=mqtt["full"])
            except (OSError, ValueError) as e:  # a board that cannot use its flash can still measure
                self.failed("mqtt", "readings are not kept over a reboot: %s" % _text(e))
        return Outbox(mqtt["outbox"], full=mqtt["full"])

    # --- the loop

    def run(self):
        """Run until Ctrl-C (on unix also SIGTERM) or a reboot. What goes wrong is logged, counted and tried again."""
        self.log("%s, MicroPython %s, name %s" % (self.board.NAME, _MICROPYTHON, self.name))
        if self._watchdog_ms:
            self._watchdog = self.board.watchdog(self._watchdog_ms)
        try:
            while not self.reboot_wanted:
                self._turn()
        except KeyboardInterrupt:
            if self._watchdog:
                self._watchdog.stop()
            self._farewell("stopped")
            return
        try:
            self._farewell("reboot")
        finally:
            self.board.reset()

    def _turn(self):
        try:
            self.step(time.ticks_ms())
            if self._watchdog:  # a turn that fails is no sign of life
                self._watchdog.feed()
            time.sleep_ms(_PAUSE_MS)
        except Exception as e:  # a mistake in a sensor or command, no memory: no reason to leave a board silent
            sys.print_exception(e)
            self.failed("program", _text(e))
            gc.collect()
            time.sleep(_AFTER_CRASH_S)

    def step(self, now):
        """One turn: link, client, clock, commands, reading, answers."""
        self._recover(self._count_uptime(now))
        self._link.step(now)
        if self._link.isconnected():
            problem = self._clock.step(self._uptime_s)
            if problem:
                self.failed("clock", problem)
        self._step_client()
        while self._waiting:
            self._results.append(commands.answer(self, *self._waiting.pop(0)))
        if time.ticks_diff(now, self._next) >= 0:
            self._next = time.ticks_add(self._next, self._interval_ms)
            if time.ticks_diff(now, self._next) >= 0:  # readings were missed: no burst of them now
                self._next = time.ticks_add(now, self._interval_ms)
            self.take_reading()
        self._send_waiting()  # after the reading: whatever goes wrong with an answer, the reading is taken

    def _recover(self, passed):
        """Help a link that is up and lets nothing through; `passed` since the last turn, s. See the top."""
        if self._client.isconnected():
            self._silent_s = 0
            self._restart_link_s = _RESTART_LINK_S
        elif self._link.isconnected():
            self._silent_s += passed
        if self._silent_s >= _RESTART_BOARD_S:
            self.failed("mqtt", "no broker for %d s; restarting the board" % self._silent_s)
            self.reboot_wanted = True
        elif self._silent_s >= self._restart_link_s:
            self._restart_link_s += _RESTART_LINK_S
            self.failed("link", "up, but no broker for %d s; starting the interface again" % self._silent_s)
            self._link.restart()

    def _step_client(self):
        """Start the client when the link is up first; without a link leave a dead connection alone.

        Resolving a name without a link would block for seconds. Once a minute it is done all the same: the client's
        timers must not fall behind by days, which is as far as ticks_ms reaches.
        """
        up = self._link.isconnected()
        aside = self._uptime_s < self._client_due
        if not self._begun:
            if aside or not up:
                return
            self._begun = True
            self._client.connect(wait=False)
        if up or self._client.isconnected() or not aside:
            self._client_due = self._uptime_s + _ASIDE_S
            try:
                self._client.check_msg()
            except OSError as e:  # the client has given up; it is not to
                self.failed("mqtt", _text(e))
                self._begun = False
                self._client_due = self._uptime_s + _AFTER_CRASH_S
        if self._client.error is not self._client_error:
            self._client_error = self._client.error
            if self._client_error is not None:
                self.failed("mqtt", _text(self._client_error))
                if getattr(self._client_error, "reason_code", 0) == _TOO_LARGE:
                    self.log("a message on %scommand is too large; if it is a retained one, delete it" % self._topic)

    def _count_uptime(self, now):
        """Return the whole seconds that it has grown by."""
        self._uptime_ms += time.ticks_diff(now, self._last)  # ticks_ms itself begins anew after 12 days
        self._last = now
        passed = self._uptime_ms // 1000
        self._uptime_s += passed
        self._uptime_ms %= 1000
        return passed

    # --- what commands may do

    def set_interval(self, seconds):
        """Take readings so many seconds apart, the next one that much from now."""
        self._interval_ms = int(seconds * 1000)
        self._next = time.ticks_add(time.ticks_ms(), self._interval_ms)
        self._announce = True

    def take_reading(self):
        """Measure and publish."""
        reading = {"seq": self._seq, "t": clock.unix_time(), "uptime": self._uptime_s}
        self._seq += 1
        for sensor in sensors.SENSORS:
            self._measure(sensor, reading)
        link = self._link.info()
        reading["link"] = {key: link[key] for key in ("ip", "rssi") if key in link}
        reading["errors"] = sum(self.errors.values())
        reading["refused"] = self.refused
        if not self._publish("reading", reading, **self._lasting):
            self.refused += 1
            self.log("no room for reading %d; %d refused so far" % (reading["seq"], self.refused))

    def _measure(self, sensor, reading):
        name = getattr(sensor, "__name__", "sensor")
        try:
            for field, value in sensor().items():
                if not _is_json(value):
                    self.failed("sensor", "%s: %s is %s, which JSON cannot tell" % (name, field, value))
                    value = None
                reading[field] = value
        except Exception as e:  # whatever a sensor raises, the others count
            self.failed("sensor", "%s: %s" % (name, _text(e)))

    # --- messages

    def _publish(self, kind, value, retain=False, **properties):
        """Hand a message to the client at QoS 1. True: accepted. False: no room for it now. None: it cannot be kept."""
        try:
            self._client.publish(self._topic + kind, json.dumps(value).encode(), retain, 1, wait=False, **properties)
            return True
        except (OSError, ValueError) as e:  # the flash cannot be written, or the message is too large
            if isinstance(e, OSError) and e.args[0] == ENOBUFS:
                return False
            self.failed("mqtt", "%s: %s" % (kind, _text(e)))
            return None

    def _send_waiting(self):
        while self._results:
            result = self._results.pop(0)  # first: an answer that cannot be written must not come again in each turn
            if self._publish("result", result) is False:
                self._results.insert(0, result)
                break
        if self._announce and self._client.isconnected() and self._publish("state", self._state(), True) is not False:
            self._announce = False

    def _state(self):
        link = self._link.info()
        return {
            "state": "online",
            "board": self.board.NAME,
            "version": _VERSION,
            "micropython": _MICROPYTHON,
            "interval": self._interval_ms / 1000,
            "uptime": self._uptime_s,
            "errors": self.errors,
            "waiting": self._outbox.pending,
            "dropped": self._outbox.dropped,
            "expired": getattr(self._client, "expired", 0),
            "last_error": self.last_error,
            "link": link,
        }

    def _on_connect(self, session_present):
        self.log("connected to the broker")
        self._announce = True

    # Inside a callback nothing can wait: the command is carried out by the next turn.
    def _on_command(self, topic, payload):
        if len(self._waiting) + len(self._results) < _MAX_COMMANDS:
            self._waiting.append((payload, self._client.message.retain))
        else:
            self.failed("program", "too many commands at once; one was dropped")

    def _farewell(self, reason):
        """Say what is to be said and disconnect, so that the last will is not needed. Takes at most some seconds.

        When something of it fails there is no DISCONNECT, and the last will tells.
        """
        self.log("ends: " + reason)
        try:
            if self._client.isconnected():
                self._send_waiting()
                self._publish("state", {"state": "offline", "reason": reason}, True)
                self._client.flush(_FAREWELL_S)
                self._client.disconnect()
            if hasattr(self._outbox, "sync"):
                self._outbox.sync()  # what is finished is not sent again
        except Exception as e:  # whatever it is: the restart must not fail with it
            self.failed("mqtt", _text(e))

    # --- the log

    def log(self, text):
        """Print one line with the seconds since the start."""
        print("[%d.%03d] %s" % (self._uptime_s, self._uptime_ms, text))

    def failed(self, kind, text):
        """Count an error, remember it for the state, log it."""
        self.errors[kind] += 1
        self.last_error = text
        self.log("error, %s: %s" % (kind, text))


def _is_json(value):
    """True for what json.dumps() turns into JSON; what it makes of anything else, as nan and inf, nobody can read."""
    if isinstance(value, float):
        return value - value == 0
    if isinstance(value, (list, tuple)):
        return all(_is_json(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    return value is None or isinstance(value, (bool, int, str))


def _text(e):
    """An exception as one line: its name and what it says; for numbers also the name of the number."""
    number = e.args[0] if e.args else None
    text = "%s: %s" % (type(e).__name__, e)
    if isinstance(e, OSError) and isinstance(number, int):
        import errno

        name = errno.errorcode.get(number, "")
        if name not in text:
            text += " " + name
    return text
