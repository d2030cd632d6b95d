"""The proxy: each fault does what it says, and the same seed is the same faults."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import islice

import pytest

from faults import plan
from faults.plan import Fault, Fixed, Plan
from faults.proxy import Proxy
from support.scripted import Peer, ScriptedBroker

WAIT_S = 5.0
SILENT_S = 0.2

Connect = Callable[[], Peer]


@pytest.fixture
def through(scripted_broker: ScriptedBroker) -> Iterator[Callable[..., tuple[Proxy, Connect]]]:
    """A proxy with these faults of its connections, and a function that makes a connection."""
    with ExitStack() as stack:

        def start(*connections: list[Fault], **options: object) -> tuple[Proxy, Connect]:
            proxy = stack.enter_context(Proxy(scripted_broker.port, Fixed(*connections), **options))

            def connect() -> Peer:
                made = socket.create_connection(("127.0.0.1", proxy.port), WAIT_S)
                stack.callback(made.close)
                return Peer(made)

            return proxy, connect

        yield start


@pytest.fixture
def joined(through, scripted_broker: ScriptedBroker) -> Callable[..., tuple[Proxy, Peer, Peer]]:
    """One connection with these faults: the proxy, its device's end, its broker's end."""

    def join(*faults: Fault) -> tuple[Proxy, Peer, Peer]:
        proxy, connect = through(list(faults))
        device = connect()
        return proxy, device, scripted_broker.accept()

    return join


def _expect_reset(connect: Connect) -> None:
    """The connection is accepted and reset; the reset may be as fast as the system's connect()."""
    with suppress(ConnectionResetError):
        connect().expect_end()


def _logged(proxy: Proxy) -> list[tuple[str, int, int]]:
    return [(each.kind, each.connection, each.byte) for each in proxy.log]


def test_without_faults_bytes_pass(joined) -> None:
    _, device, broker = joined()
    device.send(b"to the broker" * 10000)
    broker.expect(b"to the broker" * 10000)
    broker.send(b"to the device")
    device.expect(b"to the device")
    device.close()
    broker.expect_end()


@pytest.mark.parametrize("kind", [plan.RESET, plan.DROP])
def test_the_end_after_n_bytes(joined, kind: str) -> None:
    proxy, device, broker = joined(Fault(kind, True, 5))
    device.send(b"123456789")
    broker.expect(b"12345")
    broker.expect_end()
    device.expect_end()
    assert _logged(proxy) == [(kind, 0, 5)]


@pytest.mark.parametrize("kind", [plan.RESET, plan.DROP])
def test_reset_is_a_reset_and_drop_a_close(through, scripted_broker: ScriptedBroker, kind: str) -> None:
    proxy, _ = through([Fault(kind, True, 1)])
    device = socket.create_connection(("127.0.0.1", proxy.port), WAIT_S)
    device.send(b"1")
    if kind == plan.DROP:
        assert device.recv(10) == b""
    else:
        with pytest.raises(ConnectionResetError):
            device.recv(10)


def test_half_open_swallows_one_direction(joined) -> None:
    _, device, broker = joined(Fault(plan.HALF_OPEN, True, 3))
    device.send(b"123456")
    broker.expect(b"123")
    device.send(b"789")
    broker.expect_silence(SILENT_S)
    broker.send(b"still here")
    device.expect(b"still here")


def test_black_hole_swallows_both(joined) -> None:
    _, device, broker = joined(Fault(plan.BLACK_HOLE, False, 3))
    broker.send(b"123456")
    device.expect(b"123")
    device.send(b"anybody?")
    broker.expect_silence(SILENT_S)
    broker.send(b"789")
    device.expect_silence(SILENT_S)


def test_delay(joined) -> None:
    _, device, broker = joined(Fault(plan.DELAY, True, 2, 1000))
    began = time.monotonic()
    device.send(b"1234")
    broker.expect(b"12")
    assert time.monotonic() - began < 0.9
    broker.expect(b"34")
    assert time.monotonic() - began >= 1


def _pieces(sender: Peer, receiver: Peer, data: bytes) -> list[int]:
    """The sizes in which the data arrives."""
    sender.send(data)
    sizes = []
    while sum(sizes) < len(data):
        sizes.append(len(receiver._socket.recv(1000)))
    return sizes


def test_dribble(joined) -> None:
    _, device, broker = joined(Fault(plan.DRIBBLE, True, 2, 20))
    assert _pieces(device, broker, b"x" * 100).count(1) >= 3, "20, but for those that the reader was late for"


def test_split(joined) -> None:
    _, device, broker = joined(Fault(plan.SPLIT, False, 0, 60))
    assert len(_pieces(broker, device, b"x" * 100)) >= 3


def test_merge(joined) -> None:
    _, device, broker = joined(Fault(plan.MERGE, True, 1, 10))
    device.send(b"1")
    broker.expect(b"1")
    for _ in range(3):
        device.send(b"ab")
        time.sleep(0.002)
    assert broker._socket.recv(1000) == b"ababab"


def test_corrupt(joined) -> None:
    proxy, device, broker = joined(Fault(plan.CORRUPT, False, 2, 0x10))
    broker.send(b"12345")
    device.expect(b"12#45")
    assert _logged(proxy) == [(plan.CORRUPT, 0, 2)]


def test_refuse(through, scripted_broker: ScriptedBroker) -> None:
    _, connect = through([Fault(plan.REFUSE)])
    _expect_reset(connect)
    device = connect()
    device.send(b"again")
    scripted_broker.accept().expect(b"again")


def test_closed(through, scripted_broker: ScriptedBroker) -> None:
    proxy, connect = through([Fault(plan.CLOSED, size=300)])
    _expect_reset(connect)
    until = time.monotonic() + WAIT_S
    refused = 0
    while True:
        try:
            device = connect()
            break
        except ConnectionRefusedError:  # not ConnectionResetError
            refused += 1
            assert time.monotonic() < until, "closed for ever"
            time.sleep(0.02)
    device.send(b"again")
    scripted_broker.accept().expect(b"again")
    assert refused and _logged(proxy) == [(plan.CLOSED, 0, 0)]


def test_silence(through, scripted_broker: ScriptedBroker) -> None:
    _, connect = through([Fault(plan.SILENCE)])
    device = connect()
    device.send(b"hello?")
    device.expect_silence(SILENT_S)
    scripted_broker.expect_no_connection(0.05)


def test_without_a_broker_connections_are_reset(through, scripted_broker: ScriptedBroker) -> None:
    _, connect = through()
    scripted_broker.stop_listening()
    _expect_reset(connect)


def test_one_fault_after_the_other(joined) -> None:
    proxy, device, broker = joined(
        Fault(plan.SPLIT, True, 2, 3), Fault(plan.CORRUPT, False, 1, 1), Fault(plan.DROP, True, 4)
    )
    device.send(b"123")
    broker.expect(b"123")
    broker.send(b"00")
    device.expect(b"01")
    device.send(b"45678")
    broker.expect(b"4567")
    broker.expect_end()
    assert _logged(proxy) == [(plan.SPLIT, 0, 2), (plan.CORRUPT, 0, 1), (plan.DROP, 0, 7)]
    assert "drop       connection 0 -> byte 7" in proxy.report()


def test_calm(through, scripted_broker: ScriptedBroker) -> None:
    proxy, connect = through([], [Fault(plan.REFUSE)])
    first = connect()
    scripted_broker.accept()
    proxy.calm()
    first.expect_end()
    device = connect()
    device.send(b"again")
    scripted_broker.accept().expect(b"again")


def _first_faults(seed: int) -> list[list[Fault]]:
    return [list(islice(Plan(seed).faults(connection), 20)) for connection in range(200)]


def test_a_seed_decides_everything() -> None:
    assert _first_faults(1) == _first_faults(1)
    assert _first_faults(1) != _first_faults(2)


def test_every_kind_comes() -> None:
    kinds = {fault.kind for faults in _first_faults(3) for fault in faults}
    assert kinds == set(plan.LOSSLESS) and plan.CORRUPT not in kinds


def test_a_fatal_fault_is_the_last() -> None:
    for faults in _first_faults(4):
        assert not any(fault.kind in plan.FATAL + plan.AT_ACCEPT for fault in faults[:-1])


def test_corruption_spares_the_broker_and_the_first_connection() -> None:
    faults = Plan(5, (plan.CORRUPT, plan.RESET), first=1)
    assert not list(faults.faults(0))
    changed = [each for each in islice(faults.faults(1), 100) if each.kind == plan.CORRUPT]
    assert not any(each.to_broker for each in changed)
