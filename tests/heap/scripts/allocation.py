"""For the other scripts of this folder: what a call allocates, and that it allocates nothing."""

import gc
import sys

import micropython


def mean(n, call, before=1):
    """Bytes a call, the mean of `n`, rounded up; it has been called so often before."""
    for _ in range(before):
        call()
    gc.collect()
    gc.disable()
    start = gc.mem_alloc()
    for _ in range(n):
        call()
    used = gc.mem_alloc() - start
    gc.enable()
    return (used + n - 1) // n


def locked(n, call):
    """Call with the heap locked, where the version can do without it."""
    without_heap = sys.implementation.version[:2] >= (1, 26)
    if without_heap:
        micropython.heap_lock()
    try:
        for _ in range(n):
            call()
    finally:
        if without_heap:
            micropython.heap_unlock()
