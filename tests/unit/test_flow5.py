"""MQTT 5: limits, aliases and expiry while messages flow and connections break. A judge reads along."""

import received5
from support import fakenet, reference5
from support.answering import CONNECT, PUBLISH
from support.reference5 import ack, connack, disconnect, publish
from support.session import raised
from support.session5 import Broker5, Session5, connack_with

_KEPT = {"clean_session": False, "session_expiry": 600, "backoff": (0.01, 0.01)}
_LIMITS = {
    "receive_maximum": 65535,
    "topic_alias_maximum": 0,
    "maximum_packet_size": 1 << 30,
    "maximum_qos": 2,
    "retain_available": 1,
}


class Judge(Broker5):
    """A broker that holds the client to what CONNACK said, and keeps what it was sent.

    `chance` decides when it answers and what; `arrived` is every message, in the order of its arrival.
    """

    def __init__(self, chance, said=()):
        super().__init__()
        self.chance = chance
        self.said_next = list(said)  # what the next CONNACKs say
        self.session_present = 1  # of a life before, unless the client wants none
        self.arrived = []
        self.open = {}  # packet identifier at QoS 2: it has arrived
        self.answers[CONNECT] = self.connect
        self.answers[PUBLISH] = self.publish
        self.answers[6] = self.pubrel
        self.prompt = False  # answers all, and at once
        self.most = 0  # in flight at once

    def connect(self, packet):
        self.limits = dict(_LIMITS)
        values = self.said_next.pop(0) if self.said_next else {}
        self.limits.update(values)
        self.aliases = {}
        self.in_flight = set()
        if reference5.decode(packet)["clean_start"]:
            self.session_present = 0
            self.open.clear()
        answer = connack(session_present=self.session_present, **values)
        self.session_present = 1
        return answer

    def packet(self, sock, packet):
        if packet[0] != 0x10:
            assert len(packet) <= self.limits["maximum_packet_size"], "[MQTT-3.2.2-15]"
        super().packet(sock, packet)

    def publish(self, packet):
        fields = reference5.decode(packet)
        limits, packet_id = self.limits, fields["packet_id"]
        assert fields["qos"] <= limits["maximum_qos"], "[MQTT-3.2.2-11]"
        assert fields["retain"] <= limits["retain_available"], "[MQTT-3.2.2-14]"
        topic = self.named(fields)
        if packet_id:
            assert packet_id not in self.in_flight
            self.in_flight.add(packet_id)
            self.most = max(self.most, len(self.in_flight))
            assert len(self.in_flight) <= limits["receive_maximum"], "[MQTT-3.3.4-7]"
        if packet_id not in self.open:
            self.arrived.append((topic, fields["payload"], fields["properties"]))
        if fields["qos"] == 2:
            self.open[packet_id] = True
        return self.later(0x40 if fields["qos"] == 1 else 0x50, packet_id) if packet_id else b""

    def named(self, fields):
        alias = fields["properties"].pop("topic_alias", None)
        topic = fields["topic"]
        if alias:
            assert 0 < alias <= self.limits["topic_alias_maximum"], "[MQTT-3.3.2-9]"
            topic = self.aliases[alias] = topic or self.aliases[alias]
        assert topic
        return topic

    def later(self, head, packet_id):
        """An acknowledgement in a while, or none ever, on this connection."""
        sock = self.connections[-1]
        if self.prompt:
            self.answer(sock, head, packet_id)
        elif self.chance.below(20):
            sock.network.clock.at(self.chance.below(30), lambda: self.answer(sock, head, packet_id))
        return b""

    def answer(self, sock, head, packet_id):
        if sock is self.connections[-1] and not sock.closed:
            if head != 0x50:
                self.in_flight.discard(packet_id)
            sock.reply(ack(head, packet_id))

    def pubrel(self, packet):
        packet_id = reference5.decode(packet)["packet_id"]
        self.open.pop(packet_id, None)
        return self.later(0x70, packet_id)


def _break_now_and_then(session, chance, rounds):
    for _ in range(rounds):
        session.pump(40 + chance.below(200))
        if session.client.isconnected():
            session.sock.reset()
    session.pump(100)


def _limits(chance):
    """What one CONNACK says, at random."""
    values = {}
    if chance.below(2):
        values["receive_maximum"] = 1 + chance.below(5)
    if chance.below(2):
        values["topic_alias_maximum"] = chance.below(4)
    if chance.below(2):
        values["maximum_packet_size"] = 200 + chance.below(200)
    return values


def test_nothing_is_lost_and_no_limit_broken_whatever_happens():
    for seed in range(8):
        chance = fakenet.Random(seed + 1)
        judge = Judge(chance, [_limits(chance) for _ in range(14)])
        network = {"seed": seed, "stall": 20} if seed % 2 else {}
        session = Session5(judge, network=network, outbox=20000, **_KEPT)
        session.client.connect()
        sent, twice = [], []
        for number in range(60):
            topic, qos = "topic/%d" % chance.below(5), 1 + chance.below(2)
            values = {"user_properties": [("n", str(number))]} if chance.below(2) else {}
            sent.append((topic, b"%d" % number, values))
            twice += [sent[-1][1]] * (qos == 1)
            session.client.publish(topic, sent[-1][1], qos=qos, wait=False, **values)
            session.pump(chance.below(20))
        _break_now_and_then(session, chance, 10)
        judge.prompt = True
        session.sock.reset()
        session.pump(500)
        session.client.flush(20)
        assert sorted({each[1] for each in judge.arrived}) == sorted([each[1] for each in sent]), seed
        arrived = [each[1] for each in judge.arrived]
        for each in judge.arrived:
            assert each in sent, (seed, each)
            assert each[1] in twice or arrived.count(each[1]) == 1, "at QoS 2 exactly once"
        assert session.client.pending() == 0 and len(judge.connections) == 12


def test_receive_maximum_is_used_to_the_full():
    for maximum in (1, 2, 3, 7, 20, 100):
        judge = Judge(fakenet.Random(1), [{"receive_maximum": maximum}])
        judge.later = lambda head, packet_id: b""
        session = Session5(judge, window=50, outbox=20000).connected()
        for number in range(120):
            session.client.publish("t", str(number), qos=1 + number % 2, wait=False)
        session.pump(300)
        assert judge.most == min(maximum, 50), (maximum, judge.most)


def test_receive_maximum_over_reconnects():
    """Each connection counts for itself (section 3.3.4), what is under way included."""
    for maximum in (1, 2, 5):
        chance = fakenet.Random(maximum)
        judge = Judge(chance, [{"receive_maximum": 5}] + [{"receive_maximum": maximum}] * 30)
        session = Session5(judge, outbox=20000, **_KEPT).connected()
        for number in range(40):
            session.client.publish("t", str(number), qos=2 if number % 3 else 1, wait=False)
        _break_now_and_then(session, chance, 12)
        judge.prompt = True
        session.sock.reset()
        session.pump(300)
        session.client.flush(20)
        arrived = [each[1] for each in judge.arrived]
        assert sorted(set(arrived), key=int) == [b"%d" % number for number in range(40)]


def test_receive_maximum_counts_messages_that_were_given_up():
    """The server knows nothing of an outbox that drops its oldest messages."""
    for qos in (1, 2):
        judge = Judge(fakenet.Random(1), [{"receive_maximum": 3}])
        judge.later = lambda head, packet_id: b""
        outbox = Session5().module.Outbox(100, full="drop")
        session = Session5(judge, outbox=outbox).connected()
        for number in range(50):
            session.client.publish("t", "%010d" % number, qos=qos, wait=False)
            session.pump(10)
        assert judge.most == 3 and session.client.isconnected()


def test_what_is_announced_is_held_to():
    """Whatever the client announces: so much is taken, and no more."""
    for settings in ({}, {"max_packet": 300, "receive_maximum": 3, "topic_alias_maximum": 2}):
        values = Session5(**settings).connected().broker.said("CONNECT")[0]["properties"]
        size, count = values["maximum_packet_size"], values["receive_maximum"]
        session = Session5(auto_reconnect=False, keepalive=0, **settings).connected()
        session.received(publish("t", b"x" * (size - (8 if size > 130 else 6))))
        session.received(publish("t", "x", topic_alias=values["topic_alias_maximum"]))
        assert len(session.messages) == 2
        session.broker.strict = False
        session.sent()
        for number in range(count):
            session.sock.reply(publish("t", "x", 2, number + 1))
            session.pump(5)
            assert session.sent() == ack(0x50, number + 1)
            del session.broker.received[:], session.broker.times[:], session.messages[:]
        session.sock.reply(publish("t", "x", 2, count + 1))
        assert raised(OSError, session.client.wait_msg, 5).args[0] == 0x93
        session = Session5(auto_reconnect=False, **settings).connected()
        session.sock.reply(publish("t", b"x" * settings.get("max_packet", 4096)))
        assert raised(OSError, session.client.wait_msg, 5).args[0] == 0x95


def test_topic_aliases():
    judge = Judge(fakenet.Random(3), [{"topic_alias_maximum": 3}, {"topic_alias_maximum": 1}, {}])
    session = Session5(judge, backoff=(0.01, 0.01)).connected()
    for connection in range(3):
        del judge.arrived[:]
        topics = ["a" * 40, "b" * 40, "a" * 40, "c" * 40, "d" * 40, "d" * 40, "a" * 40]
        for topic in topics:
            session.client.publish(topic, "x")
        session.pump(50)
        assert [each[0] for each in judge.arrived] == topics
        if connection == 0:
            sizes = [len(packet) for packet in judge.of_type(PUBLISH)]
            assert min(sizes) < 20, "a topic that was sent once is not sent again"
        session.sock.reset()
        session.pump(500)


def test_messages_that_are_too_old_are_not_sent():
    session = Session5(**_KEPT).connected()
    session.client.wait_msg(100)
    session.broker.accepts = lambda sock: "refused"
    session.sock.reset()
    session.pump(100)
    for seconds in (1, 5, 30, None):
        values = {} if seconds is None else {"message_expiry": seconds}
        session.client.publish("t", "%s" % seconds, qos=1, wait=False, **values)
    session.pump(10_000)
    session.broker.accepts = lambda sock: None
    session.broker.answers[CONNECT] = lambda packet: received5.CONNACK_SESSION_PRESENT
    session.pump(2000)
    said = session.broker.said("PUBLISH")
    assert [fields["payload"] for fields in said] == [b"30", b"None"]
    assert 17 <= said[0]["properties"]["message_expiry"] <= 20, said[0]
    assert said[1]["properties"] == {}
    assert session.client.expired == 2 and session.client.pending() == 0


def test_what_was_sent_does_not_expire():
    """[MQTT-4.3.3-7]: its identifier is in use on the server."""
    for qos in (1, 2):
        session = Session5(**_KEPT)
        session.broker.answers[PUBLISH] = None
        session.client.connect()
        session.client.publish("t", "x", qos=qos, wait=False, message_expiry=5)
        session.pump(10_000)
        session.broker.answers[CONNECT] = lambda packet: received5.CONNACK_SESSION_PRESENT
        session.broker.answers[PUBLISH] = Broker5().answers[PUBLISH]
        session.sock.reset()
        session.pump(1000)
        said = session.broker.said("PUBLISH")
        assert len(said) == 2 and said[1]["dup"] == 1
        assert said[1]["packet_id"] == said[0]["packet_id"]
        assert session.client.pending() == 0 and session.client.expired == 0


def test_maximum_packet_size_to_the_byte():
    """Every kind of packet: what is larger is a ValueError and is not sent, [MQTT-3.2.2-15]."""
    pairs = [("k", "v" * 10)]
    calls = (
        lambda client, size: client.publish("t", b"x" * size),
        lambda client, size: client.publish("t", b"x" * size, qos=1),
        lambda client, size: client.publish("t", b"x", content_type="c" * size),
        lambda client, size: client.publish("t" * (size + 1), b"x", qos=2, user_properties=pairs),
        lambda client, size: client.subscribe("t" * (size + 1)),
        lambda client, size: client.subscribe("t" * (size + 1), user_properties=pairs),
        lambda client, size: client.unsubscribe("t" * (size + 1)),
        lambda client, size: client.disconnect(user_properties=[("k", "v" * size)]),
    )
    for which, call in enumerate(calls):
        refused = []
        for size in range(60):
            judge = Judge(fakenet.Random(1), [{"maximum_packet_size": 50}])
            judge.prompt = True
            session = Session5(judge).connected()
            session.sent()
            try:
                call(session.client, size)
            except ValueError as error:
                refused.append(size)
                assert "50" in str(error) and session.sent() == b"", (which, size, str(error))
        assert refused == list(range(refused[0], 60)), (which, refused)
        assert refused[0] > 15, (which, refused)


def test_a_will_that_the_server_does_not_take():
    session = Session5(connack_with(maximum_packet_size=80)).connected()
    session.client.disconnect()
    session.client.set_last_will("w", "x" * 80)
    assert "80" in str(raised(ValueError, session.client.connect))
    session.client.set_last_will("w", "x")
    session.client.connect()


def test_a_server_that_takes_little_is_connected_to_again():
    """It took the same CONNECT before, and its limit is for the packets of one connection."""
    for size in (5, 20, 30):
        session = Session5(connack_with(maximum_packet_size=size), backoff=(0.01, 0.01)).connected()
        session.sock.reset()
        session.pump(500)
        assert session.client.isconnected(), size
        session.client.disconnect()
        session.client.connect()


def test_incoming_topic_aliases():
    session = Session5(topic_alias_maximum=3, backoff=(0.01, 0.01)).connected()
    told = []
    for topic, alias in (("one", 3), ("", 3), ("two", 1), ("three", 3), ("", 1), ("", 3), ("plain", None)):
        values = {} if alias is None else {"topic_alias": alias}
        session.received(publish(topic, "x", 1, 1, **values))
        told.append(session.messages[-1][0])
    assert told == [b"one", b"one", b"two", b"three", b"two", b"three", b"plain"]
    session.sock.reset()
    session.pump(500)
    session.received(publish("four", "x", topic_alias=2))
    session.sock.reply(publish("", "x", topic_alias=1))
    session.pump(500)
    assert len(session.messages) == 8
    assert session.broker.said("DISCONNECT")[-1]["code"] == 0x82


def test_quota_in_both_directions_at_once():
    """Acknowledgements of incoming messages are not held back by a full quota of outgoing ones."""
    session = Session5(connack_with(receive_maximum=1), receive_maximum=1)
    session.broker.answers[PUBLISH] = None
    session.client.connect()
    for _ in range(3):
        session.client.publish("t", "x", qos=1, wait=False)
    for number in range(1, 6):
        assert session.received(publish("t", "x", 1, number)) == ack(0x40, number)
    assert len(session.broker.of_type(PUBLISH)) == 1


def test_disconnect_of_the_server_in_the_middle_of_a_flow():
    session = Session5(**_KEPT)
    session.broker.answers[PUBLISH] = None
    session.client.connect()
    session.client.publish("t", "x", qos=1, wait=False)
    session.broker.answers[PUBLISH] = Broker5().answers[PUBLISH]
    session.sock.reply(publish("t", "last") + disconnect(0x8B))
    session.pump(500)
    assert session.messages[0][1] == b"last" and len(session.broker.connections) == 2
    assert session.client.pending() == 0 and session.client.isconnected()
