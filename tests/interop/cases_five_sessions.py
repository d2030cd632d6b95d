"""Cases of MQTT 5 about connections: sessions, wills, limits, how they end."""

import time
from typing import Any

from interop.cases_ends import Forbidden, Trial, same
from support.mosquitto5 import described

_DELAY_S = 2
_TAKEN_OVER = 0x8E
_TESTABLE = 1 << 16  # bytes that a step may carry
_LIMITS = {  # paho's names, and those of server_limits
    "MaximumQoS": "maximum_qos",
    "RetainAvailable": "retain_available",
    "ReceiveMaximum": "receive_maximum",
    "MaximumPacketSize": "maximum_packet_size",
    "TopicAliasMaximum": "topic_alias_maximum",
    "WildcardSubscriptionAvailable": "wildcard_available",
    "SubscriptionIdentifierAvailable": "subscription_identifiers_available",
    "SharedSubscriptionAvailable": "shared_available",
    "ServerKeepAlive": "server_keepalive",
}


def v5_session_expiry(trial: Trial) -> None:
    """A session is kept as long as was asked for, and no longer; disconnect() may change that."""
    asked = {"kept": (60, None), "expired": (1, None), "shortened": (60, 1), "ended": (60, 0)}
    boards = {name: trial.online(name, version=5, session_expiry=asked[name][0]) for name in asked}
    for name, board in boards.items():
        board.do("subscribe", trial.topic(name), 1)
        board.do("disconnect", session_expiry=asked[name][1])
    time.sleep(2.5)
    found = {name: board.do("connect", False) for name, board in boards.items()}
    same(found, {"kept": True, "expired": False, "shortened": False, "ended": False})
    for board in boards.values():
        board.do("disconnect", session_expiry=0)


def v5_server_disconnect(trial: Trial) -> None:
    """The board that was thrown out is told why, and stays away."""
    first, second = trial.online(version=5), trial.online(version=5)
    _, number, text = first.wait("lost")
    assert number == _TAKEN_OVER, f"the broker said: {text}"
    for board in (first, second):
        board.watch(1.5)
    assert not second.heard("lost"), "the first one has come back"


def v5_will_delay(trial: Trial) -> None:
    """A board that is back in time was never gone; of one that is not, the will comes when its time is over."""
    other = trial.other(trial.topic("state/+"), version=5)
    for name in ("back", "gone"):
        _mortal(trial, name).kill()
    killed = time.monotonic()
    back = _mortal(trial, "back")
    message = other.next(_DELAY_S + trial.patience)
    assert message.topic == trial.topic("state/gone"), "it was back in time"
    assert time.monotonic() - killed >= _DELAY_S - 1, "too early"
    same((message.payload.decode(), described(message)), ("offline, 0 °C", {"ContentType": "text/plain"}))
    back.watch(_DELAY_S)
    back.do("publish", trial.topic("state/back"), b"here", qos=1)
    assert other.next().payload == b"here", "it was back in time"
    back.do("disconnect", session_expiry=0)


def _mortal(trial: Trial, name: str) -> Any:
    board = trial.board(name, version=5, session_expiry=60, clean_session=False)
    will = {"will_delay": _DELAY_S, "content_type": "text/plain"}
    board.do("set_last_will", trial.topic(f"state/{name}"), "offline, 0 °C", False, 1, **will)
    board.do("connect")
    return board


def v5_maximum_packet_size(trial: Trial) -> None:
    """What is larger than the board takes does not come, and nothing breaks."""
    board = trial.online(version=5, max_packet=512)
    board.do("subscribe", trial.topic("in"), 1)
    other = trial.other()
    for payload in (b"before", bytes(1000), b"after"):
        other.publish(trial.topic("in"), payload, qos=1)
    same([each.payload for each in board.messages(2)], [b"before", b"after"])
    assert not board.heard("lost"), board.heard("lost")


def v5_server_limits(trial: Trial) -> None:
    """The board knows of the broker what paho is told, and keeps to it before anything is sent."""
    told = trial.other(version=5).connack
    board = trial.online(version=5)
    limits = board.do("attribute", "server_limits")
    same(
        {name: limits.get(_LIMITS[name]) for name in told if name in _LIMITS},
        {name: value for name, value in told.items() if name in _LIMITS},
    )
    if limits["maximum_qos"] < 2:
        same(board.refusal("publish", trial.topic("out"), b"x", qos=2).kind, "ValueError")
    largest = limits["maximum_packet_size"]
    if largest and largest < _TESTABLE:
        same(board.refusal("publish", trial.topic("out"), bytes(largest)).kind, "ValueError")
    assert not board.heard("lost")


def v5_server_keep_alive(trial: Trial) -> None:
    """What the broker asks for in place of the board's own is known to the board."""
    longest = 65535
    asked = trial.other(version=5, keepalive=longest).connack.get("ServerKeepAlive")
    if asked is None:
        raise Forbidden("the broker, as it is set up here, takes any keep alive")
    board = trial.online(version=5, keepalive=longest)
    assert board.do("attribute", "server_limits")["server_keepalive"] == asked < longest


def v5_assigned_client_id(trial: Trial) -> None:
    """A board without a name is given one, by which its session is found again."""
    board = trial.online(version=5, client_id="", session_expiry=60)
    assert board.do("attribute", "server_limits").get("assigned_client_identifier"), "the broker gave no name"
    board.do("subscribe", trial.topic("in"), 1)
    assert board.do("reconnect") is True
    trial.other().publish(trial.topic("in"), b"known", qos=1)
    same(board.message().payload, b"known")
    board.do("disconnect", session_expiry=0)
