"""The catalog: what is known of roots, photos, faces and vectors, in SQL; typed rows come out.

One catalog is one SQLite file in write-ahead mode, or `:memory:`; see `database` for how it is opened and written to.
"""

from __future__ import annotations

import json
import os
import sqlite3
import uuid as uuids
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from facesearch.catalog.columns import META, Shape, detection_of, row_of
from facesearch.catalog.filter import condition, places
from facesearch.catalog.migrations import APPLICATION_ID
from facesearch.catalog.staging import SAME_FACE, Succession
from facesearch.errors import Hint, IndexDamagedError, StorageError
from facesearch.locations import Locations
from facesearch.types import (
    Box,
    Face,
    FaceRecord,
    Filter,
    KnownFile,
    ModelInfo,
    PhotoFacts,
    PhotoFile,
    TakenAt,
)

if TYPE_CHECKING:
    from facesearch.types import FloatArray, IdArray

__all__ = ["Catalog", "Counts", "FaceRecord", "KnownPhoto", "Root", "Status"]

Status = Literal["faces", "no_face", "failed", "unwanted"]
"""What became of a photo; an unwanted one was forgotten for ever, and is not looked at again."""

_ID_CHUNK = 500
_VECTOR_CHUNK = 50_000
_SAME_PLACE = 0.5
_SAME_PERSON = 0.2


class Root(NamedTuple):
    """A folder, or a single file, that was given to be indexed; `path` is absolute, in the system's bytes."""

    id: int
    path: bytes


@dataclass(frozen=True, slots=True)
class KnownPhoto:
    """A photo as the catalog knows it; `file.path` is relative to its root, empty where the root is the file.

    `was_read` tells that its bytes could be read, whatever became of them, `measured` that its fingerprint was taken,
    `outdated` that the index's model has not looked at it yet: its faces are an earlier one's, and are not found.
    `deaths` is how many processes died while they looked at it alone; `ours` is a picture that facesearch made, and no
    photo.
    """

    id: int
    root: int
    file: PhotoFile
    status: Status
    missing: bool
    was_read: bool = True
    measured: bool = True
    outdated: bool = False
    deaths: int = 0
    ours: bool = False


class Counts(NamedTuple):
    """What is in an index; photos that have gone from sight are `missing` and not among the others.

    Pictures that facesearch made are no photos; see `count_ours`.
    """

    photos: int
    faces: int
    no_face: int
    failed: int
    missing: int


class Catalog(Succession):
    """One database of roots, photos, faces and vectors. Use from one thread."""

    @classmethod
    def memory(cls, model: ModelInfo) -> Catalog:
        """A catalog that is gone when it is closed."""
        catalog = cls(sqlite3.connect(":memory:", isolation_level=None), ":memory:")
        catalog._prepare()
        catalog._initialise(model)
        return catalog

    @classmethod
    def create(cls, path: Path, model: ModelInfo) -> None:
        """Make a new catalog file that only its owner can read, for embeddings of `model`. Raises `StorageError`.

        It is made under another name and renamed: a catalog is there whole or not at all.
        """
        unfinished = path.with_name(f"{path.name}.{os.getpid()}.new")
        leftovers = [Path(f"{unfinished}{suffix}") for suffix in ("", "-wal", "-shm")]
        try:
            for leftover in leftovers:
                leftover.unlink(missing_ok=True)  # of a process that had this one's number
            os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            catalog = cls._connected(unfinished, "rw")
            try:
                mode = catalog._value("PRAGMA journal_mode = WAL")
                if mode != "wal":
                    raise StorageError(
                        f"{path}: this file system cannot hold an index (no shared memory, as on network shares)",
                        Hint.LOCAL_DISK,
                    )
                catalog._initialise(model)
            finally:
                catalog.close()
            for stale in (Path(f"{path}-wal"), Path(f"{path}-shm")):
                stale.unlink(missing_ok=True)  # of a catalog that was taken away: SQLite would replay it into this one
            unfinished.replace(path)
        except OSError as error:
            raise StorageError(f"{path}: cannot be created ({error.strerror})", Hint.ANOTHER_PLACE) from error
        finally:
            for leftover in leftovers:
                leftover.unlink(missing_ok=True)

    def _initialise(self, model: ModelInfo) -> None:
        self._migrate(0)
        with self.transaction():
            self._many(
                "INSERT INTO meta (key, value) VALUES (?, ?)",
                [("uuid", uuids.uuid4().bytes), ("generation", 0), ("dead_since", 0)],
            )
            self._add_model(model)
        self._rows(f"PRAGMA application_id = {APPLICATION_ID}")

    def dry_run(self) -> AbstractContextManager[None]:
        """While this lasts, what is done to roots and photos is forgotten at its end, and nothing is written."""
        return self.rehearsal("roots", "photos")

    # What the index is

    @property
    def uuid(self) -> bytes:
        """16 bytes that no other index has."""
        return bytes(self._meta("uuid"))

    @property
    def generation(self) -> int:
        """Raised by the database itself whenever a vector comes or goes."""
        return int(self._meta("generation"))

    @property
    def dead_since(self) -> int:
        """The dead vectors of every generation after this one are still listed."""
        return int(self._meta("dead_since"))

    def _meta(self, key: str) -> Any:
        """What is kept under a key; None where that may be missing. Raises `IndexDamagedError`."""
        rows = self._rows("SELECT value FROM meta WHERE key = ?", key)
        value = rows[0][0] if rows else None
        if not META[key].takes(value):
            raise IndexDamagedError(
                f"{self._name}: the catalog is damaged ({key} {value!r:.60} cannot be)", Hint.REPAIR
            )
        return value

    def last_run(self) -> dict[str, Any] | None:
        """The report of the last indexing run, with `finished` in seconds since 1970."""
        kept = self._meta("last_run")
        return None if kept is None else dict(json.loads(kept))

    def set_last_run(self, report: dict[str, Any]) -> None:
        """Keep the report of an indexing run."""
        self._run("INSERT OR REPLACE INTO meta (key, value) VALUES ('last_run', ?)", json.dumps(report))

    def index_type(self) -> str:
        """How the vectors are to be searched: `auto`, or a kind of vector file."""
        return str(self._meta("index_type") or "auto")

    def set_index_type(self, name: str) -> None:
        """Keep what the user has chosen."""
        self._run("INSERT OR REPLACE INTO meta (key, value) VALUES ('index_type', ?)", name)

    def counts(self) -> Counts:
        """How much is here."""
        ((photos, no_face, failed, missing),) = self._rows(
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
        faces = self._value("SELECT count(*) FROM faces") - self._value(hidden)
        return Counts(photos, faces, no_face, failed, missing)

    def count_ours(self) -> int:
        """Pictures in sight that facesearch made."""
        return int(self._value("SELECT count(*) FROM photos WHERE ours AND missing_since IS NULL"))

    # Roots

    def roots(self) -> list[Root]:
        """All roots, in the order in which they came."""
        return [Root(*row) for row in self._typed(_ROOT, "SELECT id, path FROM roots ORDER BY id")]

    def add_root(self, path: bytes, locations: Locations | None = None) -> Root:
        """A new root. Roots inside it are folded into it: their photos keep everything and change their root.

        `locations` are those of all roots so far, and follow; whoever adds many has them at hand.
        """
        known = Locations(self.roots()) if locations is None else locations
        row_id = self._insert("INSERT INTO roots (uuid, path) VALUES (?, ?)", str(uuids.uuid4()), path)
        for inner in known.inside(path):
            # A photo that was known under two names is known once from here on: the rest goes with its root.
            self._run(
                "UPDATE OR IGNORE photos SET root = ?1,"
                " path = CAST(CASE WHEN path = x'' THEN ?2 ELSE ?2 || ?3 || path END AS BLOB) WHERE root = ?4",
                row_id, known.inner_path(inner, path), os.fsencode(os.sep), inner,
            )  # fmt: skip
            self._unname(row_id)
            self._run("DELETE FROM roots WHERE id = ?", inner)
            known.remove(inner)
        known.add(row_id, path)
        return Root(row_id, path)

    def move_root(self, root: int, path: bytes) -> None:
        """The same photos, mounted or moved elsewhere."""
        self._run("UPDATE roots SET path = ? WHERE id = ?", path, root)
        self._unname(root)

    def _unname(self, root: int) -> None:
        """What names say of a root's photos may be another thing now: it is to be read again."""
        self._run(f"UPDATE photos SET header = 0 WHERE root = ? AND {_DATED_BY_NAME}", root)

    def sample_files(self, root: int, number: int) -> list[KnownFile]:
        """Up to so many readable photos of a root, rather ones in sight, their paths relative; always the same ones."""
        return [
            KnownFile(*row)
            for row in self._typed(
                _SAMPLED,
                "SELECT path, size, hash FROM photos WHERE root = ? AND hash IS NOT NULL AND size >= 0"
                " ORDER BY missing_since IS NOT NULL, hash LIMIT ?",  # as good as drawn by lot, and lasting
                root, number,
            )
        ]  # fmt: skip

    def remove_root(self, root: int) -> None:
        """Delete a root with its photos, faces and vectors."""
        self._run("DELETE FROM photos WHERE root = ?", root)
        self._run("DELETE FROM roots WHERE id = ?", root)

    # Photos

    def photos(self, root: int, folder: bytes = b"") -> Iterator[KnownPhoto]:
        """The photos of a root, or of one folder of it, in the order of their paths as bytes."""
        condition = ""
        bounds: tuple[bytes, ...] = ()
        if folder:
            # Everything that begins with the folder's name and a separator; LIKE finds nothing in blobs.
            condition = " AND path > ? AND path < ?"
            bounds = (folder + os.fsencode(os.sep), folder + bytes([ord(os.sep) + 1]))
        with self._errors():
            cursor = self._connection.execute(
                f"SELECT {_PHOTO_COLUMNS} FROM photos WHERE root = ?{condition} ORDER BY path", (root, *bounds)
            )
            for row in _KNOWN.checked(cursor, self._name):
                yield _known_photo(row)

    def photo_at(self, root: int, path: bytes) -> KnownPhoto | None:
        """The photo at a path relative to a root."""
        rows = self._typed(_KNOWN, f"SELECT {_PHOTO_COLUMNS} FROM photos WHERE root = ? AND path = ?", root, path)
        return _known_photo(rows[0]) if rows else None

    def photos_with_hash(self, content: bytes, *, outdated: bool = False) -> list[tuple[KnownPhoto, bytes]]:
        """Photos of this very content that were read without failing, with their absolute paths.

        Unless they are asked for, outdated ones are none of them: what is known of their faces is of no use.
        """
        rows = self._typed(
            _KNOWN_IN_ROOT,
            f"SELECT (SELECT path FROM roots WHERE id = root), {_PHOTO_COLUMNS} FROM photos"
            " WHERE hash = ? AND status != 'failed' AND outdated = ? ORDER BY id",
            content, outdated,
        )  # fmt: skip
        return [(_known_photo(row), _absolute(root, row[2])) for root, *row in rows]

    def twin_of(self, content: bytes) -> int | None:
        """A photo of this very content whose faces are known; rather one that is unwanted, since then all of them are.

        Costs the same however many there are.
        """
        for status in ("unwanted", "faces", "no_face"):
            rows = self._rows(
                "SELECT id FROM photos WHERE hash = ? AND status = ? AND outdated = 0 LIMIT 1", content, status
            )
            if rows:
                return int(rows[0][0])
        return None

    def is_unwanted(self, content: bytes) -> bool:
        """Whether this very content was forgotten for ever."""
        return bool(self._rows("SELECT 1 FROM photos WHERE hash = ? AND status = 'unwanted' LIMIT 1", content))

    def is_ours(self, photo: int) -> bool:
        """Whether it is a picture that facesearch made."""
        return bool(self._rows("SELECT 1 FROM photos WHERE id = ? AND ours", photo))

    def content_of(self, photo: int) -> bytes | None:
        """The SHA-256 of what a photo was when it was last read; None where it could not be read."""
        rows = self._typed(_HASH, "SELECT hash FROM photos WHERE id = ?", photo)
        return rows[0][0] if rows else None

    def failed_photos(self) -> Iterator[tuple[bytes, str]]:
        """Absolute path and reason of every photo that could not be read, in the order of their paths."""
        for root, path, error in self._typed(
            _FAILED,
            "SELECT roots.path, photos.path, error FROM photos JOIN roots ON roots.id = root"
            " WHERE status = 'failed' AND missing_since IS NULL ORDER BY roots.path, photos.path",
        ):
            yield _absolute(root, path), error or "not known why"

    def put_photo(
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
        (row,) = self._rows(
            f"""
            INSERT INTO photos
                (root, path, size, mtime_ns, hash, width, height, {_HEADER}, fingerprint, status, error, deaths)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (root, path) DO UPDATE SET
                size = excluded.size, mtime_ns = excluded.mtime_ns, hash = excluded.hash,
                width = excluded.width, height = excluded.height,
                ({_HEADER}) = ({_EXCLUDED_HEADER}), fingerprint = excluded.fingerprint,
                status = excluded.status, error = excluded.error, deaths = excluded.deaths, missing_since = NULL,
                outdated = outdated AND excluded.status = 'failed'
            RETURNING id
            """,
            root, file.path, file.size, file.mtime_ns, content, *size, *_header_values(seen), fingerprint, status,
            error, deaths,
        )  # fmt: skip
        return int(row[0])

    def put_header(self, photo: int, facts: PhotoFacts) -> None:
        """What a photo's header says now. One that turns out to be facesearch's own has no faces any more."""
        marks = ", ".join("?" * len(_header_values(facts)))
        self._run(f"UPDATE photos SET ({_HEADER}) = ({marks}) WHERE id = ?", *_header_values(facts), photo)
        if facts.ours:
            self._run("DELETE FROM faces WHERE photo = ?", photo)
            self._run("UPDATE photos SET status = 'no_face', outdated = 0 WHERE id = ?", photo)

    def facts_of(self, photo: int) -> PhotoFacts:
        """What is known from a photo's header and its name."""
        (row,) = self._typed(_ALL_FACTS, f"SELECT width, height, {_HEADER} FROM photos WHERE id = ?", photo)
        return _facts_of(*row)

    def old_headers(self, root: int, folder: bytes, version: int) -> list[tuple[int, PhotoFile, PhotoFacts]]:
        """Photos in sight whose headers were read by an earlier reader than this: ids, files, and what is known.

        They are those of a root, of one folder of it, or the single file of that name.
        """
        rows = self._typed(
            _OLD_HEADER,
            f"SELECT id, path, size, mtime_ns, width, height, {_HEADER} FROM photos WHERE root = ?1 AND header < ?2"
            " AND missing_since IS NULL AND status IN ('faces', 'no_face')"
            " AND (?3 = x'' OR path = ?3 OR (path > ?4 AND path < ?5)) ORDER BY path",
            root, version, folder, folder + os.fsencode(os.sep), folder + bytes([ord(os.sep) + 1]),
        )  # fmt: skip
        return [(row[0], PhotoFile(*row[1:4]), _facts_of(*row[4:])) for row in rows]

    def touch_photo(self, photo: int, root: int, file: PhotoFile) -> None:
        """The same content, now with this path, size and time: nothing else about the photo changes."""
        self._run(
            "UPDATE photos SET root = ?, path = ?, size = ?, mtime_ns = ?, missing_since = NULL WHERE id = ?",
            root, file.path, file.size, file.mtime_ns, photo,
        )  # fmt: skip

    def displace_photo(self, photo: int, when: int) -> None:
        """Another photo has taken this one's place: it is out of sight, under a path that no scan gives."""
        self._run(
            "UPDATE photos SET path = CAST(path || '//' || id AS BLOB), missing_since = ? WHERE id = ?", when, photo
        )

    def copy_photo(self, twin: int, root: int, file: PhotoFile) -> int:
        """This file has its twin's content: it gets its twin's faces and vectors under ids of its own."""
        ((content, fingerprint, status, *header),) = self._typed(
            _COPIED, f"SELECT hash, fingerprint, status, width, height, {_HEADER} FROM photos WHERE id = ?", twin
        )
        facts = _facts_of(*header)
        photo = self.put_photo(root, file, content, status, facts=facts, fingerprint=fingerprint)
        self.replace_faces(photo, self._faces_of(twin))
        return photo

    def delete_photo(self, photo: int) -> None:
        """Delete a photo with its faces and vectors."""
        self._run("DELETE FROM photos WHERE id = ?", photo)

    def keep_out(self, photo: int, content: bytes | None = None) -> None:
        """Delete a photo's faces and vectors, and remember its content as unwanted; `content` where it is not known."""
        self._run("DELETE FROM faces WHERE photo = ?", photo)
        self._run(
            "UPDATE photos SET status = 'unwanted', error = NULL, taken_at = NULL, date_source = NULL,"
            " date_precision = NULL, latitude = NULL, longitude = NULL, hash = coalesce(hash, ?) WHERE id = ?",
            content, photo,
        )  # fmt: skip

    def hide_photos(self, photos: Iterable[int], when: int) -> None:
        """Photos that are out of sight since `when` (seconds since 1970): kept, but no longer found."""
        self._many(
            "UPDATE photos SET missing_since = ? WHERE id = ? AND missing_since IS NULL", ((when, p) for p in photos)
        )

    def count_hidden(self, root: int, before: int) -> int:
        """Photos of a root that have been out of sight since `before` (seconds since 1970) or longer.

        Unwanted ones do not count: they would be unknown, and welcome, when they return.
        """
        return int(self._value(f"SELECT count(*) FROM photos WHERE {_LONG_HIDDEN}", root, before))

    def delete_hidden(self, root: int, before: int) -> None:
        """Delete those photos for good, with their faces."""
        self._run(f"DELETE FROM photos WHERE {_LONG_HIDDEN}", root, before)

    def show_photos(self, photos: Iterable[int]) -> None:
        """Photos that are back."""
        self._many("UPDATE photos SET missing_since = NULL WHERE id = ?", ((photo,) for photo in photos))

    # Faces and vectors

    def replace_faces(self, photo: int, faces: Sequence[Face]) -> None:
        """The faces of a photo are these now. One at the place of an earlier one, and like it, takes over its id.

        Those that were forgotten in this very content are left out.
        """
        import numpy as np

        forgotten = [
            Box(*row)
            for row in self._typed(
                _FORGOTTEN,
                "SELECT x, y, width, height FROM forgotten_faces"
                " WHERE content = (SELECT hash FROM photos WHERE id = ?)",
                photo,
            )
        ]
        faces = [face for face in faces if all(face.detection.box.overlap(box) < SAME_FACE for box in forgotten)]
        earlier: dict[int, tuple[Box, FloatArray]] = {
            row_id: (Box(x, y, width, height), np.frombuffer(vector, dtype="<f4"))
            for row_id, x, y, width, height, vector in self._typed(
                _EARLIER,
                "SELECT faces.id, x, y, width, height, coalesce(vector, x'') FROM faces"
                " LEFT JOIN vectors ON face = faces.id WHERE photo = ?",
                photo,
            )
        }
        for face in faces:
            box, values = face.detection.box, row_of(face)
            same = max(earlier, key=lambda row_id: box.overlap(earlier[row_id][0]), default=None)
            if same is not None and not _could_be_same(face, *earlier[same]):
                same = None
            if same is not None:
                del earlier[same]
                self._run(
                    "UPDATE faces SET x = ?, y = ?, width = ?, height = ?, landmarks = ?, score = ?, quality = ?"
                    " WHERE id = ?",
                    *values, same,
                )  # fmt: skip
                self._run("DELETE FROM vectors WHERE face = ?", same)
                face_id = same
            else:
                face_id = self._insert(
                    "INSERT INTO faces (photo, x, y, width, height, landmarks, score, quality)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    photo, *values,
                )  # fmt: skip
            self._run(
                "INSERT INTO vectors (face, model, vector) VALUES (?, (SELECT min(id) FROM models), ?)",
                face_id, face.embedding.astype("<f4").tobytes(),
            )  # fmt: skip
        self._many("DELETE FROM faces WHERE id = ?", ((row_id,) for row_id in earlier))

    def _faces_of(self, photo: int) -> list[Face]:
        import numpy as np

        rows = self._typed(
            _FACE,
            "SELECT x, y, width, height, landmarks, score, vector, quality FROM faces JOIN vectors ON face = faces.id"
            " WHERE photo = ? ORDER BY faces.id",
            photo,
        )
        return [
            Face(detection_of(*row[:6]), np.frombuffer(row[6], dtype="<f4").astype(np.float32), row[7]) for row in rows
        ]

    def copies_of_face(self, face: int) -> list[tuple[int, bytes]]:
        """A face and the same one in identical copies of its photo: ids and absolute paths, the face itself first.

        Empty when there is none with this id.
        """
        rows = self._typed(
            _PLACE_OF_FACE,
            "SELECT photo, hash, roots.path, photos.path, x, y, faces.width, faces.height FROM faces"
            " JOIN photos ON photos.id = photo JOIN roots ON roots.id = root WHERE faces.id = ?",
            face,
        )
        if not rows:
            return []
        ((photo, content, root, path, *place),) = rows
        box = Box(*place)
        found = [(face, _absolute(root, path))]
        for twin, root, path, *same in self._typed(
            _FACE_AT,
            "SELECT faces.id, roots.path, photos.path, x, y, faces.width, faces.height FROM faces"
            " JOIN photos ON photos.id = photo JOIN roots ON roots.id = root WHERE hash = ? AND photo != ?"
            " ORDER BY faces.id",
            content, photo,
        ):  # fmt: skip
            if Box(*same).overlap(box) >= SAME_FACE:
                found.append((twin, _absolute(root, path)))
        return found

    def delete_face(self, face: int) -> list[bytes]:
        """Delete a face with its vectors, and leave it out whenever this content is looked at again.

        Identical copies of its photo lose it, too: what is forgotten is what the picture shows there. Gives the paths
        of the photos that have lost it, its own first; none when there is no face with this id.
        """
        found = self.copies_of_face(face)
        if not found:
            return []
        ((content, *place),) = self._typed(
            _CONTENT_AND_PLACE,
            "SELECT hash, x, y, faces.width, faces.height FROM faces JOIN photos ON photos.id = photo"
            " WHERE faces.id = ?",
            face,
        )
        if content is not None:
            self._run("INSERT INTO forgotten_faces VALUES (?, ?, ?, ?, ?)", content, *place)
            self.forget_seen(content, Box(*place))
        self._many("DELETE FROM faces WHERE id = ?", ((row_id,) for row_id, _ in found))
        return [path for _, path in found]

    def copies(self, photos: Iterable[int], more: Iterable[bytes] = ()) -> list[tuple[KnownPhoto, bytes]]:
        """Photos that are identical to one of these and are none of them, with their absolute paths.

        `more` are contents of photos of which the catalog does not know them.
        """
        given = list(photos)
        contents: dict[bytes, None] = dict.fromkeys(more)
        for part in _chunks(given):
            for (content,) in self._typed(_HASH, f"SELECT hash FROM photos WHERE id IN ({_marks(part)})", *part):
                if content is not None:
                    contents[content] = None
        known = set(given)
        return [
            (_known_photo(row), _absolute(root, row[2]))
            for content in contents
            for root, *row in self._typed(
                _KNOWN_IN_ROOT,
                f"SELECT (SELECT path FROM roots WHERE id = root), {_PHOTO_COLUMNS} FROM photos WHERE hash = ?"
                " ORDER BY id",
                content,
            )
            if row[0] not in known
        ]

    def all_faces(self) -> Iterator[FaceRecord]:
        """Every face that can be found, in the order of the vectors' ids."""
        start = 0
        while True:
            ids = [
                row[0]
                for row in self._rows("SELECT id FROM vectors WHERE id > ? ORDER BY id LIMIT ?", start, _ID_CHUNK)
            ]
            if not ids:
                return
            rows = self.face_rows(ids)
            yield from (rows[vector_id] for vector_id in ids if vector_id in rows)
            start = ids[-1]

    def last_vector_id(self) -> int:
        """The highest vector id ever given, 0 before the first."""
        return self._last_id("vectors")

    def count_changed_vectors(self, vector_id: int) -> int:
        """How many vectors have come after `vector_id`, and how many are listed as dead."""
        return int(
            self._value(
                "SELECT (SELECT count(*) FROM vectors WHERE id > ?) + (SELECT count(*) FROM dead_vectors)", vector_id
            )
        )

    def last_face_id(self) -> int:
        """The highest face id ever given, 0 before the first."""
        return self._last_id("faces")

    def _last_id(self, table: str) -> int:
        rows = self._typed(_NUMBER, "SELECT seq FROM sqlite_sequence WHERE name = ?", table)
        return int(rows[0][0]) if rows else 0

    def count_faces(self, *, after: int = 0, outdated: bool = False) -> int:
        """All faces, those of hidden photos included, with ids above `after`; of outdated photos alone if so asked."""
        limit = " AND photo IN (SELECT id FROM photos WHERE outdated)" if outdated else ""
        return int(self._value(f"SELECT count(*) FROM faces WHERE id > ?{limit}", after))

    def count_vectors(self) -> int:
        """All vectors, those of hidden photos included."""
        return int(self._value("SELECT count(*) FROM vectors"))

    def vectors_after(self, vector_id: int, dim: int) -> Iterator[tuple[IdArray, FloatArray]]:
        """Vectors with ids above `vector_id`, ascending, in pieces: int64[n] and float32[n, dim]."""
        import numpy as np

        while True:
            rows = self._typed(
                _VECTOR, "SELECT id, vector FROM vectors WHERE id > ? ORDER BY id LIMIT ?", vector_id, _VECTOR_CHUNK
            )
            if not rows:
                return
            ids = np.array([row[0] for row in rows], dtype=np.int64)
            data = b"".join(self._whole(row[1], dim) for row in rows)
            yield ids, np.frombuffer(data, dtype="<f4").reshape(-1, dim).astype(np.float32)
            vector_id = int(ids[-1])

    def vectors(self, ids: Sequence[int], dim: int) -> FloatArray:
        """float32[n, dim] for the given vector ids, in their order; ids that are not there give zeros."""
        import numpy as np

        found = np.zeros((len(ids), dim), dtype=np.float32)
        place = {vector_id: row for row, vector_id in enumerate(ids)}
        for part in _chunks(list(place)):
            for vector_id, blob in self._typed(
                _VECTOR, f"SELECT id, vector FROM vectors WHERE id IN ({_marks(part)})", *part
            ):
                found[place[vector_id]] = np.frombuffer(self._whole(blob, dim), dtype="<f4")
        return found

    def dead_vectors(self) -> IdArray:
        """Ids that a snapshot of the vectors taken since generation `dead_since` may hold and that are gone."""
        import numpy as np

        return np.array([row[0] for row in self._rows("SELECT id FROM dead_vectors")], dtype=np.int64)

    def forget_dead_vectors(self, generation: int) -> None:
        """A snapshot of this generation has been written: what died before it is not in it."""
        self._run("DELETE FROM dead_vectors")
        self._run("UPDATE meta SET value = ? WHERE key = 'dead_since'", generation)

    def face_rows(self, vector_ids: Sequence[int]) -> dict[int, FaceRecord]:
        """The faces behind vectors, by vector id; those of photos that are out of sight are left out."""
        found: dict[int, FaceRecord] = {}
        for part in _chunks(vector_ids):
            for row in self._typed(
                _FOUND,
                f"""
                SELECT vectors.id, faces.id, photos.id, roots.id, roots.path, photos.path,
                    x, y, faces.width, faces.height, landmarks, score, taken_at, mtime_ns, quality, fingerprint,
                    date_source, date_precision, size, hash, roots.path
                FROM vectors
                JOIN faces ON faces.id = vectors.face
                JOIN photos ON photos.id = faces.photo
                JOIN roots ON roots.id = photos.root
                WHERE vectors.id IN ({_marks(part)}) AND missing_since IS NULL
                """,
                *part,
            ):
                vector_id, face_id, photo_id, root_id, root, path, *detected = row[:12]
                found[vector_id] = FaceRecord(
                    vector_id, face_id, photo_id, root_id, _absolute(root, path), detection_of(*detected), *row[12:]
                )
        return found

    def matching(self, wanted: Filter, *, photos: Sequence[int] | None = None) -> IdArray:
        """Vector ids, ascending, of the faces in sight that a filter lets through; of `photos` alone where given."""
        import numpy as np

        sql, values = condition(wanted, self.roots())
        chosen = (
            "SELECT vectors.id FROM photos JOIN faces ON faces.photo = photos.id"
            f" JOIN vectors ON vectors.face = faces.id WHERE missing_since IS NULL AND {sql}"
        )
        if photos is None:
            found = [row[0] for row in self._rows(chosen, *values)]
        else:
            found = [
                row[0]
                for part in _chunks(photos)
                for row in self._rows(f"{chosen} AND photos.id IN ({_marks(part)})", *values, *part)
            ]
        return np.sort(np.array(found, dtype=np.int64))

    def has_photos_at(self, path: bytes) -> bool:
        """Whether a known photo lies at an absolute path, or in the folder there."""
        return any(
            self._rows(f"SELECT 1 FROM photos WHERE {place.sql} LIMIT 1", *place.values)
            for place in places(path, self.roots())
        )

    def count_unmeasured(self) -> int:
        """Faces in the index whose quality was not measured: an earlier facesearch found them."""
        return int(self._value("SELECT count(*) FROM faces WHERE quality IS NULL"))

    # Care

    def bad_vectors(self, dim: int) -> list[int]:
        """Ids of vectors that have the wrong length in bytes, are not finite, or not of unit length to 1e-3."""
        import numpy as np

        bad = [row[0] for row in self._rows("SELECT id FROM vectors WHERE length(vector) != ?", dim * 4)]
        if bad:
            return bad
        for ids, vectors in self.vectors_after(0, dim):
            lengths = np.linalg.norm(vectors, axis=1)
            bad += ids[~(np.abs(lengths - 1) <= 1e-3)].tolist()
        return bad

    def read_again(self, vector_ids: Sequence[int]) -> None:
        """Drop vectors that cannot be used, and have their photos read anew by the next run, as if changed."""
        for part in _chunks(vector_ids):
            self._run(
                "UPDATE photos SET size = -1, hash = NULL WHERE id IN (SELECT photo FROM faces JOIN vectors ON"
                f" face = faces.id WHERE vectors.id IN ({_marks(part)}))",
                *part,
            )
            self._run(f"DELETE FROM vectors WHERE id IN ({_marks(part)})", *part)


_LONG_HIDDEN = "root = ? AND missing_since <= ? AND status != 'unwanted'"
_PHOTO_COLUMNS = (
    "id, root, path, size, mtime_ns, status, missing_since IS NOT NULL, hash IS NOT NULL, fingerprint IS NOT NULL,"
    " outdated, deaths, ours"
)


_NUMBER = Shape("-")
_ROOT = Shape("roots.id roots.path")
_KNOWN_COLUMNS = (
    "photos.id photos.root photos.path photos.size photos.mtime_ns photos.status - - - photos.outdated photos.deaths"
    " photos.ours"
)
_KNOWN = Shape(_KNOWN_COLUMNS)
_KNOWN_IN_ROOT = Shape(f"roots.path {_KNOWN_COLUMNS}")
_HASH = Shape("photos.hash")
_SAMPLED = Shape("photos.path photos.size photos.hash")
_FAILED = Shape("roots.path photos.path photos.error")
_FACTS = (
    "photos.width photos.height photos.taken_at photos.date_source photos.date_precision photos.latitude"
    " photos.longitude photos.ours photos.header"
)
_ALL_FACTS = Shape(_FACTS)
_COPIED = Shape(f"photos.hash photos.fingerprint photos.status {_FACTS}")
_OLD_HEADER = Shape(f"photos.id photos.path photos.size photos.mtime_ns {_FACTS}")
_CORNERS = "faces.x faces.y faces.width faces.height"
_FORGOTTEN = Shape(_CORNERS)
_EARLIER = Shape(f"faces.id {_CORNERS} vectors.vector")
_FACE = Shape(f"{_CORNERS} faces.landmarks faces.score vectors.vector faces.quality")
_CONTENT_AND_PLACE = Shape(f"photos.hash {_CORNERS}")
_PLACE_OF_FACE = Shape(f"faces.photo photos.hash roots.path photos.path {_CORNERS}")
_FACE_AT = Shape(f"faces.id roots.path photos.path {_CORNERS}")
_VECTOR = Shape("vectors.id vectors.vector")
_FOUND = Shape(
    f"vectors.id faces.id photos.id roots.id roots.path photos.path {_CORNERS} faces.landmarks faces.score"
    " photos.taken_at photos.mtime_ns faces.quality photos.fingerprint photos.date_source photos.date_precision"
    " photos.size photos.hash roots.path"
)
_DATED_BY_NAME = "(date_source IS NULL OR date_source = 'name') AND NOT ours"
_HEADER_COLUMNS = ("taken_at", "date_source", "date_precision", "latitude", "longitude", "ours", "header")
_HEADER = ", ".join(_HEADER_COLUMNS)
_EXCLUDED_HEADER = ", ".join(f"excluded.{column}" for column in _HEADER_COLUMNS)


def _header_values(facts: PhotoFacts) -> tuple[object, ...]:
    """In the order of the columns."""
    taken = facts.taken
    dated = (None, None, None) if taken is None else (str(taken), taken.source, taken.precision)
    return (*dated, *(facts.position or (None, None)), facts.ours, facts.header)


def _facts_of(width: int | None, height: int | None, *header: Any) -> PhotoFacts:
    """From the columns."""
    taken_at, source, precision, latitude, longitude, ours, version = header
    taken = TakenAt(taken_at[:19], source or "exif", precision or "second", taken_at[19:]) if taken_at else None
    position = None if latitude is None else (latitude, longitude)
    return PhotoFacts(width or 0, height or 0, taken, position, bool(ours), version)


def _known_photo(row: Sequence[Any]) -> KnownPhoto:
    row_id, root, path, size, mtime_ns, status, missing, was_read, measured, outdated, deaths, ours = row
    file = PhotoFile(path, size, mtime_ns)
    return KnownPhoto(
        row_id, root, file, status, bool(missing), bool(was_read), bool(measured), bool(outdated), deaths, bool(ours)
    )


def _could_be_same(face: Face, box: Box, vector: FloatArray) -> bool:
    """Whether a face found after a change is the one that was there: at its place, and not plainly somebody else.

    An edit leaves a face much like itself; another photo under the same name may have another person at the place. A
    face without a vector of this length is an earlier model's, in the very same photo: its place says all.
    """
    overlap = face.detection.box.overlap(box)
    if vector.size != face.embedding.size:
        return overlap >= SAME_FACE
    return overlap >= _SAME_PLACE and float(vector @ face.embedding) >= _SAME_PERSON


def _absolute(root: bytes, path: bytes) -> bytes:
    return os.path.join(root, path) if path else root


def _chunks(values: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(values), _ID_CHUNK):
        yield values[start : start + _ID_CHUNK]


def _marks(values: Sequence[int]) -> str:
    return ",".join("?" * len(values))
