"""Delete for good, so that nothing stays on the disk, even if the disk is full.

Deleting needs disk space, too. So a reserve file is kept while there is space, and given up when there is none.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from facesearch.catalog.catalog import Catalog
from facesearch.errors import DiskFullError
from facesearch.files import write_reserve
from facesearch.index.vector_file import VectorFile
from facesearch.photos.previews import Previews

__all__ = ["PREVIEWS_FOLDER", "STATEMENT_FILE", "Eraser"]

STATEMENT_FILE = "statements.jsonl"
"""The name of the file beside the catalog in which statements are kept, too."""
PREVIEWS_FOLDER = "previews"
"""The name of the folder beside the catalog in which small pictures are kept."""

_RESERVE = 256 * 1024
"""Bytes reserved on the disk. Deleting a photo first writes about a dozen pages of 4 KiB: on a completely full disk
nothing could be deleted, and the vector file of a small index frees no more than that."""


class Eraser:
    """Deletes from a catalog and its vector file; `reserve` is the file that reserves disk space, or None."""

    def __init__(
        self, catalog: Catalog, vectors: VectorFile, reserve: Path | None, notify: Callable[[str], None]
    ) -> None:
        self._catalog = catalog
        self._vectors = vectors
        self._reserve = reserve
        self._notify = notify

    def erase(self, deletions: Sequence[Callable[[], object]]) -> None:
        """Delete from the catalog for good, in one transaction, and leave nothing of it on the disk; see `vacuum`.

        If the disk is full, the vector file is deleted first, since it can be rebuilt at any time, then the reserve.
        After that the deletions are made in smaller and smaller batches, each in the space that the one before has
        freed. Raises `DiskFullError` if even a single deletion does not fit.
        """
        done, at_once = 0, max(len(deletions), 1)
        while done < len(deletions):
            self._vectors.let_go()
            try:
                with self._catalog.transaction():
                    for deletion in deletions[done : done + at_once]:
                        deletion()
                    self._catalog.forgetting.begin_erasing()
                done += at_once
            except DiskFullError:
                if not self._make_room():
                    if at_once == 1:
                        raise
                    at_once = -(-at_once // 2)
            self._catalog.checkpoint()
        self.vacuum()

    def vacuum(self) -> None:
        """Leave nothing of what was deleted: rewrite the catalog and the vector file.

        If the disk is too full for that, the catalog keeps its size: what was deleted is overwritten in it. The vector
        file is deleted then, so that nothing stays in it either. If this is killed, the next writer does it again.
        """
        self._vacuum()
        try:
            with self._catalog.transaction():
                self._catalog.forgetting.end_erasing()
        except DiskFullError:
            pass  # the next writer does it again

    def _vacuum(self) -> None:
        if self._catalog.forgetting.is_erasing():
            self._delete_statement_file()
            self._delete_previews()
        self._vectors.let_go()
        try:
            self._catalog.vacuum()
        except DiskFullError:
            self._notify(
                "not enough disk space to shrink the catalog: deleted data is overwritten, and its space is reused"
            )
        if self._vectors.file is None:
            return
        try:
            self._vectors.write()
            self.keep_reserve()
        except DiskFullError:
            self._vectors.file.unlink(missing_ok=True)
            self._notify(
                f"not enough disk space for {self._vectors.file}: every query rebuilds it in memory until there is"
            )

    def keep_reserve(self, *, only_with_room_to_spare: bool = False) -> None:
        """Create the reserve if there is enough free space, or with `only_with_room_to_spare` four times as much."""
        if self._reserve is None or self._reserve.exists():
            return
        try:
            free = shutil.disk_usage(self._reserve.parent).free
            if free >= _RESERVE * (4 if only_with_room_to_spare else 1):
                write_reserve(self._reserve, _RESERVE)
        except OSError:
            pass

    def _delete_statement_file(self) -> None:
        """Delete the statement file, and what was set aside of it: whoever keeps it writes it anew at the end."""
        if self._vectors.file is None:
            return
        folder = self._vectors.file.parent
        for file in (*folder.glob("statements*.jsonl"), *folder.glob(f".{STATEMENT_FILE}.*tmp")):
            file.unlink(missing_ok=True)

    def _delete_previews(self) -> None:
        """Delete all pictures that were kept of photos: those that are still wanted are made again."""
        if self._vectors.file is not None:
            Previews.delete(self._vectors.file.parent / PREVIEWS_FOLDER)

    def _make_room(self) -> bool:
        """Delete one file that is not needed; return False if there is none left."""
        self._vectors.let_go()
        for file in (self._vectors.file, self._reserve):
            if file is not None and file.exists():
                file.unlink()
                return True
        return False
