"""What a session keeps over a lost connection, packet by packet."""

import packets
from support.answering import CONNECT, PUBLISH, PUBREL, SUBSCRIBE, UNSUBSCRIBE, Broker, packet_id, publish_ack
from support.session import Session, raised


def _reconnect(session, session_present, silent=False):
    """Drop the connection; the next one is accepted. Returns what the client sends on it, CONNECT left out."""
    connack = packets.CONNACK_SESSION_PRESENT if session_present else packets.CONNACK
    session.broker.answers[CONNECT] = lambda packet: connack
    return session.reconnected()


def test_sent_again_with_dup_when_the_session_is_present():
    for name, arguments, again in packets.SENT_AGAIN:
        session = Session(clean_session=False).connected()
        session.broker.answers[PUBLISH] = None
        assert session.client.publish(wait=False, **arguments) == 1
        session.pump(20)
        assert _reconnect(session, True) == [again], name
        assert _reconnect(session, True) == [again], name


def test_sent_as_new_when_the_session_is_gone():
    for name, arguments, again in packets.SENT_AGAIN:
        session = Session(clean_session=False).connected()
        session.broker.answers[PUBLISH] = None
        session.client.publish(wait=False, **arguments)
        session.pump(20)
        sent = _reconnect(session, False)
        assert len(sent) == 1, name
        assert sent[0] == bytes((again[0] & ~8,)) + again[1:], name


def test_pubrel_again_when_the_session_is_present():
    session = Session(clean_session=False).connected()
    session.broker.answers[PUBREL] = None
    session.client.publish("t", "hi", qos=2, wait=False)
    session.pump(20)
    assert session.sock.packets()[-1] == packets.PUBREL
    assert _reconnect(session, True) == [packets.PUBREL]
    del session.broker.answers[PUBREL]
    session.sock.reply(packets.PUBCOMP)
    session.pump(20)
    assert session.client.pending() == 0


def test_never_sent_again_on_a_live_connection():
    broker = Broker()
    broker.answers[PUBLISH] = None
    session = Session(broker, timeout=2).connected()
    raised(OSError, session.client.publish, "t", "hi", qos=1)
    session.pump(60000)
    assert len(broker.of_type(PUBLISH)) == 1
    assert session.client.pending() == 1


def test_order_and_window():
    broker = Broker()
    broker.answers[PUBLISH] = None
    session = Session(broker, window=5, outbox=2000).connected()
    numbers = [session.client.publish("t", str(i), qos=1, wait=False) for i in range(12)]
    assert numbers == list(range(1, 13))
    session.pump(50)
    assert [packet_id(packet) for packet in broker.of_type(PUBLISH)] == [1, 2, 3, 4, 5]
    session.sock.reply(b"\x40\x02\x00\x02")
    session.pump(50)
    assert [packet_id(packet) for packet in broker.of_type(PUBLISH)] == [1, 2, 3, 4, 5, 6]
    assert session.client.pending() == 11
    sent = _reconnect(session, True)
    assert [packet_id(packet) for packet in sent] == [1, 3, 4, 5, 6]
    assert [packet[0] for packet in sent] == [0x3A] * 5
    sent = _reconnect(session, False)
    assert [packet[0] for packet in sent] == [0x32] * 5


def test_messages_published_while_offline_are_sent_later():
    session = Session().connected()
    session.sock.hang_up()
    while session.client.isconnected():
        session.pump(1)
    done = []
    session.client.on_publish = done.append
    numbers = [session.client.publish("t", str(i), qos=qos, wait=False) for i, qos in ((1, 1), (2, 2))]
    session.client.flush(60)
    assert sorted(done) == numbers
    assert [packet[0] for packet in session.sock.packets()[1:3]] == [0x32, 0x34]


def test_subscribed_again_only_without_the_session():
    session = Session(clean_session=False).connected()
    session.client.subscribe("a/#", 1)
    session.client.subscribe(["b", "c/+"], 2)
    session.client.subscribe("gone")
    session.client.unsubscribe("gone")
    assert _reconnect(session, True) == []
    sent = _reconnect(session, False)
    together = b"".join(sent)
    assert all(packet[0] == 0x82 for packet in sent)
    assert b"\x00\x03a/#\x01" in together and b"\x00\x01b\x02" in together and b"\x00\x03c/+\x02" in together
    assert b"gone" not in together
    assert len(sent) == 1, "several filters in one packet"


def test_a_filter_that_was_refused_or_never_answered():
    broker = Broker()
    broker.answers[SUBSCRIBE] = None
    session = Session(broker, timeout=2, clean_session=False).connected()
    raised(OSError, session.client.subscribe, "late", 1)
    sent = _reconnect(session, True)
    assert len(sent) == 1 and b"late\x01" in sent[0], "it was not granted, the session cannot have it"


def test_qos_2_received_before_the_loss_is_not_delivered_twice():
    session = Session(clean_session=False).connected()
    session.sock.reply(packets.RECEIVING_QOS_2[0][0])
    session.pump(20)
    assert len(session.messages) == 1
    _reconnect(session, True)
    session.sock.reply(b"\x3c" + packets.RECEIVING_QOS_2[0][0][1:])
    session.pump(20)
    session.sock.reply(packets.PUBREL)
    session.pump(20)
    assert len(session.messages) == 1
    assert session.sock.packets()[1:] == [packets.PUBREC, packets.PUBCOMP]


def test_qos_2_of_a_new_session_is_new():
    session = Session().connected()
    session.sock.reply(packets.RECEIVING_QOS_2[0][0])
    session.pump(20)
    _reconnect(session, False)
    session.sock.reply(packets.RECEIVING_QOS_2[0][0])
    session.pump(20)
    assert len(session.messages) == 2


_MOST = 1024  # identifiers at QoS 2 that wait for PUBREL


def _incoming(number, dup=0):
    return bytes((0x34 | dup << 3, 7, 0, 1)) + b"t" + bytes((number >> 8, number & 0xFF)) * 2


def _acks(head, numbers):
    return [bytes((head, 2, number >> 8, number & 0xFF)) for number in numbers]


class _Flooded(Session):
    """A session in which as many messages at QoS 2 have come as may be open, and `more`. `numbers`: those delivered."""

    def __init__(self, more, **settings):
        super().__init__(backoff=(0.1, 0.2), **settings)
        self.numbers = []
        self.client.set_callback(lambda topic, msg: self.numbers.append(msg[0] << 8 | msg[1]))
        self.connected().sent()
        answers = self.answers(_incoming, range(1, _MOST + more + 1))
        assert self.numbers == list(range(1, _MOST + 1))
        assert answers == _acks(0x50, self.numbers), "what is not delivered is not answered"

    def answers(self, packet, numbers):
        """Let the broker send a packet for each number, some at a time: the heap is small. Returns what is sent."""
        sent = []
        for i in range(0, len(numbers), 64):
            self.sock.reply(b"".join([packet(number) for number in numbers[i : i + 64]]))
            self.pump(200)
            sent += self.sock.packets()
            self.sent()
            self.broker.received.clear()
        return sent

    def release(self, numbers):
        assert self.answers(lambda number: _acks(0x62, [number])[0], numbers) == _acks(0x70, numbers)


def test_more_at_qos_2_than_may_be_open():
    session = _Flooded(2, clean_session=False)
    # What is open is brought to its end; the next of them would not be in order, whatever room there is.
    session.sock.reply(b"\x62\x02\x00\x01" + _incoming(_MOST + 3) + b"\x32\x07\x00\x01t\x00\x05\0\0" + _incoming(2, 1))
    session.pump(100)
    assert session.sock.packets() == [b"\x70\x02\x00\x01", b"\x40\x02\x00\x05", b"\x50\x02\x00\x02"]
    assert session.numbers.pop() == 0 and len(session.numbers) == _MOST
    session.client.publish("t", "x", qos=2)
    session.sent()
    session.release(range(2, _MOST))
    assert session.client.isconnected() and len(session.network.sockets) == 1
    first = session.sock
    session.broker.answers[CONNECT] = lambda packet: packets.CONNACK_SESSION_PRESENT
    first.reply(_acks(0x62, [_MOST])[0])
    session.pump(1000)
    assert first.packets() == _acks(0x70, [_MOST]) and session.sock is not first
    assert session.client.error.reason_code == 0x93 and session.client.isconnected()
    session.sock.reply(b"".join([_incoming(number, 1) for number in range(_MOST + 1, _MOST + 4)]))
    session.pump(100)
    assert session.numbers == list(range(1, _MOST + 4)), "each once, in order"
    assert session.client.isconnected()


def test_more_at_qos_2_and_one_that_is_never_released():
    """The broker has forgotten it. What it has not sent before PINGRESP it does not send."""
    session = _Flooded(1, clean_session=False)
    session.release(range(2, _MOST + 1))
    session.pump(10_000)
    assert session.client.isconnected()
    session.pump(60_000)
    assert session.client.error.reason_code == 0x93


def test_more_at_qos_2_in_a_session_that_is_not_kept():
    session = _Flooded(1)
    session.release(range(1, _MOST))
    session.sock.reply(_acks(0x62, [_MOST])[0])
    session.pump(2000)
    assert session.client.error.reason_code == 0x93 and session.client.isconnected()
    session.sock.reply(_incoming(_MOST + 1) + _incoming(1))
    session.pump(100)
    assert session.numbers[_MOST:] == [_MOST + 1, 1]


def test_open_at_qos_2_when_the_next_connection_begins():
    """As many as may be, and the broker sends what is new before PUBREL."""
    session = _Flooded(0, clean_session=False)
    _reconnect(session, True)
    session.sock.reply(_incoming(_MOST + 1))
    session.pump(100)
    session.sent()
    session.release(range(1, _MOST))
    session.sock.reply(_acks(0x62, [_MOST])[0])
    session.pump(2000)
    assert session.client.error.reason_code == 0x93 and session.client.isconnected()
    session.sock.reply(_incoming(_MOST + 1, 1))
    session.pump(100)
    assert session.numbers[_MOST:] == [_MOST + 1]


def test_half_a_packet_is_forgotten_with_its_connection():
    session = Session().connected()
    session.sock.reply(b"\x30\x50\x00\x01thalf of it")
    session.pump(20)
    _reconnect(session, False)
    session.sock.reply(b"\x30\x05\x00\x01thi")
    session.pump(20)
    assert [message[1] for message in session.messages] == [b"hi"]


def test_half_a_packet_sent_is_sent_whole_on_the_next_connection():
    session = Session(clean_session=False).connected()
    session.broker.answers[PUBLISH] = None
    session.network.write_limit = 0
    session.client.publish("t", "hi", qos=1, wait=False)
    session.network.write_limit = 4
    session.pump(1)
    session.network.write_limit = None
    assert _reconnect(session, True)[0][1:] == packets.SENT_AGAIN[0][2][1:]


def test_identifiers_wrap_and_skip_those_in_use():
    broker = Broker()
    session = Session(broker, outbox=2000, keepalive=0).connected()
    client = session.client
    broker.answers[PUBLISH] = lambda packet: b"" if packet_id(packet) in (3, 4) else b"\x40\x02" + packet[5:7]
    seen = []
    for _ in range(3):
        seen.append(client.publish("t", "x", qos=1, wait=False))
    client.subscribe("a")  # takes 4
    seen.append(client.publish("t", "x", qos=1, wait=False))
    assert seen == [1, 2, 3, 5]
    session.pump(20)
    assert client.pending() == 1


def test_65536_publishes():
    # The port does not matter to identifiers: on unix they go all the way, on the others the last part of it.
    first = 0 if Session().network.port.name == "unix" else 65_000
    session = Session(newest=first or 65535, network={"to_wrap": 1 << 29}, keepalive=0).connected()
    client = session.client
    session.broker.delay = 0
    for i in range(first, 65540):
        assert client.publish(b"t", b"", qos=1, wait=False) == i % 65535 + 1
        if i % 100 == 0:
            client.flush(10)
            session.sent()
            session.broker.received.clear()
            session.broker.times.clear()
            session.sock.writes.clear()


def test_unsubscribed_while_the_link_was_down():
    session = Session(clean_session=False, timeout=2).connected()
    session.client.subscribe("a")
    session.broker.answers[UNSUBSCRIBE] = None
    raised(OSError, session.client.unsubscribe, "a")
    sent = _reconnect(session, True)
    assert [packet[0] for packet in sent] == [0xA2], "the broker's session has it still"


def test_hooks_tell_what_happens():
    events = []
    session = Session(Broker(packets.CONNACK), clean_session=False)
    client = session.client
    client.on_connect = lambda session_present: events.append(("connect", bool(session_present)))
    client.on_disconnect = lambda reason: events.append(("disconnect", isinstance(reason, OSError)))
    client.on_publish = lambda number: events.append(("publish", number))
    session.connected()
    client.publish("t", "x", qos=1)
    client.publish("t", "x", qos=2)
    client.publish("t", "x")
    _reconnect(session, True)
    client.disconnect()
    assert events == [
        ("connect", False),
        ("publish", 1),
        ("publish", 2),
        ("disconnect", True),
        ("connect", True),
    ]


def test_auto_reconnect_off_raises():
    session = Session(auto_reconnect=False).connected()
    session.sock.hang_up()
    raised(OSError, session.client.wait_msg, 5)
    raised(OSError, session.client.publish, "t", "x")
    assert len(session.network.sockets) == 1
    session.client.connect()
    session.client.publish("t", "x")
    assert len(session.network.sockets) == 2


def test_list_of_brokers_is_tried_in_turn():
    broker = Broker()
    session = Session(broker, server=["first", ("second", 8000), "third"])
    broker.accepts = lambda sock: "refused" if sock.address[0] != "third" else None
    session.client.connect()
    assert [sock.address for sock in session.network.sockets] == [("first", 1883), ("second", 8000), ("third", 1883)]
    assert len(session.network.open_sockets()) == 1
    broker.accepts = lambda sock: "refused" if sock.address[0] == "third" else None
    session.sock.reset()
    for _ in range(2000):
        session.pump(20)
        if session.client.isconnected():
            break
    assert session.sock.address[0] == "first"


def _forgetful(keepalive, delay=None):
    """(session, times of its losses): the broker answers all but the first message, that one after `delay` ms."""
    session = Session(keepalive=keepalive, clean_session=False).connected()

    def answer(packet):
        if packet_id(packet) > 1 or packet[0] & 8:
            return publish_ack(packet)
        if delay:
            session.sock.reply(publish_ack(packet), delay)
        return None

    session.broker.answers[CONNECT] = lambda packet: packets.CONNACK_SESSION_PRESENT
    session.broker.answers[PUBLISH] = answer
    losses = []
    session.client.on_disconnect = lambda reason: losses.append((session.clock.now, str(reason)))
    return session, losses


def test_a_message_that_the_broker_forgets():
    """There are brokers that do. It would wait for ever, and the outbox fill up behind it."""
    for qos in (1, 2):
        for keepalive in (2, 10, 60):
            session, losses = _forgetful(keepalive)
            start = session.clock.now
            while not losses and session.clock.now < start + 300000:
                session.client.publish("t", "x", qos=qos, wait=False)
                session.pump(keepalive * 300)
            assert len(losses) == 1 and "no PUBACK" in losses[0][1], (qos, keepalive, losses)
            waited = losses[0][0] - start
            assert 10000 + keepalive * 1500 <= waited <= 10100 + keepalive * 1800, (qos, keepalive, waited)
            session.pump(5000)
            again = [packet for packet in session.sock.packets() if packet[0] & 0xF8 == 0x38]
            assert packet_id(again[0]) == 1 and session.client.pending() == 0
            assert len(losses) == 1


def test_a_broker_that_takes_its_time():
    session, losses = _forgetful(60, delay=90000)
    for _ in range(60):
        session.client.publish("t", "x", qos=1, wait=False)
        session.pump(5000)
    assert not losses and session.client.pending() == 0
    session, losses = _forgetful(0)  # without keep alive nothing is looked after
    for _ in range(60):
        session.client.publish("t", "x", qos=1, wait=False)
        session.pump(5000)
    assert not losses and session.client.pending() > 0
