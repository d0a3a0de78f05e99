"""Delete a person from every table, and remember that something deleted may still be in the files of the index."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from facesearch.catalog.batches import batches, marks
from facesearch.catalog.carried import Carried
from facesearch.catalog.columns import Shape, box_columns
from facesearch.catalog.database import Database
from facesearch.catalog.exchange import PlacedFace
from facesearch.types import SAME_FACE, Box

__all__ = ["Forgetting", "Mark"]

_BESIDE = Shape("faces.photo", "faces.id", "coalesce(assignments.person, 0)")
_LAST = Shape("seq")
_PLACE = Shape("coalesce(photos.hash, x'')", *box_columns("faces"), computed=bytes)
_SAID_PLACE = Shape("statement_faces.rowid", *box_columns("statement_faces"))
_MARK = Shape("statement_faces.content", *box_columns("statement_faces"))


class Mark(NamedTuple):
    """A face by its place: the SHA-256 of the photo's content, and the box in pixels."""

    content: bytes
    box: Box


class Forgetting:
    """Deletes what the catalog holds about people. Every method that deletes runs in the transaction in progress."""

    def __init__(self, database: Database, carried: Carried) -> None:
        self._database = database
        self._carried = carried

    # What there is

    def numbers_of(self, person: int) -> list[int]:
        """Return all numbers that stand for a person: its own, and those of people who became part of it."""
        found = {person}
        while True:
            known = sorted(found)
            for part in batches(known):
                for sql in (
                    f"SELECT id FROM people WHERE merged_into IN ({marks(part)})",
                    f"SELECT person FROM joined WHERE whole IN ({marks(part)})",
                ):
                    found |= {row[0] for row in self._database.rows(sql, *part)}
            if len(found) == len(known):
                return known

    def faces_of(self, people: Sequence[int]) -> list[int]:
        """Return the faces that belong to some people, also those of hidden photos; ascending."""
        return sorted(
            row[0]
            for part in batches(people)
            for row in self._database.rows(f"SELECT face FROM assignments WHERE person IN ({marks(part)})", *part)
        )

    def hidden(self, photos: Iterable[int]) -> set[int]:
        """Return those of some photos that are hidden, because their files are missing."""
        return {
            row[0]
            for part in batches(sorted(set(photos)))
            for row in self._database.rows(
                f"SELECT id FROM photos WHERE missing_since IS NOT NULL AND id IN ({marks(part)})", *part
            )
        }

    def people_in(self, photos: Sequence[int]) -> dict[int, list[tuple[int, int | None]]]:
        """Return for each of some photos its faces, ascending, each with the person, None for nobody."""
        found: dict[int, list[tuple[int, int | None]]] = defaultdict(list)
        for part in batches(photos):
            for photo, face, person in self._database.typed(
                _BESIDE,
                f"SELECT {_BESIDE.sql} FROM faces LEFT JOIN assignments ON assignments.face = faces.id"
                f" WHERE photo IN ({marks(part)}) ORDER BY faces.id",
                *part,
            ):
                found[photo].append((face, person or None))
        return found

    def placed(self, faces: Sequence[int]) -> dict[int, int]:
        """Return the statements that say whom faces show, for those of these faces that have one."""
        return {
            face: statement
            for part in batches(faces)
            for face, statement in self._database.rows(
                f"SELECT face, statement FROM assignments WHERE statement IS NOT NULL AND face IN ({marks(part)})",
                *part,
            )
        }

    def counts(self) -> tuple[int, int, int, int]:
        """Count all faces, embeddings, statements and marks of forgotten faces."""
        faces, vectors, statements, marks = (
            int(self._database.value(f"SELECT count(*) FROM {table}"))
            for table in ("faces", "vectors", "statements", "forgotten_faces")
        )
        return faces, vectors, statements, marks

    def was_used(self, number: int) -> bool:
        """Whether a number was given to a person at any time, even if that person was forgotten."""
        return 0 < number <= self._last("people")

    def was_said(self, statement: int) -> bool:
        """Whether there was a statement of this number at any time, even if it was forgotten."""
        return 0 < statement <= self._last("statements")

    # Deleting a person

    def mark_absent_faces(self, people: Sequence[int], kinds: Sequence[str]) -> int:
        """Mark the faces that statements say are these people, in photos that are gone; return their number.

        `kinds` are the kinds of those statements. If such a photo returns, these faces are omitted.
        """
        known = set()
        for part in batches(people):
            known |= {
                Mark(content, Box(*place))
                for content, *place in self._database.typed(
                    _MARK,
                    f"SELECT DISTINCT {_MARK.sql} FROM statement_faces JOIN statements ON statements.id = statement"
                    f" WHERE content IS NOT NULL AND kind IN ({marks(kinds)}) AND person IN ({marks(part)})"
                    " AND NOT EXISTS (SELECT 1 FROM photos WHERE hash = content)",
                    *kinds, *part,
                )
            }  # fmt: skip
        self._database.many(
            "INSERT INTO forgotten_faces (content, x, y, width, height) VALUES (?, ?, ?, ?, ?)",
            ((mark.content, mark.box.left, mark.box.top, mark.box.width, mark.box.height) for mark in sorted(
                known, key=lambda mark: (mark.content, mark.box.left)
            )),
        )  # fmt: skip
        return len(known)

    def forget_what_was_said_of_faces(self, faces: Sequence[int]) -> None:
        """Delete what statements hold about faces, in their photos and in copies; and statements that hold no more."""
        said: set[int] = set()
        for part in batches(faces):
            places: dict[bytes, list[Box]] = defaultdict(list)
            for content, *place in self._database.typed(
                _PLACE,
                f"SELECT {_PLACE.sql} FROM faces JOIN photos ON photos.id = photo WHERE faces.id IN ({marks(part)})",
                *part,
            ):
                places[bytes(content)].append(Box(*place))
            said |= self._carried.forget(PlacedFace(content, box) for content, boxes in places.items() for box in boxes)
            sql = "SELECT statement FROM statement_faces"
            said |= {row[0] for row in self._database.rows(f"{sql} WHERE face IN ({marks(part)})", *part)}
            self._database.run(f"DELETE FROM statement_faces WHERE face IN ({marks(part)})", *part)
            for content, boxes in places.items():
                for row, *place in self._database.typed(
                    _SAID_PLACE, f"SELECT {_SAID_PLACE.sql} FROM statement_faces WHERE content = ?", content
                ):
                    if any(Box(*place).overlap(box) >= SAME_FACE for box in boxes):
                        said |= {one[0] for one in self._database.rows(f"{sql} WHERE rowid = ?", row)}
                        self._database.run("DELETE FROM statement_faces WHERE rowid = ?", row)
            self._database.run(f"UPDATE profiles SET cover = NULL WHERE cover IN ({marks(part)})", *part)
        self._delete_statements(
            row[0]
            for part in batches(sorted(said))
            for row in self._database.rows(
                f"SELECT id FROM statements WHERE id IN ({marks(part)}) AND value IS NULL"
                " AND NOT EXISTS (SELECT 1 FROM statement_faces WHERE statement = statements.id)"
                " AND NOT EXISTS (SELECT 1 FROM assignments WHERE statement = statements.id)",
                *part,
            )
        )

    def forget_people(self, people: Sequence[int]) -> int:
        """Delete people with all that was said about them; return the number of statements deleted.

        Faces that still belong to them belong to nobody then, and are grouped with the next new ones.
        """
        run = self._database.run
        before = self._database.value("SELECT count(*) FROM statements")
        about: set[int] = set()
        for part in batches(people):
            own = marks(part)
            about |= {
                row[0]
                for row in self._database.rows(
                    f"SELECT id FROM statements WHERE person IN ({own}) OR other IN ({own})", *part, *part
                )
            }
            run(
                "INSERT OR REPLACE INTO overruled (face, person)"
                f" SELECT face, NULL FROM assignments WHERE person IN ({own})",
                *part,
            )
            run(f"DELETE FROM assignments WHERE person IN ({own})", *part)
            run(f"UPDATE overruled SET person = NULL WHERE person IN ({own})", *part)
            run(f"DELETE FROM joined WHERE person IN ({own}) OR whole IN ({own})", *part, *part)
            run(f"DELETE FROM profiles WHERE person IN ({own})", *part)
            run(f"DELETE FROM identities WHERE person IN ({own})", *part)
        self._delete_statements(about)
        run("DELETE FROM skipped")  # questions may name people; they are asked again
        for part in batches(people):
            run(f"UPDATE people SET merged_into = NULL WHERE merged_into IN ({marks(part)})", *part)
            run(f"DELETE FROM people WHERE id IN ({marks(part)})", *part)
        return int(before - self._database.value("SELECT count(*) FROM statements"))

    def _delete_statements(self, statements: Iterable[int]) -> None:
        """Delete statements, and what undoes nothing any more; what is left of an action stays one action."""
        going = set(statements)
        rows = self._database.rows("SELECT id, coalesce(batch, id), undoes FROM statements ORDER BY id")
        actions: dict[int, set[int]] = defaultdict(set)
        action_of = {row: action for row, action, _ in rows}
        for row, action, _ in rows:
            actions[action].add(row)
        more = True
        while more:
            idle = {row for row, _, undoes in rows if undoes and actions[action_of.get(undoes, undoes)] <= going}
            more = not idle <= going
            going |= idle
        for action, members in actions.items():
            if going.isdisjoint(members) or members <= going:
                continue
            first = min(members - going)
            self._database.run("UPDATE statements SET batch = ? WHERE batch = ? OR id = ?", first, action, action)
            self._database.run("UPDATE statements SET batch = NULL WHERE id = ?", first)
            for part in batches(sorted(members)):
                self._database.run(f"UPDATE statements SET undoes = ? WHERE undoes IN ({marks(part)})", first, *part)
        for part in batches(sorted(going, reverse=True)):  # later ones refer to earlier ones
            self._database.run(f"UPDATE statements SET undoes = NULL WHERE id IN ({marks(part)})", *part)
            self._database.run(f"DELETE FROM statements WHERE id IN ({marks(part)})", *part)

    # What may be left in the files

    def begin_erasing(self) -> None:
        """Record that something was deleted that may still be in the files of the index; that ends with it."""
        self._carried.forget_unsaid()
        self._database.run("INSERT INTO erasing (begun_at) VALUES (?)", int(time.time()))

    def is_erasing(self) -> bool:
        """Whether something that was deleted may still be in the files of the index."""
        return bool(self._database.rows("SELECT 1 FROM erasing LIMIT 1"))

    def end_erasing(self) -> None:
        """Record that nothing of what was deleted is left."""
        self._database.run("DELETE FROM erasing")

    def _last(self, table: str) -> int:
        rows = self._database.typed(_LAST, "SELECT seq FROM sqlite_sequence WHERE name = ?", table)
        return int(rows[0][0]) if rows else 0
