"""MQTT 5 against mosquitto: what messages carry, requests, subscriptions. paho is the other client."""

import ast
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.device import Device
from support.mosquitto5 import Ear, described, listener5, publish_properties
from tools import toolchain
from tools.broker import Broker

CARRIED = {
    "PayloadFormatIndicator": 1,
    "ContentType": "text/plain; charset=utf-8",
    "MessageExpiryInterval": 600,
    "ResponseTopic": "answers/1",
    "CorrelationData": b"\0\xff7",
    "UserProperty": [("unit", "°C"), ("place", "shed"), ("unit", "K"), ("", "")],
}
RECEIVED = (
    "content_type='text/plain; charset=utf-8' correlation_data=b'\\x00\\xff7' message_expiry=600 payload_format=1 "
    "response_topic='answers/1' user_properties=[('unit', '\\xb0C'), ('place', 'shed'), ('unit', 'K'), ('', '')]"
)
DYNAMIC_SECURITY = "mosquitto_dynamic_security.so"
RULES = {
    "defaultACLAccess": {"publishClientSend": False, "publishClientReceive": True},
    "anonymousGroup": "anyone",
    "clients": [],
    "groups": [{"groupname": "anyone", "roles": [{"rolename": "guest"}]}],
    "roles": [
        {
            "rolename": "guest",
            "acls": [
                {"acltype": "publishClientSend", "topic": "mine/#", "allow": True},
                {"acltype": "subscribePattern", "topic": "mine/#", "allow": True},
                {"acltype": "unsubscribePattern", "topic": "mine/b", "allow": True},
            ],
        }
    ],
}


@pytest.fixture
def ear(shared_mosquitto: Broker) -> Iterator[Ear]:
    with Ear(shared_mosquitto.port) as ear:
        yield ear


def lines(device: Device, start: str) -> list[str]:
    """What follows `start` in the lines of a device that has ended."""
    device.finish()
    return [line[len(start) :].strip() for line in device.output if line.startswith(start)]


def test_properties_both_ways(device: Callable[..., Device], shared_mosquitto: Broker) -> None:
    with listener5(shared_mosquitto.port, "carried/#") as other:
        client = device("five", "carry", shared_mosquitto.port)
        came = {message.topic: message for message in (other.next() for _ in range(4))}
        assert described(came.pop("carried/plain")) == {}
        for qos in (0, 1, 2):
            message = came[f"carried/{qos}"]
            assert (message.payload.decode(), message.qos, described(message)) == ("21.5 °C", qos, CARRIED)
        client.line("ready")
        other.publish("carried/text", "höher", qos=1, properties=publish_properties(PayloadFormatIndicator=1))
        bytes_again = publish_properties(ContentType="x", UserProperty=[("b", "2"), ("a", "1"), ("b", "1")])
        other.publish("carried/bytes", b"\xff", qos=2, properties=bytes_again)
        assert lines(client, "message") == [
            *(f"b'carried/{qos}' {'21.5 °C'!a} 0 {qos} {RECEIVED}" for qos in (0, 1, 2)),
            f"b'carried/plain' {'21.5 °C'.encode()!r} 0 0",
            f"b'carried/text' {'höher'!a} 0 1 payload_format=1",
            "b'carried/bytes' b'\\xff' 0 2 content_type='x' user_properties=[('b', '2'), ('a', '1'), ('b', '1')]",
        ]


def test_user_properties_wherever_there_may_be_some(device: Callable[..., Device], ear: Ear) -> None:
    device("five", "user_properties", ear.port).finish()
    names = ("CONNECT", "SUBSCRIBE", "PUBLISH", "UNSUBSCRIBE", "DISCONNECT")
    ear.ends()
    packets = ear.packets(True, *names)
    found = [(packet["packet"], packet["properties"]["user_properties"]) for packet in packets]
    found.insert(1, ("will", packets[0]["will"][4]["user_properties"]))
    assert found == [(name, [("packet", name), ("n", "1"), ("n", "2")]) for name in ("CONNECT", "will", *names[1:])]


def test_requests(device: Callable[..., Device], shared_mosquitto: Broker) -> None:
    answerer = device("five", "answer", shared_mosquitto.port)
    answerer.line("ready")
    asker = device("five", "ask", shared_mosquitto.port)
    asker.finish()
    assert asker.output == [
        *(f"answer b'answer to {i}' text/plain" for i in range(3)),
        f"answer {'höher'!a}",
        "nobody 110",
        "end",
    ]
    answerer.finish()


def test_two_boards_share_a_load(device: Callable[..., Device], shared_mosquitto: Broker) -> None:
    crew = [device("five", "share", shared_mosquitto.port, name=f"board-{i}") for i in (1, 2)]
    for board in crew:
        board.line("ready")
    with listener5(shared_mosquitto.port) as sender:
        for i in range(100):
            sender.publish(f"jobs/{i % 7}", str(i), qos=1)
        sender.publish("orders/all", "stop", qos=1)
    done = [ast.literal_eval(board.line("jobs")) for board in crew]
    assert sorted(done[0] + done[1]) == list(range(100)), "each job once"
    assert all(40 <= len(jobs) <= 60 for jobs in done), done
    for board in crew:
        assert board.line("orders") == "[b'stop']"
        board.finish()


def test_subscription_identifiers(device: Callable[..., Device], ear: Ear) -> None:
    """mosquitto sends a copy for each filter that matches: by its identifier it gets to its callback alone, and to
    that of set_callback() when its filter has none."""
    client = device("five", "identify", ear.port)
    calls = [("all", b"1"), ("all", b"2"), ("level", b"1"), ("level", b"2"), ("mixed", b"4"), ("one", b"1")]
    assert lines(client, "calls") == [repr(calls)]
    asked = [packet["properties"]["subscription_identifier"] for packet in ear.packets(True, "SUBSCRIBE")]
    assert len(set(asked)) == 7, "one for each filter, the last one is caught/up"
    everything, level, one, with_callback, other, without, _ = asked
    assert sorted(lines(client, "message")) == [
        f"b'mixed/x' b'4' 0 1 subscription_identifier=[{without}]",
        f"b'mixed/y' b'5' 0 1 subscription_identifier=[{without}]",
        f"b'other/x' b'3' 0 1 subscription_identifier=[{other}]",
    ]
    for name, identifier, times in (("all", everything, 2), ("level", level, 2), ("one", one, 1)):
        assert lines(client, name) == [f"[{identifier}]"] * times
    assert lines(client, "mixed") == [f"[{with_callback}]"]
    came = [packet["properties"]["subscription_identifier"] for packet in ear.packets(False, "PUBLISH")]
    assert sorted(each for [each] in came) == sorted([*asked, everything, level, without])


def test_subscription_options(device: Callable[..., Device], shared_mosquitto: Broker) -> None:
    client = device("five", "options", shared_mosquitto.port)
    client.finish()
    assert client.output == [
        "message b'flag' b'as published: False' 0 1",
        "message b'flag' b'as published: True' 1 1",
        "retain handling 0 first",
        "message b'kept/1' b'kept' 1 1",
        "retain handling 0 again",
        "message b'kept/1' b'kept' 1 1",
        "retain handling 1 first",
        "message b'kept/1' b'kept' 1 1",
        "retain handling 1 again",
        "retain handling 2 first",
        "retain handling 2 again",
        "end",
    ]


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Broker]:
    """A broker with a plugin of mosquitto's own that refuses everything but what begins with mine/."""
    plugins = [
        *(toolchain.TOOLCHAIN / "mosquitto").rglob(DYNAMIC_SECURITY),
        *Path("/usr/lib").glob(f"*/{DYNAMIC_SECURITY}"),
    ]
    if not plugins:
        pytest.skip("this mosquitto has no dynamic security plugin")
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps(RULES))
    with Broker(extra=[f"plugin {plugins[0]}", f"plugin_opt_config_file {rules}"]) as broker:
        yield broker


def test_reason_codes(device: Callable[..., Device], guarded: Broker) -> None:
    client = device("five", "permissions", guarded.port)
    client.finish()
    assert client.output == [
        "on_refused 1 0x87",
        "refused 0x87 not authorised",
        "on_refused 2 0x87",
        "refused 0x87 not authorised",
        "result 3",
        "on_refused 3 0x87",
        "result 4",
        "acknowledged (4, 16, None)",
        "refused 0x87 not authorised",
        "result [1, 1]",
        "refused 0x87 not authorised",
        "pending 0 True",
        "end",
    ]


def test_our_receive_maximum(device: Callable[..., Device], shared_mosquitto: Broker, ear: Ear) -> None:
    """1 is what mosquitto 2.0.11 heeds: of more it sends as many as it likes."""
    client = device("five_sessions", "backlog", ear.port, maximum=1, count=40)
    client.line("away")
    with listener5(shared_mosquitto.port) as sender:
        for i in range(40):
            sender.publish("backlog", str(i), qos=1 + i % 2)
    client.tell("")
    assert lines(client, "message") == [f"b'backlog' b'{i}' 0 {1 + i % 2}" for i in range(40)]
    assert ear.most_in_flight(False) == 1
    assert [packet["code"] for packet in ear.ends(2)] == [0, 0]


@pytest.mark.parametrize("maximum", [1, 3])
def test_the_servers_receive_maximum(device: Callable[..., Device], maximum: int) -> None:
    with (
        Broker(extra=[f"max_inflight_messages {maximum}"]) as broker,
        Ear(broker.port) as ear,
        listener5(broker.port, "many") as receiver,
    ):
        client = device("five_sessions", "pour", ear.port, count=40)
        assert sorted(map(int, receiver.payloads(40))) == list(range(40))
        client.line(f"receive_maximum {maximum}")
        client.line("pending 0")
        client.finish()
        assert ear.most_in_flight(True) == maximum


def test_topic_alias_saves_bytes(device: Callable[..., Device]) -> None:
    """Two topics of 36 bytes, 60 messages: each topic goes over the wire once."""
    bytes_sent = {}
    for most in (10, 1, 0):
        with (
            Broker(extra=[f"max_topic_alias {most}"]) as broker,
            Ear(broker.port) as ear,
            listener5(broker.port, "building/#") as receiver,
        ):
            device("five_sessions", "repeat", ear.port, count=60).finish()
            topics = Counter(receiver.next().topic for _ in range(60))
            assert topics == {f"building/7/floor/3/room/31/sensor/{i}": 30 for i in (0, 1)}
            sent = ear.packets(True, "PUBLISH")
            bytes_sent[most] = sum(packet["size"] for packet in sent)
            aliases = {packet["properties"].get("topic_alias", 0) for packet in sent}
            assert aliases == {0: {0}, 1: {0, 1}, 10: {1, 2}}[most]
    # 35 bytes of topic less, 3 of the alias more, but the first time.
    assert bytes_sent[0] - bytes_sent[10] == 58 * 35 - 60 * 3
    assert bytes_sent[0] - bytes_sent[1] == 29 * 35 - 30 * 3
