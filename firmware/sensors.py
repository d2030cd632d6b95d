"""What is measured. A sensor is one function that returns a dict; it is called once for each reading.

To add yours, write a function and put it into SENSORS:

    from machine import ADC

    _light = ADC(26)

    def light():
        return {"light": _light.read_u16()}

An exception in a sensor is logged and counted; the other sensors' values are published all the same.
"""

import gc
import os

import board


def heap():
    """Free bytes of RAM, after collecting what is no longer used."""
    gc.collect()
    return {"heap_free": gc.mem_free()}


def storage():
    """Free bytes of the file system: the example of a sensor of your own."""
    info = os.statvfs("/")
    return {"storage_free": info[0] * info[3]}


SENSORS = [board.sensors, heap, storage]
