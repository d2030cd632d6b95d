"""Cases about the life of a connection in MQTT 3.1.1: wills, sessions, takeover, keep alive, fallback."""

import time

from interop.cases_ends import Board, Forbidden, Trial, numbers, same
from support.mosquitto5 import described, publish_properties

KEEPALIVE_S = 2  # the shorter, the sooner it shows
_QUEUED = 20
_TAKEOVERS = 12  # within _WATCHED_S; who comes back without a pause makes hundreds
_WATCHED_S = 6
_LATE_S = 10  # that a broker may notice a silent client after its time: mosquitto looks every 5 s


def will(trial: Trial) -> None:
    """A board that is killed: its will comes with its QoS, and stays when it is retained."""
    topic = trial.topic("state")
    trial.forget(topic)
    other = trial.other(topic)
    board = trial.board()
    board.do("set_last_will", topic, "offline, 0 °C", True, 1)
    board.do("connect")
    board.do("publish", topic, "online", retain=True, qos=1)
    same(other.next().payload, b"online")
    board.kill()
    message = other.next()
    same((message.payload.decode(), message.qos, message.retain), ("offline, 0 °C", 1, False))
    message = trial.other(topic).next()
    same((message.payload.decode(), message.qos, message.retain), ("offline, 0 °C", 1, True))


def durable_session(trial: Trial) -> None:
    """A board without power: what was sent meanwhile is there when it comes back, in order."""
    trial.forget_session("board")
    before = trial.board(clean_session=False)
    assert before.do("connect") is False
    before.do("subscribe", trial.topic("news"), 1)
    other = trial.other()
    other.publish(trial.topic("news"), "-1", qos=1)
    same(before.message().payload, b"-1")
    before.do("publish", trial.topic("any"), b"", qos=1)  # behind it the broker has the acknowledgement
    before.kill()
    for number in range(_QUEUED):
        other.publish(trial.topic("news"), str(number), qos=1)
    after = trial.board(clean_session=False)
    assert after.do("connect") is True, "the session is gone"
    _expect(after, range(_QUEUED))


def _expect(board: Board, expected: range) -> None:
    same(numbers(each.payload for each in board.messages(len(expected))), list(expected))
    board.do("disconnect")


def broker_restart(trial: Trial) -> None:
    """The broker is stopped and started: sessions, and what waits in them, are still there; who was online is again."""
    for name in ("away", "staying"):
        trial.forget_session(name)
    away, staying = (
        trial.online(name, clean_session=False, backoff=(0.2, 1), timeout=30) for name in ("away", "staying")
    )
    for board in (away, staying):
        board.do("subscribe", trial.topic("news"), 1)
    away.do("disconnect")
    other = trial.other()
    for number in range(_QUEUED):
        other.publish(trial.topic("news"), str(number), qos=1)
    staying.messages(_QUEUED)
    staying.do("publish", trial.topic("any"), b"", qos=1)
    staying.wait("online")
    try:
        trial.served.restart()
    except NotImplementedError:
        raise Forbidden("somebody else's broker") from None
    staying.wait("lost")
    assert staying.wait("online", 30) is True, "the session is gone"
    assert away.do("connect", timeout=30) is True, "the session of the board that was away is gone"
    trial.other().publish(trial.topic("news"), str(_QUEUED), qos=1)
    same(staying.message().payload, b"%d" % _QUEUED)
    _expect(away, range(_QUEUED + 1))


def takeover(trial: Trial) -> None:
    """Two boards of one name: the first learns it, and they throw each other out ever more rarely."""
    first, second = trial.online(), trial.online()
    reason = first.wait("lost")
    other = trial.other(trial.topic("out"))
    for board in (first, second):
        board.watch(_WATCHED_S / 2)
    lost = len(first.heard("lost")) + len(second.heard("lost"))
    assert lost <= _TAKEOVERS, f"{lost} takeovers in {_WATCHED_S} s, the first one {reason}"
    second.do("publish", trial.topic("out"), "here", qos=1, wait=False)
    same(other.next(2 * trial.patience).payload, b"here")


def keepalive(trial: Trial) -> None:
    """A board with nothing to say stays connected; one that stands still is dropped, and its will comes."""
    topic = trial.topic("state")
    other = trial.other(topic)
    board = trial.board(keepalive=KEEPALIVE_S)
    board.do("set_last_will", topic, "offline", False, 1)
    board.do("connect")
    board.wait("online")
    board.watch(3 * KEEPALIVE_S)
    assert not board.heard("lost") and board.do("isconnected")
    board.do("publish", topic, "online", qos=1)
    assert other.next().payload == b"online", "the will came although the board was there"
    board.freeze()
    stopped = time.monotonic()
    same(other.next(1.5 * KEEPALIVE_S + _LATE_S).payload, b"offline")
    assert time.monotonic() - stopped > KEEPALIVE_S - 1, "its time was not over"


def fallback(trial: Trial) -> None:
    """version=(5, 4): version 5 where the broker knows it, 3.1.1 where it does not."""
    topic = trial.topic("out")
    try:
        other = trial.other(topic, version=5)
    except (AssertionError, OSError):
        other = trial.other(topic)
    board = trial.online(version=(5, 4))
    board.do("publish", topic, b"21.5", qos=1, user_properties=[("unit", "C")])
    message = other.next()
    same(message.payload, b"21.5")
    if message.properties:  # paho speaks version 5
        assert described(message) == {"UserProperty": [("unit", "C")]}, "version 5 was not used"
        board.do("subscribe", trial.topic("in"), 1)
        other.publish(trial.topic("in"), b"22", qos=1, properties=publish_properties(UserProperty=("unit", "K")))
        properties = board.message().properties
        assert properties and properties["user_properties"] == [("unit", "K")]
