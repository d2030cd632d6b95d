"""What a device script tells of its heap and of its open files. The host reads it in long/measured.py."""

import gc
import os

import micropython


def heap(done):
    """Print what is allocated and the largest free block after so many; micropython.mem_info() knows it."""
    gc.collect()
    print("heap", done, gc.mem_alloc())
    micropython.mem_info()


def open_files():
    """Return how many files and sockets this process has open, and this look at them."""
    return len(os.listdir("/dev/fd"))
