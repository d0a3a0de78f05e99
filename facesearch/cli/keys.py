"""Single keys from the terminal, without Enter. The terminal is always left as it was."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["drop_keys", "read_key", "single_keys"]

_NO_MORE = ("", "\x04")
"""The end of the input, and Ctrl-D."""


@contextmanager
def single_keys() -> Iterator[None]:
    """Read keys as they are typed, and do not show them. Ctrl-C and Ctrl-Z work as ever.

    Without such a terminal, as on Windows, keys are read from lines.
    """
    try:
        import termios
        import tty

        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
    except (ImportError, OSError, ValueError):
        yield
        return

    def suspend(_number: int, _frame: FrameType | None) -> None:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        os.kill(os.getpid(), signal.SIGSTOP)
        tty.setcbreak(descriptor)  # the shell has woken this process up again

    earlier: Any = signal.signal(signal.SIGTSTP, suspend)
    try:
        tty.setcbreak(descriptor)
        yield
    finally:
        signal.signal(signal.SIGTSTP, earlier)
        try:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        except termios.error:  # the terminal was closed
            pass


def drop_keys() -> None:
    """Drop what was typed already: an answer to a question that nobody has seen."""
    try:
        import termios

        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
    except (ImportError, OSError, ValueError):
        pass
    except termios.error:
        pass


def read_key() -> str | None:
    """Return the next key in lower case; None at the end of the input. A key of several bytes is ignored."""
    while True:
        data = os.read(sys.stdin.fileno(), 64).decode("utf-8", "replace")
        if data in _NO_MORE:
            return None
        keys = data.strip("\r\n")
        if len(keys) == 1:
            return keys.lower()
