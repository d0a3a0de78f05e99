"""Store, replace, forget and find the faces of photos, with their embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from facesearch.catalog.batches import BATCH, batches, marks
from facesearch.catalog.carried import Carried
from facesearch.catalog.columns import FACE, MEASURES, Shape, box_columns, face_columns
from facesearch.catalog.database import Database
from facesearch.catalog.encoding import decode_detection, decode_face, decode_vector, encode_face, encode_vector
from facesearch.catalog.filter import condition
from facesearch.catalog.records import path_in_root
from facesearch.catalog.roots import Roots
from facesearch.catalog.staging import Staging
from facesearch.filters import Filter
from facesearch.types import SAME_FACE, Box, Face, FaceRecord

if TYPE_CHECKING:
    from facesearch.types import FloatArray, IdArray

__all__ = ["Faces"]

_SAME_PLACE = 0.5
_SAME_PERSON = 0.2

_PLACE = box_columns("faces")
_FORGOTTEN = Shape(*box_columns("forgotten_faces"))
_GIVEN = (
    "faces.id IN (SELECT face FROM given_faces) AND EXISTS (SELECT 1 FROM statement_faces WHERE content = photos.hash)"
)
"""Whether a face was given by hand in the content that its photo has now: its place decides which face it is."""
_EARLIER = Shape("faces.id", *_PLACE, "coalesce(vectors.vector, x'')", computed=bytes)
_BY_PLACE = Shape("faces.id")
_WITH_VECTOR = Shape("vectors.vector", *face_columns("faces"))
_CONTENT_AND_PLACE = Shape("photos.hash", *_PLACE)
_IN_PHOTO = Shape("faces.photo", "photos.hash", "roots.path", "photos.path", *_PLACE)
_IN_COPY = Shape("faces.id", "roots.path", "photos.path", *_PLACE)
_LAST = Shape("seq")
_RECORD = {
    "vector_id": "vectors.id",
    "face_id": "faces.id",
    "photo_id": "photos.id",
    "root_id": "roots.id",
    "root_path": "roots.path",
    "path": "photos.path",
    "size": "photos.size",
    "mtime_ns": "photos.mtime_ns",
    "content": "photos.hash",
    "fingerprint": "photos.fingerprint",
    "taken_at": "photos.taken_at",
    "dated_by": "photos.date_source",
    "dated_to": "photos.date_precision",
    "person": "coalesce(assignments.person, 0)",
    "name": "profiles.name",
    "born": "profiles.born",
}
"""The fields of a `FaceRecord` that are columns; in the record `path` is absolute, and `person` None for nobody."""
_FOUND = Shape(*_RECORD.values(), *face_columns("faces"))
_FIELDS = (*_RECORD, *MEASURES)
_HELD = Shape("coalesce(vectors.id, 0)", *list(_RECORD.values())[1:], *face_columns("faces"))

_INSERT = f"INSERT INTO faces (photo, {', '.join(FACE)}) VALUES (?, {', '.join('?' * len(FACE))})"
_UPDATE = f"UPDATE faces SET {', '.join(f'{name} = ?' for name in FACE)} WHERE id = ?"


class Faces:
    """The tables `faces` and `forgotten_faces`, and the vectors of faces in `vectors`."""

    def __init__(self, database: Database, roots: Roots, staging: Staging, carried: Carried) -> None:
        self._database = database
        self._roots = roots
        self._staging = staging
        self._carried = carried

    def replace(
        self, photo: int, faces: Sequence[Face], *, leave_out: Callable[[Face], bool] = lambda _face: False
    ) -> int:
        """Replace the faces of a photo. A face that overlaps an earlier one and resembles it keeps the id.

        What was said of it stays true in another content. Faces that were forgotten in this exact content are omitted,
        and so are new ones that `leave_out` is true for. Returns the number of the latter.
        """
        database, left_out = self._database, 0
        faces = self._not_forgotten(photo, faces)
        earlier = self._earlier(photo)
        kept: dict[int, tuple[Box, Box]] = {}
        for face in faces:
            box = face.detection.box
            same = max(earlier, key=lambda row_id: box.overlap(earlier[row_id][0]), default=None)
            if same is not None and _could_be_same(face, *earlier[same]):
                kept[same] = earlier.pop(same)[0], box
                database.run(_UPDATE, *encode_face(face), same)
                database.run("DELETE FROM vectors WHERE face = ?", same)
                database.run("DELETE FROM given_faces WHERE face = ?", same)
                self._embed(same, face)
            elif leave_out(face):
                left_out += 1
            else:
                self.add(photo, face)
        database.many("DELETE FROM faces WHERE id = ?", ((row_id,) for row_id in earlier))
        self._carried.note(photo, kept)
        return left_out

    def add(self, photo: int, face: Face) -> int:
        """Add a face to a photo, and return its id."""
        face_id = self._database.insert(_INSERT, photo, *encode_face(face))
        self._embed(face_id, face)
        return face_id

    def of_photo(self, photo: int) -> list[Face]:
        """Return the faces of a photo with their embeddings, float32[dim]."""
        return [
            decode_face(values, decode_vector(vector))
            for vector, *values in self._database.typed(
                _WITH_VECTOR,
                f"SELECT {_WITH_VECTOR.sql} FROM faces JOIN vectors ON face = faces.id"
                " WHERE photo = ? ORDER BY faces.id",
                photo,
            )
        ]

    def copies(self, face: int) -> list[tuple[int, bytes]]:
        """Return a face and the same face in identical copies of its photo: ids and absolute paths, the face first.

        Empty if no face has this id.
        """
        rows = self._database.typed(
            _IN_PHOTO,
            f"SELECT {_IN_PHOTO.sql} FROM faces JOIN photos ON photos.id = photo JOIN roots ON roots.id = root"
            " WHERE faces.id = ?",
            face,
        )
        if not rows:
            return []
        ((photo, content, root, path, *place),) = rows
        box = Box(*place)
        found = [(face, path_in_root(root, path))]
        for twin, root, path, *same in self._database.typed(
            _IN_COPY,
            f"SELECT {_IN_COPY.sql} FROM faces JOIN photos ON photos.id = photo JOIN roots ON roots.id = root"
            " WHERE hash = ? AND photo != ? ORDER BY faces.id",
            content, photo,
        ):  # fmt: skip
            if Box(*same).overlap(box) >= SAME_FACE:
                found.append((twin, path_in_root(root, path)))
        return found

    def delete(self, face: int) -> list[bytes]:
        """Delete a face with its vectors, and omit it whenever this content is read again.

        It is deleted from identical copies of its photo, too: they show the same face. Returns the paths of the photos
        that lost it, its own first; empty if no face has this id.
        """
        found = self.copies(face)
        if not found:
            return []
        ((content, *place),) = self._database.typed(
            _CONTENT_AND_PLACE,
            f"SELECT {_CONTENT_AND_PLACE.sql} FROM faces JOIN photos ON photos.id = photo WHERE faces.id = ?",
            face,
        )
        if content is not None:
            self._database.run(
                "INSERT INTO forgotten_faces (content, x, y, width, height) VALUES (?, ?, ?, ?, ?)", content, *place
            )
            self._staging.drop_face(content, Box(*place))
        self._database.many("DELETE FROM faces WHERE id = ?", ((row_id,) for row_id, _ in found))
        return [path for _, path in found]

    def records(self, vector_ids: Sequence[int]) -> dict[int, FaceRecord]:
        """Return the faces of vectors, by vector id; faces of hidden photos are omitted."""
        found: dict[int, FaceRecord] = {}
        for part in batches(vector_ids):
            for row in self._database.typed(
                _FOUND,
                f"""
                SELECT {_FOUND.sql}
                FROM vectors
                JOIN faces ON faces.id = vectors.face
                JOIN photos ON photos.id = faces.photo
                JOIN roots ON roots.id = photos.root
                LEFT JOIN assignments ON assignments.face = faces.id
                LEFT JOIN profiles ON profiles.person = assignments.person
                WHERE vectors.id IN ({marks(part)}) AND missing_since IS NULL
                """,
                *part,
            ):
                record = _record(row)
                found[record.vector_id] = record
        return found

    def held(self, faces: Sequence[int]) -> dict[int, FaceRecord]:
        """Return faces by their ids, also those of hidden photos; a face without a vector has the vector id 0."""
        return {
            record.face_id: record
            for part in batches(faces)
            for record in map(
                _record,
                self._database.typed(
                    _HELD,
                    f"SELECT {_HELD.sql} FROM faces JOIN photos ON photos.id = faces.photo"
                    " JOIN roots ON roots.id = photos.root LEFT JOIN vectors ON vectors.face = faces.id"
                    " LEFT JOIN assignments ON assignments.face = faces.id"
                    f" LEFT JOIN profiles ON profiles.person = assignments.person WHERE faces.id IN ({marks(part)})",
                    *part,
                ),
            )
        }

    def all(self) -> Iterator[FaceRecord]:
        """Yield every face that can be found, in the order of the vector ids."""
        start = 0
        while True:
            ids = [
                row[0]
                for row in self._database.rows("SELECT id FROM vectors WHERE id > ? ORDER BY id LIMIT ?", start, BATCH)
            ]
            if not ids:
                return
            records = self.records(ids)
            yield from (records[vector_id] for vector_id in ids if vector_id in records)
            start = ids[-1]

    def matching(self, wanted: Filter, *, photos: Sequence[int] | None = None) -> IdArray:
        """Return the vector ids, int64[n] ascending, of faces that pass a filter, in `photos` or all visible photos."""
        import numpy as np

        sql, values = condition(wanted, self._roots.all())
        chosen = (
            "SELECT vectors.id FROM photos JOIN faces ON faces.photo = photos.id"
            f" JOIN vectors ON vectors.face = faces.id WHERE missing_since IS NULL AND {sql}"
        )
        if photos is None:
            found = [row[0] for row in self._database.rows(chosen, *values)]
        else:
            found = [
                row[0]
                for part in batches(photos)
                for row in self._database.rows(f"{chosen} AND photos.id IN ({marks(part)})", *values, *part)
            ]
        return np.sort(np.array(found, dtype=np.int64))

    def last_id(self) -> int:
        """Return the highest face id ever assigned, 0 before the first."""
        rows = self._database.typed(_LAST, "SELECT seq FROM sqlite_sequence WHERE name = 'faces'")
        return int(rows[0][0]) if rows else 0

    def count(self, *, after: int = 0, outdated: bool = False) -> int:
        """Count the faces with ids above `after`, including those of hidden photos, or only those of outdated ones."""
        limit = " AND photo IN (SELECT id FROM photos WHERE outdated)" if outdated else ""
        return int(self._database.value(f"SELECT count(*) FROM faces WHERE id > ?{limit}", after))

    def count_in_photos(self, photos: Iterable[int]) -> dict[int, int]:
        """Return the number of faces in each of some photos that have any."""
        return {
            photo: count
            for part in batches(sorted(photos))
            for photo, count in self._database.rows(
                f"SELECT photo, count(*) FROM faces WHERE photo IN ({marks(part)}) GROUP BY photo", *part
            )
        }

    def count_unmeasured(self) -> int:
        """Count the faces without a measured quality, which an earlier version of facesearch found."""
        return int(self._database.value("SELECT count(*) FROM faces WHERE quality IS NULL"))

    def forgotten_in(self, photo: int) -> list[Box]:
        """Return the places of the faces that were forgotten for good in the content of a photo."""
        return [
            Box(*row)
            for row in self._database.typed(
                _FORGOTTEN,
                f"SELECT {_FORGOTTEN.sql} FROM forgotten_faces WHERE content = (SELECT hash FROM photos WHERE id = ?)",
                photo,
            )
        ]

    def _embed(self, face_id: int, face: Face) -> None:
        """Store the vector of a face, and whether the user gave it by hand."""
        self._database.run(
            "INSERT INTO vectors (face, model, vector) VALUES (?, (SELECT min(id) FROM models), ?)",
            face_id, encode_vector(face.embedding),
        )  # fmt: skip
        if face.detection.is_given:
            self._database.run("INSERT INTO given_faces (face) VALUES (?)", face_id)

    def _not_forgotten(self, photo: int, faces: Sequence[Face]) -> list[Face]:
        forgotten = self.forgotten_in(photo)
        return [face for face in faces if not face.detection.covered_by(forgotten)]

    def _earlier(self, photo: int) -> dict[int, tuple[Box, FloatArray, bool]]:
        """Return the known faces of a photo by id: their boxes and vectors, and whether their place decides.

        A vector is empty if it is missing.
        """
        by_place = {
            row[0]
            for row in self._database.typed(
                _BY_PLACE,
                f"SELECT {_BY_PLACE.sql} FROM faces JOIN photos ON photos.id = photo WHERE photo = ? AND {_GIVEN}",
                photo,
            )
        }
        return {
            row_id: (Box(x, y, width, height), decode_vector(vector), row_id in by_place)
            for row_id, x, y, width, height, vector in self._database.typed(
                _EARLIER,
                f"SELECT {_EARLIER.sql} FROM faces LEFT JOIN vectors ON face = faces.id WHERE photo = ?",
                photo,
            )
        }


def _record(row: Sequence[Any]) -> FaceRecord:
    """Return a record from the values of `_FOUND`."""
    fields: dict[str, Any] = dict(zip(_FIELDS, row, strict=False))
    fields["path"] = path_in_root(fields["root_path"], fields["path"])
    fields["person"] = fields["person"] or None
    return FaceRecord(**fields, detection=decode_detection(row[len(_FIELDS) :]))


def _could_be_same(face: Face, box: Box, vector: FloatArray, by_place: bool) -> bool:
    """Whether a face found after a change may be an earlier one: in the same place, and not clearly another person.

    An edit leaves a face similar to itself; another photo under the same name may show another person in that place. A
    face without a vector of this length comes from an earlier model and the same photo: its place decides. So does
    that of a face that was missed and has been embedded where it was.
    """
    if face.detection.is_given and face.detection.box == box:
        return True
    overlap = face.detection.box.overlap(box)
    if by_place or vector.size != face.embedding.size:
        return overlap >= SAME_FACE
    return overlap >= _SAME_PLACE and float(vector @ face.embedding) >= _SAME_PERSON
