# mypy: ignore-errors
"""What the scripts of the benchmark share. They run under MicroPython: `<script>.py CASE PORT COUNT HEAP VERSION`.

Every client does the same: COUNT messages of one case, after a few that are not counted, and then says
`result <microseconds> <bytes of heap>`. HEAP=1 counts heap: collection is off, so that every byte stays counted.
"""

import gc
import sys
import time

TOPIC = b"sensors/board1/temp"
PAYLOAD = b"x" * 64
WINDOW = 20
WARM_UP = 20  # messages; the host knows this number too
HOST = "127.0.0.1"

CASE = sys.argv[1]
PORT = int(sys.argv[2])
COUNT = int(sys.argv[3])
_HEAP = sys.argv[4] == "1"
VERSION = int(sys.argv[5])  # of MQTT


def start():
    """Begin to measure."""
    gc.collect()
    if _HEAP:
        gc.disable()
    return gc.mem_alloc(), time.ticks_us()


def stop(started):
    """End, and say the result."""
    took = time.ticks_diff(time.ticks_us(), started[1])
    print("result", took, gc.mem_alloc() - started[0])


def prepare():
    """Before messages are received they are all sent, so that what is measured is the receiver alone."""
    if CASE == "receive":
        print("ready")
        sys.stdin.readline()


def measure(run):
    """Call run(count) for the messages of a client that waits."""
    prepare()
    run(WARM_UP)
    started = start()
    run(COUNT)
    stop(started)


async def measure_async(run):
    """The same for a coroutine function."""
    prepare()
    await run(WARM_UP)
    started = start()
    await run(COUNT)
    stop(started)
