"""Payloads that are larger than the heap."""

from pathlib import Path

from fuzz.compiled import LIB, LIBRARY, compile_into
from support.device import Device
from tools.broker import Broker

_MODULES = ("__init__", "aio", "calls", "client", "connection", "outbox", "protocol")
_MODULES += ("streams", "subscriptions", "transport", "wire")
_SCRIPT = Path(__file__).parent / "scripts" / "large.py"


def test_256_kb_each_way_in_a_small_heap(micropython: Path, face: str, tmp_path: Path) -> None:
    """21 out and in, and nothing is kept of them. The objects of a 32-bit board are half as big."""
    compile_into(tmp_path, LIB, [path for path in LIBRARY if path.stem in _MODULES])
    with Broker() as broker:
        device = Device(micropython, _SCRIPT, face, broker.port, heap="64k" if face == "sync" else "80k", lib=tmp_path)
        try:
            third, last = (int(device.line("allocated", 30)) for _ in range(2))
            assert device.line("received") == str((256 + 20 * 20) * 1024)
            device.finish()
        finally:
            device.close()
    assert "wrong" not in device.said()
    assert last - third <= 256, "bytes more after the last message than after the third"
