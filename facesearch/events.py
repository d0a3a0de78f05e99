"""Progress, notes and warnings from long operations, and their cancellation."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

__all__ = ["SILENT", "CancelledError", "Observer", "Remark", "observing"]


class Remark:
    """A message for the user about an operation, as data; `str` returns it as one line.

    A front end can recognise it by its class and add advice in its own terms.
    """

    is_warning: ClassVar[bool] = False
    """Whether to show it even if notes are not shown."""


class CancelledError(Exception):
    """An observer has cancelled; raised and handled within one call, so that no caller sees it."""


class Observer:
    """Receives progress and messages from an operation, and can cancel it.

    This class ignores everything and never cancels; a front end overrides the methods that it needs. All methods are
    called on the thread that started the operation and must return quickly.
    """

    def progress(self, done: int, total: int, faces: int, failed: int) -> None:
        """Receive progress: `done` of `total` photos, with `faces` found in them; `failed` photos are unreadable."""

    def note(self, message: str) -> None:
        """Receive a useful message of one line."""

    def warn(self, message: str) -> None:
        """Receive a warning of one line, such as a skipped photo; it is shown even if notes are not."""

    def remark(self, remark: Remark) -> None:
        """Receive a remark; by default, it is passed to `warn` or `note` as text."""
        if remark.is_warning:
            self.warn(str(remark))
        else:
            self.note(str(remark))

    def detail(self, message: str) -> None:
        """Receive a technical detail of one line."""

    def lap(self, step: str) -> None:
        """Receive the end of a step, at which the next one begins."""

    def cancelled(self) -> bool:
        """Return True to stop: photos in progress are finished, and finished work is kept."""
        return False

    def check(self) -> None:
        """Raise `CancelledError` if it has cancelled."""
        if self.cancelled():
            raise CancelledError


SILENT = Observer()
"""An observer that ignores everything."""


class _Observing(Observer):
    def __init__(
        self,
        progress: Callable[[int, int, int, int], object] | None,
        notes: Callable[[str], object] | None,
        cancelled: Callable[[], bool] | None,
        otherwise: Observer,
    ) -> None:
        self._progress = progress or otherwise.progress
        self._hears_notes = notes is not None
        self._note = notes or otherwise.note
        self._warn = notes or otherwise.warn
        self._cancelled = cancelled or otherwise.cancelled
        self._otherwise = otherwise

    def progress(self, done: int, total: int, faces: int, failed: int) -> None:
        self._progress(done, total, faces, failed)

    def note(self, message: str) -> None:
        self._note(message)

    def warn(self, message: str) -> None:
        self._warn(message)

    def remark(self, remark: Remark) -> None:
        if self._hears_notes:
            super().remark(remark)
        else:
            self._otherwise.remark(remark)

    def detail(self, message: str) -> None:
        self._otherwise.detail(message)

    def lap(self, step: str) -> None:
        self._otherwise.lap(step)

    def cancelled(self) -> bool:
        return self._cancelled()


def observing(
    *,
    progress: Callable[[int, int, int, int], object] | None = None,
    notes: Callable[[str], object] | None = None,
    cancelled: Callable[[], bool] | None = None,
    otherwise: Observer = SILENT,
) -> Observer:
    """Return an observer made of plain functions; `otherwise` receives all other calls, and ignores them by default."""
    return _Observing(progress, notes, cancelled, otherwise)
