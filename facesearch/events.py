"""What a piece of work tells whoever has started it, and how it is asked to stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

__all__ = ["SILENT", "Observer", "Remark", "observing"]


class Remark:
    """Something that a person should know about a piece of work, as data; `str` puts it into one line.

    A front end that can say what to do about it, in its own terms, knows it by its class.
    """

    is_warning: ClassVar[bool] = False
    """Whether it is to be told even if notes are not."""


class Observer:
    """Told how a piece of work goes on, and asked whether it should go on.

    This one hears nothing and never stops anything; a front end overrides what it cares for. All methods are called on
    the thread that has started the work, and return quickly.
    """

    def progress(self, done: int, total: int, faces: int, failed: int) -> None:
        """`done` of `total` photos are done; `faces` were found in them and `failed` could not be read."""

    def note(self, message: str) -> None:
        """Something worth knowing, in one line."""

    def warn(self, message: str) -> None:
        """Something that was left out, or is not as it should be, in one line: to be told even if notes are not."""

    def remark(self, remark: Remark) -> None:
        """The same as data: a note, or a warning where it is one."""
        if remark.is_warning:
            self.warn(str(remark))
        else:
            self.note(str(remark))

    def detail(self, message: str) -> None:
        """Something for those who want to know how the work is done, in one line."""

    def lap(self, step: str) -> None:
        """A step ends now, and the next one begins."""

    def cancelled(self) -> bool:
        """Whether to stop: what is in hand is finished, and what is done is kept."""
        return False


SILENT = Observer()
"""For whoever does not care."""


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
    """An observer from plain functions; what there is none for goes to another observer, by default nowhere."""
    return _Observing(progress, notes, cancelled, otherwise)
