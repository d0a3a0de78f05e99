"""Signals before a command has begun and after it has ended: they end the process at once, and quietly.

This is the first module that the command line imports. So it imports next to nothing: until it has handled the signals,
Ctrl-C would show where Python was.
"""

import os
import signal

__all__ = ["end_at_once"]


def end_at_once() -> None:
    """From now on, SIGINT, SIGTERM and SIGHUP end the process, with 128 and their number as exit code.

    Those that are ignored, as SIGHUP is under `nohup`, stay ignored.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, _frame: object) -> None:
    os._exit(128 + number)
