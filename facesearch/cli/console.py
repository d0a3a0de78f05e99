"""The one observer of a command: what it tells while work goes on, and when the work is to stop."""

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
    """Progress, notes and warnings on stderr; stops the work at a signal, or after `seconds`. A context manager.

    A `quiet` one shows warnings alone, a `verbose` one details too. `keeps` says, to whoever stops the work, that what
    is done is kept. `timing` tells at the end where the time went.

    Signals are noted from the first time that the work asks whether to stop: before, nothing is in hand, and a signal
    ends the command at once.
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
        """A bar on a terminal, a line now and then in a log."""
        if not self.quiet:
            self._photos(done, total, faces, failed)

    def clear(self) -> None:
        """The bar is taken away; what is written next would land in it."""
        self._photos.close()

    def note(self, message: str) -> None:
        """Said, unless quiet."""
        if not self.quiet:
            say(message)

    def warn(self, message: str) -> None:
        """Said in any case."""
        say(message)

    def remark(self, remark: Remark) -> None:
        """Said as a note or as a warning, with the option that helps."""
        from facesearch.cli.remarks import told

        (self.warn if remark.is_warning else self.note)(told(remark))

    def detail(self, message: str) -> None:
        """Said where details are to be told."""
        if self._verbose:
            self.note(message)

    def lap(self, step: str) -> None:
        """Timed; the times are told at the end, where that is wanted."""
        self._watch.lap(step)

    def cancelled(self) -> bool:
        """Whether a signal came, or the time is up."""
        self._stop.begin()
        return self._stop()

    @property
    def seconds(self) -> float:
        """How long the process has been running."""
        return self._watch.total()

    @property
    def stopped(self) -> bool:
        """Whether a signal came."""
        return self._stop.number is not None

    def end(self, *, complete: bool = True) -> None:
        """Raises `typer.Exit` where a signal came, with its code, and with 5 where the work is not `complete`."""
        if self.stopped:
            raise typer.Exit(self._stop.exit_code)
        if not complete:
            raise typer.Exit(_INCOMPLETE)
