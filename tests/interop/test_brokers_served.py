"""The brokers that a run starts: on loopback, the same ports after a restart, and nothing left behind."""

import os
import queue
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from typer.testing import CliRunner

from interop import cluster
from interop.cases import BY_NAME
from interop.differences import AEDES, AMQTT, FIVE, RABBITMQ, mosquitto
from interop.serve_aedes import Aedes
from interop.serve_mosquitto import AwsStandIn, Mosquitto
from interop.serve_rabbitmq import Mapper, Node, settings
from interop.served import MTLS, TCP, WSS, Endpoint
from support.certificates import Certificates
from support.mosquitto import listener
from tools import tables, toolchain
from tools.broker import BrokerError
from tools.packages import Unavailable
from tools.paho_client import leave

_END_S = 20

# Starts a program that has a child, says their numbers, and goes on for long.
_STARTER = """
import sys, time
sys.path[:0] = {paths!r}
from pathlib import Path
from interop.serving import Program
program = Program(["sh", "-c", "sleep 600 & echo $!; wait"], Path({folder!r}))
log = Path({folder!r}, "log")
while not log.read_text().endswith("\\n"):
    time.sleep(0.01)
print(program.process.pid, log.read_text(), flush=True)
time.sleep(600)
"""


def _until(there: Callable[[], bool]) -> None:
    end = time.monotonic() + _END_S
    while not there():
        assert time.monotonic() < end
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks into /proc")
def test_a_broker_does_not_outlive_a_run_that_is_killed(tmp_path: Path):
    code = _STARTER.format(paths=[str(toolchain.ROOT), str(toolchain.ROOT / "tests")], folder=str(tmp_path))
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert run.stdout
    with run.stdout as said:
        started = [int(number) for number in said.readline().split()]
        assert len(started) == 2 and all(map(_runs, started))
        run.send_signal(signal.SIGKILL)
        run.wait()
    _until(lambda: not any(map(_runs, started)))


@pytest.fixture
def program() -> Path:
    found = toolchain.mosquitto()
    if not found:
        pytest.fail("There is no mosquitto. Run: make setup")
    return found


def test_a_restart_keeps_ports_and_messages_and_leaving_keeps_nothing(program: Path):
    with Mosquitto(program) as broker:
        assert broker.version[0].isdigit()
        before = dict(broker.endpoints)
        with listener(before[TCP].port, login=broker.login) as sender:
            sender.client.publish("kept", b"21.5", qos=1, retain=True).wait_for_publish(5)
        broker.restart()
        with listener(before[TCP].port, "kept", login=broker.login) as hears:
            assert hears.next().payload == b"21.5"
        assert broker.endpoints == before
    assert not broker.folder.exists()
    for end in before.values():
        with socket.socket() as probe:
            assert probe.connect_ex((end.host, end.port)) != 0


def _client(broker: AwsStandIn, messages: "queue.Queue[str]") -> mqtt.Client:
    """A connected client with the certificate, which hears everything."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    made = broker.certificates
    assert made
    client.tls_set(str(made.ca), str(made.client_cert), str(made.client_key))
    told: queue.Queue[Any] = queue.Queue()
    client.on_connect = lambda _client, _data, _flags, _code, properties: told.put(properties)
    client.on_subscribe = lambda *_: told.put(None)
    client.on_message = lambda _client, _data, message: messages.put(message.topic)
    client.connect("localhost", broker.endpoints[MTLS].port, keepalive=1201)
    client.loop_start()
    limits = told.get(timeout=_END_S)
    assert (limits.ServerKeepAlive, limits.MaximumQoS) == (1200, 1)
    client.subscribe("#", 1)
    told.get(timeout=_END_S)
    return client


def test_the_stand_in_for_aws_keeps_its_limits(program: Path):
    with AwsStandIn(program) as broker:
        assert "stand-in" in broker.name and list(broker.endpoints) == [MTLS]
        messages: queue.Queue[str] = queue.Queue()
        client = _client(broker, messages)
        for topic in ("1/2/3/4/5/6/7/8/9", "1/2/3/4/5/6/7/8"):
            client.publish(topic, b"21.5", qos=1).wait_for_publish(_END_S)
        assert messages.get(timeout=_END_S) == "1/2/3/4/5/6/7/8"
        leave(client)


def test_the_stand_in_for_aws_lets_nobody_in_without_a_certificate(program: Path):
    with AwsStandIn(program) as broker:
        assert broker.certificates
        context = ssl.create_default_context(cafile=str(broker.certificates.ca))
        plain = socket.create_connection(("localhost", broker.endpoints[MTLS].port), _END_S)
        with pytest.raises(OSError), context.wrap_socket(plain, server_hostname="localhost") as stranger:
            stranger.sendall(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a")
            if not stranger.recv(4):
                raise ConnectionResetError("closed")


def test_the_login_of_aedes_is_in_no_command_line(tmp_path: Path, certificates: Certificates):
    broker = Aedes(Path("node"), tmp_path / "packages")
    broker.folder, broker.made = tmp_path, certificates
    broker.prepare()
    password = broker.login[1]
    assert password not in " ".join(map(str, broker.command()))
    files = [path for path in tmp_path.iterdir() if path.is_file() and password in path.read_text()]
    assert files and all(path.stat().st_mode & 0o077 == 0 for path in files)


def test_differences_are_of_cases_that_there_are_and_say_why_and_where():
    assert {name for name in BY_NAME if name.startswith("v5_")} == set(FIVE)
    for each in (RABBITMQ, AEDES, AMQTT, mosquitto("2.0.11")):
        assert set(each) <= set(BY_NAME)
        assert all(one.text and one.link.startswith("https://") for one in each.values())


def test_what_mosquitto_is_known_for_depends_on_its_version():
    assert set(mosquitto("2.0.11")) == {"v5_server_disconnect", "v5_flow_control"}
    assert set(mosquitto("2.0.13")) == {"v5_server_disconnect"}
    assert not mosquitto("2.0.15") and not mosquitto("2.1.2")


def test_rabbitmq_listens_on_loopback_and_takes_nothing_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RABBITMQ_NODENAME", "theirs@example.com")
    monkeypatch.setenv("ERL_EPMD_ADDRESS", "0.0.0.0")
    lines = settings({TCP: Endpoint(TCP, 1883)}, ("device", "any"))
    assert "mqtt.listeners.tcp.1 = 127.0.0.1:1883" in lines
    node = Node(tmp_path, tmp_path / "node", Mapper(tmp_path, tmp_path), lines)
    node.prepare()
    there = node.environment()
    assert (there["RABBITMQ_NODENAME"], there["ERL_EPMD_ADDRESS"]) == ("rabbit@localhost", "127.0.0.1")
    assert "inet_dist_use_interface {127,0,0,1}" in there["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"]
    assert there["HOME"] == str(node.folder)
    with pytest.raises(ValueError, match="certificates"):
        settings({WSS: Endpoint(WSS, 443)}, ("device", "any"))


def test_the_table_of_the_cluster_has_a_row_for_each_outcome():
    outcome = cluster.Outcome("A node is killed", "quorum", 1234, 0, 5, 12.4, 1)
    head, line, row = cluster.markdown([outcome]).splitlines()
    assert head.count("|") == line.count("|") == row.count("|")
    assert row == "| A node is killed | quorum | 1,234 | 0 | 5 | 12 s | 1 |"


@pytest.mark.parametrize(
    "error",
    [Unavailable("no network here"), BrokerError("a node ended\nits log"), AssertionError("no line 'ready'\n…")],
)
def test_a_cluster_that_cannot_be_had_is_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch):
    def fail(name: str) -> Path:
        raise error

    monkeypatch.setattr(cluster, "brought", fail)
    done = CliRunner().invoke(cluster.app, [])
    assert (done.exit_code, done.output) == (1, f"cluster: {str(error).splitlines()[0]}\n")
    assert CliRunner().invoke(cluster.app, ["-h"]).exit_code == 0


def test_what_the_page_says_of_the_settings_is_what_was_measured():
    for lost, verdict in (
        (0, "Nothing is lost with these settings"),
        (1, "Even with these settings something was lost"),
    ):
        made = cluster.page(
            [cluster.Outcome("x", "classic", 9, 9, 0, 1, 0), cluster.Outcome("x", "quorum", 9, lost, 0, 1, 0)]
        )
        assert f"\n\n{verdict}: " in made
        text = tables.written("before\n<!-- cluster -->\nold\n<!-- /cluster -->\nafter\n", cluster.MARKERS, made)
        assert text == f"before\n<!-- cluster -->\n{made}\n<!-- /cluster -->\nafter\n"
    with pytest.raises(ValueError, match="no <!-- cluster -->"):
        tables.written("nothing", cluster.MARKERS, "made")
