"""People: their numbers, which face belongs to whom, and what the user has said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from facesearch.catalog.batches import batches, marks
from facesearch.catalog.columns import Shape, box_columns
from facesearch.catalog.database import Database
from facesearch.catalog.records import SAME_FACE
from facesearch.types import Box

if TYPE_CHECKING:
    from facesearch.types import IdArray

__all__ = ["FaceRow", "People", "SaidFace", "StatementRow"]

_FACES_AT_ONCE = 50_000

_FACE_ROW = Shape(
    "vectors.id", "vectors.face", "faces.photo", "photos.hash", "faces.quality",
    "coalesce(assignments.person, 0)", "coalesce(assignments.statement, 0)",
)  # fmt: skip
_JOINED = (
    "vectors JOIN faces ON faces.id = vectors.face JOIN photos ON photos.id = faces.photo"
    " LEFT JOIN assignments ON assignments.face = faces.id"
)
_HIDDEN = (
    "photos CROSS JOIN faces ON faces.photo = photos.id CROSS JOIN assignments ON assignments.face = faces.id"
    " WHERE missing_since IS NOT NULL"
)
"""The faces of hidden photos that belong to somebody, in the order that is fast for a few: `CROSS JOIN` keeps it."""
_ASSIGNED = Shape("assignments.face", "assignments.person")
_PERSON = Shape("people.id", "coalesce(people.merged_into, 0)")
_STATEMENT = Shape(
    "statements.id", "statements.said_at", "statements.author", "statements.origin", "statements.kind",
    "statements.person", "statements.other", "statements.value", "statements.batch", "statements.undoes",
)  # fmt: skip
_SAID_OF = Shape("statement_faces.statement", "statement_faces.face", "faces.id")
_PLACE = box_columns("statement_faces")
_SAID_OF_COPY = Shape("statement_faces.statement", "statement_faces.face", "faces.id", *_PLACE, *box_columns("faces"))
_WHERE = Shape("faces.id", "coalesce(photos.hash, x'')", *box_columns("faces"), computed=bytes)
_SAID_ROW = Shape("rowid", *_PLACE)
_LAST = Shape("seq")
_DAY = "substr(coalesce(taken_at, strftime('%Y-%m-%d', mtime_ns / 1000000000, 'unixepoch', 'localtime')), 1, 10)"
_SUMMARY = "person, count(*), count(DISTINCT photo)"


class FaceRow(NamedTuple):
    """A face to group: the ids of its vector, itself and its photo, the photo's content, and its quality.

    `person` and `statement` are 0 for a face that belongs to nobody, or that nobody has placed.
    """

    vector: int
    face: int
    photo: int
    content: bytes | None
    quality: float | None
    person: int
    statement: int


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


class People:
    """The tables `people`, `assignments`, `statements` and `statement_faces`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Numbers

    def add(self) -> int:
        """Return a new number of a person, which was never used before."""
        return self._database.insert("INSERT INTO people DEFAULT VALUES")

    def merge(self, person: int, into: int) -> None:
        """Move all faces of a person to another one, and refer to that one from now on."""
        self._database.run("UPDATE assignments SET person = ? WHERE person = ?", into, person)
        self._database.run("UPDATE people SET merged_into = ? WHERE id = ? OR merged_into = ?", into, person, person)

    def current(self, number: int) -> int | None:
        """Return the number of the person that a number stands for now; None if it was never used."""
        rows = self._database.typed(_PERSON, f"SELECT {_PERSON.sql} FROM people WHERE id = ?", number)
        return (int(rows[0][1]) or int(rows[0][0])) if rows else None

    def merged(self) -> list[tuple[int, int]]:
        """Return the people that became part of others, each with the number of that person."""
        rows = self._database.typed(_PERSON, f"SELECT {_PERSON.sql} FROM people WHERE merged_into IS NOT NULL")
        return [(int(person), int(into)) for person, into in rows]

    # Assignments

    def count(self) -> int:
        """Count the people who have a visible face."""
        all_hidden = (
            f"SELECT count(*) FROM (SELECT person, count(*) AS hidden FROM {_HIDDEN} GROUP BY person) AS gone"
            " WHERE hidden = (SELECT count(*) FROM assignments WHERE assignments.person = gone.person)"
        )
        people = self._database.value("SELECT count(DISTINCT person) FROM assignments")
        return int(people - self._database.value(all_hidden))

    def count_faces(self) -> int:
        """Count the visible faces that belong to somebody."""
        faces = self._database.value("SELECT count(*) FROM assignments")
        return int(faces - self._database.value(f"SELECT count(*) FROM {_HIDDEN}"))

    def summary(self) -> list[tuple[int, int, int, str, str]]:
        """Return each person with visible photos: number, faces, photos, first and last day; most photos first."""
        rows = self._database.rows(
            f"SELECT {_SUMMARY}, min({_DAY}), max({_DAY})"
            " FROM assignments JOIN faces ON faces.id = face JOIN photos ON photos.id = photo"
            " WHERE missing_since IS NULL GROUP BY person ORDER BY 3 DESC, 2 DESC, 1"
        )
        return [(*counts, str(first), str(last)) for *counts, first, last in rows]

    def assigned(self) -> dict[int, int]:
        """Return the person of each face that has one."""
        return dict(self._database.typed(_ASSIGNED, f"SELECT {_ASSIGNED.sql} FROM assignments ORDER BY face"))

    def assign(self, rows: Iterable[tuple[int, int, int | None]]) -> None:
        """Store the person of faces, each with the statement that says so, None if it follows from grouping."""
        self._database.many("INSERT OR REPLACE INTO assignments (face, person, statement) VALUES (?, ?, ?)", rows)

    def unassign(self, faces: Iterable[int]) -> None:
        """Take faces from whomever they belong to."""
        self._database.many("DELETE FROM assignments WHERE face = ?", ((face,) for face in faces))

    # Faces to group

    def face_rows(self) -> Iterator[list[FaceRow]]:
        """Yield every face that has a vector, ascending by vector id, in batches."""
        start = 0
        while True:
            rows = self._database.typed(
                _FACE_ROW,
                f"SELECT {_FACE_ROW.sql} FROM {_JOINED} WHERE vectors.id > ? ORDER BY vectors.id LIMIT ?",
                start, _FACES_AT_ONCE,
            )  # fmt: skip
            if not rows:
                return
            yield [FaceRow(*row) for row in rows]
            start = rows[-1][0]

    def face_rows_of(self, vector_ids: Sequence[int]) -> list[FaceRow]:
        """Return the faces of some vectors, ascending by vector id."""
        found = [
            FaceRow(*row)
            for part in batches(vector_ids)
            for row in self._database.typed(
                _FACE_ROW, f"SELECT {_FACE_ROW.sql} FROM {_JOINED} WHERE vectors.id IN ({marks(part)})", *part
            )
        ]
        return sorted(found)

    def vectors_of(self, people: Sequence[int]) -> list[int]:
        """Return the ids of the vectors of some people's faces, ascending."""
        return sorted(
            row[0]
            for part in batches(people)
            for row in self._database.rows(
                "SELECT vectors.id FROM assignments JOIN vectors ON vectors.face = assignments.face"
                f" WHERE person IN ({marks(part)})",
                *part,
            )
        )

    def vectors_beside(self, vector_ids: Sequence[int]) -> list[int]:
        """Return the ids of all vectors of the photos of some vectors, ascending."""
        return sorted(
            {
                row[0]
                for part in batches(vector_ids)
                for row in self._database.rows(
                    "SELECT beside.id FROM vectors JOIN faces ON faces.id = vectors.face"
                    " JOIN faces AS others ON others.photo = faces.photo"
                    f" JOIN vectors AS beside ON beside.face = others.id WHERE vectors.id IN ({marks(part)})",
                    *part,
                )
            }
        )

    def new_vectors(self, after: int) -> IdArray:
        """Return the ids, int64[n] ascending, of vectors with a higher id whose faces belong to nobody."""
        import numpy as np

        rows = self._database.rows(
            "SELECT vectors.id FROM vectors LEFT JOIN assignments ON assignments.face = vectors.face"
            " WHERE vectors.id > ? AND assignments.face IS NULL ORDER BY vectors.id",
            after,
        )
        return np.array([row[0] for row in rows], dtype=np.int64)

    # Statements

    def say(self, statement: StatementRow, faces: Sequence[int] = ()) -> int:
        """Append a statement about faces, and return its id; the one in `statement` is ignored."""
        row_id = self._database.insert(
            "INSERT INTO statements (said_at, author, origin, kind, person, other, value, batch, undoes)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *statement[1:],
        )
        for part in batches(faces):
            for face, content, *place in self._database.typed(
                _WHERE,
                f"SELECT {_WHERE.sql} FROM faces JOIN photos ON photos.id = photo WHERE faces.id IN ({marks(part)})",
                *part,
            ):
                self._database.run(
                    "INSERT INTO statement_faces (statement, face, content, x, y, width, height)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    row_id, face, content or None, *place,
                )  # fmt: skip
        return row_id

    def forget_photo(self, photo: int) -> None:
        """Delete what statements hold about the faces of a photo, unless a copy of it stays."""
        self._database.run(
            "DELETE FROM statement_faces WHERE (face IN (SELECT id FROM faces WHERE photo = ?1)"
            " OR content = (SELECT hash FROM photos WHERE id = ?1)) AND NOT EXISTS (SELECT 1 FROM photos AS copy"
            " WHERE copy.hash = content AND copy.id != ?1 AND copy.status != 'unwanted')",
            photo,
        )

    def forget_face(self, face: int) -> None:
        """Delete what statements hold about a face, in its photo and in all copies of it."""
        for _, content, *place in self._database.typed(
            _WHERE, f"SELECT {_WHERE.sql} FROM faces JOIN photos ON photos.id = photo WHERE faces.id = ?", face
        ):
            for row, *said in self._database.typed(
                _SAID_ROW, f"SELECT {_SAID_ROW.sql} FROM statement_faces WHERE face = ? OR content = ?", face, content
            ):
                if Box(*said).overlap(Box(*place)) >= SAME_FACE:
                    self._database.run("DELETE FROM statement_faces WHERE rowid = ?", row)
        self._database.run("DELETE FROM statement_faces WHERE face = ?", face)

    def statements(self) -> list[StatementRow]:
        """Return all statements in the order in which they were made."""
        return [
            StatementRow(*row)
            for row in self._database.typed(_STATEMENT, f"SELECT {_STATEMENT.sql} FROM statements ORDER BY id")
        ]

    def said_faces(self) -> list[SaidFace]:
        """Return the faces that statements are about: the very face, and the same face in copies of its photo."""
        found = {
            SaidFace(statement, face)
            for statement, _, face in self._database.typed(
                _SAID_OF, f"SELECT {_SAID_OF.sql} FROM statement_faces JOIN faces ON faces.id = face"
            )
        }
        for statement, _, face, *places in self._database.typed(
            _SAID_OF_COPY,
            f"SELECT {_SAID_OF_COPY.sql} FROM statement_faces JOIN photos ON photos.hash = content"
            " JOIN faces ON faces.photo = photos.id",
        ):
            if Box(*places[:4]).overlap(Box(*places[4:])) >= SAME_FACE:
                found.add(SaidFace(statement, face))
        return sorted(found)

    def last_statement(self) -> int:
        """Return the id of the last statement, 0 before the first."""
        rows = self._database.typed(_LAST, "SELECT seq FROM sqlite_sequence WHERE name = 'statements'")
        return int(rows[0][0]) if rows else 0
