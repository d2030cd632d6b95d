"""What users suffer from in messages: points 5, 7, 16, 17, 19, 23, 24."""

import hashlib
from collections.abc import Callable

import pytest

import packets
from support.device import Device
from support.mosquitto import listener
from support.mosquitto5 import Ear, described, listener5, publish_properties
from support.scripted import ScriptedBroker
from support.session import Session
from tools.broker import Broker

Program = Callable[..., Device]


def test_point_05_text_beyond_ascii(program: Program, mosquitto: Broker) -> None:
    """The length of a text is counted in characters, its bytes are sent: the "C" of "21 °C" becomes the beginning of
    the next packet, and the next message is lost. Here text is UTF-8 everywhere, and its bytes are counted."""
    with listener(mosquitto.port, "küche/#") as receiver:
        program(
            """
            client = MQTTClient("küche-°C", "127.0.0.1", PORT)
            client.set_last_will("küche/zustand", "tschüss", qos=1)
            client.connect()
            client.publish("küche/°C", "21 °C")
            client.publish("küche/€", "naïve café 🌡", qos=1)
            client.publish("küche/°C", "22 °C")
            client.disconnect()
            """,
            mosquitto.port,
        ).finish()
        messages = [receiver.next() for _ in range(3)]
    assert [(message.topic, message.payload.decode()) for message in messages] == [
        ("küche/°C", "21 °C"),
        ("küche/€", "naïve café 🌡"),
        ("küche/°C", "22 °C"),
    ]


def test_point_07_unexpected_acknowledgements_leave_the_stream_in_step(
    program: Program, scripted_broker: ScriptedBroker
) -> None:
    """An acknowledgement that nobody waits for is read by half, and its rest is taken for packets. Here every packet is
    read to its end before anything is made of it, and what nobody waits for is ignored."""
    device = program(
        """
        client = MQTTClient("shed", "127.0.0.1", PORT)
        client.set_callback(lambda topic, msg: print("message", topic.decode(), msg.decode()))
        client.on_disconnect = lambda reason: print("lost", reason)
        client.connect()
        client.publish("t", "1", qos=1)
        client.wait_msg(5)
        client.publish("t", "2", qos=1)
        client.disconnect()
        """,
        scripted_broker.port,
    )
    peer = scripted_broker.online()
    peer.packet()
    peer.send(packets.PUBACK, packets.PUBACK, b"\x40\x02\x30\x30", b"\x70\x02\x30\x30", b"\x90\x03\x30\x30\x00")
    peer.send(b"\xb0\x02\x30\x30", b"\x30\x07\x00\x01tfine")
    device.line("message t fine")
    assert peer.packet()[-1:] == b"2"
    peer.send(b"\x40\x02\x00\x02")
    peer.expect(packets.DISCONNECT)
    device.finish()
    assert device.output == ["message t fine"]


def test_point_16_a_huge_message_kills_nobody(program: Program, scripted_broker: ScriptedBroker) -> None:
    """Five bytes that announce 256 MB end in a MemoryError, or in a buffer that never shrinks again. Here the length is
    compared with `max_packet` first; the connection is made anew and the board goes on, its heap as it was."""
    device = program(
        """
        def heap():
            gc.collect()
            return gc.mem_free()

        client = MQTTClient("shed", "127.0.0.1", PORT, max_packet=1024, backoff=(0.1, 0.2))
        client.on_disconnect = lambda reason: print("lost", reason.reason_code, reason)
        client.set_callback(lambda topic, msg: print("message", msg.decode()))
        client.connect()
        client.wait_msg()
        before = heap()
        client.wait_msg()
        print("heap lost", before - heap())
        """,
        scripted_broker.port,
        heap="128k",
    )
    peer = scripted_broker.online()
    peer.send(b"\x30\x08\x00\x01tsmall", b"\x30\xff\xff\xff\x7f\x00\x01t")
    device.line("message small")
    assert device.line("lost").startswith("149 ")  # packet too large
    scripted_broker.online().send(b"\x30\x07\x00\x01tnext")
    device.line("message next")
    assert int(device.line("heap lost")) < 1024
    device.finish()


def test_point_17_publishing_from_a_callback(program: Program, mosquitto: Broker) -> None:
    """A callback that publishes at QoS 1 or subscribes hangs: its wait eats the answer that the one outside waits for.
    Here nothing waits inside a callback, and both are answered."""
    device = program(
        """
        def callback(topic, msg):
            print("heard", topic.decode())
            if topic == b"ask":
                client.publish("answer", msg, qos=1)
                client.subscribe("answer", 1)

        client = MQTTClient("shed", "127.0.0.1", PORT)
        client.set_callback(callback)
        client.connect()
        client.subscribe("ask", 1)
        for i in range(3):
            client.publish("ask", str(i), qos=2)
        while client.wait_msg(0.5):
            pass
        print("pending", client.pending())
        """,
        mosquitto.port,
    )
    with listener(mosquitto.port, "answer") as receiver:
        assert receiver.payloads(3) == [b"0", b"1", b"2"]
    device.line("pending 0")
    device.finish()
    assert device.output.count("heard ask") == 3 and "heard answer" in device.output


def test_point_19_more_than_the_sockets_buffer(program: Program, mosquitto: Broker) -> None:
    """A payload that the socket does not take at once raises after half a packet is on its way, and ruins the stream.
    Here the rest follows when there is room, and other messages wait their turn."""
    with listener(mosquitto.port, "picture", "after") as receiver:
        device = program(
            """
            import hashlib
            picture = bytearray(6000000)
            for i in range(0, len(picture), 1000):
                picture[i] = i // 1000 % 251
            client = MQTTClient("camera", "127.0.0.1", PORT)
            client.connect()
            client.publish("picture", picture)
            client.publish("after", "1", qos=1)
            print("sha256", hashlib.sha256(picture).digest().hex())
            """,
            mosquitto.port,
            heap="16m",
        )
        picture = receiver.next().payload
        assert hashlib.sha256(picture).hexdigest() == device.line("sha256")
        assert receiver.next().payload == b"1"
    session = Session(network={"write_limit": 6400, "stall": 60, "seed": 19}).connected()  # lwIP's buffer
    session.client.publish("picture", picture[:100_000])
    assert session.broker.received[-1].endswith(picture[:100_000])
    assert max(session.sock.writes) == 6400


def test_point_23_a_callback_for_each_topic(program: Program, mosquitto: Broker) -> None:
    """One callback gets everything, must compare topics itself, and is not told what was retained. Here each filter may
    have its own, wildcards match as the specification has it, and the message's flags are at hand."""
    device = program(
        """
        def show(name):
            def callback(topic, msg):
                message = client.message
                print(name, topic.decode(), msg.decode(), "QoS", message.qos, "retained", message.retain)
            return callback

        client = MQTTClient("shed", "127.0.0.1", PORT)
        client.set_callback(show("rest"))
        client.connect()
        client.subscribe("+/temperature", 1, callback=show("sensor"))
        client.subscribe("command/#", 2, callback=show("command"))
        client.subscribe("news")
        print("subscribed")
        for _ in range(4):
            client.wait_msg(10)
        """,
        mosquitto.port,
    )
    with listener(mosquitto.port) as sender:
        device.line("subscribed")
        sender.publish("command", "all", qos=1)
        sender.publish("command/door/1", "open", qos=2)
        sender.publish("room/temperature", "21", qos=1)
        sender.publish("news", "rain", qos=2)
    device.finish()
    assert device.output[1:] == [
        "command command all QoS 1 retained 0",
        "command command/door/1 open QoS 2 retained 0",
        "sensor room/temperature 21 QoS 1 retained 0",
        "rest news rain QoS 0 retained 0",
    ]


MQTT_5 = """
import asyncio
from fieldmqtt import AsyncMQTTClient

async def main():
    client = AsyncMQTTClient("", "127.0.0.1", PORT, version=5, keepalive=600)
    client.set_last_will("state", "gone", content_type="text/plain", user_properties=[("why", "power"), ("why", "?")])
    await client.connect()
    limits = client.server_limits
    print("named", bool(limits["assigned_client_identifier"]), "in flight", limits["receive_maximum"])
    print("keep alive in time", 0 < client.due(time.ticks_ms()) <= 30 * 1000)
    got = []
    client.set_callback(lambda topic, payload: got.append(client.message))
    await client.subscribe("room/#", 1, retain_handling=2)
    await client.subscribe("room/1", 1, retain_as_published=True)
    await client.subscribe("many", 1, no_local=True)
    pairs = [("unit", "C"), ("unit", "K")]
    await client.publish(
        "room/1", "21 °C", retain=True, qos=1, payload_format=1, message_expiry=600, user_properties=pairs
    )
    while len(got) < 2:
        await client.wait_msg(0.1)
    print("identifiers", sorted(message.properties["subscription_identifier"] for message in got))
    print("retained", sorted(message.retain for message in got))
    print("text", [message.payload == "21 °C" and message.properties["user_properties"] for message in got])
    for i in range(20):
        await client.publish("many", str(i), qos=1, wait=False)
    await client.flush()
    print("answer", (await client.request("ask", "on?", timeout=5, qos=1)).payload)
    await client.disconnect(reason_code=4)
    print("messages", len(got))

asyncio.run(main())
"""


@pytest.mark.parametrize("face", ["sync", "asyncio"])
def test_point_24_mqtt_5_with_all_its_parts(program: Program, face: str) -> None:
    """MQTT 5 is hardly to be had, and where it is, half of it is missing: wills have no properties, filters no options,
    one user property is kept of several, of several subscription identifiers the last, a number where a byte belongs
    raises TypeError, and what CONNACK says is printed and forgotten. Here all of it is there, in both clients."""
    text = MQTT_5
    if face == "sync":
        text = text.replace("asyncio.run(main())", "main()").replace("async def", "def").replace("await ", "")
        text = text.replace("AsyncMQTTClient", "MQTTClient")
    topics = ("room/1", "many", "ask", "state")
    with (
        Broker(extra=["max_keepalive 30", "max_inflight_messages 3"]) as broker,
        Ear(broker.port) as ear,
        listener5(broker.port, *topics) as other,
    ):
        device = program(text, ear.port)
        came = [other.next() for _ in range(22)]
        answer = publish_properties(CorrelationData=described(came[-1])["CorrelationData"])
        other.publish(described(came[-1])["ResponseTopic"], "yes", qos=1, properties=answer)
        will = other.next()
        device.finish()
        _, *others = ear.packets(True, "PUBLISH")
        asked = [packet["properties"]["subscription_identifier"] for packet in ear.packets(True, "SUBSCRIBE")]
        assert ear.most_in_flight(True) == 3, "as many as the broker takes, and no more"
    pairs = [("unit", "C"), ("unit", "K")]
    assert described(came[0]) == {"PayloadFormatIndicator": 1, "MessageExpiryInterval": 600, "UserProperty": pairs}
    assert described(will) == {"ContentType": "text/plain", "UserProperty": [("why", "power"), ("why", "?")]}
    assert [packet["topic"] for packet in others[:20]] == ["many"] + [""] * 19, "an alias stands for it"
    assert device.output == [
        "named True in flight 3",
        "keep alive in time True",
        f"identifiers {sorted([identifier] for identifier in asked[:2])}",
        "retained [0, 1]",
        f"text {[pairs, pairs]}",
        "answer b'yes'",
        "messages 2",
    ]
