"""Start the sensor board. The same file on every board and on unix.

An error in config.json is printed and ends the program: on a board the REPL is there then, on unix the exit code is 1.
"""

import sys

import board
import config
import sensor_app


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
