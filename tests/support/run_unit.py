"""Runs files of tests under MicroPython, which has no pytest: every function test_*, one line each.

    micropython run_unit.py FILE…        exit code 1 if a test failed

MICROPYPATH must name lib/, tests/ and tests/unit/.
"""

import gc
import sys


def run(path):
    """Run the tests of one file. Returns the names of those that failed."""
    module = __import__(path.split("/")[-1][:-3])
    failed = []
    for name in sorted(dir(module)):
        if not name.startswith("test_"):
            continue
        gc.collect()
        try:
            getattr(module, name)()
        except Exception as error:
            failed.append(name)
            print("FAILED", name)
            sys.print_exception(error)
        else:
            print("passed", name)
    return failed


if __name__ == "__main__":
    failures = [name for path in sys.argv[1:] for name in run(path)]
    sys.exit(1 if failures else 0)
