"""What the library allocates: scripts under MicroPython that count, or that forbid the heap altogether."""

import subprocess
from pathlib import Path

import pytest

import packets
from support.device import LIB, Device
from support.mosquitto import listener
from support.scripted import ScriptedBroker
from tools import toolchain
from tools.broker import Broker

_SCRIPTS = Path(__file__).parent / "scripts"
_SLICES_FREE = (1, 26)  # from this version on, slicing a buffer to assign to it allocates nothing
_SLICE_OBJECTS = 2 * 32  # bytes; what is allowed before


@pytest.fixture
def script(micropython: Path):
    """Run one of the scripts; returns what it printed as {name: number}."""

    def run(name: str, *arguments: object, heap: str = "256k") -> dict[str, int]:
        device = Device(micropython, _SCRIPTS / f"{name}.py", *arguments, heap=heap)
        try:
            lines = [line.rsplit(" ", 1) for line in device.finish(timeout=40)]
        finally:
            device.close()
        return {name: int(number) for name, number in lines}

    return run


@pytest.fixture
def allowed(micropython: Path) -> int:
    """Bytes that a call may allocate on this version where it should allocate none."""
    version = toolchain.version_of(micropython) or ()
    return 0 if version >= _SLICES_FREE else _SLICE_OBJECTS


def test_on_a_fake_stream(script, allowed: int) -> None:
    cost = script("fake_stream")
    assert set(cost) == {"QoS 0", "QoS 0 retained, 500 bytes", "QoS 1 and PUBACK", "QoS 2 and its acks", "PINGREQ"}
    for name, bytes_a_call in cost.items():
        packets_received = {"QoS 1 and PUBACK": 1, "QoS 2 and its acks": 2, "PINGREQ": 1}.get(name, 0)
        assert bytes_a_call <= allowed * (1 + packets_received), cost


def test_on_a_real_socket(allowed: int, scripted_broker: ScriptedBroker, micropython: Path) -> None:
    device = Device(micropython, _SCRIPTS / "real_socket.py", scripted_broker.port)
    try:
        peer = scripted_broker.online()
        peer.expect(*[b"\x30\x0a\x00\x04zeitnull"] * 150)
        for number in range(1, 51):
            peer.expect(b"\x32\x0c\x00\x04zeit" + bytes((0, number)) + b"eins")
            peer.send(b"\x40\x02" + bytes((0, number)))
        peer.expect(packets.DISCONNECT)
        cost = {name: int(number) for name, number in (line.rsplit(" ", 1) for line in device.finish())}
    finally:
        device.close()
    assert cost["QoS 0"] <= allowed
    assert cost["QoS 1 and PUBACK"] <= 2 * allowed


def test_asyncio_qos_0(allowed: int, scripted_broker: ScriptedBroker, micropython: Path) -> None:
    device = Device(micropython, _SCRIPTS / "asyncio_publish.py", scripted_broker.port)
    try:
        peer = scripted_broker.online()
        peer.expect(*[b"\x30\x0a\x00\x04zeitnull"] * 400)
        cost = int(device.line("bytes"))
        device.finish()
    finally:
        device.close()
    assert cost <= 256 + allowed


@pytest.fixture(scope="session")
def compiled_lib(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """lib/ as a board has it: .mpy files, for compiling alone takes more than 64 KB."""
    folder = tmp_path_factory.mktemp("lib")
    (folder / "fieldmqtt").mkdir()
    for source in LIB.glob("fieldmqtt/*.py"):
        target = folder / "fieldmqtt" / f"{source.stem}.mpy"
        subprocess.run([*toolchain.mpy_cross(), "-O3", "-o", target, source], check=True)
    return folder


def test_the_whole_client_in_a_small_heap(micropython: Path, face: str, compiled_lib: Path) -> None:
    """The objects of a 32-bit board are half as big, so this is a program on a board with 32 KB to spare, and with
    asyncio, whose own modules take 9 KB here, with 38 KB."""
    heap = "64k" if face == "sync" else "76k"
    with Broker() as broker, listener(broker.port, "out/#") as receiver:
        device = Device(micropython, _SCRIPTS / "small.py", face, broker.port, heap=heap, lib=compiled_lib)
        try:
            device.line("received 300", 30)
            device.finish()
            assert sorted(receiver.payloads(300)) == sorted(b"%d" % i for i in range(300))
        finally:
            device.close()
