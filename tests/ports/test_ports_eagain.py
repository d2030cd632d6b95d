"""A stream that raises EAGAIN instead of returning None. Runs on both interpreters."""

from support import fakenet
from support.answering import PINGREQ, PUBLISH
from support.session import Session


def _session(**settings):
    fakenet.use("eagain")
    return Session(**settings)


def test_keep_alive():
    session = _session(keepalive=2).connected()
    session.client.wait_msg(20)
    assert len(session.broker.of_type(PINGREQ)) >= 9
    assert len(session.network.sockets) == 1


def test_messages_published_while_offline():
    session = _session()
    for qos in (1, 2):
        session.client.publish("t", "x", qos=qos, wait=False)
    session.client.connect()
    session.client.flush(5)
    assert len(session.broker.of_type(PUBLISH)) == 2


def test_a_stream_that_stalls():
    for seed in range(1, 6):
        session = _session(network={"stall": 70, "write_limit": 5, "seed": seed}).connected()
        for qos in (0, 1, 2):
            session.client.publish("t", b"%d" % qos * 50, qos=qos)
        assert [packet[-50:] for packet in session.broker.of_type(PUBLISH)] == [b"0" * 50, b"1" * 50, b"2" * 50], seed
