"""People: their numbers, which face belongs to whom, and what was said about each of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from facesearch.catalog.batches import BATCH, batches, marks
from facesearch.catalog.columns import Shape
from facesearch.catalog.database import Database

if TYPE_CHECKING:
    from facesearch.types import IdArray

__all__ = ["FaceRow", "People", "Profile"]

_FACES_AT_ONCE = 50_000
_FEW_PEOPLE = BATCH

_FACE_ROW = Shape(
    "vectors.id", "vectors.face", "faces.photo", "photos.hash", "faces.quality",
    "coalesce(assignments.person, 0)", "coalesce(assignments.statement, 0)", "overruled.face IS NOT NULL",
)  # fmt: skip
_JOINED = (
    "vectors JOIN faces ON faces.id = vectors.face JOIN photos ON photos.id = faces.photo"
    " LEFT JOIN assignments ON assignments.face = faces.id LEFT JOIN overruled ON overruled.face = faces.id"
)
_HIDDEN = (
    "photos CROSS JOIN faces ON faces.photo = photos.id CROSS JOIN assignments ON assignments.face = faces.id"
    " WHERE missing_since IS NOT NULL"
)
"""The faces of hidden photos that belong to somebody, in the order that is fast for a few: `CROSS JOIN` keeps it."""
_ASSIGNED = Shape("assignments.face", "assignments.person")
_PERSON = Shape("people.id", "coalesce(people.merged_into, 0)")
_JOINED_TO = Shape("joined.person", "joined.whole")
_PROFILE = Shape(
    "profiles.person", "profiles.name", "profiles.aliases", "profiles.external_id", "profiles.born", "profiles.ignored",
    "profiles.cover",
)  # fmt: skip
_GROUPED = Shape("faces.id", "coalesce(assignments.person, 0)", "coalesce(assignments.statement, 0)")
_BOOKMARK = Shape("bookmarks.name", "bookmarks.face")
_OVERRULED = Shape("overruled.face", "coalesce(overruled.person, 0)")
_DAY = "substr(coalesce(taken_at, strftime('%Y-%m-%d', mtime_ns / 1000000000, 'unixepoch', 'localtime')), 1, 10)"
_SHOWN = "assignments JOIN faces ON faces.id = face JOIN photos ON photos.id = photo WHERE missing_since IS NULL"
_SUMMARY = f"person, count(*), count(DISTINCT photo), min({_DAY}), max({_DAY})"
_ALL_SHOWN = (
    "assignments NOT INDEXED CROSS JOIN faces ON faces.id = face CROSS JOIN photos ON photos.id = photo"
    " WHERE missing_since IS NULL"
)
"""`_SHOWN` for everybody, in the order of faces, which is nearly that of photos: person by person it takes 5 times as
long among 100,000 faces, and more among a million, because each face and photo is then somewhere else in the file."""


class FaceRow(NamedTuple):
    """A face to group: the ids of its vector, itself and its photo, the photo's content, and its quality.

    `person` and `statement` are 0 for a face that belongs to nobody, or that nobody has placed. `overruled` is 1 if
    statements say something else of it than grouping.
    """

    vector: int
    face: int
    photo: int
    content: bytes | None
    quality: float | None
    person: int
    statement: int
    overruled: int


class Profile(NamedTuple):
    """What was said about a person; `born` is a date, `cover` the id of a face."""

    name: str | None = None
    aliases: tuple[str, ...] = ()
    external_id: str | None = None
    born: str | None = None
    ignored: bool = False
    cover: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The name and the aliases."""
        return (self.name, *self.aliases) if self.name is not None else self.aliases


class People:
    """The tables `people`, `assignments`, `overruled`, `joined` and `profiles`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Numbers

    def add(self) -> int:
        """Return a new number of a person, which was never used before."""
        return self._database.insert("INSERT INTO people DEFAULT VALUES")

    def merge(self, person: int, into: int) -> None:
        """Move all faces of a person to another one, and refer to that one from now on."""
        self._database.run("UPDATE assignments SET person = ? WHERE person = ?", into, person)
        self._database.run("UPDATE overruled SET person = ? WHERE person = ?", into, person)
        self._database.run("UPDATE people SET merged_into = ? WHERE id = ? OR merged_into = ?", into, person, person)

    def current(self, number: int) -> int | None:
        """Return the number of the person that a number stands for now; None if it was never used."""
        rows = self._database.typed(_PERSON, f"SELECT {_PERSON.sql} FROM people WHERE id = ?", number)
        if not rows:
            return None
        found = int(rows[0][1]) or int(rows[0][0])
        whole = self._database.typed(_JOINED_TO, f"SELECT {_JOINED_TO.sql} FROM joined WHERE person = ?", found)
        return int(whole[0][1]) if whole else found

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

    def summary(self, people: Sequence[int] | None = None) -> list[tuple[int, int, int, str, str]]:
        """Return each person with visible photos: number, faces, photos, first and last day; most photos first.

        With `people`, only these.
        """
        if people is None or len(people) > _FEW_PEOPLE:
            rows = self._database.rows(f"SELECT {_SUMMARY} FROM {_ALL_SHOWN} GROUP BY person")
            wanted = None if people is None else frozenset(people)
            rows = [row for row in rows if wanted is None or row[0] in wanted]
        else:
            only = f"person IN ({marks(people)})"
            rows = self._database.rows(f"SELECT {_SUMMARY} FROM {_SHOWN} AND {only} GROUP BY person", *people)
        rows.sort(key=lambda row: (-row[2], -row[1], row[0]))
        return [(*counts, str(first), str(last)) for *counts, first, last in rows]

    def shown(self, people: Sequence[int]) -> list[int]:
        """Return those of some people who have a visible photo, ascending."""
        return [
            row[0]
            for part in batches(sorted(people))
            for row in self._database.rows(
                f"SELECT id FROM people WHERE id IN ({marks(part)})"
                f" AND EXISTS (SELECT 1 FROM {_SHOWN} AND person = people.id) ORDER BY id",
                *part,
            )
        ]

    def years(self, person: int) -> dict[str, int]:
        """Return the number of visible photos of a person by year."""
        rows = self._database.rows(
            f"SELECT substr({_DAY}, 1, 4) AS year, count(DISTINCT photo) FROM {_SHOWN} AND person = ?"
            " GROUP BY year ORDER BY year",
            person,
        )
        return {str(year): photos for year, photos in rows}

    def beside(self, person: int) -> list[tuple[int, int]]:
        """Return the people in visible photos of a person, with the number of photos, most first."""
        rows = self._database.rows(
            "SELECT others.person, count(DISTINCT own.photo) AS photos FROM assignments"
            " JOIN faces AS own ON own.id = assignments.face JOIN photos ON photos.id = own.photo"
            " JOIN faces AS beside ON beside.photo = own.photo JOIN assignments AS others ON others.face = beside.id"
            " WHERE assignments.person = ?1 AND others.person != ?1 AND missing_since IS NULL"
            " GROUP BY others.person ORDER BY photos DESC, others.person",
            person,
        )
        return [(number, photos) for number, photos in rows]

    def cover(self, person: int, chosen: int | None) -> int | None:
        """Return the vector of the visible face that stands for a person: the chosen one, or the clearest large one."""
        rows = self._database.rows(
            "SELECT vectors.id FROM assignments JOIN faces ON faces.id = assignments.face"
            " JOIN photos ON photos.id = photo JOIN vectors ON vectors.face = faces.id"
            " WHERE person = ? AND missing_since IS NULL"
            " ORDER BY faces.id = ? DESC, round(coalesce(quality, 0), 1) DESC, min(faces.width, faces.height) DESC,"
            " faces.id LIMIT 1",
            person, chosen or 0,
        )  # fmt: skip
        return rows[0][0] if rows else None

    def faces_in(self, photo: int, person: int) -> list[int]:
        """Return the faces of a person in a photo, ascending."""
        rows = self._database.rows(
            "SELECT face FROM assignments JOIN faces ON faces.id = face WHERE photo = ? AND person = ? ORDER BY face",
            photo, person,
        )  # fmt: skip
        return [row[0] for row in rows]

    def assigned(self) -> dict[int, int]:
        """Return the person of each face that has one."""
        return dict(self._database.typed(_ASSIGNED, f"SELECT {_ASSIGNED.sql} FROM assignments ORDER BY face"))

    def assign(self, rows: Iterable[tuple[int, int, int | None]]) -> None:
        """Store the person of faces, each with the statement that says so, None if it follows from grouping."""
        self._database.many("INSERT OR REPLACE INTO assignments (face, person, statement) VALUES (?, ?, ?)", rows)

    def unassign(self, faces: Iterable[int]) -> None:
        """Take faces from whomever they belong to."""
        self._database.many("DELETE FROM assignments WHERE face = ?", ((face,) for face in faces))

    # What statements say of faces

    def grouped(self, faces: Sequence[int]) -> dict[int, int]:
        """Return for each of these faces that exists the person that grouping takes it for, 0 for nobody."""
        known: dict[int, int] = {}
        for part in batches(faces):
            rows = self._database.typed(
                _GROUPED,
                f"SELECT {_GROUPED.sql} FROM faces LEFT JOIN assignments ON assignments.face = faces.id"
                f" WHERE faces.id IN ({marks(part)})",
                *part,
            )
            known |= {face: 0 if statement else person for face, person, statement in rows}
            known |= self._database.typed(
                _OVERRULED, f"SELECT {_OVERRULED.sql} FROM overruled WHERE face IN ({marks(part)})", *part
            )
        return known

    def faces_grouped_as(self, people: Sequence[int]) -> list[int]:
        """Return the faces that belong to some people, or that grouping takes for them; ascending."""
        return sorted(
            {
                row[0]
                for part in batches(people)
                for row in self._database.rows(
                    f"SELECT face FROM assignments WHERE person IN ({marks(part)})"
                    f" UNION SELECT face FROM overruled WHERE person IN ({marks(part)})",
                    *part, *part,
                )
            }
        )  # fmt: skip

    def overrule(self, rows: Iterable[tuple[int, int | None]]) -> None:
        """Store whom grouping takes faces for of which statements say something else, None for nobody."""
        self._database.many("INSERT OR REPLACE INTO overruled (face, person) VALUES (?, ?)", rows)

    def agree(self, faces: Iterable[int]) -> None:
        """Record that statements say nothing else of faces than grouping does."""
        self._database.many("DELETE FROM overruled WHERE face = ?", ((face,) for face in faces))

    # What statements say of people

    def joined(self) -> dict[int, int]:
        """Return the people who were said to be others, each with the person that they are."""
        return dict(self._database.typed(_JOINED_TO, f"SELECT {_JOINED_TO.sql} FROM joined"))

    def set_joined(self, joined: Mapping[int, int]) -> None:
        """Store who was said to be whom."""
        self._database.run("DELETE FROM joined")
        self._database.many("INSERT INTO joined (person, whole) VALUES (?, ?)", joined.items())

    def profiles(self) -> dict[int, Profile]:
        """Return what was said about people, by number."""
        return {
            person: Profile(
                name, () if aliases == "[]" else tuple(json.loads(aliases)), external, born, bool(ignored), cover
            )
            for person, name, aliases, external, born, ignored, cover in self._database.typed(
                _PROFILE, f"SELECT {_PROFILE.sql} FROM profiles ORDER BY person"
            )
        }

    def set_profiles(self, profiles: Mapping[int, Profile]) -> None:
        """Store what was said about people: only what differs is written, since strangers can be many."""
        stored = self.profiles()
        self._database.many(
            "DELETE FROM profiles WHERE person = ?", ((person,) for person in stored if person not in profiles)
        )
        self._database.many(
            "INSERT OR REPLACE INTO profiles (person, name, aliases, external_id, born, ignored, cover)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    person,
                    said.name,
                    json.dumps(said.aliases),
                    said.external_id,
                    said.born,
                    int(said.ignored),
                    said.cover,
                )
                for person, said in profiles.items()
                if stored.get(person) != said
            ),
        )

    def faces_of(self, person: int) -> list[int]:
        """Return the visible faces of a person, ascending."""
        rows = self._database.rows(f"SELECT face FROM {_SHOWN} AND person = ? ORDER BY face", person)
        return [row[0] for row in rows]

    # News

    def news(self, after: int, since: str | None) -> list[tuple[int, int, int, bool]]:
        """Return who is in visible photos with faces of a higher id: the person, photos, faces, whether all are new.

        The person is 0 for nobody. With `since`, a day, only photos taken then or later count. Most photos come first.
        """
        dated, days = ("", []) if since is None else (f" AND {_DAY} >= ?", [since])
        rows = self._database.rows(
            "SELECT coalesce(person, 0) AS who, count(DISTINCT photo) AS shown, count(*), NOT EXISTS"
            " (SELECT 1 FROM assignments AS earlier WHERE earlier.person = assignments.person AND earlier.face <= ?1)"
            " FROM faces JOIN photos ON photos.id = photo LEFT JOIN assignments ON assignments.face = faces.id"
            f" WHERE faces.id > ?1 AND missing_since IS NULL{dated} GROUP BY who ORDER BY shown DESC, who",
            after, *days,
        )  # fmt: skip
        return [(who, photos, faces, bool(new) and who > 0) for who, photos, faces, new in rows]

    def bookmark(self, name: str) -> int:
        """Return the last face that a reader of news has seen, 0 before the first time."""
        rows = self._database.typed(_BOOKMARK, f"SELECT {_BOOKMARK.sql} FROM bookmarks WHERE name = ?", name)
        return int(rows[0][1]) if rows else 0

    def set_bookmark(self, name: str, face: int, when: int) -> None:
        """Store the last face that a reader of news has seen."""
        self._database.run("INSERT OR REPLACE INTO bookmarks (name, face, read_at) VALUES (?, ?, ?)", name, face, when)

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
