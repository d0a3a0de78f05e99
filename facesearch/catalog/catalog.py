"""The catalog: one SQLite file in write-ahead mode, or in memory, with a part for each kind of thing it knows.

How it is opened and written to is `database`'s matter, which rows it may hold `columns`'s, its schema `migrations`'s.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from facesearch.catalog.database import Database
from facesearch.catalog.faces import Faces
from facesearch.catalog.meta import Meta
from facesearch.catalog.models import Models
from facesearch.catalog.photos import Photos
from facesearch.catalog.roots import Roots
from facesearch.catalog.staging import Staging
from facesearch.catalog.vectors import Vectors
from facesearch.types import ModelInfo

__all__ = ["Catalog"]


class Catalog:
    """One database and its parts, each with the SQL of its own tables. Use from one thread."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.meta = Meta(database)
        self.models = Models(database)
        self.roots = Roots(database)
        self.staging = Staging(database)
        self.vectors = Vectors(database)
        self.faces = Faces(database, self.roots, self.staging)
        self.photos = Photos(database, self.roots, self.faces)

    @classmethod
    def memory(cls, model: ModelInfo) -> Catalog:
        """An empty catalog for embeddings of `model`, gone when it is closed."""
        database = Database.memory()
        _initialise(database, model)
        return cls(database)

    @classmethod
    def create(cls, path: Path, model: ModelInfo) -> None:
        """Make a new catalog file that only its owner can read, for embeddings of `model`. Raises `StorageError`."""
        Database.create(path, lambda database: _initialise(database, model))

    @classmethod
    def open(cls, path: Path, *, write: bool = False, trace: bool = True) -> Catalog:
        """One that exists. Raises what `Database.open` raises."""
        return cls(Database.open(path, write=write, trace=trace))

    def close(self) -> None:
        """Drop what was not committed, and let go of the file."""
        self.database.close()

    def transaction(self) -> AbstractContextManager[None]:
        """What is written while this lasts is durable at its end, or none of it is; see `Database.transaction`."""
        return self.database.transaction()

    @property
    def is_writing(self) -> bool:
        """Whether something may be waiting to be committed."""
        return self.database.is_writing

    def view(self) -> None:
        """From now on see the catalog as it is now, whatever others write, until `end_view` or a transaction."""
        self.database.view()

    def end_view(self) -> None:
        """See what others have written since; in a transaction this changes nothing."""
        self.database.end_view()

    def dry_run(self) -> AbstractContextManager[None]:
        """While this lasts, what is done to roots and photos is forgotten at its end, and nothing is written."""
        return self.database.rehearsal("roots", "photos")

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the catalog, so that it does not keep its size."""
        self.database.checkpoint()

    def vacuum(self) -> None:
        """Write the catalog again, without what was deleted; outside of a transaction. Raises `DiskFullError`."""
        self.database.vacuum()

    def backup(self, path: Path) -> None:
        """A copy of the catalog as it is committed now, while others may write. Raises `StorageError`."""
        self.database.backup(path)


def _initialise(database: Database, model: ModelInfo) -> None:
    with database.transaction():
        Meta(database).initialise()
        Models(database).set_current(model)
