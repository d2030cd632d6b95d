"""What users suffer from when connections end: points 2, 3, 4, 8, 14, 15, 18, 21, 22."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

import packets
from support.answering import packet_id
from support.device import Device
from support.mosquitto import listener
from support.scripted import ScriptedBroker
from tools.broker import Broker

Program = Callable[..., Device]


def test_point_02_a_link_lost_before_puback_costs_nothing(program: Program, scripted_broker: ScriptedBroker) -> None:
    """umqtt.robust hangs for ever when the link drops between a message and its PUBACK, and the message is lost. Here
    the message waits in the outbox and is sent again, with the same identifier; a subscription is asked for again."""
    device = program(
        """
        client = MQTTClient("shed", "127.0.0.1", PORT, clean_session=False, backoff=(0.1, 0.2))
        client.connect()
        client.publish("alarm", "fire", qos=1)
        print("published")
        client.subscribe("command", 1)
        print("subscribed")
        """,
        scripted_broker.port,
    )
    peer = scripted_broker.online()
    first = peer.packet()
    peer.reset()
    peer = scripted_broker.online(packets.CONNACK_SESSION_PRESENT)
    again = peer.packet()
    assert again == bytes((first[0] | 8,)) + first[1:], "the same message with DUP"
    peer.send(b"\x40\x02" + packet_id(first).to_bytes(2, "big"))
    device.line("published")
    assert peer.packet()[0] == 0x82
    peer.reset()
    peer = scripted_broker.online(packets.CONNACK_SESSION_PRESENT)
    subscribe = peer.packet()
    assert subscribe[0] == 0x82
    peer.send(b"\x90\x03" + packet_id(subscribe).to_bytes(2, "big") + b"\x01")
    device.line("subscribed")
    device.finish()


def test_point_03_clean_session_false_reconnects(program: Program, mosquitto: Broker) -> None:
    """mqtt_as takes "session present" for an error, so with `clean=False` it never comes back. Here the session is
    resumed, connect() and on_connect say so, and what came meanwhile is delivered."""
    device = program(
        """
        client = MQTTClient("shed", "127.0.0.1", PORT, clean_session=False, backoff=(0.1, 0.2))
        client.on_connect = lambda session_present: print("session", bool(session_present))
        client.connect()
        client.subscribe("command", 1, callback=lambda topic, msg: print("command", msg.decode()))
        print("reconnected", bool(client.reconnect()))
        while True:
            client.wait_msg()
        """,
        mosquitto.port,
    )
    assert [device.line("session") for _ in range(2)] == ["False", "True"]
    device.line("reconnected True")
    mosquitto.stop()
    mosquitto.start()
    with listener(mosquitto.port) as sender:
        sender.publish("command", "open", qos=1)
    assert device.line("session") == "True"
    device.line("command open")


def test_point_04_subscriptions_outlive_the_broker(program: Program, mosquitto: Broker) -> None:
    """After a reconnect the client is deaf: the broker has forgotten its subscriptions and nobody renews them, or only
    at QoS 0. Here they are asked for again, each with its QoS and its callback, when the broker has lost them."""
    device = program(
        """
        def command(topic, msg):
            print("command", msg.decode(), "QoS", client.message.qos)

        client = MQTTClient("shed", "127.0.0.1", PORT, backoff=(0.1, 0.2))
        client.set_callback(lambda topic, msg: print("news", msg.decode(), "QoS", client.message.qos))
        client.on_connect = lambda session_present: print("connected")
        client.connect()
        client.subscribe("news")
        client.subscribe("command", 2, callback=command)
        print("subscribed")
        while True:
            client.wait_msg()
        """,
        mosquitto.port,
    )
    device.line("subscribed")
    mosquitto.kill()
    mosquitto.start()
    device.line("connected")
    with listener(mosquitto.port) as sender:
        # Retained, so that it does not matter whether the board or the sender is first.
        sender.publish("news", "rain", qos=2, retain=True)
        sender.publish("command", "open", qos=2, retain=True)
    assert sorted([device.line("news") + " news", device.line("command") + " command"]) == [
        "open QoS 2 command",
        "rain QoS 0 news",
    ]


def test_point_08_packet_identifiers_wrap(program: Program, mosquitto: Broker) -> None:
    """Identifiers are counted up without end; the 65,536th message at QoS 1 freezes the board, after some 18 hours at
    one message a second. Here 1 follows 65,535. All of them are really sent."""
    device = program(
        """
        client = MQTTClient("shed", "127.0.0.1", PORT, keepalive=0)
        client.connect()
        identifiers = [client.publish(b"t", b"", qos=1, wait=False) for _ in range(10)]
        for _ in range(65520):
            client.publish(b"t", b"", qos=1, wait=False)
        identifiers += [client.publish(b"t", b"", qos=1, wait=False) for _ in range(10)]
        client.flush()
        print("identifiers", *identifiers)
        print("pending", client.pending())
        """,
        mosquitto.port,
    )
    numbers = [*range(1, 11), *range(65531, 65536), *range(1, 6)]
    assert device.line("identifiers", 60).split() == [str(number) for number in numbers]
    device.line("pending 0")


def test_point_14_a_late_puback_is_no_error(program: Program, scripted_broker: ScriptedBroker) -> None:
    """A PUBACK that takes long makes mqtt_as publish once more; the broker acknowledges both, the second one is called
    an error, and the connection is dropped. Here nothing is sent twice on a live connection; a spare one is ignored."""
    device = program(
        """
        client = MQTTClient("shed", "127.0.0.1", PORT, timeout=5)
        client.connect()
        for payload in ("1", "2"):
            print("published", client.publish("t", payload, qos=1))
        client.disconnect()
        """,
        scripted_broker.port,
    )
    peer = scripted_broker.online()
    peer.expect(b"\x32\x06\x00\x01t\x00\x011")
    peer.expect_silence(1)
    peer.send(packets.PUBACK, packets.PUBACK)
    peer.expect(b"\x32\x06\x00\x01t\x00\x022")
    peer.send(packets.PUBACK, b"\x40\x02\x00\x02")
    peer.expect(packets.DISCONNECT)
    device.finish()


def test_point_15_the_end_of_a_connection_is_known_at_once(program: Program, scripted_broker: ScriptedBroker) -> None:
    """The broker closes, and the client shows an IndexError, an AssertionError, or nothing at all for ten seconds. Here
    it is an OSError at once, wherever in a packet it happens, and isconnected() is False."""
    device = program(
        """
        for _ in range(4):
            client = MQTTClient("shed", "127.0.0.1", PORT, auto_reconnect=False)
            try:
                client.connect()
                client.wait_msg(8)
            except OSError as error:
                print("lost", client.isconnected())
        """,
        scripted_broker.port,
    )
    for said in (b"", packets.CONNACK[:2], packets.CONNACK, packets.CONNACK + b"\x30\x05\x00\x01"):
        peer = scripted_broker.accept()
        peer.packet()
        peer.send(said)
        time.sleep(0.1)
        peer.close()
        start = time.monotonic()
        assert device.line("lost") == "False"
        assert time.monotonic() - start < 1
    device.finish()


_READINGS = """
from fieldmqtt import FlashOutbox, Outbox

outbox = FlashOutbox(sys.argv[2] + "/outbox") if sys.argv[3] == "flash" else Outbox(256, full=sys.argv[3])
client = MQTTClient("shed", "127.0.0.1", PORT, outbox=outbox, clean_session=False, backoff=(0.1, 0.2))
client.connect(wait=False)
refused = 0
for number in range(int(sys.argv[4]), int(sys.argv[5])):
    try:
        client.publish("reading", b"%d" % number, qos=1, wait=False)
    except OSError as error:
        assert error.args[0] == errno.ENOBUFS
        refused += 1
print("taken", client.pending(), "refused", refused, "dropped", outbox.dropped)
while client.pending():
    client.wait_msg(0.05)
print("delivered")
"""


def test_point_18_readings_taken_offline_arrive_later(program: Program, tmp_path: Path) -> None:
    """Without a connection messages are lost in silence, or pile up until the memory is full, and nothing survives a
    power cut. Here they wait in an outbox: bounded, its policy chosen and what it costs counted; on flash if wanted,
    where they outlive the power."""
    with Broker(durable=True) as mosquitto:
        with listener(mosquitto.port, "reading", client_id="collector", clean=False):
            pass
        mosquitto.stop()
        dies = program(_READINGS, mosquitto.port, tmp_path, "flash", 0, 50)
        dies.line("taken 50 refused 0 dropped 0")
        dies.kill()
        refuses = program(_READINGS.replace('"shed"', '"refuses"'), mosquitto.port, tmp_path, "refuse", 100, 130)
        drops = program(_READINGS.replace('"shed"', '"drops"'), mosquitto.port, tmp_path, "drop", 200, 230)
        taken, _, refused, _, dropped = refuses.line("taken").split()
        assert 5 < int(taken) < 30 and int(refused) == 30 - int(taken) and dropped == "0"
        newest, _, refused, _, dropped = drops.line("taken").split()
        assert 5 < int(newest) < 30 and int(dropped) == 30 - int(newest) and refused == "0"
        mosquitto.start()
        lives = program(_READINGS, mosquitto.port, tmp_path, "flash", 50, 60)
        for device in (lives, refuses, drops):
            device.line("delivered")
        expected = [*range(60), *range(100, 100 + int(taken)), *range(230 - int(newest), 230)]
        with listener(mosquitto.port, "reading", client_id="collector", clean=False) as collector:
            arrived = [int(payload) for payload in collector.payloads(len(expected))]
            collector.expect_nothing()
    assert sorted(arrived) == expected
    for first, last in ((0, 60), (100, 130), (200, 230)):
        own = [number for number in arrived if first <= number < last]
        assert own == sorted(own), "in the order of publishing"


def test_point_21_failed_connections_leave_no_sockets(program: Program) -> None:
    """Each failed attempt leaves a socket open; after some dozens nothing connects any more: OSError 23, ENOMEM. Here
    a thousand of them, refused by the network or by the broker, leave none."""
    with Broker(users={"shed": "right"}) as mosquitto, socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        device = program(
            """
            def fail(times, port, errors):
                client = MQTTClient("shed", "127.0.0.1", port, user="shed", password="wrong")
                for _ in range(times):
                    try:
                        client.connect()
                    except OSError as error:
                        errors.append(error.args[0])

            before = len(os.listdir("/dev/fd"))
            errors = []
            fail(700, int(sys.argv[2]), errors)
            fail(300, PORT, errors)
            print("refused", errors.count(errno.ECONNREFUSED), errors.count(5))
            print("sockets", len(os.listdir("/dev/fd")) - before)
            """,
            mosquitto.port,
            nobody.getsockname()[1],
        )
        assert device.line("refused", 30) == "700 300"
        assert device.line("sockets") == "0"


def test_point_22_qos_2_works_both_ways(program: Program, mosquitto: Broker) -> None:
    """QoS 2 is accepted and then not there: an assertion after the message is sent, a callback called for ever because
    the broker never hears that it has run. Here both directions are whole, each message exactly once."""
    device = program(
        """
        client = MQTTClient("shed", "127.0.0.1", PORT, clean_session=False)
        client.set_callback(lambda topic, msg: print("message", msg.decode(), client.message.qos))
        client.connect()
        client.subscribe("in", 2)
        print("subscribed")
        for _ in range(25):
            client.wait_msg(10)
        for i in range(5):
            client.publish("out", str(i), qos=2)
        print("resumed", bool(client.reconnect()), "again", client.wait_msg(0.5), "pending", client.pending())
        """,
        mosquitto.port,
    )
    device.line("subscribed")
    with listener(mosquitto.port, "out") as other:
        for i in range(25):  # more than mosquitto has in flight
            other.publish("in", str(i), qos=2)
        assert other.payloads(5) == [b"0", b"1", b"2", b"3", b"4"]
        device.line("resumed True again False pending 0")
        device.finish()
        assert device.output[1:-1] == [f"message {i} 2" for i in range(25)]
        other.expect_nothing()
