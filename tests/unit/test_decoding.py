"""Every packet of the broker: whole, cut at every byte, ending at every byte, and malformed."""

import packets
from support.answering import SUBSCRIBE, Broker
from support.malformed import met, silent
from support.session import Session, raised

_BIG = {"max_packet": 20000}


def _cuts(data):
    """Where to cut: everywhere, but not at each of thousands of equal bytes."""
    return list(range(1, min(len(data), 40))) + ([len(data) - 1] if len(data) > 40 else [])


def test_publish_whole():
    for name, message, received, answer in packets.RECEIVED_PUBLISH:
        session = Session(**_BIG).connected()
        session.sent()
        session.sock.reply(received)
        session.pump()
        assert session.messages == [message], name
        assert session.sent() == answer, name


def test_publish_cut_at_every_byte():
    for name, message, received, answer in packets.RECEIVED_PUBLISH:
        for cut in _cuts(received):
            session = Session(**_BIG).connected()
            session.sent()
            session.sock.reply(received[:cut])
            assert session.client.check_msg() is False, name
            session.pump()
            assert session.messages == [], (name, cut)
            assert session.sent() == b"", (name, cut)
            session.sock.reply(received[cut:])
            session.pump()
            assert session.sent() == answer, (name, cut)
            assert session.messages == [message], (name, cut)


def test_publish_that_ends_with_the_connection():
    for name, _message, received, _answer in packets.RECEIVED_PUBLISH:
        for cut in _cuts(received):
            session = Session(auto_reconnect=False, **_BIG).connected()
            session.sock.reply(received[:cut])
            session.sock.hang_up()
            error = raised(OSError, session.client.wait_msg, 5)
            assert not isinstance(error, session.module.MQTTException), (name, cut)
            assert session.messages == []
            assert not session.client.isconnected()


def test_qos_2_reaches_the_program_once():
    session = Session().connected()
    session.sent()
    publish, pubrec = packets.RECEIVING_QOS_2[0]
    pubrel, pubcomp = packets.RECEIVING_QOS_2[1]
    for received, answer in ((publish, pubrec), (b"\x3c" + publish[1:], pubrec), (pubrel, pubcomp), (pubrel, pubcomp)):
        session.sock.reply(received)
        session.pump()
        assert session.sent() == answer
    assert len(session.messages) == 1
    assert session.messages[0][:4] == (b"t", b"hi", False, 2)


def test_qos_2_identifier_used_again_is_a_new_message():
    session = Session().connected()
    for _ in range(3):
        for received, _answer in packets.RECEIVING_QOS_2:
            session.sock.reply(received)
            session.pump()
    assert len(session.messages) == 3


def test_many_packets_in_one_read():
    session = Session(**_BIG).connected()
    session.sent()
    together = b"".join([received for _, _, received, _ in packets.RECEIVED_PUBLISH])
    session.sock.reply(together + packets.PUBREL[:3] + b"\x0a")
    session.pump(200)
    assert session.messages == [message for _, message, _, _ in packets.RECEIVED_PUBLISH]
    answers = b"".join([answer for _, _, _, answer in packets.RECEIVED_PUBLISH])
    assert session.sent() == answers + packets.PUBCOMP[:3] + b"\x0a"


def test_connack():
    for name, session_present, connack in packets.RECEIVED_CONNACK:
        for network in ({}, {"read_limit": 1}, {"stall": 70}):
            session = Session(Broker(connack), network=network, clean_session=False)
            assert session.client.connect() == session_present, name
            assert session.client.isconnected(), name


def test_connack_refused():
    for code, meaning, connack in packets.RECEIVED_REFUSAL:
        session = Session(Broker(connack))
        error = raised(session.module.MQTTException, session.client.connect)
        assert error.reason_code == code
        assert meaning in error.reason.lower(), error.reason
        assert meaning in str(error).lower(), str(error)
        assert isinstance(error, OSError)
        assert session.sock.closed
        assert not session.client.isconnected()


def test_subscription_refused():
    broker = Broker()
    broker.answers[SUBSCRIBE] = lambda packet: b"\x90\x03" + packet[2:4] + b"\x80"
    session = Session(broker).connected()
    error = raised(session.module.MQTTException, session.client.subscribe, "forbidden/#", 1)
    assert error.reason_code == 0x80
    assert "forbidden/#" in str(error)
    assert session.client.isconnected()


def test_one_of_three_subscriptions_refused():
    broker = Broker()
    broker.answers[SUBSCRIBE] = lambda packet: b"\x90\x05" + packet[2:4] + b"\x01\x80\x02"
    session = Session(broker).connected()
    error = raised(session.module.MQTTException, session.client.subscribe, ["a", "secret", "b"], 2)
    assert "secret" in str(error)
    assert session.client.isconnected()


def test_unknown_acks_are_answered_or_ignored():
    session = Session().connected()
    session.sent()
    for name, received, answer in packets.RECEIVED_UNKNOWN_ACK:
        for data in (received, received + received):
            session.sock.reply(data)
            session.pump()
            assert session.sent() == answer * (len(data) // len(received)), name
    session.sock.reply(b"\x30\x05\x00\x01thi")
    session.pump()
    assert len(session.messages) == 1


def test_tolerated():
    for name, message, received in packets.TOLERATED:
        session = Session().connected()
        session.sock.reply(received)
        session.pump()
        assert session.messages == [message], name


def _enter(state, received, **network):
    """Bring a session into one of the states that `packets.MALFORMED` names, receive, return (session, exception)."""
    session = Session(silent(Broker()), auto_reconnect=False, network=network)
    return session, met(session, state, received)


def _wrong_about(session, error):
    """What is wrong with how a malformed packet was met; None: nothing."""
    if not isinstance(error, session.module.MQTTException):
        return repr(error)
    if not (error.reason and error.reason_code):
        return "says nothing"
    if session.messages:
        return "delivered"
    if session.network.open_sockets() or session.client.isconnected():
        return "connection not closed"


def _wrong(**network):
    wrong = []
    for state, name, received in packets.MALFORMED:
        what = _wrong_about(*_enter(state, received, **network))
        if what:
            wrong.append((state, name, what))
    return wrong


def test_malformed():
    wrong = _wrong()
    assert not wrong, wrong


def test_malformed_cut_at_every_byte():
    wrong = _wrong(read_limit=1)
    assert not wrong, wrong
    wrong = _wrong(read_limit=2, stall=50, seed=3)
    assert not wrong, wrong


def test_larger_than_max_packet_is_refused_before_it_is_read():
    for first_byte in (0x30, 0x32, 0x34):
        session = Session(max_packet=1000, auto_reconnect=False).connected()
        session.sock.reply(bytes((first_byte, 0xE8, 0x07)) + b"\x00\x01t" + b"x" * 100)
        error = raised(session.module.MQTTException, session.client.wait_msg, 5)
        assert "max_packet" in str(error), str(error)


def test_as_large_as_max_packet_is_taken():
    session = Session(max_packet=1000).connected()
    session.sock.reply(b"\x30\xe5\x07\x00\x01t" + b"x" * 994)  # 1000 bytes in all
    session.pump()
    assert len(session.messages[0][1]) == 994
