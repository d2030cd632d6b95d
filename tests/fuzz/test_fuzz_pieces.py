"""Whatever a broker says to a client that takes large messages piece by piece: see pieces.py."""

import sys

import pytest

from fuzz import engine, pieces
from support import reference5


def _published(size: int, qos: int, topic: bytes = b"a/b") -> bytes:
    return reference5.packet(0x30 | qos << 1, reference5.field(topic), b"\0\7" if qos else b"", bytes(size))


def _inputs() -> list[bytes]:
    """Large and small messages among each other, for each of the settings."""
    streams = [
        _published(400, qos) + _published(5, qos) + _published(350, qos) + b"\x62\x02\0\7" + _published(301, qos)
        for qos in (0, 1, 2)
    ]
    streams += [_published(400, 3), _published(400, 1, b"+"), _published(400, 0, b"t" * 80), b"\x40\xff\x7f\0\1"]
    return [bytes((choice,)) + stream for choice in range(16) for stream in streams]


def test_each_input() -> None:
    for data in _inputs():
        pieces.check(data)


def test_guided() -> None:
    fuzzer = engine.Fuzzer(pieces.check, _inputs(), seed=1)
    for _ in range(150):
        fuzzer.step()
    assert not fuzzer.findings, {name: data.hex() for name, data in fuzzer.findings.items()}


@pytest.mark.parametrize("method", ["_read", "_head_size"])
def test_faults_are_found(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """One byte too many is read, or taken for the head."""
    pieces.check(b"\0")  # which loads the library
    kind = sys.modules["fieldmqtt.streams"]._Large
    right = getattr(kind, method)
    monkeypatch.setattr(kind, method, lambda *arguments: 1 + right(*arguments))
    with pytest.raises(pieces.Broken):
        for data in _inputs():
            pieces.check(data)
