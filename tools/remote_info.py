"""What the board runs to tell about itself and its files, and the answer to the first of these."""

from dataclasses import dataclass
from typing import Any

FROZEN, COPIED = "frozen", "copied by hand"
MANIFEST = "deploy.json"  # what `deploy` keeps on the board about the files it put there

# Of .mpy files, in the order of MicroPython's numbers: sys.implementation._mpy >> 10.
_ARCHITECTURES = (
    *("none", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp"),
    *("xtensa", "xtensawin", "rv32imc", "rv64imc"),
)

INFO = f"""
import os, sys, json
def frozen():
    path = sys.path[:]
    sys.path[:] = [".frozen"]
    sys.modules.pop("fieldmqtt", None)
    try:
        import fieldmqtt
        return True
    except ImportError:
        return False
    finally:
        sys.path[:] = path
def version():
    if frozen():
        return {FROZEN!r}
    try:
        with open({MANIFEST!r}) as f:
            return json.load(f)["version"]
    except (OSError, ValueError, KeyError):
        pass
    for n in "lib/fieldmqtt", "fieldmqtt":
        try:
            os.stat(n)
            return {COPIED!r}
        except OSError:
            pass
i, s = sys.implementation, os.statvfs("/")
try:
    import machine
    u = machine.unique_id()
except (ImportError, AttributeError):
    u = b""
print((sys.platform, getattr(i, "_build", ""), getattr(i, "_machine", ""), tuple(i.version[:3]),
    getattr(i, "_mpy", 0), s[0] * s[3], s[0] * s[2], "".join("%02x" % b for b in u), version()))
"""

HASHES = """
import hashlib
b = memoryview(bytearray(512))
for n in {!r}:
    try:
        with open(n, "rb") as f:
            h = hashlib.sha256()
            while True:
                r = f.readinto(b)
                if not r:
                    break
                h.update(b[:r])
        print((n, "".join("%02x" % x for x in h.digest())))
    except OSError:
        pass
"""

LIST = """
import os
def walk(p):
    for e in os.ilistdir(p or "/"):
        n = p + e[0]
        if e[1] & 0x4000:
            walk(n + "/")
        else:
            print((n, e[3] if len(e) > 3 and e[3] else os.stat(n)[6]))
walk({!r})
"""


@dataclass(frozen=True)
class Info:
    """What a board says about itself. `board`: upstream's name with the variant cut off; empty before 1.25."""

    platform: str
    board: str
    machine: str
    version: tuple[int, int, int]
    mpy_version: int
    mpy_sub_version: int
    mpy_arch: str
    flash_free: int
    flash_size: int
    unique_id: str
    fieldmqtt: str | None  # the version that was deployed, COPIED, FROZEN, or None

    @property
    def micropython(self) -> str:
        """Such as 1.26.1."""
        return ".".join(map(str, self.version))


def parse(answer: tuple[Any, ...]) -> Info:
    """What the code INFO printed."""
    platform, build, machine, version, mpy, free, size, unique_id, ours = answer
    number = mpy >> 10
    return Info(
        platform=platform,
        board=build.split("-")[0] if platform not in ("linux", "darwin") else "unix",
        machine=machine,
        version=version,
        mpy_version=mpy & 0xFF,
        mpy_sub_version=mpy >> 8 & 3,
        mpy_arch=_ARCHITECTURES[number] if number < len(_ARCHITECTURES) else f"number {number}",
        flash_free=free,
        flash_size=size,
        unique_id=unique_id,
        fieldmqtt=ours,
    )
