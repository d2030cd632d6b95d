"""Cases about messages in MQTT 3.1.1: each way, many, retained, by filters, of every size and script."""

import hashlib
import time
from collections.abc import Sequence

from interop.cases_ends import Board, Came, Trial, numbers, same

THOUSAND = 1000
LARGE = 256 * 1024
_LARGE_HEAP = "200k"  # of the whole board: the message never was in it
_JOBS = 40
_ROW = bytes(range(256)) * 2
_ALPHABETS = ("°C", "über/größe", "日本/東京", "🌡/🚀", "a b")


def pattern(size: int) -> bytes:
    """What the board streams: blocks that differ."""
    blocks = b"".join(_ROW[block & 255 : (block & 255) + 256] for block in range(size // 256 + 1))
    return blocks[:size]


def both_ways(trial: Trial, qos: int) -> None:
    """Each message arrives as it was sent, once."""
    payloads = ["21.5 °C".encode(), bytes(range(256))]
    other = trial.other(trial.topic("out"), qos=qos)
    board = trial.online()
    same(board.do("subscribe", trial.topic("in"), qos=qos), qos)
    for payload in payloads:
        board.do("publish", trial.topic("out"), payload, qos=qos)
        message = other.next()
        same((message.topic, message.payload, message.qos), (trial.topic("out"), payload, qos))
        other.publish(trial.topic("in"), payload, qos=qos)
        came = board.message()
        same((came.topic.decode(), came.payload, came.qos, came.retain), (trial.topic("in"), payload, qos, 0))
    assert not board.heard("lost")


def qos0(trial: Trial) -> None:
    """Text and bytes at QoS 0, from the board to paho and back."""
    both_ways(trial, 0)


def qos1(trial: Trial) -> None:
    """Text and bytes at QoS 1, from the board to paho and back."""
    both_ways(trial, 1)


def qos2(trial: Trial) -> None:
    """Text and bytes at QoS 2, from the board to paho and back."""
    both_ways(trial, 2)


def thousand(trial: Trial) -> None:
    """A thousand in a loop at QoS 1, each way: every one, once, in order."""
    expected = list(range(THOUSAND))
    other = trial.other(trial.topic("out"))
    board = trial.online()
    same(board.do("burst", trial.topic("out"), THOUSAND, 1, timeout=60), 0)
    same(numbers(other.payloads(THOUSAND, 60)), expected)
    board.do("subscribe", trial.topic("in"), 1)
    for number in expected:
        other.client.publish(trial.topic("in"), str(number), 1)
    same(numbers(each.payload for each in board.messages(THOUSAND, 60)), expected)
    assert not board.heard("lost")


def retained(trial: Trial) -> None:
    """What is retained is there for who comes later, and gone when it was cleared."""
    topic = trial.topic("kept")
    trial.forget(topic)
    witness = trial.other(topic)
    board = trial.online()
    for payload in (b"first", b"second"):
        board.do("publish", topic, payload, retain=True, qos=1)
        message = witness.next()
        same((message.payload, message.retain), (payload, False))
    message = trial.other(topic).next()
    same((message.payload, message.retain), (b"second", True))
    board.do("subscribe", topic, 1)
    same(_shown(board.message()), (b"second", 1))
    board.do("publish", topic, b"", retain=True, qos=1)
    same(_shown(board.message()), (b"", 0))
    latecomer = trial.other(topic)
    latecomer.publish(topic, b"live", qos=1)
    message = latecomer.next()
    assert (message.payload, message.retain) == (b"live", False), "the retained message is still there"


def _shown(came: Came) -> tuple[bytes | str, int]:
    return came.payload, came.retain


def wildcards(trial: Trial) -> None:
    """+ and #, each filter with a callback of its own."""
    board = trial.online()
    for name in ("+/temperature", "garden/#", "exact"):
        board.do("subscribe", trial.topic(name), 1, callback=name)
    other = trial.other()
    topics = {
        "shed/temperature": "+/temperature",
        "barn/temperature": "+/temperature",
        "shed/wall/temperature": "",
        "garden": "garden/#",
        "garden/pond/level": "garden/#",
        "gardens": "",
        "exact": "exact",
        "exact/not": "",
        "garden/last": "garden/#",
    }
    for topic in topics:
        other.publish(trial.topic(topic), topic, qos=1)
    expected = {topic: name for topic, name in topics.items() if name}
    same({str(each.payload, "utf-8"): each.callback for each in board.messages(len(expected))}, expected)
    assert not board.heard("message")


def dollar_topics(trial: Trial) -> None:
    """# stands for no topic that begins with $; who asks for $SYS gets it, where there is one."""
    trial.foreign = True
    asked, system = trial.other(("$SYS/#", 0)), trial.online("system")
    system.do("subscribe", "$SYS/#")
    try:
        asked.next(2)
    except AssertionError:
        pass  # there is none, or it is silent
    else:
        assert system.message().topic.startswith(b"$SYS/")
    everything = trial.online("everything")
    everything.do("subscribe", "#", 1)
    asked.publish(trial.topic("end"), "", qos=1)
    topic = b""
    while topic.decode() != trial.topic("end"):
        topic = everything.message().topic
        assert not topic.startswith(b"$"), f"# has matched {topic.decode()}"


def shared_subscriptions(trial: Trial) -> None:
    """In MQTT 3.1.1, which knows nothing of them, where the broker has them all the same."""
    share(trial, 4)


def share(trial: Trial, version: int) -> None:
    """Each message goes to one board of the group; a subscription of its own that a board has besides is not shared."""
    crew = [trial.online(f"board-{i}", version=version) for i in (1, 2)]
    for board in crew:
        board.do("subscribe", f"$share/crew/{trial.topic('jobs/+')}", 1, callback="jobs")
        board.do("subscribe", trial.topic("orders"), 1, callback="orders")
    other = trial.other()
    for i in range(_JOBS):
        other.publish(trial.topic(f"jobs/{i % 7}"), str(i), qos=1)
    other.publish(trial.topic("orders"), "stop", qos=1)
    came = _all_of(crew, _JOBS + len(crew), trial.patience)
    done = [numbers(each.payload for each in each_board if each.callback == "jobs") for each_board in came]
    assert sorted(done[0] + done[1]) == list(range(_JOBS)), f"each job once: {done}"
    assert all(done), f"one board did everything: {done}"
    assert all([each.callback for each in each_board].count("orders") == 1 for each_board in came), came


def _all_of(boards: Sequence[Board], count: int, patience: float) -> list[list[Came]]:
    """What each board has received when there are so many messages at all of them together."""
    end = time.monotonic() + patience
    while sum(len(board.heard("message")) for board in boards) < count and time.monotonic() < end:
        for board in boards:
            board.do("isconnected")
    return [[Came(*each) for each in board.heard("message")] for board in boards]


def empty_payload(trial: Trial) -> None:
    """A message without a payload is one, each way."""
    other = trial.other(trial.topic("out"))
    board = trial.online()
    board.do("subscribe", trial.topic("in"), 1)
    for qos in (0, 1):
        board.do("publish", trial.topic("out"), b"", qos=qos)
        message = other.next()
        same((message.payload, message.qos, message.retain), (b"", qos, False))
        other.publish(trial.topic("in"), b"", qos=qos)
        came = board.message()
        same((came.payload, came.qos, came.retain), (b"", qos, 0))


def large_payload(trial: Trial) -> None:
    """256 KB, streamed: the board has less memory than the message."""
    expected = hashlib.sha256(pattern(LARGE)).digest()
    other = trial.other(trial.topic("out"), qos=0)
    board = trial.board(heap=_LARGE_HEAP, timeout=20)
    board.do("receive_large")
    board.do("connect")
    board.do("subscribe", trial.topic("in"), 1)
    same(board.do("publish_large", trial.topic("out"), LARGE, timeout=30), expected)
    same(hashlib.sha256(other.next(30).payload).digest(), expected)
    for qos in (0, 1):
        other.publish(trial.topic("in"), pattern(LARGE), qos=qos)
        same(board.wait("large", 30), (trial.topic("in").encode(), LARGE, expected))
    board.do("publish", trial.topic("out"), b"and on", qos=1)
    same(other.next().payload, b"and on")
    assert not board.heard("lost")


def utf8_topics(trial: Trial) -> None:
    """Topics, payloads, the name of the client and of the user in the scripts of the world."""
    anyone = not (trial.served.login or trial.served.limits)
    login = {"user": "jürgen °C 🌡", "password": "日本"} if anyone else {}
    other = trial.other(trial.topic("out/#"))
    board = trial.online("größe 日本 🚀", **login)
    board.do("subscribe", trial.topic("🌡/+/#"), 1, callback="🌡")
    for text in _ALPHABETS:
        board.do("publish", trial.topic(f"out/{text}"), text, qos=1)
        message = other.next()
        same((message.topic, message.payload.decode()), (trial.topic(f"out/{text}"), text))
        other.publish(trial.topic(f"🌡/{text}"), text.encode(), qos=1)
        came = board.message()
        same((came.callback, came.topic.decode(), came.payload), ("🌡", trial.topic(f"🌡/{text}"), text.encode()))
