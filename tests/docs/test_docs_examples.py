"""Every example does what its docstring says, against mosquitto, under every MicroPython."""

import ast
import difflib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from docs_programs import adapted

from support.certificates import Certificates
from support.device import Device
from support.mosquitto import listener
from tools import device as firmware
from tools.broker import Broker, Tls
from tools.toolchain import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
TWINS = [path for path in EXAMPLES if path.with_name(f"{path.stem}_async.py").exists()]
ALONE = {"online.py", "scram.py", "tasks_async.py"}  # scram.py: test_docs_scram.py

Example = Callable[..., Device]


def at(broker: Broker) -> tuple[str, int]:
    return "127.0.0.1", broker.port


def test_publish(example: Example, broker: Broker) -> None:
    with listener(broker.port, "examples/publish/#") as receiver:
        example("publish", BROKER=at(broker), INTERVAL=0.02).finish()
        state, *readings = receiver.payloads(6)
        assert state == b"online"
        assert [json.loads(reading)["number"] for reading in readings] == [0, 1, 2, 3, 4]
    with listener(broker.port, "examples/publish/#") as latecomer:
        assert latecomer.next().payload == b"online", "the state is retained"


def test_subscribe(example: Example, broker: Broker) -> None:
    device = example("subscribe", BROKER=at(broker))
    device.line("subscribed at QoS 1")
    with listener(broker.port) as sender:
        sender.publish("examples/subscribe/greeting", "hello", qos=1)
        sender.publish("examples/subscribe/end", "stop")
        device.line("examples/subscribe/greeting hello QoS 1 retained 0")
        device.line("examples/subscribe/end stop QoS 0 retained 0")
        device.finish()


def test_filters(example: Example, broker: Broker) -> None:
    device = example("filters", BROKER=at(broker))
    device.line("subscribed")
    with listener(broker.port) as sender:
        for topic, text in {
            "kitchen/temperature": "21.5",
            "door": "open",
            "garage/gate/lock": "shut",
            "stop": "",
        }.items():
            sender.publish(f"examples/filters/{topic}", text, qos=1)
    assert device.finish()[1:] == [
        "kitchen has 21.5 degrees",
        "door: examples/filters/door open",
        "door: examples/filters/garage/gate/lock shut",
        "no callback of its own: examples/filters/stop",
    ]


def test_command(example: Example, broker: Broker) -> None:
    with listener(broker.port, "examples/command/#") as other:
        device = example("command", BROKER=at(broker))
        device.line("lamp off")
        other.publish("examples/command/lamp", "on", qos=1)
        device.line("lamp on")
        other.publish("examples/command/lamp", "stop", qos=1)
        device.finish()
        texts: dict[str, list[bytes]] = {}
        while texts.get("examples/command/state") != [b"online", b"offline"]:
            message = other.next()
            texts.setdefault(message.topic, []).append(message.payload)
        assert texts["examples/command/lamp/state"] == [b"off", b"on"]


def test_command_with_pins(example: Example, broker: Broker, tmp_path: Path) -> None:
    """A computer has no pins: these are stand-ins, of a lamp that prints and a button that is pressed once."""
    (tmp_path / "machine.py").write_text(
        "class Pin:\n"
        "    IN, OUT, PULL_UP = 0, 1, 2\n"
        "    def __init__(self, number, *mode):\n"
        "        self.number, self.values = number, [1, 1, 0, 0, 0, 1]\n"
        "    def value(self, value=None):\n"
        "        if value is None:\n"
        "            return self.values.pop(0) if len(self.values) > 1 else 1\n"
        "        print('pin', self.number, int(value))\n"
    )
    with listener(broker.port, "examples/command/button") as other:
        device = example("command", BROKER=at(broker), LAMP_PIN=25, BUTTON_PIN=14, PAUSE=0.01)
        device.line("pin 25 0")
        assert other.next().payload == b"pressed"
        other.publish("examples/command/lamp", "on", qos=1)
        device.line("pin 25 1")
        other.expect_nothing(0.1)
        other.publish("examples/command/lamp", "stop", qos=1)
        device.finish()


def test_offline(example: Example) -> None:
    """The broker is not there at first, then goes away for a while; every reading arrives, in order."""
    with Broker(durable=True) as broker:
        with listener(broker.port, "examples/offline", client_id="keeper", clean=False):
            broker.stop()
        device = example("offline", BROKER=at(broker), INTERVAL=0.05, READINGS=40)
        device.line("reading 3 taken; 4 on their way")
        broker.start()
        device.line("connected; the broker does not know this board")
        broker.stop()
        device.line("lost: ")
        broker.start()
        device.line("connected; the broker remembers this board")
        device.line("all delivered")
        device.finish()
        with listener(broker.port, client_id="keeper", clean=False) as receiver:
            seen: list[bytes] = []
            while b"39" not in seen:
                seen.append(receiver.next().payload)
        assert list(dict.fromkeys(seen)) == [b"%d" % number for number in range(40)]


def test_deep_sleep(example: Example, broker: Broker, tmp_path: Path) -> None:
    """Woken twice without a broker, then twice with one."""
    settings = {"BROKER": at(broker), "FOLDER": str(tmp_path / "outbox")}
    broker.stop()
    for waiting in (2, 4):
        [said] = example("deep_sleep", **settings).finish()
        assert said.startswith(f"{waiting} wait for the next time: [Errno 111]")
    broker.start()
    with listener(broker.port, "examples/deep_sleep/#") as receiver:
        assert example("deep_sleep", **settings).finish() == ["delivered"]
        assert receiver.payloads(6) == [b"21.5", b"3.71"] * 3
        assert example("deep_sleep", **settings).finish() == ["delivered"]
        assert receiver.payloads(2) == [b"21.5", b"3.71"]
        receiver.expect_nothing()


def test_large_payload(example: Example, broker: Broker, tmp_path: Path) -> None:
    files = {name: str(tmp_path / name.lower()) for name in ("SENT", "RECEIVED")}
    with listener(broker.port, "examples/large_payload/out") as other:
        for payload in (os.urandom(50_000), b"one that fits into max_packet"):
            device = example("large_payload", BROKER=at(broker), SIZE=30_000, **files)
            device.line("sent")
            assert other.next().payload == (tmp_path / "sent").read_bytes()
            other.publish("examples/large_payload/in", payload, qos=1)
            device.line("received")
            device.finish()
            assert (tmp_path / "received").read_bytes() == payload


def test_publish_tls(example: Example, certificates: Certificates) -> None:
    pair = certificates.server
    with Broker(tls=Tls(pair.pem, pair.key_pem, certificates.ca.pem)) as broker:
        device = example("publish_tls", BROKER=("localhost", broker.port), CA=str(certificates.ca.der))
        device.line("the broker has it")
        device.finish()


def test_tasks(run: Callable[..., Device], broker: Broker) -> None:
    program = adapted((ROOT / "examples" / "tasks_async.py").read_text(), BROKER=at(broker))
    with listener(broker.port, "examples/tasks/+") as other:
        device = run(program.replace("FAST, SLOW = 1, 5", "FAST, SLOW = 0.01, 0.03"))
        messages = [other.next() for _ in range(20)]
        other.publish("examples/tasks/stop", "")
        device.line("ends: examples/tasks/stop")
        device.finish()
    numbers = {topic: [int(m.payload) for m in messages if m.topic.endswith(topic)] for topic in ("wind", "rain")}
    assert all(len(seen) > 2 and seen == sorted(seen) for seen in numbers.values()), numbers


def test_online(run: Callable[..., Device], tmp_path: Path) -> None:
    """On the computer as a board: with what lies on the flash after the README's commands."""
    firmware.lay_out(tmp_path, {"mqtt": {"server": "broker.example"}})
    here = f"import os; os.chdir({str(tmp_path)!r})\n"  # where a board always is
    device = run(here + (ROOT / "examples" / "online.py").read_text())
    device.line("online {")
    device.finish()


def test_every_example_is_here() -> None:
    """Nothing in the folder that no test runs."""
    tests = ast.parse(Path(__file__).read_text())
    named = {call.args[0].value for call in ast.walk(tests) if _starts_example(call)}
    assert {path.stem for path in TWINS} == named
    assert {path.name for path in EXAMPLES} == {
        name for stem in named for name in (f"{stem}.py", f"{stem}_async.py")
    } | ALONE


def _starts_example(call: ast.AST) -> bool:
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "example"


@pytest.mark.parametrize("path", TWINS, ids=lambda path: path.stem)
def test_twins_differ_by_awaiting_only(path: Path) -> None:
    twin = path.with_name(f"{path.stem}_async.py").read_text().replace(f"{path.stem}_async.py", path.name)
    for awaited, plain in (
        ("import asyncio\n", ""),
        ("AsyncMQTTClient", "MQTTClient"),
        ("asyncio.run(main())", "main()"),
        ("await asyncio.sleep(", "client.wait_msg("),
        ("await ", ""),
        ("async ", ""),
    ):
        twin = twin.replace(awaited, plain)
    lines = [[line.strip() for line in text.splitlines() if line.strip()] for text in (path.read_text(), twin)]
    changed = [line for line in difflib.ndiff(*lines) if line[0] in "+-"]
    allowed = 9 if path.stem == "subscribe" else 0  # there the twin shows `async with` and `async for`
    assert len(changed) <= allowed, "\n".join(changed)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_docstring_says_how_to_run_it(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert "run examples/online.py run examples/" in text
    assert all((ROOT / name).exists() for name in re.findall(r"examples/\w+\.py", text))
    if path.name != "online.py":
        assert f"MICROPYPATH=lib:.frozen micropython examples/{path.name}" in text
        assert f"run examples/{path.name}" in text
