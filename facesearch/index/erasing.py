"""Deleting for good, so that nothing stays on the disk; also on a disk that is full.

Deleting takes room, too. So some is set aside while there is room to spare, to be given up when there is none.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from facesearch.catalog.catalog import Catalog
from facesearch.errors import DiskFullError
from facesearch.files import write_reserve
from facesearch.index.vector_file import VectorFile

__all__ = ["Eraser"]

_RESERVE = 256 * 1024
"""Bytes set aside on the disk. Deleting a photo writes some dozen pages of 4 KiB first: where a disk is full to its
last byte nothing could be deleted, and the vector file of a small index is no larger than that."""


class Eraser:
    """Deletes from a catalog and its vector file; `reserve` is the file that takes up some room, None for none."""

    def __init__(
        self, catalog: Catalog, vectors: VectorFile, reserve: Path | None, notify: Callable[[str], None]
    ) -> None:
        self._catalog = catalog
        self._vectors = vectors
        self._reserve = reserve
        self._notify = notify

    def erase(self, deletions: Sequence[Callable[[], object]]) -> None:
        """Delete from the catalog for good, all at once, and leave nothing of it on the disk; see `vacuum`.

        On a full disk the vector file goes first, which can be made again at any time, then the reserve; after that
        the deletions are made in ever smaller parts, each in the room of the one before. Raises `DiskFullError` where
        even a single one is too much.
        """
        done, at_once = 0, max(len(deletions), 1)
        while done < len(deletions):
            self._vectors.let_go()
            try:
                with self._catalog.transaction():
                    for deletion in deletions[done : done + at_once]:
                        deletion()
                done += at_once
            except DiskFullError:
                if not self._make_room():
                    if at_once == 1:
                        raise
                    at_once = -(-at_once // 2)
            self._catalog.checkpoint()
        self.vacuum()

    def vacuum(self) -> None:
        """Leave nothing of what was deleted: write the catalog and the vector file again.

        Where a full disk has no room for that the catalog keeps its size: what was deleted is overwritten in it. And
        there is no vector file then, so that nothing is left in it, either.
        """
        self._vectors.let_go()
        try:
            self._catalog.vacuum()
        except DiskFullError:
            self._notify(
                "no room to make the catalog smaller: what was deleted is overwritten in it, and its room is used again"
            )
        if self._vectors.file is None:
            return
        try:
            self._vectors.write()
            self.keep_reserve()
        except DiskFullError:
            self._vectors.file.unlink(missing_ok=True)
            self._notify(
                f"no room for {self._vectors.file}: questions make it from the catalog, each time, until there is"
            )

    def keep_reserve(self, *, only_with_room_to_spare: bool = False) -> None:
        """Have some room set aside, where there is that much; or, on request, four times as much."""
        if self._reserve is None or self._reserve.exists():
            return
        try:
            free = shutil.disk_usage(self._reserve.parent).free
            if free >= _RESERVE * (4 if only_with_room_to_spare else 1):
                write_reserve(self._reserve, _RESERVE)
        except OSError:
            pass

    def _make_room(self) -> bool:
        """Give up one file that is not needed; False when nothing is left to be given up."""
        self._vectors.let_go()
        for file in (self._vectors.file, self._reserve):
            if file is not None and file.exists():
                file.unlink()
                return True
        return False
