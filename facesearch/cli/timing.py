"""The time that each step of a command takes."""

from __future__ import annotations

import os
import time
from pathlib import Path

from facesearch.cli.messages import say

__all__ = ["Stopwatch"]


class Stopwatch:
    """Measures the steps of a command from the start of its process."""

    def __init__(self) -> None:
        self._laps = [("start Python, parse the command line", _process_age())]
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        """End a step now."""
        now = time.perf_counter()
        self._laps.append((step, now - self._last))
        self._last = now

    def total(self) -> float:
        """Return the seconds since the start."""
        return sum(seconds for _, seconds in self._laps) + time.perf_counter() - self._last

    def tell(self) -> None:
        """Write all steps to stderr, in milliseconds."""
        laps = [*self._laps, ("total", sum(seconds for _, seconds in self._laps))]
        for step, seconds in laps:
            say(f"{seconds * 1000:7.1f} ms  {step}")


def _process_age() -> float:
    """Return the seconds since this process started, to a hundredth; without /proc, the processor time used."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return time.process_time()
