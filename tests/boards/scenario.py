"""Run one scenario: scenario.py <wired|wifi> <name> <ours|naive>. Runs under MicroPython, see test_links.py.

Exit code 0: the link did what it should. 3: it fell into the trap, the last line says how. Any other: the scenario is
broken.
"""

import sys
import time

import network
import world

_EVERY_MS = 50


class Subject:
    """A link under test and the fake interface it stands on. Ticks begin 5 s before they wrap."""

    def __init__(self, make, nic):
        self.make = make
        self.nic = nic
        self.link = None

    def build(self, settings):
        """Make the link."""
        self.link = self.make(settings)
        self.link.on_error = print
        return self.link

    def run(self, seconds):
        """Step for so long."""
        end = world.now + int(seconds * 1000)
        while world.now < end:
            before = world.now
            self.nic.run()
            self.link.step(time.ticks_add(0, world.now - 5000))
            world.longest_step = max(world.longest_step, world.now - before)
            world.advance(_EVERY_MS)

    def until_up(self, seconds, text):
        """Step until the link is up; at the latest after so long."""
        end = world.now + int(seconds * 1000)
        while not (self.link.isconnected() and self.nic.isconnected()):
            world.check(world.now < end, "%s: not up after %d s" % (text, seconds))
            self.run(_EVERY_MS / 1000)


def ours(settings):
    import board

    return board.link({"network": settings})


def main(kind, name, who):
    module = __import__("scenarios_" + kind)
    scenario, port, naive = module.SCENARIOS[name]
    nic = network.use(port)
    try:
        scenario(Subject(ours if who == "ours" else naive, nic))
    except (world.Trapped, OSError, RuntimeError, ValueError) as e:
        print("%s: %s" % (type(e).__name__, e))
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
