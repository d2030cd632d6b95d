"""What users suffer from on their boards: points 9, 11, 12, 25."""

import gc
from collections.abc import Callable
from pathlib import Path

import pytest

from boards.test_links import run
from support.certificates import Certificates
from support.device import Device
from support.mosquitto import listener
from support.scripted import ScriptedBroker
from support.session import Session
from tools import toolchain
from tools.broker import Broker, Tls

Program = Callable[..., Device]


def test_point_09_any_interface_will_do(program: Program, mosquitto: Broker, tmp_path: Path) -> None:
    """mqtt_as is made for WiFi: it imports `network` and `machine`, wants a WLAN, and switches it off and on whenever
    the broker is away. Here the client knows sockets only: it runs where there is neither, whatever the link is."""
    for name in ("network", "machine"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name}: not on this board')\n")
    device = program(
        """
        for name in ("network", "machine"):
            try:
                __import__(name)
            except ImportError as error:
                print(error)
        client = MQTTClient("shed", "127.0.0.1", PORT, backoff=(0.1, 0.2))
        client.on_connect = lambda session_present: print("connected")
        client.connect()
        while True:
            client.publish("shed/door", "open", qos=1)
            client.wait_msg(0.1)
        """,
        mosquitto.port,
    )
    assert [device.line(name) for name in ("network", "machine")] == [": not on this board"] * 2
    for _ in range(2):
        with listener(mosquitto.port, "shed/door") as receiver:
            receiver.next()
        mosquitto.kill()
        mosquitto.start()
        device.line("connected")


class ShortOfMemory:
    """An SSLContext on a board whose heap has no 17 KB in one piece: `failures` times it raises."""

    def __init__(self, session: Session, failures: int) -> None:
        self.session, self.failures = session, failures
        self.sockets: list[int] = []  # how many were open at each attempt

    def wrap_socket(self, sock, server_hostname, do_handshake_on_connect):
        self.sockets.append(len(self.session.network.open_sockets()))
        if len(self.sockets) <= self.failures:
            raise (MemoryError() if len(self.sockets) % 2 else OSError(12))
        return sock


def test_point_11_tls_without_memory_is_tried_again(
    program: Program, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS wants much memory in one piece, late in the program's life, while the old socket still holds its own: ENOMEM
    until the reset. Here the old socket is closed and garbage collected before a new one is opened, buffers are
    allocated once, and want of memory is a lost connection like any other."""
    pair = certificates.server
    with Broker(tls=Tls(pair.pem, pair.key_pem, certificates.ca.pem)) as mosquitto:
        device = program(
            """
            client = MQTTClient("shed", "127.0.0.1", PORT, ssl=True, ssl_params={"cafile": sys.argv[2]})
            client.connect()
            for _ in range(2):
                for _ in range(5):
                    client.reconnect()
                client.publish("t", "x", qos=1)
                gc.collect()
                print("free", gc.mem_free())
            """,
            mosquitto.port,
            certificates.ca.der,
            heap="128k",
        )
        first, second = (int(device.line("free")) for _ in range(2))
        assert abs(first - second) < 512, "five connections more leave nothing behind"

    collected = []
    monkeypatch.setattr(gc, "collect", lambda: collected.append(True))
    session = Session(backoff=(0.1, 1))
    context = ShortOfMemory(session, failures=4)
    client = session.module.MQTTClient("shed", "broker", ssl=context, backoff=(0.1, 1))
    client.connect(wait=False)
    while not client.isconnected() and session.clock.now < 60_000:
        client.wait_msg(0.1)
    assert client.isconnected()
    assert context.sockets == [1] * 5 and len(collected) == 5


def test_point_12_tls_verifies_unless_told_otherwise(
    program: Program, scripted_broker: ScriptedBroker, certificates: Certificates
) -> None:
    """`ssl=True` verifies nothing and sends no server name: insecure in silence, and refused by cloud brokers with an
    IndexError. Here it wants an authority, says so, sends the name, and names TLS when a certificate is not trusted."""
    pair = certificates.server
    with Broker(tls=Tls(pair.pem, pair.key_pem, certificates.ca.pem)) as mosquitto:
        device = program(
            """
            def attempt(name, port, **settings):
                try:
                    MQTTClient("shed", "localhost", port, ssl=True, timeout=3, **settings).connect()
                    print(name, "connected")
                except (OSError, ValueError) as error:
                    print(name, type(error).__name__, error)

            attempt("nothing", PORT)
            attempt("stranger", PORT, ssl_params={"cafile": sys.argv[3]})
            attempt("right", PORT, ssl_params={"cafile": sys.argv[4]})
            attempt("insecure", PORT, insecure=True)
            attempt("name", int(sys.argv[2]), ssl_params={"cafile": sys.argv[4]})
            """,
            mosquitto.port,
            scripted_broker.port,
            certificates.self_signed.der,
            certificates.ca.der,
        )
        nothing = device.line("nothing")
        assert nothing.startswith("ValueError") and "cadata or cafile, or insecure=True" in nothing
        assert "TLS" in device.line("stranger OSError")
        device.line("right connected")
        device.line("insecure connected")
    hello = scripted_broker.accept()
    head = hello.read(5)
    assert b"localhost" in hello.read(int.from_bytes(head[3:], "big")), "the server's name is in the ClientHello"


def test_point_25_a_wiznet_chip_fails_and_comes_back(tmp_path: Path) -> None:
    """After "wiznet5k_send_ethernet: fatal error -5" the interface stays down until the board is reset; a cable that
    is out is not noticed, and sockets stall. Here a supervisor starts the interface again with its address, sees the
    cable within a second, and leaves the interface alone meanwhile."""
    script = Path(__file__).parent / "device" / "evening.py"
    shown = run(toolchain.micropython(), tmp_path, "W5100S_EVB_PICO", str(script))
    assert shown.returncode == 0, shown.stdout + shown.stderr
    lines = dict(line.split(" ", 1) for line in shown.stdout.splitlines())
    state, up, address, activations = lines["boot"].split()
    assert (state, address, activations) == ("up", "192.168.1.20", "1")
    state, up, address, activations = lines["driver"].split()
    assert (state, address, activations) == ("up", "192.168.1.20", "2") and int(up) <= 5000
    assert lines["cable"].startswith("down -1"), "seen within a second, and as long as it is out"
    state, up, address, activations = lines["back"].split()
    assert (state, address, activations) == ("up", "192.168.1.20", "2") and int(up) <= 1000
    assert lines["chip"].split()[0] == "up", "although starting it fails twice"
