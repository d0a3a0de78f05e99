"""The observer of a command: progress and messages on stderr, and stopping by signal or time limit."""

from __future__ import annotations

from typing import Self

import typer

from facesearch.cli.messages import say
from facesearch.cli.progress import PhotoProgress
from facesearch.cli.signals import StopSignal
from facesearch.cli.timing import Stopwatch
from facesearch.events import Observer, Remark

__all__ = ["Console"]

_INCOMPLETE = 5


class Console(Observer):
    """Writes progress, notes and warnings to stderr; stops the work on a signal or after `seconds`. A context manager.

    `quiet` shows warnings only, `verbose` details too. `keeps` tells the user who stops the work that finished work is
    kept. `timing` reports at the end how long each step took.

    Signals are recorded from the first call of `cancelled`. Before that no photo is in progress, and a signal ends the
    command immediately.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        seconds: float | None = None,
        keeps: bool = True,
        timing: bool = False,
    ) -> None:
        self.quiet = quiet
        self._verbose = verbose
        self._stop = StopSignal(seconds, keeps=keeps)
        self._photos = PhotoProgress()
        self._watch = Stopwatch()
        self._timing = timing

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.end()
        self._photos.close()
        if self._timing:
            self._watch.tell()

    def progress(self, done: int, total: int, faces: int, failed: int) -> None:
        """Show a bar on a terminal, a line now and then in a log."""
        if not self.quiet:
            self._photos(done, total, faces, failed)

    def clear(self) -> None:
        """Remove the bar, so that the next message is not written into it."""
        self._photos.close()

    def note(self, message: str) -> None:
        """Write a message unless quiet."""
        if not self.quiet:
            say(message)

    def warn(self, message: str) -> None:
        """Write a message always."""
        say(message)

    def remark(self, remark: Remark) -> None:
        """Write a remark as a note or a warning, with the option that helps."""
        from facesearch.cli.remarks import told

        (self.warn if remark.is_warning else self.note)(told(remark))

    def detail(self, message: str) -> None:
        """Write a message if verbose."""
        if self._verbose:
            self.note(message)

    def lap(self, step: str) -> None:
        """End a timed step."""
        self._watch.lap(step)

    def cancelled(self) -> bool:
        """Return True after a signal or at the time limit."""
        self._stop.begin()
        return self._stop()

    @property
    def seconds(self) -> float:
        """Seconds since the process started."""
        return self._watch.total()

    @property
    def stopped(self) -> bool:
        """Whether a signal was received."""
        return self._stop.number is not None

    def end(self, *, complete: bool = True) -> None:
        """Raise `typer.Exit` with the code of the signal received, or with 5 if the work is not `complete`."""
        if self.stopped:
            raise typer.Exit(self._stop.exit_code)
        if not complete:
            raise typer.Exit(_INCOMPLETE)
