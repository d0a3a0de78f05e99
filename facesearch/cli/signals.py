"""Signals that end a command: what is in hand is finished first, where there is something in hand."""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Any

from facesearch.cli.messages import say

__all__ = ["StopSignal", "stop_signals"]


def stop_signals() -> list[signal.Signals]:
    """What ends a command politely: Ctrl-C, SIGTERM, and a terminal that is closed, unless `nohup` has it ignored."""
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    heard = hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([hangup] if heard and hangup is not None else [])]


class StopSignal:
    """Notes the signals that end a command, so that a run can finish what it has in hand; a second one ends it at once,
    unless it is SIGHUP.

    After `seconds`, too, it is time to stop.
    """

    any_was_noted = False
    hung_up = False
    """Whether the terminal was closed: what is written to it fails."""

    def __init__(self, seconds: float | None = None, *, keeps: bool = True) -> None:
        """`keeps` tells that what was done until then is kept."""
        self.number: int | None = None
        self._keeps = keeps
        self._before: dict[signal.Signals, Any] = {}
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def __call__(self) -> bool:
        """Whether to stop."""
        return self.number is not None or (self._deadline is not None and time.monotonic() >= self._deadline)

    @property
    def exit_code(self) -> int:
        """128 and the signal's number, as a shell counts."""
        return 128 + (self.number or 0)

    def begin(self) -> None:
        """Note signals from now on, until `end`."""
        if not self._before:
            self._before = {number: signal.signal(number, self._note) for number in stop_signals()}

    def end(self) -> None:
        """Leave signals to whoever had them before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, _frame: FrameType | None) -> None:
        hung_up = number == getattr(signal, "SIGHUP", None)
        StopSignal.hung_up = StopSignal.hung_up or hung_up
        if self.number is not None:
            if hung_up:
                return  # a closed terminal sends it more than once: its shell does, and the system
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        self.number = number
        StopSignal.any_was_noted = True
        kept = "; what is done is kept" if self._keeps else ""
        say(f"stopping: finishing the photos in hand{kept} (again to stop at once)")
