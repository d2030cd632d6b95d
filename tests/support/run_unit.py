"""Runs files of tests under MicroPython, which has no pytest: every function test_*, one line each.

    micropython run_unit.py [--port NAME] [--seed N] FILE…        exit code 1 if a test failed

--port: whose sockets (see support.ports), --seed: of what happens at random on that port. Runs under CPython too.
MICROPYPATH, or PYTHONPATH, must name lib/, tests/ and tests/unit/.
"""

import gc
import sys

from support import fakenet


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
            _print_exception(error)
        else:
            print("passed", name)
    return failed


def _print_exception(error):
    if hasattr(sys, "print_exception"):
        sys.print_exception(error)
    else:
        import traceback

        traceback.print_exception(type(error), error, error.__traceback__, file=sys.stdout)


def _options(arguments):
    """Take the options away; return them."""
    options = {"--port": "unix", "--seed": "1"}
    while arguments and arguments[0] in options:
        name = arguments.pop(0)
        options[name] = arguments.pop(0)
    return options


if __name__ == "__main__":
    files = sys.argv[1:]
    options = _options(files)
    fakenet.use(options["--port"], int(options["--seed"]))
    failures = [name for path in files for name in run(path)]
    sys.exit(1 if failures else 0)
