# mypy: ignore-errors
"""Polling for the fake socket: it is ready whenever somebody looks, and nothing ever happens."""

import time

POLLIN = 1
POLLOUT = 4
POLLERR = 8
POLLHUP = 16

_PAUSE = 5  # ms; asleep no instructions are counted


class poll:
    """select.poll."""

    def register(self, stream, flags=0):
        """Whatever it is."""

    modify = unregister = register

    def poll(self, ms=-1):
        """Ready."""
        return [()]

    def ipoll(self, ms=-1, flags=0):
        """Nothing has happened."""
        if ms:
            time.sleep_ms(_PAUSE)
        return ()
