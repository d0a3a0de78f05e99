"""Faces that are there, or are not, because the user said so: what was said, and the faces in those contents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from facesearch.catalog.batches import marks
from facesearch.catalog.columns import MEASURES, Shape, box_columns, face_columns
from facesearch.catalog.encoding import decode_detection
from facesearch.types import SAME_FACE, Box

if TYPE_CHECKING:
    from facesearch.catalog.database import Database
    from facesearch.types import FloatArray

__all__ = ["FaceAt", "GivenFaces", "SaidPlace", "SpokenFace"]

_SAID = Shape(
    "statement_faces.statement", "statements.kind", "statement_faces.content", *box_columns("statement_faces")
)
_AT = Shape(
    "faces.id", "faces.photo", "faces.id IN (SELECT face FROM given_faces)", "faces.quality", *box_columns("faces")
)  # fmt: skip
_LANDMARKS = Shape("photos.hash", *face_columns("faces"))
_SPOKEN = Shape(
    "statement_faces.statement", "photos.hash", *box_columns("statement_faces"), *face_columns("faces")
)  # fmt: skip
_READABLE = "hash = ? AND status IN ('faces', 'no_face')"


class SaidPlace(NamedTuple):
    """A place in a content that a statement is about."""

    statement: int
    kind: str
    content: bytes
    box: Box


class SpokenFace(NamedTuple):
    """A face that the catalog has and that a statement is about: the content of its photo, its box and landmarks.

    `landmarks` are float32[5, 2].
    """

    statement: int
    content: bytes
    box: Box
    landmarks: FloatArray


class FaceAt(NamedTuple):
    """A face in one of the photos of a content; `given` is set if it is there because of what the user said."""

    face: int
    photo: int
    given: bool
    quality: float | None
    box: Box


class GivenFaces:
    """The table `given_faces`, and what else follows from statements about where faces are."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def said(self, kinds: Sequence[str], content: bytes | None = None) -> list[SaidPlace]:
        """Return the places that statements of these kinds are about, in the order of the statements.

        With `content`, only those in this content.
        """
        where, values = ("content IS NOT NULL", []) if content is None else ("content = ?", [content])
        rows = self._database.typed(
            _SAID,
            f"SELECT {_SAID.sql} FROM statements JOIN statement_faces ON statement = statements.id"
            f" WHERE statements.kind IN ({marks(kinds)}) AND {where}"
            " ORDER BY statements.id, statement_faces.rowid",
            *kinds,
            *values,
        )
        return [SaidPlace(statement, kind, content, Box(*place)) for statement, kind, content, *place in rows]

    def spoken_of(self, kinds: Sequence[str], content: bytes | None = None) -> list[SpokenFace]:
        """Return the faces that statements of these kinds are about, and the same faces in copies of their photos.

        With `content`, only those in photos of this content. A face may come several times.
        """
        told = f"statements JOIN statement_faces ON statement = statements.id AND kind IN ({marks(kinds)})"
        only, values = ("", kinds) if content is None else (" AND photos.hash = ?", [*kinds, content])
        found = []
        for joined in (
            "faces ON faces.id = face JOIN photos ON photos.id = photo",
            "photos ON photos.hash = content JOIN faces ON faces.photo = photos.id AND faces.id != face",
        ):
            by_place = joined.startswith("photos")
            for statement, where, *rest in self._database.typed(
                _SPOKEN,
                f"SELECT {_SPOKEN.sql} FROM {told} JOIN {joined} WHERE photos.hash IS NOT NULL{only}"
                " ORDER BY faces.id, statement",
                *values,
            ):
                face = decode_detection(rest[4 + len(MEASURES) :])
                if not by_place or face.box.overlap(Box(*rest[:4])) >= SAME_FACE:
                    found.append(SpokenFace(statement, bytes(where), face.box, face.landmarks))
        return found

    def faces_in(self, content: bytes) -> list[FaceAt]:
        """Return the faces in all photos of a content, hidden ones too."""
        rows = self._database.typed(
            _AT,
            f"SELECT {_AT.sql} FROM photos JOIN faces ON faces.photo = photos.id WHERE hash = ? ORDER BY faces.id",
            content,
        )
        return [_face_at(*row) for row in rows]

    def faces_of(self, photo: int) -> list[FaceAt]:
        """Return the faces in a photo."""
        rows = self._database.typed(_AT, f"SELECT {_AT.sql} FROM faces WHERE photo = ? ORDER BY id", photo)
        return [_face_at(*row) for row in rows]

    def photos_of(self, content: bytes) -> list[int]:
        """Return the photos of a content whose faces are known."""
        return [row[0] for row in self._database.rows(f"SELECT id FROM photos WHERE {_READABLE} ORDER BY id", content)]

    def landmarks(self) -> list[tuple[bytes, Box, FloatArray]]:
        """Return the contents, boxes and landmarks, float32[5, 2], of all faces in `given_faces`."""
        found = []
        for content, *values in self._database.typed(
            _LANDMARKS,
            f"SELECT {_LANDMARKS.sql} FROM given_faces JOIN faces ON faces.id = face"
            " JOIN photos ON photos.id = photo WHERE hash IS NOT NULL ORDER BY face",
        ):
            detection = decode_detection(values[len(MEASURES) :])
            found.append((bytes(content), detection.box, detection.landmarks))
        return found

    def remove(self, faces: Iterable[int]) -> None:
        """Delete faces with their vectors."""
        self._database.many("DELETE FROM faces WHERE id = ?", ((face,) for face in faces))

    def count_again(self, content: bytes) -> None:
        """Record whether the photos of a content have faces."""
        self._database.run(
            "UPDATE photos SET status = CASE WHEN EXISTS (SELECT 1 FROM faces WHERE photo = photos.id)"
            f" THEN 'faces' ELSE 'no_face' END WHERE {_READABLE}",
            content,
        )

    def read_again(self, content: bytes) -> None:
        """Have the photos of a content read again by the next run that comes to them; until then they are as before."""
        self._database.run(f"UPDATE photos SET outdated = 1 WHERE {_READABLE}", content)


def _face_at(face: int, photo: int, given: int, quality: float | None, *place: float) -> FaceAt:
    return FaceAt(face, photo, bool(given), quality, Box(*place))
