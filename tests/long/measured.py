"""What the long runs share: the library as a board has it, the device's heap, and the verdict on it."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from support.device import LIB, Device
from tools import toolchain

DEVICE = Path(__file__).resolve().parent / "device"

# One object that is there just then can stand in the middle of the free memory; so the best of a tenth of all reports
# counts, and it may be smaller than the best of the first tenth by so much.
LARGEST_SHARE = 2 / 3
_FEWEST = 5  # reports in what counts as a tenth

_BLOCK = 32  # bytes, on the 64-bit unix port


def compiled(folder: Path) -> Path:
    """Compile lib/ and the device's scripts into `folder`, as a board has them: compiling takes more than 64 KB."""
    (folder / "fieldmqtt").mkdir()
    for source in [*LIB.glob("fieldmqtt/*.py"), *DEVICE.glob("*.py")]:
        target = folder / source.relative_to(LIB if LIB in source.parents else DEVICE).with_suffix(".mpy")
        subprocess.run([*toolchain.mpy_cross(), "-O3", "-s", source.name, "-o", target, source], check=True, timeout=60)
    return folder


class Client(str, Enum):
    """A face of the library."""

    sync = "sync"
    asyncio = "asyncio"


@dataclass(frozen=True)
class Heap:
    """Of the device after `done` messages or reconnects: bytes allocated, and the largest free block, after a gc."""

    done: int
    allocated: int
    largest: int


def heap(device: Device, timeout: float = 60) -> Heap:
    """The next report of report.py's heap()."""
    done, allocated = map(int, device.line("heap", timeout).split())
    largest = re.search(r"max free sz: (\d+)", device.line(" No. of 1-blocks"))
    assert largest, device.said()
    return Heap(done, allocated, int(largest.group(1)) * _BLOCK)


def tenths(heaps: Sequence[Heap]) -> list[int]:
    """The best largest free block of each tenth of the reports."""
    size = max(len(heaps) // 10, _FEWEST)
    return [max(each.largest for each in heaps[at : at + size]) for at in range(0, len(heaps), size)]


def growth(heaps: Sequence[Heap], bound: int) -> list[str]:
    """What is not flat: one line each. The measure are the first report, and of the blocks the second tenth: in the
    first one the tables of the objects still grow.

    `bound`: bytes that may be allocated more than at first, because of what is there just then.
    """
    first = heaps[0].allocated
    found = [
        f"after {each.done:,}: {each.allocated:,} bytes allocated, at first {first:,}"
        for each in heaps
        if each.allocated > first + bound
    ]
    best = tenths(heaps)[1:]
    if min(best) < best[0] * LARGEST_SHARE:
        found.append(f"the largest free block shrinks, bytes: {best}")
    return found
