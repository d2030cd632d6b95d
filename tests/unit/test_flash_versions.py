"""A board that changes from MQTT 5 to 3.1.1 and back with a backlog in its outbox on flash."""

from flash.kit import Folder, library
from support import reference5
from support.answering import PUBLISH, Broker, ack
from support.session import Session
from support.session5 import Broker5, Session5

_PROPERTIES = {"content_type": "text/plain", "user_properties": [("a", "1")], "correlation_data": b"x" * 150}
_SIZES = (0, 1, 90, 100, 110, 120, 130, 600)  # around lengths whose Remaining Length grows by a byte


def _accept(folder, topic="a/b"):
    """Messages of every size with properties, and one between them without, accepted without a broker."""
    session = Session5(outbox=library().FlashOutbox(folder.path, 65536, 16384))
    for at, size in enumerate(_SIZES):
        session.client.publish(topic, b"x" * size, qos=1 + at % 2, wait=False, **_PROPERTIES)
        session.client.publish(topic, b"plain", qos=1, retain=True, wait=False)
    session.client._protocol.outbox.close()


def _silent(broker):
    broker.answers[PUBLISH] = None
    return broker


def _expected(topic, dup=0):
    """What 3.1.1 makes of them."""
    made = []
    for at, size in enumerate(_SIZES):
        for qos, retain, payload in ((1 + at % 2, 0, b"x" * size), (1, 1, b"plain")):
            number = len(made) + 1
            body = reference5.field(topic) + reference5.two(number) + payload
            made.append(reference5.packet(0x30 | dup << 3 | qos << 1 | retain, body))
    return made


def test_3_1_1_sends_what_5_has_accepted_without_properties():
    for topic in ("a/b", "a" * 100, "t" * 250):
        with Folder() as folder:
            _accept(folder, topic)
            outbox = library().FlashOutbox(folder.path, 65536, 16384)
            session = Session(_silent(Broker()), outbox=outbox, tx_size=300).connected(clean_session=False)
            session.pump()
            assert session.broker.of_type(PUBLISH) == _expected(topic)
            outbox.close()


def test_3_1_1_sends_it_again_with_dup_and_finishes_it():
    with Folder() as folder:
        _accept(folder)
        outbox = library().FlashOutbox(folder.path, 65536, 16384)
        session = Session(_silent(Broker(b"\x20\x02\x01\x00")), outbox=outbox).connected(clean_session=False)
        session.pump()
        for _ in range(2):
            del session.broker.received[:]
            session.client.reconnect()
            session.pump()
            assert session.broker.of_type(PUBLISH) == _expected("a/b", 1)
        session.broker.answers[PUBLISH] = lambda packet: ack(0x40 if packet[0] & 2 else 0x50, packet)
        session.client.reconnect()
        session.client.flush()
        assert outbox.pending == 0
        outbox.close()


def test_back_to_5_the_properties_are_there_again():
    with Folder() as folder:
        _accept(folder)
        outbox = library().FlashOutbox(folder.path, 65536, 16384)
        session = Session(_silent(Broker()), outbox=outbox).connected(clean_session=False)
        session.pump()
        outbox.close()
        outbox = library().FlashOutbox(folder.path, 65536, 16384)
        session = Session5(_silent(Broker5()), outbox=outbox, session_expiry=9)
        session.connected(clean_session=False)
        session.pump()
        found = [fields["properties"] for fields in session.broker.said("PUBLISH")]
        assert found == [{} if at % 2 else _PROPERTIES for at in range(2 * len(_SIZES))]


def test_a_backlog_of_3_1_1_is_sent_by_5():
    with Folder() as folder:
        session = Session(outbox=library().FlashOutbox(folder.path))
        session.client.publish("a", "one", qos=1, wait=False)
        session.client._protocol.outbox.close()
        session = Session5(outbox=library().FlashOutbox(folder.path)).connected()
        session.client.flush()
        [fields] = session.broker.said("PUBLISH")
        assert (fields["topic"], bytes(fields["payload"]), fields["properties"]) == ("a", b"one", {})
