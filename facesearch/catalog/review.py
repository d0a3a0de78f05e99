"""What a review of people needs of the catalog: skipped questions, hidden photos, photos that show a person twice."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from facesearch.catalog.columns import Shape
from facesearch.catalog.database import Database

__all__ = ["Review"]

_SKIPPED = Shape("skipped.question", "skipped.skipped_at")
_FACE = Shape(
    "vectors.id", "vectors.face", "faces.photo", "photos.hash", "faces.quality",
    "coalesce(assignments.person, 0)", "coalesce(assignments.statement, 0)", "missing_since IS NULL",
)  # fmt: skip
_TWICE = Shape("faces.photo", "assignments.person", "vectors.id")


class Review:
    """The table `skipped`, and questions to other tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def faces(self) -> Iterator[Sequence[Any]]:
        """Yield all faces with vectors: the ids of vector, face and photo, the photo's content, and the quality;
        the person and the statement that says so, 0 for none; and whether the photo is visible.
        """
        # In the order of faces no vector is read, and photos are in order, too.
        return self._database.typed_each(
            _FACE,
            f"SELECT {_FACE.sql} FROM vectors CROSS JOIN faces ON faces.id = vectors.face"
            " CROSS JOIN photos ON photos.id = faces.photo LEFT JOIN assignments ON assignments.face = faces.id"
            " ORDER BY vectors.face",
        )

    def skipped(self) -> dict[str, int]:
        """Return the questions that were skipped, each with the second since 1970 in which it was."""
        return dict(self._database.typed(_SKIPPED, f"SELECT {_SKIPPED.sql} FROM skipped"))

    def skip(self, question: str) -> None:
        """Remember that a question was skipped now."""
        self._database.run(
            "INSERT OR REPLACE INTO skipped (question, skipped_at) VALUES (?, ?)", question, int(time.time())
        )

    def ask_again(self, question: str) -> None:
        """Forget that a question was skipped."""
        self._database.run("DELETE FROM skipped WHERE question = ?", question)

    def shown_twice(self) -> list[tuple[int, int, int]]:
        """Return the photo, the person and the vector of faces that share person and visible photo with another."""
        rows = self._database.typed(
            _TWICE,
            f"SELECT {_TWICE.sql} FROM assignments"
            " JOIN faces ON faces.id = assignments.face JOIN vectors ON vectors.face = faces.id"
            " JOIN (SELECT photo AS twice, person AS who FROM assignments JOIN faces ON faces.id = face"
            " GROUP BY photo, person HAVING count(*) > 1) ON twice = faces.photo AND who = assignments.person"
            " JOIN photos ON photos.id = faces.photo WHERE missing_since IS NULL ORDER BY 1, 2, 3",
        )
        return [(photo, person, vector) for photo, person, vector in rows]
