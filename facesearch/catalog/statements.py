"""Statements: what users have said about people, only ever appended; and the ids of people outside this catalog."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import NamedTuple

from facesearch.catalog.batches import batches, marks
from facesearch.catalog.carried import Carried
from facesearch.catalog.columns import Shape, box_columns
from facesearch.catalog.database import Database
from facesearch.catalog.exchange import PlacedFace
from facesearch.types import SAME_FACE, Box

__all__ = ["FaceInPhoto", "SaidFace", "StatementRow", "Statements"]

_STATEMENT = Shape(
    "statements.id", "statements.said_at", "statements.author", "statements.origin", "statements.kind",
    "statements.person", "statements.other", "statements.value", "statements.batch", "statements.undoes",
)  # fmt: skip
_SAID_OF = Shape("statement_faces.statement", "statement_faces.face", "faces.id")
_IDENTITY = Shape("identities.person", "identities.uid")
_PLACE = box_columns("statement_faces")
_SAID_OF_COPY = Shape("statement_faces.statement", "statement_faces.face", "faces.id", *_PLACE, *box_columns("faces"))
_WHERE = Shape("faces.id", "coalesce(photos.hash, x'')", *box_columns("faces"), computed=bytes)
_SAID_ROW = Shape("rowid", *_PLACE)
_SAID_FACE = Shape("statement_faces.face", "coalesce(statement_faces.content, x'')", *_PLACE, computed=bytes)


class StatementRow(NamedTuple):
    """What a user said, at `said_at` seconds since 1970; see `facesearch.people.statements`."""

    id: int
    said_at: int
    author: str
    origin: str
    kind: str
    person: int | None
    other: int | None
    value: str | None
    batch: int | None
    undoes: int | None


class SaidFace(NamedTuple):
    """A face that a statement is about: the statement's id, and the id of the face or of the same face in a copy."""

    statement: int
    face: int


class FaceInPhoto(NamedTuple):
    """A face that a statement is about, wherever its photo is: the content of the photo, and the box in pixels.

    `face` is the id that it had when the statement was made.
    """

    face: int
    content: bytes | None
    box: Box


class Statements:
    """The tables `statements`, `statement_faces` and `identities`.

    `author` is the author of what is said next; None for the system's user.
    """

    def __init__(self, database: Database, carried: Carried) -> None:
        self._database = database
        self.author: str | None = None
        self._carried = carried

    def add(self, statement: StatementRow, faces: Sequence[int] = ()) -> int:
        """Append a statement about faces, and return its id; the one in `statement` is ignored."""
        row_id = self._database.insert(
            "INSERT INTO statements (said_at, author, origin, kind, person, other, value, batch, undoes)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *statement[1:],
        )
        for person in (statement.person, statement.other):
            if person is not None:
                self.identity(person)
        for part in batches(faces):
            for face, place in self._places(f"faces.id IN ({marks(part)})", *part):
                self._database.run(
                    "INSERT INTO statement_faces (statement, face, content, x, y, width, height)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    row_id, face, place.content, place.box.left, place.box.top, place.box.width, place.box.height,
                )  # fmt: skip
        return row_id

    def forget_photo(self, photo: int) -> None:
        """Delete what statements hold about the faces of a photo, unless a copy of it stays."""
        without_copy = (
            "photo = ? AND NOT EXISTS"
            " (SELECT 1 FROM photos AS copy WHERE copy.hash = photos.hash AND copy.id != photo"
            " AND copy.status != 'unwanted')"
        )
        self._carried.forget(place for _, place in self._places(without_copy, photo))
        self._database.run(
            "DELETE FROM statement_faces WHERE (face IN (SELECT id FROM faces WHERE photo = ?1)"
            " OR content = (SELECT hash FROM photos WHERE id = ?1)) AND NOT EXISTS (SELECT 1 FROM photos AS copy"
            " WHERE copy.hash = content AND copy.id != ?1 AND copy.status != 'unwanted')",
            photo,
        )

    def forget_face(self, face: int) -> None:
        """Delete what statements hold about a face, in its photo and in all copies of it."""
        for _, place in self._places("faces.id = ?", face):
            self._carried.forget([place])
            for row, *said in self._database.typed(
                _SAID_ROW,
                f"SELECT {_SAID_ROW.sql} FROM statement_faces WHERE face = ? OR content = ?",
                face, place.content,
            ):  # fmt: skip
                if Box(*said).overlap(place.box) >= SAME_FACE:
                    self._database.run("DELETE FROM statement_faces WHERE rowid = ?", row)
        self._database.run("DELETE FROM statement_faces WHERE face = ?", face)

    def all(self, *, after: int = 0) -> list[StatementRow]:
        """Return all statements in the order in which they were made, or those with ids above `after`."""
        return [
            StatementRow(*row)
            for row in self._database.typed(
                _STATEMENT, f"SELECT {_STATEMENT.sql} FROM statements WHERE id > ? ORDER BY id", after
            )
        ]

    def faces(self, kinds: Sequence[str]) -> list[SaidFace]:
        """Return the faces that statements of these kinds are about: the very face, and that face in copies.

        A copy is a photo with the same content, in which the face is in the same place. Of a photo that was edited
        since it is the face that was carried over.
        """
        # From few statements to their faces: in another order all faces of the catalog would be read.
        of_kinds = "statements CROSS JOIN statement_faces ON statement = statements.id"
        are_kinds = f"WHERE statements.kind IN ({marks(kinds)})"
        found = {
            SaidFace(statement, face)
            for statement, _, face in self._database.typed(
                _SAID_OF,
                f"SELECT {_SAID_OF.sql} FROM {of_kinds} CROSS JOIN faces ON faces.id = face {are_kinds}",
                *kinds,
            )
        }
        for statement, _, face, *places in self._database.typed(
            _SAID_OF_COPY,
            f"SELECT {_SAID_OF_COPY.sql} FROM {of_kinds} CROSS JOIN photos ON photos.hash = content"
            f" CROSS JOIN faces ON faces.photo = photos.id {are_kinds}",
            *kinds,
        ):
            if Box(*places[:4]).overlap(Box(*places[4:])) >= SAME_FACE:
                found.add(SaidFace(statement, face))
        found.update(SaidFace(*pair) for pair in self._carried.said_faces(kinds))
        return sorted(found)

    def last_id(self, kinds: Sequence[str] = ()) -> int:
        """Return the id of the last statement, or of the last of some kinds; 0 before the first."""
        where = f" WHERE kind IN ({marks(kinds)})" if kinds else ""
        return int(self._database.value(f"SELECT coalesce(max(id), 0) FROM statements{where}", *kinds))

    def faces_of(self, statement: int) -> list[FaceInPhoto]:
        """Return the faces that a statement is about, as they were when it was made."""
        rows = self._database.typed(
            _SAID_FACE, f"SELECT {_SAID_FACE.sql} FROM statement_faces WHERE statement = ? ORDER BY rowid", statement
        )
        return [FaceInPhoto(face, content or None, Box(*place)) for face, content, *place in rows]

    def face_counts(self) -> dict[int, int]:
        """Return the number of faces of each statement that is about faces."""
        return dict(self._database.rows("SELECT statement, count(*) FROM statement_faces GROUP BY statement"))

    def identity(self, person: int) -> str:
        """Return the id of a person outside this catalog, the same for good."""
        rows = self._database.typed(_IDENTITY, f"SELECT {_IDENTITY.sql} FROM identities WHERE person = ?", person)
        if rows:
            return str(rows[0][1])
        uid = uuid.uuid4().hex
        self._database.run("INSERT INTO identities (person, uid) VALUES (?, ?)", person, uid)
        return uid

    def identities(self) -> dict[str, int]:
        """Return the people that have an id outside this catalog, by that id."""
        rows = self._database.typed(_IDENTITY, f"SELECT {_IDENTITY.sql} FROM identities")
        return {uid: person for person, uid in rows}

    def identities_of(self, people: Sequence[int]) -> dict[int, str]:
        """Return the ids outside this catalog of those of some people who have one."""
        return {
            person: uid
            for part in batches(people)
            for person, uid in self._database.typed(
                _IDENTITY, f"SELECT {_IDENTITY.sql} FROM identities WHERE person IN ({marks(part)})", *part
            )
        }

    def _places(self, condition: str, *values: object) -> list[tuple[int, PlacedFace]]:
        rows = self._database.typed(
            _WHERE, f"SELECT {_WHERE.sql} FROM faces JOIN photos ON photos.id = photo WHERE {condition}", *values
        )
        return [(face, PlacedFace(content or None, Box(*place))) for face, content, *place in rows]
