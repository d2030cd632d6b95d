"""The short form of long/messages.py."""

from pathlib import Path

from long.measured import Client, growth
from long.messages import BOUND, run

_MESSAGES = 12_000


def test_many_messages_in_a_small_heap(micropython: Path, face: str, library: Path) -> None:
    heaps = list(run(micropython, Client(face), _MESSAGES, _MESSAGES // 20, library))
    assert heaps[-1].done == _MESSAGES
    assert not growth(heaps, BOUND), heaps
