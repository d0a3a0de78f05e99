"""Faces that the user gave by hand or that the user said are none: what was said, and the faces in those contents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from facesearch.catalog.batches import marks
from facesearch.catalog.columns import MEASURES, Shape, box_columns, face_columns
from facesearch.catalog.encoding import decode_detection
from facesearch.types import Box

if TYPE_CHECKING:
    from facesearch.catalog.database import Database
    from facesearch.types import FloatArray

__all__ = ["FaceAt", "GivenFaces", "SaidPlace"]

_SAID = Shape(
    "statement_faces.statement", "statements.kind", "statement_faces.content", *box_columns("statement_faces")
)
_AT = Shape(
    "faces.id", "faces.photo", "faces.id IN (SELECT face FROM given_faces)", "faces.quality", *box_columns("faces")
)  # fmt: skip
_LANDMARKS = Shape("photos.hash", *face_columns("faces"))
_READABLE = "hash = ? AND status IN ('faces', 'no_face')"


class SaidPlace(NamedTuple):
    """A place in a content that a statement is about."""

    statement: int
    kind: str
    content: bytes
    box: Box


class FaceAt(NamedTuple):
    """A face in one of the photos of a content; `given` is set if the user gave it by hand."""

    face: int
    photo: int
    given: bool
    quality: float | None
    box: Box


class GivenFaces:
    """The table `given_faces`, and what else follows from statements about where faces are."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def said(self, kinds: Sequence[str]) -> list[SaidPlace]:
        """Return the places that statements of these kinds are about, in the order of the statements."""
        rows = self._database.typed(
            _SAID,
            f"SELECT {_SAID.sql} FROM statements JOIN statement_faces ON statement = statements.id"
            f" WHERE statements.kind IN ({marks(kinds)}) AND content IS NOT NULL"
            " ORDER BY statements.id, statement_faces.rowid",
            *kinds,
        )
        return [SaidPlace(statement, kind, content, Box(*place)) for statement, kind, content, *place in rows]

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
        """Return the contents, boxes and landmarks, float32[5, 2], of all faces that were given by hand."""
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
