"""Replays the corpus under MicroPython in a small heap: micropython replay.py TARGET FILE

It lies in a folder with everything that it imports, compiled: see test_fuzz.py. Prints how many inputs there were, how
many bytes more are allocated after a second round than after the first, and what was free.
"""

import gc
import sys
from binascii import unhexlify

# In the place of modules that would fill the heap: what is needed of them here.


class _Packets:
    CONNACK = b"\x20\x02\x00\x00"
    CONNACK_SESSION_PRESENT = b"\x20\x02\x01\x00"
    PINGRESP = b"\xd0\x00"


class _Received5:
    CONNACK = b"\x20\x03\x00\x00\x00"


class _FakeTLS:
    Context = None


sys.modules["packets"] = _Packets
sys.modules["received5"] = _Received5
sys.modules["support.faketls"] = _FakeTLS

_MODULES = {
    "decoder": "decoder",
    "session": "ordeal",
    "decoder5": "decoder5",
    "session5": "ordeal5",
    "frames": "frames",
}
check = __import__("fuzz." + _MODULES[sys.argv[1]], None, None, ("check",)).check


def replay(path):
    count = 0
    with open(path) as lines:
        for line in lines:
            data = unhexlify(line.split("#")[0].strip())
            if data:
                try:
                    check(data)
                except Exception:
                    print("input", line)
                    raise
                count += 1
    gc.collect()
    return count, gc.mem_alloc()


_, before = replay(sys.argv[2])
count, after = replay(sys.argv[2])
print("inputs", count)
print("more", after - before)
print("free", gc.mem_free())
