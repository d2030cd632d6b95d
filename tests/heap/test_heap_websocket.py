"""What a message through WebSocket allocates: the masking key of each frame and nothing else."""

from pathlib import Path

import packets
from support.device import Device
from support.scripted_ws import ScriptedWebBroker
from tools import toolchain

_SCRIPT = Path(__file__).parent / "scripts" / "websocket.py"
_SLICES_FREE = (1, 26)  # from this version on, slicing a buffer to assign to it allocates nothing
_SLICE = 32  # bytes; what is allowed before, for the library's and for that of the key


def test_qos_0(micropython: Path) -> None:
    broker = ScriptedWebBroker()
    device = Device(micropython, _SCRIPT, broker.port)
    try:
        peer = broker.online()
        peer.expect(*[b"\x30\x46\x00\x04zeit" + b"x" * 64] * 101)
        peer.expect(*[b"\x30\xb6\x09\x00\x04zeit" + b"y" * 1200] * 101, packets.DISCONNECT)
        cost = {name: int(number) for name, number in (line.rsplit(" ", 1) for line in device.finish())}
    finally:
        device.close()
        broker.close()
    slices = 0 if (toolchain.version_of(micropython) or ()) >= _SLICES_FREE else _SLICE
    assert 0 < cost["key"] <= 64
    assert cost["QoS 0"] <= cost["key"] + 3 * slices, cost
    assert cost["QoS 0, 1200 bytes"] <= 3 * cost["key"] + 9 * slices + 100, cost
