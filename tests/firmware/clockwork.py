"""Step the firmware through hours in a moment: clockwork.py <case>. Runs under MicroPython, see test_clockwork.py.

The time given to App.step() is virtual, the board and the client are stand-ins; what is printed is what is tested.
"""

import json
import sys
from collections import namedtuple

import clock
import config
import sensor_app
import sensors

Message = namedtuple("Message", ("topic", "payload", "retain"))


class Link:
    """A network that is up or not."""

    def __init__(self):
        self.up = True
        self.restarts = 0

    def step(self, now):
        pass

    def isconnected(self):
        return self.up

    def restart(self):
        self.restarts += 1

    def info(self):
        return {"ip": "192.168.100.100", "rssi": -100}


class Board:
    """What the firmware asks of a board."""

    NAME = "clockwork"
    led = None

    def __init__(self):
        self.the_link = Link()

    def link(self, config):
        return self.the_link


class Client:
    """A client whose broker is there or not; commands put into `arriving` all arrive at once."""

    def __init__(self, *arguments, **options):
        self.up = False
        self.error = None
        self.arriving = []
        self.published = []

    def set_last_will(self, *arguments):
        pass

    def subscribe(self, topic, qos, callback, wait):
        self.callback = callback

    def connect(self, wait):
        pass

    def isconnected(self):
        return self.up

    def check_msg(self):
        while self.arriving:
            self.message = Message(b"command", self.arriving.pop(0), False)
            self.callback(self.message.topic, self.message.payload)

    def publish(self, topic, payload, retain, qos, wait):
        self.published.append((topic.rsplit("/", 1)[1], json.loads(payload)))

    def of(self, kind):
        """What was published of this kind."""
        return [value for what, value in self.published if what == kind]


class Ticks:
    """Stands for `time` in sensor_app.py, and for a board's: ticks wrap after a minute here."""

    now = 2**30 - 60000
    ticks_diff = staticmethod(lambda a, b: ((a - b + 2**29) & (2**30 - 1)) - 2**29)
    ticks_add = staticmethod(lambda a, b: (a + b) & (2**30 - 1))

    @classmethod
    def ticks_ms(cls):
        return cls.now


class Bench:
    """The firmware on a stand-in board, with a clock that moves when it is told to."""

    def __init__(self, client=Client, **fields):
        sensor_app.MQTTClient = client
        sensor_app.time = Ticks
        self.board = Board()
        settings = {"name": "shed", "interval": 86400, "mqtt": {"server": "127.0.0.1", "flash": 0}}
        settings.update(fields)
        self.app = sensor_app.App(config.complete(settings), self.board)
        self.client = self.app._client

    def run(self, seconds, every_ms=1000):
        """Step for so long; ends early when the firmware asks for a restart. Returns the seconds that passed."""
        passed = 0
        while passed < seconds * 1000 and not self.app.reboot_wanted:
            passed += every_ms
            Ticks.now = Ticks.ticks_add(Ticks.now, every_ms)
            self.app.step(Ticks.now)
        return passed / 1000


def silent_link():
    """The link says up, and no broker answers: when is the interface restarted, when the board?"""
    bench = Bench()
    bench.run(9 * 60)
    print("restarts after 9 min:", bench.board.the_link.restarts)
    bench.run(2 * 60)
    print("restarts after 11 min:", bench.board.the_link.restarts)
    bench.run(10 * 60)
    print("restarts after 21 min:", bench.board.the_link.restarts)
    print("hours to the reboot:", round((bench.run(24 * 3600) + 21 * 60) / 3600, 1))


def answering_broker():
    """Every connection begins the count again, and so does nothing else."""
    bench = Bench()
    for _ in range(48):
        bench.run(9 * 60)
        bench.client.up = True
        bench.run(60)
        bench.client.up = False
    print("restarts:", bench.board.the_link.restarts, "reboot:", bench.app.reboot_wanted)


def second_outage():
    """After a connection the next restart is 10 min away again, not where the last outage left off."""
    bench = Bench()
    for restarts in (1, 2):
        bench.client.up = False
        bench.run(11 * 60)
        print("restarts after outage %d: %d" % (restarts, bench.board.the_link.restarts))
        bench.client.up = True
        bench.run(60)


def link_down():
    """A link that is down is the link's own affair: a board with its cable out is not restarted."""
    bench = Bench()
    bench.board.the_link.up = False
    bench.run(24 * 3600)
    print("restarts:", bench.board.the_link.restarts, "reboot:", bench.app.reboot_wanted)


def flapping_link():
    """Up for a minute, down for a minute: the minutes up are added."""
    bench = Bench()
    for _ in range(11):
        bench.board.the_link.up = True
        bench.run(60)
        bench.board.the_link.up = False
        bench.run(60)
    print("restarts:", bench.board.the_link.restarts)


def uptime():
    bench = Bench(interval=1)
    bench.run(110.889, 333)
    bench.app.log("now")
    print("reading:", bench.client.of("reading")[-1]["uptime"])


def schedule():
    """Steps that do not hit the moment exactly: no drift. A gap: one reading, no burst."""
    bench = Bench(interval=1)
    bench.run(60.9, 70)
    print("in 60.9 s:", len(bench.client.of("reading")))
    bench.run(10.5, 10500)
    print("after a gap:", len(bench.client.of("reading")))
    bench.run(0.9, 100)
    print("0.9 s later:", len(bench.client.of("reading")))
    bench.run(0.2, 100)
    print("1.1 s later:", len(bench.client.of("reading")))


def many_commands():
    bench = Bench()
    bench.client.arriving = [b'{"command": "publish"}'] * 20
    bench.run(1)
    print("answers:", len(bench.client.of("result")), "errors:", bench.app.errors["program"])


def capacity():
    """How many readings an outbox of so many bytes of RAM and of flash holds: a wide link, a clock that is set."""
    sensors.SENSORS = [lambda: {"temperature": 23.4}, lambda: {"heap_free": 123456}, lambda: {"storage_free": 1234567}]
    mqtt = {"server": "127.0.0.1", "outbox": int(sys.argv[2]), "flash": int(sys.argv[3])}
    bench = Bench(sensor_app.MQTTClient, interval=10, mqtt=mqtt)
    bench.board.the_link.up = False
    while not bench.app.refused:
        bench.run(1)
    print(bench.client.pending())


class Time:
    """Stands for `time` in clock.py: a port whose seconds begin in 2000, on 1 January 2026."""

    @staticmethod
    def gmtime(seconds=820454400):
        return (2000 if seconds == 0 else 2026, 1, 1, 0, 0, 0, 0, 0)

    @staticmethod
    def time():
        return 820454400


class Ntp:
    """Stands for `ntptime`."""

    asked = 0
    fails = True

    def settime(self):
        self.asked += 1
        if self.fails:
            raise OSError(110)


def epoch():
    clock.time = Time
    print("unix time:", clock.unix_time())


def network_time():
    clock.ntptime = ntp = Ntp()
    network_time = clock.NetworkTime("time.example")
    for second in range(121):
        network_time.step(second)
    print("asked in 2 min:", ntp.asked)
    ntp.fails = False
    for second in range(121, 3 * 86400, 60):
        network_time.step(second)
    print("asked in 3 days:", ntp.asked)


globals()[sys.argv[1]]()
