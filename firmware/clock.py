"""The time of day: from the board's clock, set from a time server when there is one in config.json."""

import time

from micropython import const

try:
    import ntptime  # type: ignore[import-not-found]
except ImportError:  # unix, whose clock is the computer's
    ntptime = None

# Boards start in 2000 or 2021; a year from here on was set by somebody.
_SET_YEAR = const(2025)
_SECONDS_1970_TO_2000 = const(946684800)

_RETRY_S = const(60)
_AGAIN_S = const(24 * 3600)


def unix_time():
    """Return seconds since 1970 (UTC), None while the clock was never set."""
    if time.gmtime()[0] < _SET_YEAR:
        return None
    seconds = int(time.time())
    return seconds + _SECONDS_1970_TO_2000 if time.gmtime(0)[0] == 2000 else seconds


class NetworkTime:
    """Sets the clock from `server`: once the link is up, then every day; every minute while it fails.

    step() blocks while the server's name is resolved (see the watchdog) and for at most 1 s more.
    """

    def __init__(self, server):
        self._server = server if ntptime else None
        self._due = 0  # uptime, s

    def step(self, uptime):
        """Set the clock if it is time to; uptime in s. Return a text when that failed, else None."""
        if not self._server or uptime < self._due:
            return None
        try:
            ntptime.host = self._server
            ntptime.timeout = 1
            ntptime.settime()
        except (OSError, ValueError, IndexError, OverflowError) as e:
            self._due = uptime + _RETRY_S
            return "no time from %s: %s" % (self._server, e)
        self._due = uptime + _AGAIN_S
        return None
