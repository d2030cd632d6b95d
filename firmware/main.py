"""Start the sensor board. The same file on every board and on unix.

An error in config.json is printed and ends the program: on a board the REPL is there then, on unix the exit code is 1.
"""

import errno
import os
import sys


def finish_deploy():
    """Put in place what `deploy` has brought: new files lie under their name and ".new" until all are there.

    It did so itself unless the power was lost; what is done already is passed over. Return whether there was anything.
    See tools/deploy.py.
    """
    try:
        with open("deploy.todo") as file:
            todo = file.read().split("\n")
    except OSError:
        return False
    for line in todo:
        try:
            if line.startswith("+"):
                os.rename(line[1:] + ".new", line[1:])
            elif line.startswith("-"):
                os.remove(line[1:])
        except OSError as e:
            if e.args[0] != errno.ENOENT:
                raise
    os.remove("deploy.todo")
    return True


if finish_deploy():
    sys.exit()  # a soft reset, on boards: this program may be an old one, and what it would import is new

import board  # noqa: E402
import config  # noqa: E402
import sensor_app  # noqa: E402


def main():
    """Run until stopped. Return the exit code."""
    try:
        app = sensor_app.App(config.load(keeps_time=board.NAME == "unix"), board)
    except ValueError as e:
        print("config.json is not usable:", e)
        print("Mend it (config.example.json shows every field), copy it to the board, restart.")
        return 1
    app.run()
    return 0


_code = main()
if _code and board.NAME == "unix":
    sys.exit(_code)  # on a board this would restart it, again and again
