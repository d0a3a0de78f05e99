"""Progress: a bar on a terminal, a line every half minute in a log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from facesearch.cli.messages import is_terminal, say

__all__ = ["DownloadProgress", "PhotoProgress"]

_LINE_SECONDS = 30.0


class _Bar:
    """A bar that appears with the first figures, and a clock for log lines."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._said = time.monotonic()

    def show(self, columns: Callable[[], list[Any]], done: int, total: int | None, **fields: float) -> None:
        try:
            if self._bar is None:
                from rich.console import Console
                from rich.progress import Progress

                self._bar = Progress(*columns(), console=Console(stderr=True), transient=True)
                self._task = self._bar.add_task("", total=total, **fields)
                self._bar.start()
            self._bar.update(self._task, completed=done, total=total, **fields)
        except OSError:  # the terminal was closed
            pass

    def line_is_due(self) -> bool:
        if time.monotonic() - self._said < _LINE_SECONDS:
            return False
        self._said = time.monotonic()
        return True

    def close(self) -> None:
        if self._bar is not None:
            try:
                self._bar.stop()
            except OSError:  # the terminal was closed
                pass
            self._bar = None


class PhotoProgress:
    """The progress of a run over photos."""

    def __init__(self) -> None:
        self._bar = _Bar()
        self._started = time.monotonic()

    def __call__(self, done: int, total: int, faces: int, failed: int) -> None:
        """`done` of `total` photos are done; `faces` were found in them and `failed` could not be read."""
        rate = done / max(time.monotonic() - self._started, 1e-9)
        if is_terminal():
            self._bar.show(_photo_columns, done, total, faces=faces, failed=failed, rate=rate)
            if done >= total:  # the next message must not be written into the bar
                self._bar.close()
        elif self._bar.line_is_due():
            left = (total - done) / rate if rate else 0.0
            pace = f"{rate:.1f} photos/s, {_time(left)} left"
            say(f"{done:,} of {total:,} photos, {faces:,} faces, {failed:,} failed, {pace}")

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()


class DownloadProgress:
    """The progress of a download."""

    def __init__(self) -> None:
        self._bar = _Bar()
        self._from: int | None = None
        self._started = time.monotonic()

    def __call__(self, done: int, total: int | None) -> None:
        """`done` of `total` bytes are downloaded; `total` is None if unknown."""
        if is_terminal():
            self._bar.show(_download_columns, done, total)
            return
        if self._from is None:  # an earlier run may have downloaded a part: the rate is this run's
            self._from, self._started = done, time.monotonic()
        if self._bar.line_is_due():
            rate = max(0, done - self._from) / max(time.monotonic() - self._started, 1e-9)
            of = "" if total is None else f" of {total / 1e6:,.1f}"
            say(f"{done / 1e6:,.1f}{of} MB, {rate / 1e6:.1f} MB/s")

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()


def _photo_columns() -> list[Any]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    figures = "photos  {task.fields[faces]:,} faces  {task.fields[failed]:,} failed  {task.fields[rate]:.1f}/s"
    return [BarColumn(), MofNCompleteColumn(), TextColumn(figures), TimeRemainingColumn(), TextColumn("left")]


def _download_columns() -> list[Any]:
    from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

    return [BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]


def _time(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, seconds_left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds_left:02}" if hours else f"{minutes}:{seconds_left:02}"
