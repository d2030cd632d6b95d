"""Every example of docs/mqtt5.md prints what the page says it prints; its tables are true."""

import ast
import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from docs_programs import table
from test_docs_pages import signatures

from support import reference5 as five
from support.device import Device
from support.mosquitto5 import Ear, described, listener5
from support.scripted import Peer, ScriptedBroker
from tools.broker import Broker
from tools.toolchain import ROOT

PAGE = ROOT / "docs" / "mqtt5.md"
BROKER = '"192.168.1.10"'  # as the page has it
SETTINGS = {  # of mosquitto
    "Server keep alive": ["max_keepalive 30"],
    "Flow control": ["max_inflight_messages 3"],
    "Maximum packet size": ["max_packet_size 300"],
    "What the server has": ["max_qos 1", "retain_available false"],
}


def examples() -> dict[str, list[str]]:
    """The programs of the page by their heading."""
    found: dict[str, list[str]] = {}
    for section in re.split(r"^#+ (?=\w.*\n\n)", PAGE.read_text(encoding="utf-8"), flags=re.M)[1:]:
        heading, _, text = section.partition("\n")
        if programs := re.findall(r"^```python\n(.*?)^```$", text, flags=re.M | re.S):
            found[heading] = programs
    return found


EXAMPLES = examples()


def printed(program: str) -> list[str]:
    return re.findall(r"^ *#> (.*)$", program, flags=re.M)


def moved(program: str, port: int) -> str:
    assert BROKER in program
    return program.replace(BROKER, f'("127.0.0.1", {port})')


# --- What the brokers do that mosquitto cannot be ----------------------------------------


def shuts_down(broker: ScriptedBroker) -> None:
    broker.online(five.connack()).send(five.disconnect(0x8B, reason_string="maintenance, back at noon"))


def refers(broker: ScriptedBroker) -> None:
    other = ScriptedBroker()
    try:
        broker.online(five.connack(0x9C, server_reference=f"127.0.0.1:{other.port}"))
        peer = other.online(five.connack())
        publish = five.decode(peer.packet())
        assert (publish["topic"], publish["payload"]) == ("shed/temperature", b"21.5")
        peer.send(five.ack(five.PUBACK, publish["packet_id"]))
        assert five.decode(peer.packet())["packet"] == "DISCONNECT"
    finally:
        other.close()


def knows_3_1_1_only(broker: ScriptedBroker) -> None:
    peer = broker.accept()
    assert peer.accept_connect(b"\x20\x02\x00\x01")[8] == 5, "protocol level"
    peer.close()
    peer = broker.accept()
    assert peer.accept_connect(b"\x20\x02\x00\x00")[8] == 4
    peer.expect(b"\x30\x16\x00\x10shed/temperature21.5", b"\xe0\x00")


METHOD = {"authentication_method": "SHARED-SHA-256"}


def asks(peer: Peer, said: dict[str, Any]) -> bytes:
    """One exchange of AUTH, begun by what was said in CONNECT or AUTH. Returns the server's proof."""
    assert said["properties"]["authentication_method"] == METHOD["authentication_method"]
    nonce = b"nonce of the server"
    peer.send(five.auth(0x18, authentication_data=nonce, **METHOD))
    answer = five.decode(peer.packet())["properties"]
    assert answer["authentication_data"] == hashlib.sha256(nonce + b"secret").digest()
    return hashlib.sha256(said["properties"]["authentication_data"] + b"secret").digest()


def proves_itself(broker: ScriptedBroker) -> None:
    peer = broker.accept()
    proof = asks(peer, five.decode(peer.packet()))
    peer.send(five.connack(authentication_data=proof, **METHOD))
    proof = asks(peer, five.decode(peer.packet()))
    peer.send(five.auth(0, authentication_data=proof, **METHOD))
    assert five.decode(peer.packet())["packet"] == "DISCONNECT"


SCRIPTS = {
    "Server DISCONNECT": shuts_down,
    "Server reference": refers,
    "A broker without MQTT 5": knows_3_1_1_only,
    "Enhanced authentication": proves_itself,
}


@contextmanager
def acting(script: Callable[[ScriptedBroker], None]) -> Iterator[int]:
    """A scripted broker at work; what goes wrong with it is raised at the end. Yields its port."""
    broker, wrong = ScriptedBroker(), []

    def act() -> None:
        try:
            script(broker)
        except Exception as error:
            wrong.append(error)

    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield broker.port
    finally:
        thread.join(20)
        broker.close()
    assert not wrong, wrong[0]


@contextmanager
def broker_for(heading: str, folder: Path) -> Iterator[int]:
    """The broker of whom a section speaks. Yields its port."""
    if heading in SCRIPTS:
        with acting(SCRIPTS[heading]) as port:
            yield port
        return
    settings = list(SETTINGS.get(heading, ()))
    if heading == "Reason codes and reason strings":
        (folder / "acl").write_text("topic readwrite shed/#\n")
        settings.append(f"acl_file {folder / 'acl'}")
    with Broker(extra=settings) as broker:
        yield broker.port


@pytest.mark.parametrize("heading", EXAMPLES)
def test_example(run: Callable[..., Device], heading: str, tmp_path: Path) -> None:
    for program in EXAMPLES[heading]:
        with broker_for(heading, tmp_path) as port:
            assert run(moved(program, port)).finish() == printed(program)


def test_a_server_that_does_not_know_the_secret(run: Callable[..., Device]) -> None:
    def pretends(broker: ScriptedBroker) -> None:
        broker.online(five.connack(authentication_data=b"?", **METHOD)).expect_end()

    [program] = EXAMPLES["Enhanced authentication"]
    with acting(pretends) as port:
        device = run(moved(program, port))
        device.line("MQTTException: (135, 'the server: the server does not know the secret')")
        device.finish(1)


def test_refused_when_it_authenticates_once_more(run: Callable[..., Device]) -> None:
    def refuses(broker: ScriptedBroker) -> None:
        peer = broker.accept()
        proof = asks(peer, five.decode(peer.packet()))
        peer.send(five.connack(authentication_data=proof, **METHOD))
        assert five.decode(peer.packet())["packet"] == "AUTH"
        peer.send(five.disconnect(0x87, reason_string="not any more"))

    [program] = EXAMPLES["Enhanced authentication"]
    with acting(refuses) as port:
        device = run(moved(program, port))
        device.line("MQTTException: (135, 'not any more')")
        device.finish(1)


def test_every_broker_is_used() -> None:
    assert {*SETTINGS, *SCRIPTS} <= EXAMPLES.keys()


def test_last_will(run: Callable[..., Device]) -> None:
    """The example prints nothing: it is what others see."""
    [program] = EXAMPLES["Will delay and will properties"]
    with Broker() as broker, listener5(broker.port, "shed/state") as other:
        run(moved(program, broker.port)).finish()
        message = other.next()
        assert message.payload == b"offline" and not message.retain
        assert described(message) == {"MessageExpiryInterval": 86400, "ContentType": "text/plain"}


def test_bytes_of_a_topic_alias(run: Callable[..., Device]) -> None:
    [program] = EXAMPLES["Topic alias"]
    sizes = []
    for version, most in ((4, 10), (5, 0), (5, 10)):
        with Broker(extra=[f"max_topic_alias {most}"]) as broker, Ear(broker.port, version) as ear:
            adapted = moved(program, ear.port).replace("version=5", f"version={version}")
            run(re.sub(r"^print.*\n", "", adapted, flags=re.M)).finish()
            assert ear.ends()
            sizes.append([packet["size"] for packet in ear.packets(True, "PUBLISH")])
    rows = [int(row[1]) for row in table(PAGE, "a message with a topic of 35 bytes and a payload of 4, at QoS 0")]
    assert sizes == [rows[:1] * 4, rows[1:2] * 4, rows[2:3] + rows[3:] * 3]


HEAP = """\
import gc
from fieldmqtt import MQTTClient

client = MQTTClient("shed", "192.168.1.10", version={version})
client.set_callback(lambda topic, payload: None)
client.connect()
client.subscribe(b"in")

def receive(**properties):
    client.publish(b"in", b"21.5", **properties)
    before = gc.mem_alloc()
    client.wait_msg(5)
    return gc.mem_alloc() - before

def publish(qos, **properties):
    before = gc.mem_alloc()
    client.publish(b"out", b"21.5", qos=qos, **properties)
    return gc.mem_alloc() - before

def measure(f, *arguments, **properties):
    for _ in range(3):
        gc.collect()
        gc.disable()
        allocated = f(*arguments, **properties)
        gc.enable()
    print(allocated)

for properties in {properties}:
    measure(publish, 0, **properties)
    measure(publish, 1, **properties)
    measure(receive, **properties)
client.disconnect()
"""


def test_heap_of_each_call(run: Callable[..., Device], micropython: Path) -> None:
    if "1.26.1" not in str(micropython):
        pytest.skip("the table is of 1.26.1")
    measured = []
    for version, properties in ((4, "({},)"), (5, '({}, {"message_expiry": 60})')):
        with Broker() as broker:
            program = HEAP.replace("{version}", str(version)).replace("{properties}", properties)
            measured += [int(line) for line in run(moved(program, broker.port)).finish()]
    rows = table(PAGE, "what", "MQTT 3.1.1", "MQTT 5")
    said = [int(row[column].replace(",", "")) for column in (1, 2, 3) for row in rows]
    assert all(abs(a - b) <= max(64, b // 5) for a, b in zip(measured, said)), f"measured {measured}, said {said}"


def test_api_has_every_name_of_version_5_as_it_is() -> None:
    headings = re.findall(r"^#### (`.*)$", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), flags=re.M)
    named = {re.findall(r"`([^`]+)`", heading)[0] for heading in headings}
    awaited = {heading[1:].partition("(")[0] for heading in headings if heading.endswith("*awaited*")}
    both = {text for text, _ in signatures("calls5", "Calls5")} - {
        text for text, _ in signatures("connection", "Connection")
    }
    expected = {text.replace("Calls5(", "MQTTClient5(") for text in both if not text.endswith("()")}
    assert named == expected | {text for text, _ in signatures("client5", "MQTTClient5")}
    coroutines = signatures("aio5", "AsyncMQTTClient5")
    assert awaited == {text.partition("(")[0] for text, is_coroutine in coroutines if is_coroutine}


def test_reason_codes_are_those_of_the_code() -> None:
    tree = ast.parse((ROOT / "lib" / "fieldmqtt" / "reasons5.py").read_text(encoding="utf-8"))
    tables = {ast.unparse(node.targets[0]): node.value for node in tree.body if isinstance(node, ast.Assign)}
    names = ast.literal_eval(tables["_NAMES"])
    names.update(enumerate(ast.literal_eval(tables["_FAILURES"]), 0x80))
    assert {int(code, 16): name for code, name in table(PAGE, "code", "name")} == names
