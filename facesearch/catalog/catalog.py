"""The catalog: one SQLite file in write-ahead mode, or in memory, with one class per kind of record.

`database` opens and writes it, `columns` defines which values it may hold, and `migrations` defines its schema.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from facesearch.catalog.carried import Carried
from facesearch.catalog.changes import Changes
from facesearch.catalog.database import Database
from facesearch.catalog.exchange import Exchange
from facesearch.catalog.faces import Faces
from facesearch.catalog.forgetting import Forgetting
from facesearch.catalog.given import GivenFaces
from facesearch.catalog.kept_out import KeptOut
from facesearch.catalog.meta import Meta
from facesearch.catalog.models import Models
from facesearch.catalog.people import People
from facesearch.catalog.photos import Photos
from facesearch.catalog.review import Review
from facesearch.catalog.roots import Roots
from facesearch.catalog.staging import Staging
from facesearch.catalog.statements import Statements
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
        self.carried = Carried(database)
        self.faces = Faces(database, self.roots, self.staging, self.carried)
        self.photos = Photos(database, self.roots, self.faces)
        self.given = GivenFaces(database)
        self.people = People(database)
        self.statements = Statements(database, self.carried)
        self.review = Review(database)
        self.exchange = Exchange(database)
        self.changes = Changes(database)
        self.forgetting = Forgetting(database, self.carried)
        self.kept_out = KeptOut(database)

    @classmethod
    def memory(cls, model: ModelInfo) -> Catalog:
        """Return an empty in-memory catalog for embeddings of `model`."""
        database = Database.memory()
        _initialise(database, model)
        return cls(database)

    @classmethod
    def create(cls, path: Path, model: ModelInfo) -> None:
        """Create a catalog file that only its owner can read, for embeddings of `model`. Raises `StorageError`."""
        Database.create(path, lambda database: _initialise(database, model))

    @classmethod
    def open(cls, path: Path, *, write: bool = False, trace: bool = True, older: bool = True) -> Catalog:
        """Open an existing catalog. Raises what `Database.open` raises."""
        return cls(Database.open(path, write=write, trace=trace, older=older))

    def close(self) -> None:
        """Discard uncommitted changes and close the file."""
        self.database.close()

    def transaction(self) -> AbstractContextManager[None]:
        """Commit everything written in the block, or none of it; see `Database.transaction`."""
        return self.database.transaction()

    @property
    def is_writing(self) -> bool:
        """Whether a transaction is in progress."""
        return self.database.is_writing

    def view(self) -> None:
        """Keep seeing the catalog as it is now, whatever others write, until `end_view` or a transaction."""
        self.database.view()

    def end_view(self) -> None:
        """End the view and see what others have written since; does nothing in a transaction."""
        self.database.end_view()

    def dry_run(self) -> AbstractContextManager[None]:
        """Discard all changes to roots, shards and photos at the end of the block; nothing is written to disk."""
        return self.database.rehearsal("roots", "shards", "photos")

    def checkpoint(self) -> None:
        """Merge the write-ahead log into the catalog and truncate the log."""
        self.database.checkpoint()

    def vacuum(self) -> None:
        """Rewrite the catalog without deleted data. Call outside a transaction. Raises `DiskFullError`."""
        self.database.vacuum()

    def backup(self, path: Path) -> None:
        """Copy the committed state of the catalog to `path`, even while others write. Raises `StorageError`."""
        self.database.backup(path)


def _initialise(database: Database, model: ModelInfo) -> None:
    with database.transaction():
        Meta(database).initialise()
        Models(database).set_current(model)
