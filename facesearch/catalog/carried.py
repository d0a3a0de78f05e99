"""Where faces of which something was said went when their photos were edited: into another content, with another box.

Statements refer to faces by content and box. What was said before an edit holds for the face after it; what is said of
the earlier content later, of a copy that was not edited, does not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from facesearch.catalog.batches import batches, marks
from facesearch.catalog.columns import MOST_COUNTED, Shape, box_columns
from facesearch.catalog.exchange import Exchange, PlacedFace
from facesearch.types import SAME_FACE, Box

if TYPE_CHECKING:
    from facesearch.catalog.database import Database

__all__ = ["Carried", "Carry", "Trail"]

_CARRY = Shape(
    "carried.id", "carried.after", "carried.until", "carried.content", *box_columns("carried"),
    "carried.to_content", *box_columns("carried", "to_"),
)  # fmt: skip
_SAID = Shape("statement_faces.statement", "statement_faces.content", *box_columns("statement_faces"))
_SAID_PLACE = Shape("statement_faces.content", *box_columns("statement_faces"))
_SAID_ROW = Shape("statement_faces.rowid", "statement_faces.statement", *box_columns("statement_faces"))
_SAID_BOX = Shape(*box_columns("statement_faces"))
_LATER_BOX = Shape(*box_columns("carried", "to_"))
_CONTENTS = Shape("earlier_contents.content", "photos.hash")
_LAST_SAID = "(SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'statements')"


class Carry(NamedTuple):
    """A face that is at `new` since its photo was edited, and was at `old`, for statements up to `until`.

    `after` was the last statement when this was noted.
    """

    id: int
    after: int
    until: int
    old: PlacedFace
    new: PlacedFace


class Trail:
    """Follows faces through edits of their photos."""

    def __init__(self, carries: Iterable[Carry]) -> None:
        self._from: dict[bytes | None, list[Carry]] = defaultdict(list)
        for carry in carries:
            self._from[carry.old.content].append(carry)

    def __contains__(self, content: bytes) -> bool:
        return content in self._from

    def after(self, place: PlacedFace, said: int = 0) -> list[PlacedFace]:
        """Return where a face went from a place of which the statement `said` spoke."""
        found: list[PlacedFace] = []
        left = [place]
        while left:
            at = left.pop()
            for carry in self._from.get(at.content, ()):
                if carry.until >= said and carry.new not in found and carry.old.box.overlap(at.box) >= SAME_FACE:
                    found.append(carry.new)
                    left.append(carry.new)
        return found


class Carried:
    """The tables `carried` and `earlier_contents`. Whatever writes runs in the transaction in progress."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._exchange = Exchange(database)

    def all(
        self, after: tuple[int, int] = (0, 0), until: tuple[int, int] = (MOST_COUNTED, MOST_COUNTED)
    ) -> list[Carry]:
        """Return what was noted after a place in the log, and up to another: pairs of `after` and `id`."""
        return self._carries("(after, id) > (?, ?) AND (after, id) <= (?, ?) ORDER BY after, id", *after, *until)

    def last(self) -> Carry | None:
        """Return what was noted last."""
        return next(iter(self._carries("id = (SELECT max(id) FROM carried)")), None)

    def count_until(self, place: tuple[int, int]) -> int:
        """Return how many were noted up to a place in the log."""
        return int(self._database.value("SELECT count(*) FROM carried WHERE (after, id) <= (?, ?)", *place))

    def place_of(self, number: int) -> tuple[int, int] | None:
        """Return the place in the log of the carry with this id; None if there is none."""
        return next(((carry.after, carry.id) for carry in self._carries("id = ?", number)), None)

    def said_faces(self, kinds: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Yield the statements of these kinds that hold for faces after an edit: the ids of statement and face."""
        trail = Trail(self.all())
        holding: dict[PlacedFace, list[int]] = defaultdict(list)
        for statement, content, *box in self._database.typed(
            _SAID,
            f"SELECT {_SAID.sql} FROM statement_faces JOIN statements ON statements.id = statement"
            f" WHERE kind IN ({marks(kinds)}) AND content IN (SELECT content FROM carried)",
            *kinds,
        ):
            for place in trail.after(PlacedFace(content, Box(*box)), statement):
                holding[place].append(statement)
        for place, faces in self._exchange.find(holding).items():
            yield from ((statement, face) for statement in holding[place] for face in faces)

    # Writing

    def note(self, photo: int, faces: Mapping[int, tuple[Box, Box]]) -> None:
        """Note where faces of a photo are whose faces were found again: by id, their boxes before and now.

        Only those count of which something was said, and only if the photo has another content now. If that is the
        content of another photo, what was said of that photo stays true.
        """
        rows = self._database.typed(
            _CONTENTS,
            f"SELECT {_CONTENTS.sql} FROM earlier_contents JOIN photos ON photos.id = photo WHERE photo = ?",
            photo,
        )
        if not rows:
            return
        self._database.run("DELETE FROM earlier_contents WHERE photo = ?", photo)
        was, now = rows[0]
        for face, (before, box) in faces.items():
            new = PlacedFace(now, box)
            if now is not None and not (self._is_said(new, directly=True) and self._has_copy(photo)):
                for old in self._said_of(face, PlacedFace(was, before)):
                    if old.content != now:
                        self.add(old, new)

    def add(self, old: PlacedFace, new: PlacedFace, until: int | None = None) -> None:
        """Note that a face went from a place to another, unless that is known; by default after the last statement."""
        last = int(self._database.value(f"SELECT {_LAST_SAID}"))
        until = last if until is None else until
        known = self._carries("content = ? AND to_content = ? AND until >= ?", old.content, new.content, until)
        if all((carry.old, carry.new) != (old, new) for carry in known):
            self._database.run(
                "INSERT INTO carried (after, until, content, x, y, width, height,"
                " to_content, to_x, to_y, to_width, to_height) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                last, until, old.content, old.box.left, old.box.top, old.box.width, old.box.height,
                new.content, new.box.left, new.box.top, new.box.width, new.box.height,
            )  # fmt: skip

    def forget(self, places: Iterable[PlacedFace]) -> set[int]:
        """Delete where faces came from that are in these places, and what was said of them there.

        An earlier content that a photo of the catalog still has stays as it is: that is another photo. Returns the
        statements that lost a face.
        """
        lost: set[int] = set()
        left = [place for place in places if place.content is not None]
        while left:
            at = left.pop()
            for carry in self._carries("to_content = ?1 OR content = ?1", at.content):
                if carry.old.content == at.content and carry.old.box.overlap(at.box) >= SAME_FACE:
                    self._delete([carry])
                elif carry.new.content == at.content and carry.new.box.overlap(at.box) >= SAME_FACE:
                    self._delete([carry])
                    if not self._exchange.known_contents([carry.old.content or b""]):
                        lost |= self._forget_said(carry.old)
                        left.append(carry.old)
        return lost

    def forget_unsaid(self) -> None:
        """Delete what is about faces of which nothing is said any more."""
        carries = self.all()
        trail, reached = Trail(carries), set()
        if carries:
            for content, *box in self._database.typed(
                _SAID_PLACE,
                f"SELECT DISTINCT {_SAID_PLACE.sql} FROM statement_faces"
                " WHERE content IN (SELECT content FROM carried)",
            ):
                place = PlacedFace(content, Box(*box))
                reached |= {place, *trail.after(place)}
        boxes: dict[bytes | None, list[Box]] = defaultdict(list)
        for place in reached:
            boxes[place.content].append(place.box)
        self._delete(
            [
                carry
                for carry in carries
                if all(carry.old.box.overlap(box) < SAME_FACE for box in boxes.get(carry.old.content, ()))
            ]
        )

    def _said_of(self, face: int, place: PlacedFace) -> list[PlacedFace]:
        """Return the places in which something was said of a face, by its id or by its place before an edit."""
        found = {
            PlacedFace(content, Box(*box)): None
            for content, *box in self._database.typed(
                _SAID_PLACE,
                f"SELECT DISTINCT {_SAID_PLACE.sql} FROM statement_faces WHERE face = ? AND content IS NOT NULL",
                face,
            )
        }
        if self._is_said(place):
            found.setdefault(place)
        return list(found)

    def _is_said(self, place: PlacedFace, *, directly: bool = False) -> bool:
        """Whether something was said of a place, or of one that led to it."""
        ways = [(_SAID_BOX, "statement_faces WHERE content = ?"), (_LATER_BOX, "carried WHERE to_content = ?")]
        return any(
            Box(*box).overlap(place.box) >= SAME_FACE
            for shape, where in ways[: 1 if directly else 2]
            for box in self._database.typed(shape, f"SELECT {shape.sql} FROM {where}", place.content)
        )

    def _has_copy(self, photo: int) -> bool:
        return bool(
            self._database.rows(
                "SELECT 1 FROM photos WHERE id != ?1 AND hash = (SELECT hash FROM photos WHERE id = ?1) LIMIT 1",
                photo,
            )
        )

    def _forget_said(self, place: PlacedFace) -> set[int]:
        """Delete what was said of a place; return the statements that said it."""
        lost = set()
        for row, statement, *box in self._database.typed(
            _SAID_ROW, f"SELECT {_SAID_ROW.sql} FROM statement_faces WHERE content = ?", place.content
        ):
            if Box(*box).overlap(place.box) >= SAME_FACE:
                self._database.run("DELETE FROM statement_faces WHERE rowid = ?", row)
                lost.add(statement)
        return lost

    def _carries(self, condition: str, *values: object) -> list[Carry]:
        return [
            Carry(number, after, until, PlacedFace(row[0], Box(*row[1:5])), PlacedFace(row[5], Box(*row[6:])))
            for number, after, until, *row in self._database.typed(
                _CARRY, f"SELECT {_CARRY.sql} FROM carried WHERE {condition}", *values
            )
        ]

    def _delete(self, carries: Sequence[Carry]) -> None:
        for part in batches([carry.id for carry in carries]):
            self._database.run(f"DELETE FROM carried WHERE id IN ({marks(part)})", *part)
