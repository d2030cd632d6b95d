"""Signals that end a command which has brokers, boards and folders: they are to end with it."""

import signal


def leave_on_signals() -> None:
    """SIGTERM, and SIGHUP when the terminal is closed, raise KeyboardInterrupt as Ctrl-C does: contexts are left.

    What is ignored, as nohup has it with SIGHUP, stays ignored.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
