"""What users suffer from while they wait: points 1, 6, 10, 13, 20."""

import time
from collections.abc import Callable

from pain_points.conftest import frozen
from support import answering, fakenet
from support.certificates import Certificates
from support.device import Device
from support.scripted import ScriptedBroker
from support.session import raised
from tools.broker import Broker

Program = Callable[..., Device]


class LwipSocket(fakenet.Socket):
    """A socket as on a Pico W, W5100S or ESP32: `setblocking(True)` makes its timeout infinite."""

    timeout = None

    def settimeout(self, seconds):
        self.timeout = seconds

    def setblocking(self, flag):
        self.timeout = None if flag else 0

    def readinto(self, buf, n=None):
        if not self._inbox and not self._ended and self.timeout != 0:
            self.network.clock.wait(-1 if self.timeout is None else int(self.timeout * 1000), lambda: self._inbox)
            if not self._inbox:
                raise OSError(110)
        return super().readinto(buf, n)


class LwipNetwork(fakenet.Network):
    def socket(self, *_):
        self.sockets.append(LwipSocket(self))
        return self.sockets[-1]


def _like_umqtt(sock):
    """umqtt.simple: connect(timeout=1), and before each packet it reads `setblocking(True)`."""
    sock.settimeout(1)
    sock.setblocking(True)
    sock.read(1)


def test_point_01_every_call_ends_when_the_broker_hangs(program: Program, mosquitto: Broker) -> None:
    """A broker that hangs takes the board with it: each wait is a loop without an end, the timeout is lost with the
    first packet read, and only the reset button helps. Here every call has a deadline, and the program goes on."""
    device = program(
        """
        client = MQTTClient("shed", "127.0.0.1", PORT, timeout=0.4)
        client.connect()
        print("ready")
        sys.stdin.readline()
        for call in (
            lambda: client.publish("shed/door", "open", qos=1),
            lambda: client.subscribe("shed/command"),
            lambda: client.unsubscribe("shed/window"),
            lambda: client.flush(),
            lambda: client.reconnect(),
            lambda: client.disconnect(),
        ):
            start = time.ticks_ms()
            try:
                call()
            except OSError as error:
                assert error.args[0] in (errno.ETIMEDOUT, errno.ENOTCONN), error
            print("took", time.ticks_diff(time.ticks_ms(), start))
        sys.stdin.readline()
        client.connect(timeout=5)
        client.flush(5)
        print("delivered", client.pending())
        """,
        mosquitto.port,
    )
    device.line("ready")
    with frozen(mosquitto):
        device.tell("the broker hangs")
        assert max(int(device.line("took", 5)) for _ in range(6)) < 1400
    device.tell("the broker is back")
    assert device.line("delivered") == "0"

    broker = answering.Broker()  # the same on the boards' sockets, which unlike unix ones have this trap
    network = LwipNetwork(broker)
    client = fakenet.fieldmqtt_on(network).MQTTClient("shed", "broker", timeout=3)
    client.connect()
    broker.answers.clear()
    start = network.clock.now
    raised(OSError, client.publish, "shed/door", "open", qos=1)
    assert network.clock.now - start <= 3100
    raised(fakenet.WaitsForEver, _like_umqtt, network.sockets[-1])


def test_point_06_keep_alive_needs_no_help_and_finds_dead_links(program: Program, mosquitto: Broker) -> None:
    """Whoever sets a keep alive time is thrown out unless they call ping() by hand, and a dead link is never noticed.
    Here PINGREQ is sent by whatever waits, and a link without an answer is lost after 1.5 times keepalive."""
    device = program(
        """
        client = MQTTClient("shed", "127.0.0.1", PORT, keepalive=1)
        client.on_disconnect = lambda reason: print("lost", reason)
        client.connect()
        client.wait_msg(2.5)
        print("quiet for 2.5 s")
        while True:
            client.wait_msg()
        """,
        mosquitto.port,
    )
    device.line("quiet")
    assert "lost" not in device.said()
    with frozen(mosquitto):
        start = time.monotonic()
        device.line("lost", 5)
        assert time.monotonic() - start < 2.5


def test_point_10_a_tls_handshake_stops_nobody(
    program: Program, scripted_broker: ScriptedBroker, certificates: Certificates
) -> None:
    """The TLS handshake waits without a deadline, and everything else on the board waits with it until the watchdog
    bites. Here it is a few steps among others: tasks go on, and connect() gives up in time."""
    device = program(
        """
        import asyncio
        from fieldmqtt import AsyncMQTTClient

        longest = 0

        async def blink():
            global longest
            while True:
                start = time.ticks_ms()
                await asyncio.sleep_ms(5)
                longest = max(longest, time.ticks_diff(time.ticks_ms(), start))

        async def main():
            led = asyncio.create_task(blink())
            params = {"cafile": sys.argv[2]}
            client = AsyncMQTTClient("shed", "127.0.0.1", PORT, ssl=True, ssl_params=params, timeout=1)
            start = time.ticks_ms()
            try:
                await client.connect()
            except OSError as error:
                print("gave up", time.ticks_diff(time.ticks_ms(), start), error.args[0] == errno.ETIMEDOUT)
            print("longest", longest)

        asyncio.run(main())
        """,
        scripted_broker.port,
        certificates.ca.der,
    )
    peer = scripted_broker.accept()
    assert peer.read(1) == b"\x16", "a handshake begins"
    took, timed_out = device.line("gave up").split()
    assert 950 < int(took) < 1500 and timed_out == "True"
    assert int(device.line("longest")) < 300


def test_point_13_calls_that_do_not_wait_do_not_block(program: Program, scripted_broker: ScriptedBroker) -> None:
    """check_msg() is said not to block, and does as soon as the first byte of a packet is there and the second one is
    not. Here half a packet is kept until the rest comes; check_msg() returns at once each time."""
    device = program(
        """
        client = MQTTClient("shed", "127.0.0.1", PORT)
        client.set_callback(lambda topic, msg: print("message", topic, msg))
        client.connect()
        longest = calls = 0
        done = False
        while not done:
            start = time.ticks_ms()
            done = client.check_msg()
            longest = max(longest, time.ticks_diff(time.ticks_ms(), start))
            calls += 1
            time.sleep_ms(5)
        print("longest", longest, calls)
        """,
        scripted_broker.port,
    )
    peer = scripted_broker.online()
    for byte in b"\x30\x07\x00\x01tfull":
        peer.send(bytes((byte,)))
        time.sleep(0.12)
    device.line("message b't' b'full'")
    longest, calls = map(int, device.line("longest").split())
    assert longest < 400 and calls > 50  # all of the packet takes 1 s


def test_point_20_two_boards_with_one_name_do_not_storm(program: Program, mosquitto: Broker) -> None:
    """Two boards with the same client identifier throw each other out at full speed for ever, and nothing says why.
    Here the pauses grow and have jitter, and the error names the probable reason."""
    twins = [
        program(
            """
            client = MQTTClient("twin", "127.0.0.1", PORT, backoff=(0.2, 20))
            client.on_disconnect = lambda reason: print("lost", reason)
            client.connect()
            print("ready")
            while True:
                client.wait_msg()
            """,
            mosquitto.port,
        )
        for _ in range(2)
    ]
    start = time.monotonic()
    while not any("client_id in use twice?" in twin.said() for twin in twins):
        assert time.monotonic() - start < 15, twins[0].said()
        time.sleep(0.05)
    time.sleep(1)
    assert sum(twin.said().count("lost") for twin in twins) < 20
    assert mosquitto.log().count("already connected, closing old connection") < 20
