"""The command line. `setup` runs with any Python; everything else runs with the Python of `.venv`."""

import os
import sys

if sys.version_info < (3, 10):  # noqa: UP036 - the message is for those who have an older one
    sys.exit("fieldmqtt needs Python 3.10 or later. If another one is installed: make PYTHON=python3.12 ...")

from tools import setup, toolchain


def main() -> int:
    """Returns the exit code."""
    if sys.argv[1:2] == ["setup"]:
        return setup.main(sys.argv[2:])
    try:
        python = toolchain.python()
    except toolchain.ToolchainMissing as error:
        print(error, file=sys.stderr)
        return 1
    if os.path.realpath(sys.prefix) != os.path.realpath(toolchain.VENV):
        os.execv(python, [str(python), "-m", "tools", *sys.argv[1:]])
    from tools.cli import app  # its dependencies are in .venv only

    app(prog_name="python -m tools")
    return 0


if __name__ == "__main__":
    sys.exit(main())
