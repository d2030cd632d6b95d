"""The world around a fake board: virtual time, and things that happen at a given moment. Runs under MicroPython.

Nothing here sleeps: `advance()` moves the clock, and what a driver would block for moves it too.
"""

now = 0  # ms since the board was switched on
longest_step = 0  # ms, of all link.step() calls so far
_events = []


class Trapped(Exception):
    """The link did not do what a board in the field needs."""


def check(true, text):
    """Raise Trapped with this text unless it is true."""
    if not true:
        raise Trapped(text)


def at(seconds, action):
    """Let `action()` happen at this moment."""
    moment = int(seconds * 1000)
    place = len(_events)
    while place and _events[place - 1][0] > moment:  # to sort all of them each time takes seconds
        place -= 1
    _events.insert(place, (moment, action))


def advance(ms):
    """Let time pass."""
    global now
    end = now + ms
    while _events and _events[0][0] <= end:
        moment, action = _events.pop(0)
        now = max(now, moment)
        action()
    now = end
