"""A network, a clock and a poll made of Python, for both interpreters: no socket, no second really waited.

`fieldmqtt_on(network)` puts them in the place of the modules `socket`, `select` and `time`, so that the library runs as
it is. The clock moves only when the client waits; a client that waits without a deadline while nothing can happen is an
error at once.
Streams accept and give as little as they are told to, and none at all at random, from a seed.
"""

import sys

_POLLIN = 1
_POLLOUT = 4
_POLLERR = 8
_POLLHUP = 16
_EINPROGRESS = 115
_ECONNREFUSED = 111
_ECONNRESET = 104
_EPIPE = 32
_EBADF = 9
_PERIOD = 1 << 30  # of the ticks of a 32-bit board
_IDLE_LIMIT = 20_000


class WaitsForEver(Exception):
    """The client waits, no deadline set, and nothing can happen any more. Not an OSError: nobody may swallow it."""


class Module:
    """Stands in sys.modules; its attributes are the module's names."""


class Clock:
    """Milliseconds that pass when somebody waits. The ticks wrap as on a board, `to_wrap` ms after the start."""

    def __init__(self, to_wrap=500):
        self.now = 0  # ms since the start, never wraps
        self._offset = _PERIOD - to_wrap
        self._events = []

    def ticks_ms(self):
        return (self.now + self._offset) % _PERIOD

    def ticks_us(self):
        return (self.now + self._offset) * 1000 % _PERIOD

    def ticks_add(self, ticks, delta):
        return (ticks + delta) % _PERIOD

    def ticks_diff(self, end, start):
        return (end - start + _PERIOD // 2) % _PERIOD - _PERIOD // 2

    def sleep_ms(self, ms):
        self.wait(ms, _never)

    def sleep(self, s):
        self.wait(int(s * 1000), _never)

    def time(self):
        return self.now // 1000

    def at(self, delay, event):
        """Have `event()` called in `delay` ms."""
        self._events.append((self.now + delay, event))
        self._events.sort(key=lambda entry: entry[0])

    def wait(self, ms, is_over):
        """Let `ms` pass (for ever if negative), stopping when `is_over()`."""
        end = self.now + ms if ms >= 0 else None
        while not is_over():
            if self._events and (end is None or self._events[0][0] <= end):
                when, event = self._events.pop(0)
                self.now = max(self.now, when)
                event()
            elif end is None:
                raise WaitsForEver("waiting without a deadline, and nothing will happen")
            else:
                self.now = end
                return


def _never():
    return False


class Random:
    """A small generator of numbers that is the same on both interpreters."""

    def __init__(self, seed):
        self._state = seed * 2654435761 % (1 << 32) or 1

    def below(self, limit):
        self._state = (self._state * 1664525 + 1013904223) % (1 << 32)
        return (self._state >> 16) % limit


class Socket:
    """The client's end. `sent`: all it wrote, `writes`: the size of each write. The broker calls `reply`, `hang_up`."""

    def __init__(self, network):
        self.network = network
        self.address = None
        self.sent = bytearray()
        self.writes = []
        self.closed = False
        self.state = "new"  # connecting, open, refused, reset
        self._inbox = bytearray()
        self._ended = False
        self._read_so_far = 0
        self._taken = 0

    # What a client calls

    def setblocking(self, flag):
        if flag:
            raise AssertionError("a socket must not block")

    def settimeout(self, seconds):
        if seconds != 0:
            raise AssertionError("a socket must not block")

    def setsockopt(self, *_):
        pass

    def connect(self, address):
        self.address = address
        self.state = "connecting"
        self.network.opening(self)
        raise OSError(_EINPROGRESS)

    def write(self, buf, *args):
        """`write(buf)`, `write(buf, n)`, `write(buf, offset, n)` like MicroPython's streams; None = not now."""
        self._check(_EPIPE)
        offset, n = args if len(args) == 2 else (0, args[0] if args else len(buf))
        n = min(n, len(buf) - offset)
        limit = self.network.write_limit
        if self.state == "connecting" or self.network.stalls():
            return None
        if limit is not None:
            n = min(n, limit)
        if n <= 0:
            return None
        self.sent += bytes(buf[offset : offset + n])
        self.writes.append(n)
        self.network.written(self)
        return n

    def readinto(self, buf, n=None):
        self._check(_ECONNRESET)
        if self.state == "connecting" or (self._inbox and self.network.stalls()):
            return None
        n = len(buf) if n is None else min(n, len(buf))
        limit = self.network.read_limit
        n = min(n, len(self._inbox)) if limit is None else min(n, limit, len(self._inbox))
        if n == 0:
            return 0 if self._ended else None
        buf[:n] = self._inbox[:n]
        self._inbox = self._inbox[n:]
        return n

    def read(self, n):
        buf = bytearray(n)
        count = self.readinto(buf, n)
        return None if count is None else bytes(buf[:count])

    def close(self):
        self.closed = True

    def fileno(self):
        return 3

    def _check(self, errno):
        if self.closed:
            raise OSError(_EBADF)
        if self.state == "refused":
            raise OSError(_ECONNREFUSED)
        if self.state == "reset":
            raise OSError(errno)

    # What the broker's side calls

    def reply(self, data, delay=0):
        """Send `data` to the client, `delay` ms from now."""
        if delay:
            self.network.clock.at(delay, lambda: self.reply(data))
        elif not self.closed:
            self._inbox += data

    def hang_up(self):
        """The broker closes: the client reads what is there, then the end."""
        self._ended = True

    def reset(self):
        self.state = "reset"

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

    def ready(self):
        if self.closed:
            return 32  # POLLNVAL
        if self.state in ("refused", "reset"):
            return _POLLERR | _POLLHUP | _POLLIN | _POLLOUT
        if self.state != "open":
            return 0
        return (_POLLIN if self._inbox or self._ended else 0) | (0 if self.network.write_limit == 0 else _POLLOUT)


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


class Poll:
    def __init__(self, clock):
        self._clock = clock
        self._wanted = {}
        self._idle = 0

    def register(self, sock, flags=_POLLIN | _POLLOUT):
        self._wanted[id(sock)] = (sock, flags)

    def modify(self, sock, flags):
        self._wanted[id(sock)] = (sock, flags)

    def unregister(self, sock):
        self._wanted.pop(id(sock), None)

    def _ready(self):
        always = _POLLERR | _POLLHUP | 32
        found = []
        for sock, flags in self._wanted.values():
            events = sock.ready() & (flags | always)
            if events:
                found.append((sock, events))
        return found

    def poll(self, timeout=-1):
        self._idle = 0 if timeout > 0 else self._idle + 1
        if self._idle > _IDLE_LIMIT:
            raise WaitsForEver("polls again and again without waiting")
        self._clock.wait(timeout, self._ready)
        return self._ready()

    def ipoll(self, timeout=-1, _flags=0):
        return iter(self.poll(timeout))


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
            raise OSError(-2)
        return [(2, 1, 0, "", (host, port))]

    def opening(self, sock):
        self.clock.at(1, lambda: self._opened(sock))

    def _opened(self, sock):
        verdict = self.broker.opened(sock)
        if verdict is not None:  # "refused", "connecting" (a black hole)
            sock.state = verdict
        elif not sock.closed:
            sock.state = "open"

    def written(self, sock):
        for packet in sock.take():
            self.broker.packet(sock, packet)

    def open_sockets(self):
        return [sock for sock in self.sockets if not sock.closed]


_current = []  # the network that the fake modules speak of


def _modules():
    """The modules that a client finds by `import`; they speak of the network used last."""
    socket = Module()
    socket.socket = lambda *a: _current[0].socket(*a)
    socket.getaddrinfo = lambda *a: _current[0].getaddrinfo(*a)
    socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, socket.SOL_SOCKET = 2, 1, 6, 1
    select = Module()
    select.poll = lambda: Poll(_current[0].clock)
    select.POLLIN, select.POLLOUT, select.POLLERR, select.POLLHUP = _POLLIN, _POLLOUT, _POLLERR, _POLLHUP
    time = Module()
    for name in ("ticks_ms", "ticks_us", "ticks_add", "ticks_diff", "sleep_ms", "sleep", "time"):
        setattr(time, name, lambda *a, name=name: getattr(_current[0].clock, name)(*a))
    return {"socket": socket, "select": select, "time": time}


_loaded = []


def fieldmqtt_on(network):
    """The library, bound to the fake modules, upon `network`. Only the newest network is alive."""
    _current[:] = [network]
    if not _loaded:
        _loaded.append(_load())
    return _loaded[0]


def _load():
    for name in [name for name in sys.modules if name.split(".")[0] == "fieldmqtt"]:
        del sys.modules[name]
    fakes = _modules()
    real = {name: sys.modules.get(name) for name in fakes}
    sys.modules.update(fakes)
    try:
        import fieldmqtt

        for name in ("MQTTClient", "MQTTException", "Outbox"):
            getattr(fieldmqtt, name)
        return fieldmqtt
    finally:
        for name, module in real.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
