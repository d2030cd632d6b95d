"""The module `esp32` of a fake ESP32. Runs under MicroPython."""


def raw_temperature():
    return 122
