"""Where the time of a command goes."""

from __future__ import annotations

import os
import time
from pathlib import Path

from facesearch.cli.messages import say

__all__ = ["Stopwatch"]


class Stopwatch:
    """Where the time of a command goes, step by step, from the start of its process."""

    def __init__(self) -> None:
        self._laps = [("start Python, read the command line", _process_age())]
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        """This step ends now."""
        now = time.perf_counter()
        self._laps.append((step, now - self._last))
        self._last = now

    def total(self) -> float:
        """Seconds since the start."""
        return sum(seconds for _, seconds in self._laps) + time.perf_counter() - self._last

    def tell(self) -> None:
        """All steps in milliseconds, to stderr."""
        laps = [*self._laps, ("all until now", sum(seconds for _, seconds in self._laps))]
        for step, seconds in laps:
            say(f"{seconds * 1000:7.1f} ms  {step}")


def _process_age() -> float:
    """Seconds since this process was started, where the system tells, to a hundredth; else the processor time used."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return time.process_time()
