"""The programs of docs/streaming.md do what it says, as they stand there."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docs_programs import blocks

from support.device import Device
from support.mosquitto import listener
from tools.broker import Broker
from tools.toolchain import ROOT

SEND, RECEIVE, SEND_PIECES, RECEIVE_PIECES = blocks(ROOT / "docs" / "streaming.md", "python")
_PICTURE = os.urandom(40_001)


@pytest.fixture
def start(run: Callable[..., Device], broker: Broker, tmp_path: Path) -> Iterator[Callable[..., Device]]:
    """Run a program in a folder of its own, where there may be a picture."""

    def run_here(program: str, picture: bytes = b"") -> Device:
        assert program.count('"192.168.1.10"') == 1
        if picture:
            (tmp_path / "picture.jpg").write_bytes(picture)
        program = program.replace('"192.168.1.10"', f'("127.0.0.1", {broker.port})')
        return run(f"import os; os.chdir({str(tmp_path)!r})\n{program}")

    yield run_here


def test_sending(start: Callable[..., Device], broker: Broker) -> None:
    with listener(broker.port, "camera/picture") as other:
        start(SEND, _PICTURE).finish()
        assert other.next().payload == _PICTURE


@pytest.mark.parametrize("size", [len(_PICTURE), 1000])
def test_receiving(start: Callable[..., Device], broker: Broker, tmp_path: Path, size: int) -> None:
    program = RECEIVE.replace("client.wait_msg(60)", "print('ready')\nwhile True:\n    client.wait_msg()")
    assert program != RECEIVE
    device = start(program)
    device.line("ready")
    with listener(broker.port) as other:
        other.publish("firmware/new", _PICTURE[:size], qos=1)
        assert device.line("whole:") == f"b'firmware/new' {size} bytes at QoS 1"
    assert (tmp_path / "new.bin").read_bytes() == _PICTURE[:size]


def test_sending_so_that_it_arrives(start: Callable[..., Device], broker: Broker) -> None:
    with listener(broker.port, "camera/piece") as other:
        start(SEND_PIECES, _PICTURE).line("the broker has it")
        pieces = other.payloads(-(-len(_PICTURE) // 1024))
    assert all(int.from_bytes(piece[4:8], "big") == len(_PICTURE) for piece in pieces)
    found = bytearray(len(_PICTURE))
    for piece in pieces:
        offset = int.from_bytes(piece[:4], "big")
        found[offset : offset + len(piece) - 8] = piece[8:]
    assert found == _PICTURE


def test_receiving_so_that_it_arrives(start: Callable[..., Device], broker: Broker, tmp_path: Path) -> None:
    """In order at first, then some once more, and the last ones in disorder."""
    device = start(RECEIVE_PIECES.replace("while missing", "print('ready')\nwhile missing"))
    device.line("ready")
    offsets = [0, 1024, 2048, 1024, 4096, 0, 3072, 5120]
    picture = _PICTURE[:5500]
    with listener(broker.port) as other:
        for offset in offsets:
            head = offset.to_bytes(4, "big") + len(picture).to_bytes(4, "big")
            other.publish("camera/piece", head + picture[offset : offset + 1024], qos=1)
        device.line("whole")
        device.finish()
    assert (tmp_path / "picture.jpg").read_bytes() == picture
