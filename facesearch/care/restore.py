"""Restore an index from a backup: verify a copy of it, then put the copy in the place of the catalog."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.catalog.audit import audit
from facesearch.catalog.catalog import Catalog
from facesearch.catalog.database import Database
from facesearch.errors import Hint, IndexDamagedError, InputError, UsageError
from facesearch.index.store import CATALOG_FILE, VECTORS_FILE, Store

if TYPE_CHECKING:
    from typing import Any

__all__ = ["Backup", "restore"]


@dataclass(frozen=True, slots=True)
class Backup:
    """The number of photos and faces in a backup; `replaces` is true if it takes the place of an index."""

    photos: int
    faces: int
    replaces: bool


def restore(
    file: Path,
    folder: Path,
    *,
    overwrite: bool = False,
    wait: float = 0.0,
    confirm: Callable[[Backup], Any] | None = None,
) -> Backup:
    """Make the index in `folder` from a backup; see `Index.restore`.

    `confirm` is called under the lock, before anything is replaced; if it raises, nothing is changed.
    """
    _require_file(file, folder)
    is_new = not folder.exists()
    try:
        with Store.lock(folder, wait=wait):
            found = _restored(file, folder, overwrite=overwrite, confirm=confirm)
    except BaseException:
        if is_new and folder.exists():
            _remove_empty(folder)
        raise
    with Store.open(folder, write=True, wait=wait):
        pass  # this makes the vector file
    return found


def _restored(file: Path, folder: Path, *, overwrite: bool, confirm: Callable[[Backup], Any] | None) -> Backup:
    """Replace the catalog in the locked `folder`."""
    replaces = (folder / CATALOG_FILE).exists()
    if replaces and not overwrite:
        raise UsageError(f"{folder} already holds an index", Hint.ANOTHER_PLACE_OR_REPLACE)
    found: list[Backup] = []

    def check(copy: Database) -> None:
        faults = audit(copy).faults
        if faults:
            raise InputError(f"{file}: damaged ({faults[0]}); choose another backup")
        counts = Catalog(copy).photos.counts()
        found.append(Backup(counts.photos, counts.faces, replaces))
        if confirm is not None:
            confirm(found[0])
        # Derived from the catalog that goes. Its generation may fit the new one by chance.
        (folder / VECTORS_FILE).unlink(missing_ok=True)

    try:
        Database.restore(file, folder / CATALOG_FILE, check)
    except IndexDamagedError as error:
        raise InputError(f"{file}: damaged, or not a backup made by facesearch; choose another file") from error
    return found[0]


def _require_file(file: Path, folder: Path) -> None:
    if file.is_dir():
        raise InputError(f"{file}: a folder; give the file that a backup was written to")
    if not file.is_file():
        raise InputError(f"{file}: no such file; give a backup made by facesearch")
    if file.parent.resolve() == folder.resolve():
        raise UsageError(f"{file}: part of the index {folder}; give a backup, or another folder for the index")


def _remove_empty(folder: Path) -> None:
    """Remove the folder of an index that could not be made."""
    entries = list(folder.iterdir())
    if all(entry.suffix == ".lock" for entry in entries):
        for entry in entries:
            entry.unlink()
        folder.rmdir()
