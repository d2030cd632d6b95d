"""Cases of MQTT 5 about messages: what they carry, how they are answered, who gets them."""

import time
from typing import Any

from interop.cases_ends import Came, Other, Trial, same
from interop.cases_messages import share
from interop.served import TCP, Endpoint
from support.mosquitto5 import Ear, described, publish_properties

_PAIRS = [("unit", "°C"), ("place", "shed"), ("unit", "K"), ("", "")]
_ALIASED = 30
_MANY = 40
_RECEIVE_MAXIMUM = 3
_NO_SUBSCRIBERS = 0x10


def _board(trial: Trial, ear: Ear | None = None, **arguments: Any) -> Any:
    """A board of version 5 that is connected, by way of an ear if there is one."""
    end = Endpoint(TCP, ear.port) if ear else None
    return trial.online(version=5, end=end, **arguments)


def _ear(trial: Trial) -> Ear | None:
    """What goes over the wire, where it can be read."""
    local = trial.end.kind == TCP and trial.end.host == "127.0.0.1"
    return trial.enter(Ear(trial.end.port)) if local else None


def _properties(came: Came) -> dict[str, Any]:
    """What the publisher has given a message: not the identifier of the subscription."""
    return {name: value for name, value in (came.properties or {}).items() if name != "subscription_identifier"}


def v5_message_expiry(trial: Trial) -> None:
    """What is too old is not delivered; of the rest it is told how long it is good."""
    _board(trial, session_expiry=60).do("subscribe", trial.topic("in"), 1)
    trial.boards[0].do("disconnect")
    other = trial.other(trial.topic("out"), version=5)
    for seconds in (1, 60):
        options = publish_properties(MessageExpiryInterval=seconds)
        other.publish(trial.topic("in"), str(seconds), qos=1, properties=options)
    other.publish(trial.topic("in"), "for ever", qos=1)
    time.sleep(2.5)
    board = trial.boards[0]
    assert board.do("connect", False) is True
    first, second = board.messages(2)
    same((first.payload, second.payload, _properties(second)), (b"60", b"for ever", {}))
    assert 50 <= _properties(first)["message_expiry"] <= 58, "what is left of it"
    board.do("publish", trial.topic("out"), b"x", qos=1, message_expiry=600)
    assert 590 <= described(other.next())["MessageExpiryInterval"] <= 600
    board.do("disconnect", session_expiry=0)


def v5_reason_codes(trial: Trial) -> None:
    """That nobody has subscribed is told, and of several filters what became of each."""
    board = _board(trial)
    packet_id = board.do("publish", trial.topic("nobody"), b"?", qos=1)
    said = board.do("attribute", "acknowledged")
    assert said and said[:2] == (packet_id, _NO_SUBSCRIBERS), f"the broker said {said}"
    same(board.do("subscribe", [trial.topic("a"), trial.topic("b/+")], 1), [1, 1])
    board.do("publish", trial.topic("a"), b"!", qos=1)
    assert board.do("attribute", "acknowledged")[0] == packet_id, "to this one there is a subscriber"
    board.do("unsubscribe", [trial.topic("a"), trial.topic("never")])
    assert not board.heard("lost")


def v5_payload_format(trial: Trial) -> None:
    """Text is text and bytes are bytes at both ends, and the type of the content comes along."""
    other = trial.other(trial.topic("out"), version=5)
    board = _board(trial)
    board.do("subscribe", trial.topic("in"), 1)
    board.do("publish", trial.topic("out"), "höher", qos=1, payload_format=1, content_type="text/plain")
    same(described(other.next()), {"PayloadFormatIndicator": 1, "ContentType": "text/plain"})
    text = publish_properties(PayloadFormatIndicator=1, ContentType="text/plain")
    other.publish(trial.topic("in"), "höher".encode(), qos=1, properties=text)
    other.publish(trial.topic("in"), b"\xff\0", qos=1, properties=publish_properties(ContentType="image/x"))
    first, second = board.messages(2)
    same((first.payload, _properties(first)["content_type"]), ("höher", "text/plain"))
    same((second.payload, _properties(second)), (b"\xff\0", {"content_type": "image/x"}))


def v5_user_properties(trial: Trial) -> None:
    """In order, repeated names and empty ones kept, each way."""
    other = trial.other(trial.topic("out"), version=5)
    board = _board(trial, user_properties=[("firmware", "1.4")])
    board.do("subscribe", trial.topic("in"), 1, user_properties=[("why", "test")])
    for qos in (0, 1):
        board.do("publish", trial.topic("out"), b"x", qos=qos, user_properties=_PAIRS)
        same(described(other.next()), {"UserProperty": _PAIRS})
        other.publish(trial.topic("in"), b"x", qos=qos, properties=publish_properties(UserProperty=_PAIRS))
        same(_properties(board.message()), {"user_properties": _PAIRS})


def v5_request_response(trial: Trial) -> None:
    """The board asks and is answered, and answers what it is asked."""
    other = trial.other(trial.topic("ask"), trial.topic("answers"), version=5)
    _answering(other)
    board = _board(trial)
    answer = board.do("request", trial.topic("ask"), b"on?", qos=1, timeout=None)
    same(answer[1], b"answer to on?")
    board.do("subscribe", trial.topic("asked"), 1)
    asked = publish_properties(ResponseTopic=trial.topic("answers"), CorrelationData=b"\0\xff7")
    other.publish(trial.topic("asked"), b"how warm?", qos=1, properties=asked)
    same(board.message().payload, b"how warm?")
    board.do("reply", b"21.5", qos=1)
    message = other.next()
    same((message.topic, message.payload), (trial.topic("answers"), b"21.5"))
    same(described(message)["CorrelationData"], b"\0\xff7")


def _answering(other: Other) -> None:
    """paho answers what has a response topic; the rest is kept as always."""

    def answer(client: Any, _data: Any, message: Any) -> None:
        asked = described(message)
        if "ResponseTopic" not in asked:
            other.messages.put(message)
            return
        back = publish_properties(CorrelationData=asked["CorrelationData"])
        client.publish(asked["ResponseTopic"], b"answer to " + message.payload, 1, properties=back)

    other.client.on_message = answer


def v5_shared(trial: Trial) -> None:
    """Each message goes to one board of the group."""
    share(trial, 5)


def v5_subscription_identifiers(trial: Trial) -> None:
    """Where filters overlap, each one's callback is called once: the identifier says for which a message came."""
    board = _board(trial)
    for name in ("#", "+/c", "b/c"):
        board.do("subscribe", trial.topic(name), 1, callback=name)
    other = trial.other()
    for topic in ("b/c", "x/c", "other", "end"):
        other.publish(trial.topic(topic), topic, qos=1)
    came = board.messages(4 + 2 + 1)
    calls = sorted((str(each.payload, "utf-8"), each.callback) for each in came)
    same(
        calls,
        [
            ("b/c", "#"),
            ("b/c", "+/c"),
            ("b/c", "b/c"),
            ("end", "#"),
            ("other", "#"),
            ("x/c", "#"),
            ("x/c", "+/c"),
        ],
    )
    assert all((each.properties or {}).get("subscription_identifier") for each in came), "no identifiers came"


def v5_topic_alias(trial: Trial) -> None:
    """A topic goes over the wire once; paho gets it whole."""
    ear = _ear(trial)
    other = trial.other(trial.topic("sensor/#"), version=5)
    board = _board(trial, ear)
    assert board.do("attribute", "server_limits")["topic_alias_maximum"] >= 2, "the broker takes no aliases"
    topics = [trial.topic(f"sensor/{i % 2}") for i in range(_ALIASED)]
    for number, topic in enumerate(topics):
        board.do("publish", topic, str(number), qos=number % 2)
    came = {int(message.payload): message.topic for message in (other.next() for _ in topics)}
    same(came, dict(enumerate(topics)))
    if ear:
        sent = ear.packets(True, "PUBLISH")
        assert sum(bool(packet["topic"]) for packet in sent) == 2 and len(sent) == _ALIASED


def v5_flow_control(trial: Trial) -> None:
    """Receive maximum: the broker sends no more than the board says; the board no more than the broker."""
    ear = _ear(trial)
    other = trial.other(trial.topic("out"))
    board = _board(trial, ear, session_expiry=60, receive_maximum=_RECEIVE_MAXIMUM)
    board.do("subscribe", trial.topic("in"), 1)
    board.do("disconnect")
    for number in range(_MANY):
        other.publish(trial.topic("in"), str(number), qos=1)
    assert board.do("connect", False) is True
    same([int(each.payload) for each in board.messages(_MANY)], list(range(_MANY)))
    assert not board.heard("lost"), board.heard("lost")
    same(board.do("burst", trial.topic("out"), _MANY, 1, timeout=30), 0)
    same(other.payloads(_MANY), [b"%d" % number for number in range(_MANY)])
    if ear:
        most = ear.most_in_flight(False)
        assert most <= _RECEIVE_MAXIMUM, f"the broker sent {most} at a time, and may send {_RECEIVE_MAXIMUM}"
        assert ear.most_in_flight(True) <= board.do("attribute", "server_limits")["receive_maximum"]
    board.do("disconnect", session_expiry=0)


def v5_subscription_options(trial: Trial) -> None:
    """No local, retain as published, retain handling."""
    kept = trial.topic("kept")
    trial.forget(kept)
    trial.forget(trial.topic("as published"))
    other = trial.other(version=5)
    other.publish(kept, "kept", qos=1, retain=True)
    board = _board(trial)
    board.do("subscribe", trial.topic("own"), 1, no_local=True)
    board.do("publish", trial.topic("own"), b"an echo", qos=1)
    other.publish(trial.topic("own"), b"from paho", qos=1)
    same(board.message().payload, b"from paho")
    for name, flag in (("plain", False), ("as published", True)):
        board.do("subscribe", trial.topic(name), 1, retain_as_published=flag)
        trial.forget(trial.topic(name))
        other.publish(trial.topic(name), name, qos=1, retain=True)
        came = board.message()
        same((came.payload, came.retain), (name.encode(), int(flag)))
    _retain_handling(trial, board, other, kept)


def _retain_handling(trial: Trial, board: Any, other: Other, kept: str) -> None:
    """0: with each subscription, 1: with a new one, 2: never. A message behind it shows that nothing came."""
    for handling, expected in ((0, [True, True]), (1, [True, False]), (2, [False, False])):
        for time_, comes in zip(("first", "again"), expected, strict=True):
            board.do("subscribe", kept, 1, retain_handling=handling)
            if comes:
                came = board.message()
                assert (came.payload, came.retain) == (b"kept", 1), f"retain handling {handling}, {time_}"
            other.publish(kept, b"live", qos=1)
            assert board.message().payload == b"live", f"retain handling {handling}, {time_}"
        board.do("unsubscribe", kept)
