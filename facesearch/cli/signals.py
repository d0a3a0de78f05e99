"""Signals that stop a command after it has finished the photos in progress."""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Any

from facesearch.cli.messages import say

__all__ = ["StopSignal", "stop_signals"]


def stop_signals() -> list[signal.Signals]:
    """Return the signals that stop a command: SIGINT, SIGTERM, and SIGHUP unless `nohup` has it ignored."""
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    heard = hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([hangup] if heard and hangup is not None else [])]


class StopSignal:
    """Records the first signal, so that a run can finish the photos in progress. A second one stops it immediately,
    unless it is SIGHUP.

    The run stops after `seconds` too.
    """

    any_was_noted = False
    hung_up = False
    """Whether the terminal was closed; writing to it fails."""

    def __init__(self, seconds: float | None = None, *, keeps: bool = True) -> None:
        """With `keeps`, the message says that finished work is kept."""
        self.number: int | None = None
        self._keeps = keeps
        self._before: dict[signal.Signals, Any] = {}
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def __call__(self) -> bool:
        """Return True if the run is to stop."""
        return self.number is not None or (self._deadline is not None and time.monotonic() >= self._deadline)

    @property
    def exit_code(self) -> int:
        """128 plus the signal's number, as in a shell."""
        return 128 + (self.number or 0)

    def begin(self) -> None:
        """Record signals until `end`."""
        if not self._before:
            self._before = {number: signal.signal(number, self._note) for number in stop_signals()}

    def end(self) -> None:
        """Restore the handlers from before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, _frame: FrameType | None) -> None:
        hung_up = number == getattr(signal, "SIGHUP", None)
        StopSignal.hung_up = StopSignal.hung_up or hung_up
        if self.number is not None:
            if hung_up:
                return  # both the shell and the system send it when a terminal is closed
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        self.number = number
        StopSignal.any_was_noted = True
        kept = " after the photos in progress; finished work is kept" if self._keeps else ""
        say(f"stopping{kept} (Ctrl-C again stops now)")
