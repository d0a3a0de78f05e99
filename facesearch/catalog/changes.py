"""The shared galleries that an index is pushed to, and the faces that they do not know yet."""

from __future__ import annotations

from typing import NamedTuple

from facesearch.catalog.columns import Shape
from facesearch.catalog.database import Database

__all__ = ["Change", "Changes", "Connected"]

_FIELDS = ("id", "name", "address", "known_as", "pushed", "after_runs", "token", "pending")
_GALLERY = Shape(*(f"galleries.{name}" for name in _FIELDS))
_FOUND = (
    "(SELECT max(vectors.id) FROM faces JOIN photos ON photos.id = photo JOIN vectors ON vectors.face = faces.id"
    " WHERE faces.id = changes.face AND missing_since IS NULL)"
)
_LOST = (
    "NOT EXISTS (SELECT 1 FROM faces JOIN photos ON photos.id = photo"
    " WHERE faces.id = changes.face AND missing_since IS NULL)"
)
_CHANGE = Shape("changes.id", "changes.face", f"coalesce({_FOUND}, 0)")
_TENANT = Shape("tenants.tenant")
_LAST = Shape("seq")


class Connected(NamedTuple):
    """A gallery that the index is pushed to, which has everything up to the change `pushed`.

    `known_as` is the name of the index there. `address` holds no password. `token` is what the gallery got with the
    last push, None before the first one, and `pending` what it got if that push was killed before it could be recorded.
    """

    id: int
    name: str
    address: str
    known_as: str
    pushed: int
    after_runs: bool
    token: bytes | None
    pending: bytes | None


class Change(NamedTuple):
    """A face that changed last at the change `id`; `vector` is the id of its vector, 0 if the face is not found now."""

    id: int
    face: int
    vector: int


class Changes:
    """The tables `galleries`, `tenants` and `changes`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def galleries(self) -> list[Connected]:
        """Return the galleries that the index is pushed to, in the order in which they were connected."""
        return [
            Connected._make([*row[:5], bool(row[5]), *row[6:]])
            for row in self._database.typed(_GALLERY, f"SELECT {_GALLERY.sql} FROM galleries ORDER BY id")
        ]

    def connect(self, name: str, address: str, known_as: str) -> None:
        """Connect a gallery, which does not know any face yet, or rename the index in one that is connected."""
        known = next((gallery for gallery in self.galleries() if gallery.name == name), None)
        if known is not None and known.address == address:
            self._database.run("UPDATE galleries SET known_as = ? WHERE name = ?", known_as, name)
            return
        self._database.run("DELETE FROM galleries WHERE name = ?", name)
        self._database.run("INSERT INTO galleries (name, address, known_as) VALUES (?, ?, ?)", name, address, known_as)
        self.list_all()

    def disconnect(self, name: str) -> None:
        """Disconnect a gallery. Without any, changes are not listed."""
        self._database.run("DELETE FROM galleries WHERE name = ?", name)
        self._drop_pushed()

    def tenant(self, gallery: int) -> str | None:
        """Return the tenant that the index belongs to in the gallery of this id; None if it has none."""
        rows = self._database.typed(_TENANT, f"SELECT {_TENANT.sql} FROM tenants WHERE gallery = ?", gallery)
        return str(rows[0][0]) if rows else None

    def set_tenant(self, name: str, tenant: str | None) -> None:
        """Store the tenant that the index belongs to in a gallery, or that it has none."""
        self._database.run("DELETE FROM tenants WHERE gallery IN (SELECT id FROM galleries WHERE name = ?)", name)
        if tenant is not None:
            self._database.run(
                "INSERT INTO tenants (gallery, tenant) SELECT id, ? FROM galleries WHERE name = ?", tenant, name
            )

    def push_after_runs(self, name: str, wanted: bool) -> None:
        """Store whether an indexing run ends with a push to this gallery."""
        self._database.run("UPDATE galleries SET after_runs = ? WHERE name = ?", int(wanted), name)

    def list_all(self) -> None:
        """List every face as changed."""
        self._database.run("DELETE FROM changes WHERE face IN (SELECT id FROM faces)")
        self._database.run("INSERT INTO changes (face) SELECT id FROM faces ORDER BY id")

    def last(self) -> int:
        """Return the id of the last change, 0 before the first."""
        rows = self._database.typed(_LAST, "SELECT seq FROM sqlite_sequence WHERE name = 'changes'")
        return int(rows[0][0]) if rows else 0

    def count(self, after: int) -> int:
        """Count the faces that changed after a change."""
        return int(self._database.value("SELECT count(*) FROM changes WHERE id > ?", after))

    def since(self, after: int, most: int) -> list[Change]:
        """Return at most this number of changes after another one, in their order."""
        return self._changes(f"SELECT {_CHANGE.sql} FROM changes WHERE id > ? ORDER BY id LIMIT ?", after, most)

    def gone(self, after: int, most: int) -> list[Change]:
        """Return at most this number of changes after another one, of faces that are not found now, in their order."""
        return self._changes(
            f"SELECT {_CHANGE.sql} FROM changes WHERE id > ? AND {_FOUND} IS NULL ORDER BY id LIMIT ?", after, most
        )

    def lost(self, after: int, most: int) -> list[Change]:
        """Return what `gone` returns, without faces that are in photos in sight and only have no vector now."""
        return self._changes(
            f"SELECT {_CHANGE.sql} FROM changes WHERE id > ? AND {_LOST} ORDER BY id LIMIT ?", after, most
        )

    def count_lost(self, after: int) -> int:
        """Return the number of faces that `lost` returns."""
        return int(self._database.value(f"SELECT count(*) FROM changes WHERE id > ? AND {_LOST}", after))

    def begin(self, gallery: int, token: bytes | None, pending: bytes) -> None:
        """Record the token that a gallery has, and the one that it is about to get."""
        self._database.run("UPDATE galleries SET token = ?, pending = ? WHERE id = ?", token, pending, gallery)

    def acknowledge(self, gallery: int, change: int, token: bytes) -> None:
        """Record that a gallery has everything up to a change, and its token."""
        self._database.run(
            "UPDATE galleries SET pushed = ?, token = ?, pending = NULL WHERE id = ?", change, token, gallery
        )
        self._drop_pushed()

    def _changes(self, sql: str, after: int, most: int) -> list[Change]:
        return [Change(*row) for row in self._database.typed(_CHANGE, sql, after, most)]

    def _drop_pushed(self) -> None:
        """Drop the changes that every gallery has."""
        self._database.run(
            "DELETE FROM changes WHERE id <= coalesce((SELECT min(pushed) FROM galleries), 9223372036854775807)"
        )
