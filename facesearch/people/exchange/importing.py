"""Say in this index what another index, or this one before, wrote to a file of statements.

Everything that is new becomes one action, which is undone as a whole; nothing is said twice. Faces are found by the
content of their photo and their box, or by those that the file says they have since an edit. A face that is not here
yet is kept in the statement, so that it comes back with its photo. People keep their ids outside the catalog; groups of
this index that are mostly one of them become that person, and keep their numbers.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facesearch.catalog.carried import Trail
from facesearch.catalog.exchange import PlacedFace
from facesearch.catalog.statements import StatementRow
from facesearch.people.exchange.document import Document, Spoken, ToldRow
from facesearch.people.exchange.same import Digest, digests_of
from facesearch.people.names import people_called
from facesearch.people.saying import current_user, deriving, place_faces
from facesearch.people.statements import Kind, everything_said, undone_by
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.catalog.catalog import Catalog

__all__ = ["Imported", "say_document"]

_NEW = 0
_MOST = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did. `action` is its number, None if nothing new was said.

    `statements` were said, and `known` had been before. They are about `people`, and about `faces` of this index;
    `missing` faces are not in it yet. `contradicted` faces or people are left as the user said, `doubtful` photos were
    left out, `failed` ones could not be read, and `remarks` are lines about some of them. `refused` lines, folders or
    statements were left out, because something in them is not valid, such as a name.
    """

    action: int | None = None
    statements: int = 0
    known: int = 0
    people: int = 0
    faces: int = 0
    missing: int = 0
    contradicted: int = 0
    doubtful: int = 0
    failed: int = 0
    refused: int = 0
    remarks: tuple[str, ...] = ()


def say_document(catalog: Catalog, document: Document, *, name: str, restoring: bool = False) -> Imported:
    """Say everything in a document that is not known, in the transaction in progress; `name` is that of its file.

    The origin of each statement is `json`. For a restore it is kept, and what was taken back in this index alone counts
    again.
    """
    wanted = {place for told in document.statements for place in told.faces if place.content is not None}
    wanted |= {place for one in document.people for place in one.members}
    trail = Trail(document.carries)
    later = {place: trail.after(place) for place in wanted}
    found = catalog.exchange.find([*wanted, *(place for places in later.values() for place in places)])
    here = {
        place: sorted(faces)
        for place in wanted
        if (faces := {face for one in (place, *later[place]) for face in found.get(one, ())})
    }
    people = _People(catalog, document, here)
    people.meet()
    log = _Log(catalog, document, found, people.numbers, name=name, restoring=restoring)
    with deriving(catalog):
        log.say(people.same)
    place_faces(catalog, everything_said(catalog), sorted(people.moved))
    of_statements = {place for told in log.said for place in told.faces if place.content is not None}
    return Imported(
        action=log.action,
        statements=len(log.said),
        known=log.known,
        people=len({one for told in log.said for one in (told.person, told.other) if one is not None}),
        faces=len({face for place in of_statements for face in here.get(place, ())}),
        missing=sum(place not in here for place in of_statements),
        contradicted=len(people.remarks),
        refused=len(document.refused),
        remarks=tuple(people.remarks),
    )


class _People:
    """The people of a document: `numbers` are those that they have here, `moved` faces belong to others now.

    `same` are pairs of people who are one: known here already, and called the same.
    """

    def __init__(self, catalog: Catalog, document: Document, here: Mapping[PlacedFace, list[int]]) -> None:
        self._catalog = catalog
        self._document = document
        self.numbers = dict(catalog.statements.identities())
        self.same: list[tuple[int, int]] = []
        self.moved: set[int] = set()
        self.remarks: list[str] = []
        self._is_whole = bool(document.people)
        self._spoken = self._of_document()
        self._faces = {
            one.uid: sorted({f for place in one.members for f in here.get(place, ())}) for one in self._spoken
        }
        self._group = catalog.people.grouped(sorted({face for faces in self._faces.values() for face in faces}))

    def meet(self) -> None:
        """Find out who everybody is here, and give them the faces that grouping there took for them."""
        known = set(self.numbers.values())
        known |= {number for number in map(self._catalog.people.current, known) if number is not None}
        new = [one for one in self._spoken if one.uid not in self.numbers]
        takes = self._takes(known)
        for one in new:
            if one.into is None:
                self._introduce(one, takes, known)
        for one in new:
            if one.into is not None:
                number = self._catalog.people.add()
                self._name(one.uid, number)
                if one.into in self.numbers:
                    self._catalog.people.merge(number, self.numbers[one.into])
        for one in self._spoken:
            if one.into is None:
                self._gather(one, takes, known)

    def _of_document(self) -> list[Spoken]:
        """Return everybody spoken of; in the file of an index itself, with the faces that they had when named."""
        listed = {one.uid: one for one in self._document.people}
        members: dict[str, tuple[PlacedFace, ...]] = {}
        for told in self._document.statements:
            for uid in (told.person, told.other):
                if uid is not None:
                    members.setdefault(uid, ())
            if told.kind == Kind.name and told.person is not None and told.faces:
                members[told.person] = told.faces
        whole = {uid for uid, one in listed.items() if one.into is None}
        people = [one if one.into is None or one.into in whole else Spoken(one.uid) for one in listed.values()]
        return people + [Spoken(uid, faces) for uid, faces in members.items() if uid not in listed]

    def _takes(self, known: set[int]) -> dict[str, int]:
        """Return the group of this index that each person takes over: one that mostly shows this person, each once."""
        shared = Counter(
            (uid, self._group[face]) for uid, faces in self._faces.items() for face in faces if self._group.get(face)
        )
        sizes = Counter(self._catalog.people.grouped(self._catalog.people.faces_grouped_as(
            sorted({group for _, group in shared})
        )).values())  # fmt: skip
        takes: dict[str, int] = {}
        for (uid, group), count in sorted(shared.items(), key=lambda item: (-item[1], item[0])):
            free = group not in known and group not in takes.values()
            if uid not in takes and free and count > _MOST * sizes[group]:
                takes[uid] = group
        return takes

    def _introduce(self, one: Spoken, takes: Mapping[str, int], known: set[int]) -> None:
        """Give somebody a number, and note if it is somebody whom the user knows here already."""
        faces = self._faces[one.uid]
        number = takes[one.uid] if one.uid in takes else self._catalog.people.add()
        self._name(one.uid, number)
        assigned = Counter(self._group[face] for face in faces if self._group.get(face) in known)
        here, count = max(assigned.items(), key=lambda item: (item[1], -item[0]), default=(0, 0))
        if here and count > _MOST * len(faces):
            self._compare(one.uid, number, self._catalog.people.current(here) or here)

    def _compare(self, uid: str, number: int, here: int) -> None:
        """Join somebody with a person of this index who has the same faces, unless they are called differently."""
        profiles = self._catalog.people.profiles()
        mine = profiles[here].names if here in profiles else ()
        theirs = [told.value for told in self._document.statements if told.person == uid and told.kind == Kind.name]
        name = theirs[-1] if theirs else None
        if not mine or name is None or people_called({here: profiles[here]}, name):
            self.same.append((here, number))
        else:
            self.remarks.append(f"{name}: most of these faces are {mine[0]} here, and stay that")

    def _gather(self, one: Spoken, takes: Mapping[str, int], known: set[int]) -> None:
        """Let grouping take the faces of somebody for that person, unless it takes them for somebody known here."""
        people, number = self._catalog.people, self.numbers[one.uid]
        number = dict(people.merged()).get(number, number)
        group, listed = takes.get(one.uid), set(self._faces[one.uid])
        if group is not None:
            shown = people.grouped(people.faces_grouped_as([group]))
            left = [face for face, by in shown.items() if by == group and face not in listed]
            if group != number:
                people.merge(group, number)
            if self._is_whole:  # who is somebody else there, or not there at all, is grouped again
                people.unassign(left)
                people.overrule((face, None) for face in left)
                self.moved.update(left)
        others = set() if self._is_whole else set(takes.values()) - {group}
        mine = [face for face in sorted(listed) if self._group[face] not in {number, *known, *others}]
        people.agree(mine)
        people.assign((face, number, None) for face in mine)
        self.moved.update(mine)

    def _name(self, uid: str, number: int) -> None:
        self._catalog.exchange.set_identity(number, uid)
        self.numbers[uid] = number


class _Log:
    """Appends the statements of a document that are not known: `said` are those, `known` is the number of others."""

    def __init__(
        self,
        catalog: Catalog,
        document: Document,
        here: Mapping[PlacedFace, list[int]],
        numbers: Mapping[str, int],
        *,
        name: str,
        restoring: bool,
    ) -> None:
        self._catalog = catalog
        self._document = document
        self._here = here
        self._numbers = numbers
        self._file = name
        self._restoring = restoring
        self.action: int | None = None
        self.said: list[ToldRow] = []
        self.known = 0

    def say(self, same: Sequence[tuple[int, int]]) -> None:
        """Append what is new; `same` are pairs of people who are one."""
        own = _own_log(self._catalog)
        mine, theirs = digests_of(own), digests_of(self._document.statements)
        ids = {digest.own: told.id for told in own for digest in mine[told.id]}
        again = self._taken_back(own, mine, theirs, ids) if self._restoring else {}
        for told in self._document.statements:
            new = [one for one in theirs[told.id] if one.own not in ids and told.kind != Kind.imported]
            undoings: dict[int, int] = {}
            for digest in new:
                if digest.undone is None:
                    ids[digest.own] = self._add(told)
                elif digest.undone in ids:
                    target = ids[digest.undone]
                    undoings[target] = undoings.get(target) or self._add(told, undoes=target)
                    ids[digest.own] = undoings[target]
            if told.id in again or any(digest.own in ids for digest in new):
                self.said.append(told)
            else:
                self.known += told.kind != Kind.imported
        for undoing in sorted(set(again.values())):
            self._append("json", int(time.time()), current_user(), Kind.undo, None, None, undoes=undoing)
        for one, other in same:
            self._append("json", int(time.time()), current_user(), Kind.one, one, other)
        self._carry(
            {told.id: [ids[one.own] for one in theirs[told.id] if one.own in ids] for told in self._document.statements}
        )

    def _taken_back(
        self,
        own: Sequence[ToldRow],
        mine: Mapping[int, Sequence[Digest]],
        theirs: Mapping[int, Sequence[Digest]],
        ids: Mapping[bytes, int],
    ) -> dict[int, int]:
        """Return the statements of the document that count there, but were taken back here; each with the undoing.

        An undoing that the document has, too, is left to what the document says of it.
        """
        here, there = undone_by(own), undone_by(self._document.statements)
        known = {digest.own for digests in theirs.values() for digest in digests}
        found = {}
        for told in self._document.statements:
            if told.kind == Kind.undo or told.id in there:
                continue
            for one in (digest.own for digest in theirs[told.id]):
                undoing = here.get(ids.get(one, 0))
                if undoing is not None and not any(two.undone == one and two.own in known for two in mine[undoing]):
                    found[told.id] = undoing
        return found

    def _carry(self, here: Mapping[int, Sequence[int]]) -> None:
        """Note where faces are since their photos were edited; `here` are the ids of statements, by those there."""
        last, until = 0, {}
        for told, ids in sorted(here.items()):
            last = until[told] = max([last, *ids])
        known = sorted(until)
        for carry in self._document.carries:
            place = bisect_right(known, carry.until)
            if place and until[known[place - 1]]:
                self._catalog.carried.add(carry.old, carry.new, until[known[place - 1]])

    def _add(self, told: ToldRow, undoes: int | None = None) -> int:
        person, other = (None if uid is None else self._numbers[uid] for uid in (told.person, told.other))
        number = self._append(
            told.origin if self._restoring else "json", told.said_at, told.author, told.kind, person, other,
            told.value, undoes,
        )  # fmt: skip
        self._catalog.exchange.add_faces(
            number, [(place, self._here.get(place, [None])[0]) for place in told.faces if place.content is not None]
        )
        return number

    def _append(
        self, origin: str, said_at: int, author: str, kind: str, person: int | None, other: int | None,
        value: str | None = None, undoes: int | None = None,
    ) -> int:  # fmt: skip
        if self.action is None:
            about = counted(len(self._document.statements), "statement")
            self.action = self._catalog.statements.add(
                StatementRow(
                    _NEW, int(time.time()), current_user(), "json", Kind.imported, None, None,
                    f"{self._file} ({about})", None, None,
                )
            )  # fmt: skip
        return self._catalog.statements.add(
            StatementRow(_NEW, said_at, author, origin, kind, person, other, value, self.action, undoes)
        )


def _own_log(catalog: Catalog) -> list[ToldRow]:
    """Return the statements of this index as they would be in a file."""
    uids = {person: uid for uid, person in catalog.statements.identities().items()}
    faces = catalog.exchange.said_faces()
    return [
        ToldRow(
            row.id, row.said_at, row.author, row.origin, row.kind,
            None if row.person is None else uids.get(row.person, ""),
            None if row.other is None else uids.get(row.other, ""),
            row.value, row.batch, row.undoes, tuple(faces.get(row.id, ())),
        )
        for row in catalog.statements.all()
    ]  # fmt: skip
