"""The photos of an index: what was read of them, where they are, which of them are copies or out of sight."""

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

_LONG_HIDDEN = "root = ? AND missing_since <= ? AND status != 'unwanted'"

_HEADER = ("taken_at", "date_source", "date_precision", "latitude", "longitude", "ours", "header")
"""What comes from a photo's header and its name, in the order of `_header_values` and `_facts_of`."""
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
"""Written whenever a photo is read; by root and path it is known, and all the others are new then."""
_PUT_SQL = f"""
INSERT INTO photos ({", ".join(_PUT)}) VALUES ({", ".join("?" * len(_PUT))})
ON CONFLICT (root, path) DO UPDATE SET
    {", ".join(f"{name} = excluded.{name}" for name in _PUT[2:])},
    missing_since = NULL, outdated = outdated AND excluded.status = 'failed'
RETURNING id
"""
_FACTS = ("photos.width", "photos.height", *(f"photos.{name}" for name in _HEADER))
_ALL_FACTS = Shape(*_FACTS)
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

    # Which there are

    def within(self, root: int, folder: bytes = b"") -> Iterator[KnownPhoto]:
        """The photos of a root, or of one folder of it, in the order of their paths as bytes."""
        condition = ""
        bounds: tuple[bytes, ...] = ()
        if folder:
            # Everything that begins with the folder's name and a separator; LIKE finds nothing in blobs.
            condition = " AND path > ? AND path < ?"
            bounds = _bounds(folder)
        return map(
            known_photo,
            self._database.typed_each(
                _KNOWN, f"SELECT {_KNOWN.sql} FROM photos WHERE root = ?{condition} ORDER BY path", root, *bounds
            ),
        )

    def at(self, root: int, path: bytes) -> KnownPhoto | None:
        """The photo at a path relative to a root."""
        rows = self._database.typed(_KNOWN, f"SELECT {_KNOWN.sql} FROM photos WHERE root = ? AND path = ?", root, path)
        return known_photo(rows[0]) if rows else None

    def any_at(self, path: bytes) -> bool:
        """Whether a known photo lies at an absolute path, or in the folder there."""
        return any(
            self._database.rows(f"SELECT 1 FROM photos WHERE {place.sql} LIMIT 1", *place.values)
            for place in places(path, self._roots.all())
        )

    def failed(self) -> Iterator[tuple[bytes, str]]:
        """Absolute path and reason of every photo that could not be read, in the order of their paths."""
        for root, path, error in self._database.typed(
            _FAILED,
            f"SELECT {_FAILED.sql} FROM photos JOIN roots ON roots.id = root"
            " WHERE status = 'failed' AND missing_since IS NULL ORDER BY roots.path, photos.path",
        ):
            yield path_in_root(root, path), error or "not known why"

    def sample_files(self, root: int, number: int) -> list[KnownFile]:
        """Up to so many readable photos of a root, rather ones in sight, their paths relative; always the same ones."""
        return [
            KnownFile(*row)
            for row in self._database.typed(
                _SAMPLED,
                f"SELECT {_SAMPLED.sql} FROM photos WHERE root = ? AND hash IS NOT NULL AND size >= 0"
                " ORDER BY missing_since IS NOT NULL, hash LIMIT ?",  # as good as drawn by lot, and lasting
                root, number,
            )
        ]  # fmt: skip

    def counts(self) -> Counts:
        """How much is here."""
        ((photos, no_face, failed, missing),) = self._database.rows(
            """
            SELECT coalesce(sum(missing_since IS NULL AND NOT ours), 0),
                coalesce(sum(missing_since IS NULL AND status = 'no_face' AND NOT ours), 0),
                coalesce(sum(missing_since IS NULL AND status = 'failed'), 0),
                coalesce(sum(missing_since IS NOT NULL AND NOT ours), 0)
            FROM photos
            """
        )
        # Counting all and taking away the few that cannot be found takes a fifth of the time of joining a million.
        hidden = (
            "SELECT count(*) FROM faces WHERE photo IN"
            " (SELECT id FROM photos WHERE missing_since IS NOT NULL OR outdated)"
        )
        faces = self._database.value("SELECT count(*) FROM faces") - self._database.value(hidden)
        return Counts(photos, faces, no_face, failed, missing)

    def count_ours(self) -> int:
        """Pictures in sight that facesearch made."""
        return int(self._database.value("SELECT count(*) FROM photos WHERE ours AND missing_since IS NULL"))

    def count_outdated(self) -> int:
        """Photos whose faces are an earlier model's, and are not found until the photos are read again."""
        return int(self._database.value("SELECT count(*) FROM photos WHERE outdated"))

    # What was read of them

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
        """Record what reading a photo came to, new or known, and give back its id. Faces are not touched."""
        seen = facts or PhotoFacts(0, 0)
        size = (seen.width or None, seen.height or None)  # of a photo that was never decoded nobody knows it
        (row,) = self._database.rows(
            _PUT_SQL,
            root, file.path, file.size, file.mtime_ns, content, *size, *_header_values(seen), fingerprint, status,
            error, deaths,
        )  # fmt: skip
        return int(row[0])

    def put_header(self, photo: int, facts: PhotoFacts) -> None:
        """What a photo's header says now. One that turns out to be facesearch's own has no faces any more."""
        values = _header_values(facts)
        self._database.run(
            f"UPDATE photos SET ({_HEADER_SQL}) = ({', '.join('?' * len(values))}) WHERE id = ?", *values, photo
        )
        if facts.ours:
            self._database.run("DELETE FROM faces WHERE photo = ?", photo)
            self._database.run("UPDATE photos SET status = 'no_face', outdated = 0 WHERE id = ?", photo)

    def facts_of(self, photo: int) -> PhotoFacts:
        """What is known from a photo's header and its name."""
        (row,) = self._database.typed(_ALL_FACTS, f"SELECT {_ALL_FACTS.sql} FROM photos WHERE id = ?", photo)
        return _facts_of(*row)

    def with_old_headers(self, root: int, folder: bytes, version: int) -> list[tuple[int, PhotoFile, PhotoFacts]]:
        """Photos in sight whose headers were read by an earlier reader than this: ids, files, and what is known.

        They are those of a root, of one folder of it, or the single file of that name.
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
        """Whether it is a picture that facesearch made."""
        return bool(self._database.rows("SELECT 1 FROM photos WHERE id = ? AND ours", photo))

    def mark_extracted(self, photo: int, *, faces: bool, fingerprint: int | None) -> None:
        """The index's model has seen a photo."""
        self._database.run(
            "UPDATE photos SET status = ?, fingerprint = coalesce(?, fingerprint), outdated = 0 WHERE id = ?",
            "faces" if faces else "no_face", fingerprint, photo,
        )  # fmt: skip

    def mark_outdated(self) -> None:
        """Photos that have faces, or may have, and that the next model has not seen are outdated."""
        self._database.run(
            "UPDATE photos SET outdated = 1 WHERE (hash IS NULL OR hash NOT IN (SELECT content FROM looks))"
            " AND (status IN ('faces', 'no_face')"
            " OR (status = 'failed' AND EXISTS (SELECT 1 FROM faces WHERE photo = photos.id)))"
        )

    # Copies, by content

    def content_of(self, photo: int) -> bytes | None:
        """The SHA-256 of what a photo was when it was last read; None where it could not be read."""
        rows = self._database.typed(_HASH, f"SELECT {_HASH.sql} FROM photos WHERE id = ?", photo)
        return rows[0][0] if rows else None

    def with_content(self, content: bytes, *, outdated: bool = False) -> list[tuple[KnownPhoto, bytes]]:
        """Photos of this very content that were read without failing, with their absolute paths.

        Unless they are asked for, outdated ones are none of them: what is known of their faces is of no use.
        """
        return self._in_roots("hash = ? AND status != 'failed' AND outdated = ?", content, outdated)

    def twin_of(self, content: bytes) -> int | None:
        """A photo of this very content whose faces are known; rather one that is unwanted, since then all of them are.

        Costs the same however many there are.
        """
        for status in ("unwanted", "faces", "no_face"):
            rows = self._database.rows(
                "SELECT id FROM photos WHERE hash = ? AND status = ? AND outdated = 0 LIMIT 1", content, status
            )
            if rows:
                return int(rows[0][0])
        return None

    def copies(self, photos: Iterable[int], more: Iterable[bytes] = ()) -> list[tuple[KnownPhoto, bytes]]:
        """Photos that are identical to one of these and are none of them, with their absolute paths.

        `more` are contents of photos of which the catalog does not know them.
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
        """This file has its twin's content: it gets its twin's faces and vectors under ids of its own."""
        ((content, fingerprint, status, *facts),) = self._database.typed(
            _COPIED, f"SELECT {_COPIED.sql} FROM photos WHERE id = ?", twin
        )
        photo = self.put(root, file, content, status, facts=_facts_of(*facts), fingerprint=fingerprint)
        self._faces.replace(photo, self._faces.of_photo(twin))
        return photo

    # Where they are

    def touch(self, photo: int, root: int, file: PhotoFile) -> None:
        """The same content, now with this path, size and time: nothing else about the photo changes."""
        self._database.run(
            "UPDATE photos SET root = ?, path = ?, size = ?, mtime_ns = ?, missing_since = NULL WHERE id = ?",
            root, file.path, file.size, file.mtime_ns, photo,
        )  # fmt: skip

    def displace(self, photo: int, when: int) -> None:
        """Another photo has taken this one's place: it is out of sight, under a path that no scan gives."""
        self._database.run(
            "UPDATE photos SET path = CAST(path || '//' || id AS BLOB), missing_since = ? WHERE id = ?", when, photo
        )

    def hide(self, photos: Iterable[int], when: int) -> None:
        """Photos that are out of sight since `when` (seconds since 1970): kept, but no longer found."""
        self._database.many(
            "UPDATE photos SET missing_since = ? WHERE id = ? AND missing_since IS NULL", ((when, p) for p in photos)
        )

    def show(self, photos: Iterable[int]) -> None:
        """Photos that are back."""
        self._database.many("UPDATE photos SET missing_since = NULL WHERE id = ?", ((photo,) for photo in photos))

    def count_hidden(self, root: int, before: int) -> int:
        """Photos of a root that have been out of sight since `before` (seconds since 1970) or longer.

        Unwanted ones do not count: they would be unknown, and welcome, when they return.
        """
        return int(self._database.value(f"SELECT count(*) FROM photos WHERE {_LONG_HIDDEN}", root, before))

    def delete_hidden(self, root: int, before: int) -> None:
        """Delete those photos for good, with their faces."""
        self._database.run(f"DELETE FROM photos WHERE {_LONG_HIDDEN}", root, before)

    # Which are gone for good

    def delete(self, photo: int) -> None:
        """Delete a photo with its faces and vectors."""
        self._database.run("DELETE FROM photos WHERE id = ?", photo)

    def keep_out(self, photo: int, content: bytes | None = None) -> None:
        """Delete a photo's faces and vectors, and remember its content as unwanted; `content` where it is not known."""
        self._database.run("DELETE FROM faces WHERE photo = ?", photo)
        self._database.run(
            "UPDATE photos SET status = 'unwanted', error = NULL, taken_at = NULL, date_source = NULL,"
            " date_precision = NULL, latitude = NULL, longitude = NULL, hash = coalesce(hash, ?) WHERE id = ?",
            content, photo,
        )  # fmt: skip

    def is_unwanted(self, content: bytes) -> bool:
        """Whether this very content was forgotten for ever."""
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
    """All that lies in a folder is between these two."""
    return folder + os.fsencode(os.sep), folder + bytes([ord(os.sep) + 1])


def _header_values(facts: PhotoFacts) -> tuple[object, ...]:
    taken = facts.taken
    dated = (None, None, None) if taken is None else (str(taken), taken.source, taken.precision)
    return (*dated, *(facts.position or (None, None)), facts.ours, facts.header)


def _facts_of(width: int | None, height: int | None, *header: Any) -> PhotoFacts:
    """From the values of `_FACTS`."""
    taken_at, source, precision, latitude, longitude, ours, version = header
    taken = TakenAt(taken_at[:19], source or "exif", precision or "second", taken_at[19:]) if taken_at else None
    position = None if latitude is None else (latitude, longitude)
    return PhotoFacts(width or 0, height or 0, taken, position, bool(ours), version)
