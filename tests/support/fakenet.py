"""A network, a clock and a poll made of Python, for both interpreters: no socket, no second really waited.

`fieldmqtt_on(network)` puts them in the place of the modules `socket`, `select`, `errno` and `time`, so that the
library runs as it is. The clock moves only when the client waits; a client that waits without a deadline while nothing
can happen is an error at once.
Streams accept and give as little as they are told to, and none at all at random, from a seed. `use(name)` makes the
sockets those of another port: see support.ports.
"""

import sys

from support.faketime import Clock, Poll, Random, WaitsForEver  # noqa: F401 (offered here)
from support.faketls import Context
from support.ports import POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, PORTS

ROOMY = {"write_limit": 1 << 20}  # a stream that takes everything at once, whatever the port
_BROKEN = ("refused", "reset", "failed")


class Module:
    """Stands in sys.modules; its attributes are the module's names."""


class Socket:
    """The client's end. `sent`: all it wrote, `writes`: the size of each write. The broker calls `reply`, `hang_up`."""

    def __init__(self, network):
        self.network = network
        self.address = None  # host and port that were asked for
        self.sent = bytearray()
        self.writes = []
        self.closed = False
        self.state = "new"  # connecting, open, refused, reset, failed
        self.error = 0  # what the connection was broken by, errno
        self.told = False  # whether the client has been told so
        self.options = {}
        self.tls = None  # the broker's side of TLS
        self._inbox = bytearray()
        self._ended = False
        self._taken = 0
        self._room = None  # bytes that the send buffer takes, None: not decided yet
        self._turn = 0

    # What a client calls

    def setblocking(self, flag):
        if flag:
            raise AssertionError("a socket must not block")

    def settimeout(self, seconds):
        if seconds != 0:
            raise AssertionError("a socket must not block")

    def setsockopt(self, level, option, value):
        nodelay = self.network.port.nodelay or 1
        if level == 6 and option != nodelay:
            raise AssertionError("TCP_NODELAY is %d here, not %d" % (nodelay, option))
        self.options[(level, option)] = value

    def connect(self, address):
        network, port = self.network, self.network.port
        if self.state != "new":
            raise OSError(port.errno["EALREADY"])
        self.address = network.asked(address)
        if network.unreachable:
            raise OSError(network.unreachable)
        self.state = "connecting"
        network.opening(self)
        network.clock.wait(port.connect_waits, lambda: self.state != "connecting")
        if self.state != "open":
            raise OSError(self.error or port.errno["EINPROGRESS"])

    def write(self, buf, *args):
        """`write(buf)`, `write(buf, n)`, `write(buf, offset, n)` like MicroPython's streams; None = not now."""
        self._check(True)
        offset, n = args if len(args) == 2 else (0, args[0] if args else len(buf))
        n = min(n, len(buf) - offset, self._space())
        if n <= 0:
            return self._not_ready()
        if self._room is not None:
            self._room -= n
            if not self._room:
                self.network.clock.at(1, self._drain)
        if self._ended and self.network.port.answers_closed:
            self.network.clock.at(1, self.reset)
            return n
        self._send(bytes(buf[offset : offset + n]))
        return n

    def _send(self, data):
        if self.tls:
            self.tls.received(data)
        else:
            self.sent += data
            self.writes.append(len(data))
        self.network.written(self)

    # Bytes that one write takes now.
    def _space(self):
        network = self.network
        if self.state == "connecting" or network.stalls():
            return 0
        if network.write_limit is not None:
            self._room = None
            return network.write_limit
        if not network.port.buffer:
            return 1 << 28
        if self._room is None:
            self._turn += 1
            self._room = network.port.room(network.chance, self._turn)
        return self._room

    def _drain(self):
        self._room = None

    def readinto(self, buf, n=None):
        if self._check(False):
            return 0
        if self.state == "connecting" or (self._inbox and self.network.stalls()):
            return self._not_ready()
        n = len(buf) if n is None else min(n, len(buf))
        limit = self.network.read_limit
        n = min(n, len(self._inbox)) if limit is None else min(n, limit, len(self._inbox))
        if n == 0:
            return 0 if self._ended else self._not_ready()
        buf[:n] = self._inbox[:n]
        self._inbox = self._inbox[n:]
        return n

    def read(self, n):
        buf = bytearray(n)
        count = self.readinto(buf, n)
        return None if count is None else bytes(buf[:count])

    def close(self):
        self.closed = True

    def _not_ready(self):
        if self.network.port.raises_eagain:
            raise OSError(self.network.port.errno["EAGAIN"])

    # Raise what a broken connection says; True: that it has ended.
    def _check(self, writing):
        port = self.network.port
        if self.closed:
            raise OSError(port.errno["EBADF"])
        if self.state in _BROKEN:
            error = port.error(self, writing)
            if error:
                raise OSError(error)
            return True
        return False

    # What the broker's side calls

    def reply(self, data, delay=0):
        """Send `data` to the client, `delay` ms from now."""
        if delay:
            self.network.clock.at(delay, lambda: self.reply(data))
        else:
            self.arrives(self.tls.sealed(data) if self.tls else data)

    def arrives(self, data, delay=0):
        """Bytes of TCP; `reply` is for those of MQTT."""
        if delay:
            self.network.clock.at(delay, lambda: self.arrives(data))
        elif not self.closed:
            self._inbox += data

    def hang_up(self):
        """The broker closes: the client reads what is there, then the end."""
        self._ended = True

    def reset(self):
        self.breaks("reset", self.network.port.errno["ECONNRESET"])

    def breaks(self, state, error):
        self.state = state
        self.error = error

    def unread(self):
        return len(self._inbox)

    def packets(self):
        """Every whole packet that the client sent on this connection."""
        return split(self.sent)[0]

    def take(self):
        """The whole packets since the last call that the broker has not seen."""
        packets, rest = split(self.sent[self._taken :])
        self._taken = len(self.sent) - rest
        return packets

    def ready(self, flags):
        """What poll finds when it is asked for `flags`."""
        port = self.network.port
        if self.closed:
            return POLLNVAL
        if self.state == "new":
            return port.unconnected & (flags | POLLHUP)
        if self.state in _BROKEN:
            return port.broken(self, flags)
        if self.state != "open":
            return 0
        full = self.network.write_limit == 0 or self._room == 0
        return flags & ((POLLIN if self._inbox or self._ended else 0) | (0 if full else POLLOUT))


def split(data):
    """Cut bytes into packets. Returns (packets, bytes left over)."""
    packets = []
    at = 0
    while True:
        length, shift, head = 0, 0, at + 1
        while head < len(data):
            byte = data[head]
            length |= (byte & 0x7F) << shift
            shift += 7
            head += 1
            if not byte & 0x80:
                break
        else:
            return packets, len(data) - at
        if head + length > len(data):
            return packets, len(data) - at
        packets.append(bytes(data[at : head + length]))
        at = head + length


class Network:
    """`broker` decides what happens: `broker.opened(sock)`, `broker.packet(sock, packet)`."""

    def __init__(self, broker, write_limit=None, read_limit=None, stall=0, seed=1, to_wrap=500):
        self.broker = broker
        self.clock = Clock(to_wrap)
        self.sockets = []
        self.names = []  # every name that was looked up
        self.write_limit = write_limit
        self.read_limit = read_limit
        self._stall = stall  # of 100 reads and writes, so many give None
        self._random = Random(seed)
        self.port, other_seed = _in_use
        self.chance = Random(other_seed * 1000 + seed)  # of the port
        self.unreachable = 0  # errno that connect() raises
        self._hosts = {}  # by address

    def stalls(self):
        return self._stall and self._random.below(100) < self._stall

    def socket(self, *_):
        sock = Socket(self)
        self.sockets.append(sock)
        return sock

    def getaddrinfo(self, host, port, *_):
        host = host if isinstance(host, str) else str(bytes(host), "utf-8")
        self.names.append((host, port))
        if host.startswith("nowhere"):
            raise OSError(self.port.no_address)
        address = ("10.0.%d.%d" % (len(self.names) >> 8, len(self.names) & 255), port)
        self._hosts[address] = (host, port)
        return [(2, 1, 0, "", address)]

    def asked(self, address):
        """The host and port for which getaddrinfo gave this address."""
        if address not in self._hosts:
            raise AssertionError("connect() wants what getaddrinfo gave")
        return self._hosts[address]

    def opening(self, sock):
        latencies = self.port.latencies
        self.clock.at(latencies[self.chance.below(len(latencies))], lambda: self._opened(sock))

    def _opened(self, sock):
        verdict = self.broker.opened(sock)
        if verdict == "refused":
            sock.breaks(verdict, self.port.refused)
        elif verdict == "connecting":
            pass  # a black hole
        elif verdict is not None:  # errno
            sock.breaks("failed", verdict)
        elif not sock.closed and sock.state == "connecting":
            sock.state = "open"

    def written(self, sock):
        for packet in sock.take():
            self.broker.packet(sock, packet)

    def open_sockets(self):
        return [sock for sock in self.sockets if not sock.closed]


_current = []  # the network that the fake modules speak of
_in_use = [PORTS["unix"](), 1]
_loaded = []


def use(name, seed=1):
    """From now on networks are those of this port. `seed` is for what happens there at random."""
    _in_use[:] = [PORTS[name](), seed]
    _loaded.clear()


def _modules():
    """The modules that a client finds by `import`; they speak of the network used last."""
    port = _in_use[0]
    socket = Module()
    socket.socket = lambda *a: _current[0].socket(*a)
    socket.getaddrinfo = lambda *a: _current[0].getaddrinfo(*a)
    socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, socket.SOL_SOCKET = 2, 1, 6, 1
    if port.nodelay:
        socket.TCP_NODELAY = port.nodelay
    select = Module()
    select.poll = lambda: Poll(_current[0].clock)
    select.POLLIN, select.POLLOUT, select.POLLERR, select.POLLHUP = POLLIN, POLLOUT, POLLERR, POLLHUP
    errno = Module()
    for name in port.errno:
        setattr(errno, name, port.errno[name])
    time = Module()
    for name in ("ticks_ms", "ticks_us", "ticks_add", "ticks_diff", "sleep_ms", "sleep", "time"):
        setattr(time, name, lambda *a, name=name: getattr(_current[0].clock, name)(*a))
    return {"socket": socket, "select": select, "errno": errno, "time": time}


def fieldmqtt_on(network):
    """The library, bound to the fake modules, upon `network`. Only the newest network is alive."""
    _current[:] = [network]
    if not _loaded:
        library = _load()
        _loaded.append(_Secured(library) if network.port.tls else library)
    return _loaded[0]


class _Secured:
    """The library where everything goes through TLS: a client has a context unless its settings say otherwise."""

    def __init__(self, library):
        self._library = library

    def __getattr__(self, name):
        return getattr(self._library, name)

    def MQTTClient(self, *arguments, **settings):
        if not ("ssl" in settings or "ssl_params" in settings or "insecure" in settings):
            settings["ssl"] = Context()
            if len(arguments) < 3:
                settings.setdefault("port", 1883)
        return self._library.MQTTClient(*arguments, **settings)


def _load():
    for name in [name for name in sys.modules if name.split(".")[0] == "fieldmqtt"]:
        del sys.modules[name]
    return load("MQTTClient", "MQTTException", "Outbox")


def load(*names):
    """Load these parts of the library upon the fake modules; return the library."""
    fakes = _modules()
    real = {name: sys.modules.get(name) for name in fakes}
    sys.modules.update(fakes)
    try:
        import fieldmqtt

        for name in names:
            getattr(fieldmqtt, name)
        return fieldmqtt
    finally:
        for name, module in real.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
