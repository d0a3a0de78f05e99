"""The photos of an index: what was read from them, where they are, and which are copies or hidden."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from facesearch.catalog.batches import batches, marks
from facesearch.catalog.columns import Shape
from facesearch.catalog.database import Database
from facesearch.catalog.faces import Faces
from facesearch.catalog.filter import places
from facesearch.catalog.records import KNOWN_PHOTO, Counts, KnownPhoto, Status, known_photo, path_in_root
from facesearch.catalog.roots import Roots
from facesearch.types import KnownFile, PhotoFacts, PhotoFile, TakenAt

__all__ = ["Photos"]

_LONG_HIDDEN = "root = ? AND missing_since <= ? AND status != 'unwanted' AND id NOT IN (SELECT photo FROM handed_over)"

_HEADER = ("taken_at", "date_source", "date_precision", "latitude", "longitude", "ours", "header")
"""The columns from a photo's header and name, in the order of `_header_values` and `_facts_of`."""
_HEADER_SQL = ", ".join(_HEADER)
_PUT = (
    "root",
    "path",
    "size",
    "mtime_ns",
    "hash",
    "width",
    "height",
    *_HEADER,
    "fingerprint",
    "status",
    "error",
    "deaths",
)
"""The columns written whenever a photo is read; root and path are its key, the others are updated."""
_PUT_SQL = f"""
INSERT INTO photos ({", ".join(_PUT)}) VALUES ({", ".join("?" * len(_PUT))})
ON CONFLICT (root, path) DO UPDATE SET
    {", ".join(f"{name} = excluded.{name}" for name in _PUT[2:])},
    missing_since = NULL, outdated = outdated AND excluded.status = 'failed'
RETURNING id
"""
_FACTS = ("photos.width", "photos.height", *(f"photos.{name}" for name in _HEADER))
_ALL_FACTS = Shape(*_FACTS)
_FINGERPRINT = Shape("photos.fingerprint")
_COPIED = Shape("photos.hash", "photos.fingerprint", "photos.status", *_FACTS)
_FILE = ("photos.path", "photos.size", "photos.mtime_ns")
_OLD_HEADER = Shape("photos.id", *_FILE, *_FACTS)
_KNOWN = Shape(*KNOWN_PHOTO)
_KNOWN_IN_ROOT = Shape("roots.path", *KNOWN_PHOTO)
_HASH = Shape("photos.hash")
_SAMPLED = Shape("photos.path", "photos.size", "photos.hash")
_FAILED = Shape("roots.path", "photos.path", "photos.error")


class Photos:
    """The table `photos`."""

    def __init__(self, database: Database, roots: Roots, faces: Faces) -> None:
        self._database = database
        self._roots = roots
        self._faces = faces

    # Listing

    def within(self, root: int, folder: bytes = b"") -> Iterator[KnownPhoto]:
        """Yield the photos of a root, or of one folder of it, in the order of their paths as bytes."""
        condition = ""
        bounds: tuple[bytes, ...] = ()
        if folder:
            # Every path that starts with the folder's name and a separator; LIKE finds nothing in blobs.
            condition = " AND path > ? AND path < ?"
            bounds = _bounds(folder)
        return map(
            known_photo,
            self._database.typed_each(
                _KNOWN, f"SELECT {_KNOWN.sql} FROM photos WHERE root = ?{condition} ORDER BY path", root, *bounds
            ),
        )

    def at(self, root: int, path: bytes) -> KnownPhoto | None:
        """Return the photo at a path relative to a root; None if there is none."""
        rows = self._database.typed(_KNOWN, f"SELECT {_KNOWN.sql} FROM photos WHERE root = ? AND path = ?", root, path)
        return known_photo(rows[0]) if rows else None

    def find(self, photo: int) -> tuple[KnownPhoto, bytes] | None:
        """Return a visible photo by its id, with the path of its root; None if there is none."""
        found = self._in_roots("photos.id = ? AND missing_since IS NULL AND NOT ours", photo)
        return found[0] if found else None

    def any_at(self, path: bytes) -> bool:
        """Whether there is a known photo at an absolute path, or in the folder at that path."""
        return any(
            self._database.rows(f"SELECT 1 FROM photos WHERE {place.sql} LIMIT 1", *place.values)
            for place in places(path, self._roots.all())
        )

    def ids_at(self, path: bytes) -> list[int]:
        """Return the visible photos at an absolute path, or in the folder at that path."""
        return [
            row[0]
            for place in places(path, self._roots.all())
            for row in self._database.rows(
                f"SELECT id FROM photos WHERE missing_since IS NULL AND {place.sql} ORDER BY id", *place.values
            )
        ]

    def failed(self) -> Iterator[tuple[bytes, str]]:
        """Yield path (absolute) and reason of every photo that could not be read, in the order of the paths."""
        for root, path, error in self._database.typed(
            _FAILED,
            f"SELECT {_FAILED.sql} FROM photos JOIN roots ON roots.id = root"
            " WHERE status = 'failed' AND missing_since IS NULL ORDER BY roots.path, photos.path",
        ):
            yield path_in_root(root, path), error or "unknown error"

    def sample_files(self, root: int, number: int) -> list[KnownFile]:
        """Return up to `number` readable photos of a root, visible ones first, with relative paths; always the same."""
        return [
            KnownFile(*row)
            for row in self._database.typed(
                _SAMPLED,
                f"SELECT {_SAMPLED.sql} FROM photos WHERE root = ? AND hash IS NOT NULL AND size >= 0"
                " ORDER BY missing_since IS NOT NULL, hash LIMIT ?",  # as good as random, and stable
                root, number,
            )
        ]  # fmt: skip

    def counts(self) -> Counts:
        """Count photos and faces, see `Counts`."""
        ((photos, no_face, failed, missing),) = self._database.rows(
            """
            SELECT coalesce(sum(missing_since IS NULL AND NOT ours), 0),
                coalesce(sum(missing_since IS NULL AND status = 'no_face' AND NOT ours), 0),
                coalesce(sum(missing_since IS NULL AND status = 'failed'), 0),
                coalesce(sum(missing_since IS NOT NULL AND NOT ours), 0)
            FROM photos
            """
        )
        # Counting all and subtracting the few that cannot be found takes a fifth of the time of joining a million.
        hidden = (
            "SELECT count(*) FROM faces WHERE photo IN"
            " (SELECT id FROM photos WHERE missing_since IS NOT NULL OR outdated)"
            " AND NOT EXISTS (SELECT 1 FROM photos JOIN vectors ON vectors.face = faces.id WHERE photos.id = photo"
            " AND missing_since IS NULL)"
        )
        faces = self._database.value("SELECT count(*) FROM faces") - self._database.value(hidden)
        return Counts(photos, faces, no_face, failed, missing)

    def count_ours(self) -> int:
        """Count the visible pictures that facesearch made."""
        return int(self._database.value("SELECT count(*) FROM photos WHERE ours AND missing_since IS NULL"))

    def count_handed_over(self) -> int:
        """Count the photos that are hidden because they are in other shards."""
        hidden = "missing_since IS NOT NULL AND NOT ours"
        return int(self._database.value(f"SELECT count(*) FROM handed_over JOIN photos ON id = photo WHERE {hidden}"))

    def count_outdated(self) -> int:
        """Count the photos whose faces come from an earlier model and are not found until the photos are read again."""
        return int(self._database.value("SELECT count(*) FROM photos WHERE outdated"))

    # Content and header

    def put(
        self,
        root: int,
        file: PhotoFile,
        content: bytes | None,
        status: Status,
        *,
        facts: PhotoFacts | None = None,
        fingerprint: int | None = None,
        error: str | None = None,
        deaths: int = 0,
    ) -> int:
        """Record the result of reading a new or known photo and return its id. Faces are not touched."""
        seen = facts or PhotoFacts(0, 0)
        size = (seen.width or None, seen.height or None)  # unknown until a photo is decoded
        (row,) = self._database.rows(
            _PUT_SQL,
            root, file.path, file.size, file.mtime_ns, content, *size, *_header_values(seen), fingerprint, status,
            error, deaths,
        )  # fmt: skip
        return int(row[0])

    def put_header(self, photo: int, facts: PhotoFacts) -> None:
        """Update what comes from a photo's header. A picture that turns out to be facesearch's own loses its faces."""
        values = _header_values(facts)
        self._database.run(
            f"UPDATE photos SET ({_HEADER_SQL}) = ({', '.join('?' * len(values))}) WHERE id = ?", *values, photo
        )
        if facts.ours:
            self._database.run("DELETE FROM faces WHERE photo = ?", photo)
            self._database.run("UPDATE photos SET status = 'no_face', outdated = 0 WHERE id = ?", photo)

    def facts_of(self, photo: int) -> PhotoFacts:
        """Return what is known from a photo's header and name."""
        (row,) = self._database.typed(_ALL_FACTS, f"SELECT {_ALL_FACTS.sql} FROM photos WHERE id = ?", photo)
        return _facts_of(*row)

    def with_old_headers(self, root: int, folder: bytes, version: int) -> list[tuple[int, PhotoFile, PhotoFacts]]:
        """Return the visible photos whose headers were read by an earlier reader: ids, files, and what is known.

        They are those of a root, or of the folder or file `folder` in it.
        """
        rows = self._database.typed(
            _OLD_HEADER,
            f"SELECT {_OLD_HEADER.sql} FROM photos WHERE root = ?1 AND header < ?2"
            " AND missing_since IS NULL AND status IN ('faces', 'no_face')"
            " AND (?3 = x'' OR path = ?3 OR (path > ?4 AND path < ?5)) ORDER BY path",
            root, version, folder, *_bounds(folder),
        )  # fmt: skip
        return [(row[0], PhotoFile(*row[1:4]), _facts_of(*row[4:])) for row in rows]

    def is_ours(self, photo: int) -> bool:
        """Whether a photo is a picture that facesearch made."""
        return bool(self._database.rows("SELECT 1 FROM photos WHERE id = ? AND ours", photo))

    def mark_extracted(self, photo: int, *, faces: bool, fingerprint: int | None) -> None:
        """Record that the index's model has processed a photo."""
        self._database.run(
            "UPDATE photos SET status = ?, fingerprint = coalesce(?, fingerprint), outdated = 0 WHERE id = ?",
            "faces" if faces else "no_face", fingerprint, photo,
        )  # fmt: skip

    def mark_outdated(self) -> None:
        """Mark photos as outdated that have or may have faces and that the next model has not processed."""
        self._database.run(
            "UPDATE photos SET outdated = 1 WHERE (hash IS NULL OR hash NOT IN (SELECT content FROM looks))"
            " AND (status IN ('faces', 'no_face')"
            " OR (status = 'failed' AND EXISTS (SELECT 1 FROM faces WHERE photo = photos.id)))"
        )

    def fingerprint_of(self, photo: int) -> int | None:
        """Return the fingerprint of a photo; None if it was not measured."""
        rows = self._database.typed(_FINGERPRINT, f"SELECT {_FINGERPRINT.sql} FROM photos WHERE id = ?", photo)
        return rows[0][0] if rows else None

    # Copies, by content

    def content_of(self, photo: int) -> bytes | None:
        """Return the SHA-256 of a photo when it was last read; None if it could not be read."""
        rows = self._database.typed(_HASH, f"SELECT {_HASH.sql} FROM photos WHERE id = ?", photo)
        return rows[0][0] if rows else None

    def with_content(self, content: bytes, *, outdated: bool = False) -> list[tuple[KnownPhoto, bytes]]:
        """Return the photos of this exact content that were read without failure, with their absolute paths.

        They are those that are not outdated (the known faces of an outdated photo are of no use), or with `outdated`
        only those that are.
        """
        return self._in_roots("hash = ? AND status != 'failed' AND outdated = ?", content, outdated)

    def twin_of(self, content: bytes) -> int | None:
        """Return a photo of this exact content whose faces are known; an unwanted one first, since then all are.

        The cost does not depend on the number of copies.
        """
        for status in ("unwanted", "faces", "no_face"):
            rows = self._database.rows(
                "SELECT id FROM photos WHERE hash = ? AND status = ? AND outdated = 0 LIMIT 1", content, status
            )
            if rows:
                return int(rows[0][0])
        return None

    def copies(self, photos: Iterable[int], more: Iterable[bytes] = ()) -> list[tuple[KnownPhoto, bytes]]:
        """Return other photos that are identical to one of these, with their absolute paths.

        `more` are the contents of photos whose content the catalog does not know.
        """
        given = list(photos)
        contents: dict[bytes, None] = dict.fromkeys(more)
        for part in batches(given):
            sql = f"SELECT {_HASH.sql} FROM photos WHERE id IN ({marks(part)})"
            contents |= dict.fromkeys(row[0] for row in self._database.typed(_HASH, sql, *part) if row[0] is not None)
        known = set(given)
        found = (pair for content in contents for pair in self._in_roots("hash = ?", content))
        return [(photo, path) for photo, path in found if photo.id not in known]

    def copy(self, twin: int, root: int, file: PhotoFile) -> int:
        """Record a file that has the content of `twin`: it gets the twin's faces and vectors, with new ids."""
        ((content, fingerprint, status, *facts),) = self._database.typed(
            _COPIED, f"SELECT {_COPIED.sql} FROM photos WHERE id = ?", twin
        )
        photo = self.put(root, file, content, status, facts=_facts_of(*facts), fingerprint=fingerprint)
        self._faces.replace(photo, self._faces.of_photo(twin))
        return photo

    # Location and visibility

    def touch(self, photo: int, root: int, file: PhotoFile) -> None:
        """Update path, size and time of a photo whose content is unchanged; nothing else changes."""
        self._database.run(
            "UPDATE photos SET root = ?, path = ?, size = ?, mtime_ns = ?, missing_since = NULL WHERE id = ?",
            root, file.path, file.size, file.mtime_ns, photo,
        )  # fmt: skip

    def displace(self, photo: int, when: int) -> None:
        """Hide a photo whose place another one has taken, under a path that no scan returns."""
        self._database.run(
            "UPDATE photos SET path = CAST(path || '//' || id AS BLOB), missing_since = ? WHERE id = ?", when, photo
        )

    def hide(self, photos: Iterable[int], when: int) -> None:
        """Hide photos that are missing since `when` (seconds since 1970): they are kept, but no longer found."""
        self._database.many(
            "UPDATE photos SET missing_since = ? WHERE id = ?"
            " AND (missing_since IS NULL OR id IN (SELECT photo FROM handed_over))",
            ((when, photo) for photo in photos),
        )

    def hand_over(self, photos: Iterable[int], when: int) -> None:
        """Hide photos that are in other shards from `when` on: they are kept until the index takes their shard again.

        They do not count as missing, so they are not deleted after a time.
        """
        for photo in photos:
            self._database.run("UPDATE photos SET missing_since = ? WHERE id = ?", when, photo)
            self._database.run("INSERT INTO handed_over (photo) VALUES (?)", photo)  # after the trigger of the update

    def show(self, photos: Iterable[int]) -> None:
        """Show hidden photos that are back."""
        self._database.many("UPDATE photos SET missing_since = NULL WHERE id = ?", ((photo,) for photo in photos))

    def count_hidden(self, root: int, before: int) -> int:
        """Count the photos of a root that have been missing since `before` (seconds since 1970) or longer.

        Unwanted ones do not count: if they were deleted, they would be indexed when they return. Those that were handed
        over are not missing.
        """
        return int(self._database.value(f"SELECT count(*) FROM photos WHERE {_LONG_HIDDEN}", root, before))

    def delete_hidden(self, root: int, before: int) -> None:
        """Delete the photos that `count_hidden` counts, with their faces."""
        self._database.run(f"DELETE FROM photos WHERE {_LONG_HIDDEN}", root, before)

    # Deletion

    def delete(self, photo: int) -> None:
        """Delete a photo with its faces and vectors."""
        self._database.run("DELETE FROM photos WHERE id = ?", photo)

    def keep_out(self, photo: int, content: bytes | None = None) -> None:
        """Delete a photo's faces and vectors, and mark its content as unwanted; `content` is used if none is known."""
        self._database.run("DELETE FROM faces WHERE photo = ?", photo)
        self._database.run("DELETE FROM earlier_contents WHERE photo = ?", photo)
        self._database.run(
            "UPDATE photos SET status = 'unwanted', error = NULL, taken_at = NULL, date_source = NULL,"
            " date_precision = NULL, latitude = NULL, longitude = NULL, hash = coalesce(hash, ?) WHERE id = ?",
            content, photo,
        )  # fmt: skip

    def is_unwanted(self, content: bytes) -> bool:
        """Whether this exact content is on the never-again list."""
        return bool(self._database.rows("SELECT 1 FROM photos WHERE hash = ? AND status = 'unwanted' LIMIT 1", content))

    def _in_roots(self, condition: str, *values: object) -> list[tuple[KnownPhoto, bytes]]:
        rows = self._database.typed(
            _KNOWN_IN_ROOT,
            f"SELECT {_KNOWN_IN_ROOT.sql} FROM photos JOIN roots ON roots.id = root"
            f" WHERE {condition} ORDER BY photos.id",
            *values,
        )
        found = ((root, known_photo(row)) for root, *row in rows)
        return [(photo, path_in_root(root, photo.file.path)) for root, photo in found]


def _bounds(folder: bytes) -> tuple[bytes, bytes]:
    """Return the exclusive bounds of all paths in a folder."""
    return folder + os.fsencode(os.sep), folder + bytes([ord(os.sep) + 1])


def _header_values(facts: PhotoFacts) -> tuple[object, ...]:
    taken = facts.taken
    dated = (None, None, None) if taken is None else (str(taken), taken.source, taken.precision)
    return (*dated, *(facts.position or (None, None)), facts.ours, facts.header)


def _facts_of(width: int | None, height: int | None, *header: Any) -> PhotoFacts:
    """Return the facts from the values of `_FACTS`."""
    taken_at, source, precision, latitude, longitude, ours, version = header
    taken = TakenAt(taken_at[:19], source or "exif", precision or "second", taken_at[19:]) if taken_at else None
    position = None if latitude is None else (latitude, longitude)
    return PhotoFacts(width or 0, height or 0, taken, position, bool(ours), version)
