"""Prints the bytes that a publish allocates on a real socket."""

import gc
import sys

import micropython

from fieldmqtt import MQTTClient

client = MQTTClient("board", "127.0.0.1", int(sys.argv[1]))
client.connect()
topic, payload, acked = b"zeit", b"null", b"eins"


def mean(n, call):
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(n):
        call()
    used = gc.mem_alloc() - before
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


def qos_0():
    client.publish(topic, payload)


def qos_1():
    client.publish(topic, acked, False, 1)


for _ in range(20):
    qos_0()
result_0 = mean(80, qos_0)
locked(50, qos_0)
for _ in range(10):
    qos_1()
result_1 = mean(40, qos_1)
client.disconnect()
print("QoS 0", result_0)
print("QoS 1 and PUBACK", result_1)
