"""What statements look like outside this catalog: faces by the content of their photo and their box."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from facesearch.catalog.batches import BATCH, batches, marks
from facesearch.catalog.columns import MOST_COUNTED, Shape, box_columns
from facesearch.catalog.database import Database
from facesearch.types import SAME_FACE, Box

__all__ = ["Exchange", "PlacedFace"]

_ABSENT = MOST_COUNTED
"""The id of a face that is not in the catalog. No face ever gets it."""

_PLACE = Shape("faces.id", "photos.hash", *box_columns("faces"))
_SAID = Shape("statement_faces.statement", "coalesce(statement_faces.content, x'')", *box_columns("statement_faces"),
              computed=bytes)  # fmt: skip
_FILE = Shape("photos.size", "photos.mtime_ns", "photos.hash")
_VECTOR = Shape("vectors.id", "vectors.face")
_LAST = Shape("seq")


class PlacedFace(NamedTuple):
    """A face by the SHA-256 of its photo and its box; `content` is None if the photo could not be read."""

    content: bytes | None
    box: Box


class Exchange:
    """Reads and writes statements as they are outside a catalog."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Reading

    def last_statement_ever(self) -> int:
        """Return the highest id that a statement ever had, 0 before the first."""
        rows = self._database.typed(_LAST, "SELECT seq FROM sqlite_sequence WHERE name = 'statements'")
        return int(rows[0][0]) if rows else 0

    def counts_until(self, statement: int) -> tuple[int, int]:
        """Return the number of statements up to an id, and of the faces that they are about."""
        count = self._database.value
        return (
            int(count("SELECT count(*) FROM statements WHERE id <= ?", statement)),
            int(count("SELECT count(*) FROM statement_faces WHERE statement <= ?", statement)),
        )

    def said_faces(self, after: int = 0, until: int = MOST_COUNTED) -> dict[int, list[PlacedFace]]:
        """Return the faces that statements with ids above `after` are about, by statement."""
        found: dict[int, list[PlacedFace]] = {}
        for statement, content, *box in self._database.typed(
            _SAID,
            f"SELECT {_SAID.sql} FROM statement_faces WHERE statement > ? AND statement <= ?"
            " ORDER BY statement, statement_faces.rowid",
            after, until,
        ):  # fmt: skip
            found.setdefault(statement, []).append(PlacedFace(content or None, Box(*box)))
        return found

    def places(self, faces: Sequence[int]) -> dict[int, PlacedFace]:
        """Return where faces are, by id; a face in a photo whose content is not known is omitted."""
        return {
            face: PlacedFace(content, Box(*box))
            for part in batches(faces)
            for face, content, *box in self._database.typed(
                _PLACE,
                f"SELECT {_PLACE.sql} FROM faces JOIN photos ON photos.id = photo"
                f" WHERE hash IS NOT NULL AND faces.id IN ({marks(part)}) ORDER BY faces.id",
                *part,
            )
        }

    def faces_in(self, contents: Iterable[bytes]) -> dict[bytes, list[tuple[int, Box]]]:
        """Return the faces in photos with these contents, ascending by id, by content."""
        found: dict[bytes, list[tuple[int, Box]]] = {}
        for part in _parts(list(dict.fromkeys(contents))):
            for face, content, *box in self._database.typed(
                _PLACE,
                f"SELECT {_PLACE.sql} FROM photos JOIN faces ON photo = photos.id WHERE hash IN ({marks(part)})"
                " ORDER BY faces.id",
                *part,
            ):
                found.setdefault(content, []).append((face, Box(*box)))
        return found

    def known_contents(self, contents: Iterable[bytes]) -> set[bytes]:
        """Return those of some contents that are those of photos in the catalog, with or without faces."""
        return {
            row[0]
            for part in _parts(list(dict.fromkeys(contents)))
            for row in self._database.rows(f"SELECT DISTINCT hash FROM photos WHERE hash IN ({marks(part)})", *part)
        }

    def find(self, wanted: Iterable[PlacedFace]) -> dict[PlacedFace, list[int]]:
        """Return the ids of faces in all photos of their content: those whose box overlaps most, in each photo."""
        places = list(dict.fromkeys(place for place in wanted if place.content is not None))
        known = self.faces_in(place.content for place in places if place.content is not None)
        found: dict[PlacedFace, list[int]] = {}
        for place in places:
            overlaps = [(face, box.overlap(place.box)) for face, box in known.get(place.content or b"", ())]
            best = max((overlap for _, overlap in overlaps), default=0.0)
            if best >= SAME_FACE:
                found[place] = [face for face, overlap in overlaps if overlap >= max(SAME_FACE, best - _NEARLY)]
        return found

    def content_at(self, photo: int, size: int, mtime_ns: int) -> bytes | None:
        """Return the content of a photo, if its file still has this size and time."""
        rows = self._database.typed(_FILE, f"SELECT {_FILE.sql} FROM photos WHERE id = ?", photo)
        return rows[0][2] if rows and tuple(rows[0][:2]) == (size, mtime_ns) else None

    def vectors_of(self, faces: Sequence[int]) -> dict[int, int]:
        """Return the id of the vector of each of these faces that has one."""
        return {
            face: vector
            for part in batches(faces)
            for vector, face in self._database.typed(
                _VECTOR, f"SELECT {_VECTOR.sql} FROM vectors WHERE face IN ({marks(part)}) ORDER BY id DESC", *part
            )
        }

    # Writing

    def add_faces(self, statement: int, faces: Iterable[tuple[PlacedFace, int | None]]) -> None:
        """Store what a statement is about: faces with their ids, None for a face that is not in the catalog yet."""
        self._database.many(
            "INSERT INTO statement_faces (statement, face, content, x, y, width, height) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (statement, face or _ABSENT, place.content, place.box.left, place.box.top, place.box.width,
                 place.box.height)
                for place, face in faces
            ),
        )  # fmt: skip

    def set_identity(self, person: int, uid: str) -> None:
        """Give a person, who has none, an id outside this catalog."""
        self._database.run("INSERT INTO identities (person, uid) VALUES (?, ?)", person, uid)


_NEARLY = 1e-3
"""Copies of a photo have the same boxes, give or take rounding."""


def _parts(contents: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(contents), BATCH):
        yield contents[start : start + BATCH]
