"""`python -m tests.support.vboard FOLDER LINK`: a virtual board until Ctrl-C."""

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

from tests.support.vboard import VirtualBoard

if __name__ == "__main__":
    folder, link = map(Path, sys.argv[1:])
    folder.mkdir(exist_ok=True)
    with VirtualBoard(folder.resolve()) as board, suppress(KeyboardInterrupt):
        link.unlink(missing_ok=True)
        os.symlink(board.port, link)
        print(f"mpremote connect {link}   Ctrl-C ends the board", flush=True)
        threading.Event().wait()
