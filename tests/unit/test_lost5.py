"""What must not be lost with a connection, and when it is lost: both versions, most of it MQTT 5."""

from flash.kit import Board, Folder
from support.answering import CONNECT, PINGREQ, PUBLISH, PUBREC, SUBSCRIBE
from support.reference5 import connack, disconnect, publish
from support.session import Session, raised
from support.session5 import Broker5, Session5, connack_with

_QUICK = {"backoff": (0.01, 0.01)}
_BOTH = {"version": (5, 4), "backoff": (0.01, 0.01)}
_OLD_CONNACK = b"\x20\x02\x00\x00"


def _broken(*_):
    raise OSError(104)


# --- QoS 2 ---------------------------------------------------------------------------------


def _taken_as_it_is_lost(board):
    """A message at QoS 2 is read in the same step in which PINGREQ is due, whose write finds the connection broken."""
    board.client.set_callback(None)
    board.clock.sleep_ms(7500)
    board.sock.reply(b"\x34\x08\x00\x01a\x00\x07one")
    board.sock.write = _broken
    board.client.check_msg()
    assert board.client.error.args[0] == 104 and not board.client.isconnected()
    assert board.client.message[:2] == (b"a", b"one")


def test_a_message_that_nobody_claims_is_taken_while_the_connection_is_lost():
    """It was the application's, so it is answered when it comes again, and not delivered twice (section 4.3.3)."""
    with Folder() as folder:
        board = Board(folder, keepalive=10, **_QUICK).connected()
        _taken_as_it_is_lost(board)
        message = board.client.message
        board.pump(200)
        assert board.client.isconnected() and len(board.broker.connections) == 2
        board.sock.reply(b"\x3c\x08\x00\x01a\x00\x07one")
        board.pump(200)
        assert board.broker.of_type(PUBREC) == [b"\x50\x02\x00\x07"]
        assert board.client.message is message
        board.sock.reply(b"\x62\x02\x00\x07")
        board.pump(200)
        board.sock.reply(b"\x34\x08\x00\x01a\x00\x07two")
        board.pump(200)
        assert board.client.message[:2] == (b"a", b"two"), "the identifier is free again"


# --- A long message on a link that takes nothing more --------------------------------------


def _half_written(qos):
    """A client in the middle of writing 2000 bytes; `room[0]`: bytes that the stream takes from now on."""
    session = Session5(keepalive=10, tx_size=256, outbox=4096, timeout=600, **_QUICK).connected()
    room = [600]

    def space():
        taken = min(room[0], 50)
        room[0] -= taken
        return taken

    session.sock._space = space
    session.client.publish("t", b"x" * 2000, qos=qos, wait=False)
    assert session.broker.of_type(PUBLISH) == []
    return session, room


def _work(session, seconds):
    """Let the client work until it has lost the connection or the time is over; return the seconds."""
    begun = session.clock.now
    while session.client.isconnected() and session.clock.now - begun < seconds * 1000:
        session.client.check_msg()
        session.clock.sleep_ms(100)
    return (session.clock.now - begun) / 1000


def test_a_long_message_is_half_written_when_the_link_dies():
    for qos in (0, 1, 2):
        session, _ = _half_written(qos)
        seconds = _work(session, 100)
        assert 13 <= seconds <= 17, (qos, seconds)
        assert isinstance(session.client.error, OSError)


def test_a_long_message_goes_on_slowly():
    """PINGREQ has no place within it, and is sent behind it."""
    session, room = _half_written(1)
    for _ in range(16):
        room[0] += 100
        assert _work(session, 5) >= 5, session.client.error
    assert [len(packet) for packet in session.broker.of_type(PUBLISH)] == [2009]
    room[0] = 1000
    assert _work(session, 20) >= 20
    assert session.client.pending() == 0 and session.broker.of_type(PINGREQ)


# --- connect() in a callback ---------------------------------------------------------------


def _connects_in_a_callback(session, message):
    errors = []
    session.client.set_callback(lambda topic, msg: errors.append(raised(OSError, session.client.connect)))
    session.sock.reply(message)
    session.pump(50)
    assert len(errors) == 1 and "in a callback" in str(errors[0])
    assert session.client.isconnected()


def test_connect_in_a_callback_leaves_the_level():
    broker = Broker5()
    broker.strict = False
    broker.answers[CONNECT] = lambda packet: b"\x20\x02\x00\x01" if packet[8] == 5 else _OLD_CONNACK
    session = Session5(broker, **_BOTH).connected()
    _connects_in_a_callback(session, b"\x30\x04\x00\x01a!")
    session.client.publish("t", "pay")
    assert broker.of_type(PUBLISH) == [b"\x30\x06\x00\x01tpay"]
    session.client.set_callback(lambda topic, msg: session.messages.append((topic, msg)))
    session.received(b"\x30\x06\x00\x01apay")
    assert session.messages == [(b"a", b"pay")] and len(broker.connections) == 2


def test_connect_in_a_callback_leaves_clean_start():
    session = Session5(session_expiry=600, **_QUICK).connected()
    _connects_in_a_callback(session, publish("a", ""))
    session.sock.hang_up()
    session.pump(500)
    connects = session.broker.of_type(CONNECT)
    assert len(connects) == 2 and session.client.isconnected()
    assert connects[1][9] & 2 == 0, "Clean Start"


# --- Coming back ---------------------------------------------------------------------------


def test_short_connections_pause_alike_in_both_versions():
    """The client guesses that its identifier is in use twice, and says so; it was not refused."""
    for kind in (Session, Session5):
        session = kind(backoff=(1, 60)).connected()
        for count in range(1, 6):
            begun = session.clock.now
            session.sock.hang_up()
            while len(session.broker.connections) == count or not session.client.isconnected():
                session.client.wait_msg(0.5)
            seconds = (session.clock.now - begun) / 1000
            assert seconds <= (1 << count - 1) + 2, (kind, count, seconds)


def _addresses(session):
    """Host and protocol version of each CONNECT."""
    return [(sock.address[0], packet[8]) for sock in session.network.sockets for packet in sock.packets()[:1]]


def test_one_broker_has_spoken_mqtt_5_and_the_other_closes_on_it():
    session = Session5(server=["new", "old"], **_BOTH)

    def answer(packet):
        if session.sock.address[0] == "new":
            return connack()
        if packet[8] == 4:
            return _OLD_CONNACK
        session.sock.hang_up()
        return None

    session.broker.strict = False
    session.broker.answers[CONNECT] = answer
    session.connected()
    session.broker.accepts = lambda sock: "refused" if sock.address[0] == "new" else None
    session.sock.hang_up()
    session.pump(1000)
    assert session.client.isconnected()
    assert _addresses(session) == [("new", 5), ("old", 5), ("old", 4)]


def test_a_reference_is_not_followed_without_auto_reconnect():
    session = Session5(auto_reconnect=False, **_QUICK).connected()
    session.sock.reply(disconnect(0x9D, server_reference="other"))
    error = raised(session.module.MQTTException, session.pump, 1000)
    assert error.reason_code == 0x9D and not session.client.isconnected()
    assert session.network.names == [("broker", 1883)] and session.network.open_sockets() == []


# --- The server's maximum packet size ------------------------------------------------------


def test_a_short_topic_gets_no_alias_and_no_packet_is_too_large():
    for topic in ("a", "ab", "abc", "abcd", "abcdefghij"):
        for qos in (0, 1):
            session = Session5(connack_with(topic_alias_maximum=8, maximum_packet_size=32)).connected()
            most = 27 - len(topic) - 2 * qos  # without an alias: two bytes of header, two lengths
            for length in (1, most - 3, most - 2, most - 1, most, 1, most):
                session.client.publish(topic, "x" * length, qos=qos)
            assert max([len(packet) for packet in session.broker.of_type(PUBLISH)]) <= 32, (topic, qos)
            given = [fields["properties"] for fields in session.broker.said("PUBLISH") if fields["properties"]]
            assert len(given) == (0 if len(topic) < 3 else 7), (topic, qos)
            raised(ValueError, session.client.publish, topic, "x" * (most + 1), qos=qos)


def test_a_filter_that_another_server_refuses_does_not_hold_up_those_behind_it():
    """Nor while the client waits and nothing comes from the server: PINGREQ is due 45 seconds later."""
    for filters in (["x" * 60, "b"], ["x" * 60, "y" * 60, "b", "c"], ["b", "x" * 60, "c"]):
        session = Session5(**_QUICK).connected()
        for topic_filter in filters:
            session.client.subscribe(topic_filter)
        session.broker.answers[CONNECT] = lambda packet: connack(maximum_packet_size=40)
        begun = session.clock.now
        session.sock.hang_up()
        session.client.wait_msg(50)
        sent = [packet[-2:-1] for packet in session.sock.packets() if packet[0] >> 4 == SUBSCRIBE]
        assert sent == [name.encode() for name in filters if len(name) == 1], (filters, sent)
        assert session.broker.times_of(SUBSCRIBE)[-1] - begun <= 2000, filters
