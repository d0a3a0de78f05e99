"""Bring the people of an index up to date: group its new faces, or all faces again, and store who is who.

What is computed is written in one transaction: a run that is killed has changed nothing. Statements may be made
meanwhile; then it is computed again. Numbers of people stay: a group that grows keeps its number, of two groups that
turn out to be one the larger keeps it, and a group found again from scratch gets the number that most of its faces had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from facesearch.calibration.storage import calibration_of
from facesearch.catalog.people import FaceRow
from facesearch.catalog.records import Grouped
from facesearch.errors import Hint, LockedError
from facesearch.people.apart import COPY, NEVER, Apart
from facesearch.people.grouping import EDGE_FMR, NEIGHBOURS, FaceSet, group_faces
from facesearch.people.saying import place_faces
from facesearch.people.statements import GROUPING, Said, everything_said, faces_of_names
from facesearch.people.strangers import Strangers

if TYPE_CHECKING:
    from facesearch.calibration.table import Calibration
    from facesearch.index.store import Store
    from facesearch.types import FloatArray, IdArray

__all__ = ["POOR", "Grouping", "is_up_to_date", "regroup"]

POOR = 0.2
"""The quality below which a face links no others: such faces have a mean similarity of 0.39 to their person."""

_LARGE = 20_000
_FEW = 1_000
_SAMPLE = 20_000
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """What grouping did, or would do.

    The index has `faces` faces, of which `grouped` belong to one of `people` people. `new` of them were not known
    before, and `merged` known ones became part of others. `joined` faces belong to somebody who were alone before,
    `moved` belong to somebody else, `left` are alone now. `again` is set if all faces were grouped from scratch.
    """

    people: int
    faces: int
    grouped: int
    new: int = 0
    merged: int = 0
    joined: int = 0
    moved: int = 0
    left: int = 0
    again: bool = False

    @property
    def changed(self) -> bool:
        """Whether anything changed."""
        return bool(self.new or self.merged or self.joined or self.moved or self.left)


@dataclass(slots=True)
class _Plan:
    """Who is to be who: the person and the statement of faces, by face id; a new person has a number below zero."""

    assign: dict[int, tuple[int, int]] = field(default_factory=dict)
    unassign: list[int] = field(default_factory=list)
    merge: list[tuple[int, int]] = field(default_factory=list)
    new: int = 0
    joined: int = 0
    moved: int = 0
    people: int | None = None
    """The number of people afterwards, if all faces were read."""


def is_up_to_date(store: Store) -> bool:
    """Whether there is nothing to group: no new face, and no new statement."""
    grouped = store.catalog.meta.grouped()
    if grouped is None or grouped.statements != store.catalog.statements.last_id(GROUPING):
        return False
    return grouped.vectors >= store.catalog.vectors.last_id()


def regroup(
    store: Store,
    *,
    again: bool = False,
    dry_run: bool = False,
    calibration: Calibration | None = None,
    check: Callable[[], object] = lambda: None,
) -> Grouping:
    """Group the faces of an index that are new since the last time, or all of them from scratch with `again`.

    With `dry_run` nothing is written. `calibration` is by default that of the index's model. `check` is called again
    and again and may raise an error, for example to cancel; then nothing is changed. Raises `LockedError` if statements
    are made faster than faces are grouped.
    """
    catalog, known = store.catalog, calibration or calibration_of(store.model)
    if not again and is_up_to_date(store):
        return _told(store, _Plan(), again=False)
    for _ in range(_ATTEMPTS):
        statements, last = catalog.statements.last_id(GROUPING), catalog.vectors.last_id()
        said = everything_said(catalog)
        plan = _planned(store, known, said, again=again, check=check)
        check()
        if dry_run:
            return _told(store, plan, again=again, pending=True)
        with catalog.transaction():
            if catalog.statements.last_id(GROUPING) != statements:
                continue
            _write(store, plan, said)
            catalog.meta.set_grouped(Grouped(last, statements, catalog.people.count()))
        return _told(store, plan, again=again)
    raise LockedError(f"{store.path}: somebody is naming people at this moment", Hint.WAIT)


def _planned(store: Store, calibration: Calibration, said: Said, *, again: bool, check: Callable[[], object]) -> _Plan:
    catalog = store.catalog
    grouped, total = catalog.meta.grouped(), catalog.vectors.count()
    after = 0 if grouped is None else grouped.vectors
    strangers = None
    rows, vectors = None, None
    if grouped is not None and not again and grouped.statements == catalog.statements.last_id(GROUPING):
        new = catalog.people.new_vectors(after)
        if not len(new):
            return _Plan()
        if total > _LARGE and len(new) * _FEW <= total:
            rows, vectors = _around(store, new, calibration)
            strangers = _sampled_strangers(store, calibration, total)
    if rows is None or vectors is None:
        rows, vectors = _all(store)
    check()
    faces = _face_set(rows, vectors, said, faces_of_names(catalog, said), after=after, again=again)
    labels = group_faces(
        faces, calibration, strangers=strangers, said=_said_apart(rows, faces.people, said), check=check
    )
    plan = _plan_of(rows, faces, labels, said, again=again)
    if len(rows) < total:
        plan.people = None
    return plan


def _all(store: Store) -> tuple[list[FaceRow], FloatArray]:
    """Return all faces with vectors and their vectors, float32[n, dim]."""
    parts = list(store.catalog.vectors.after(0, store.model.dim))
    if not parts:
        return [], np.zeros((0, store.model.dim), dtype=np.float32)
    ids, vectors = (np.concatenate(column) for column in zip(*parts, strict=True))
    known = set(ids.tolist())
    # A damaged catalog has vectors without a photo, and a reader may see a commit between the two reads.
    rows = [row for part in store.catalog.people.face_rows() for row in part if row.vector in known]
    place = np.searchsorted(ids, [row.vector for row in rows])
    return rows, vectors if len(place) == len(ids) else vectors[place]


def _around(store: Store, new: IdArray, calibration: Calibration) -> tuple[list[FaceRow], FloatArray]:
    """Return new faces with everything that they may belong to: their neighbours, and the people of these.

    The other faces of their photos, and of photos that they may be copies of, tell who cannot be one person.
    """
    people = store.catalog.people
    scores, ids = store.search(store.catalog.vectors.get(new.tolist(), store.model.dim), NEIGHBOURS + 1)
    near = np.unique(ids[(ids >= 0) & (scores >= calibration.similarity_at(EDGE_FMR))])
    shown = np.unique(np.concatenate([new, ids[(ids >= 0) & (scores >= COPY)]]))
    near = np.union1d(near, np.array(people.vectors_beside(shown.tolist()), dtype=np.int64))
    known = {row.person for row in people.face_rows_of(near.tolist()) if row.person}
    wanted = np.unique(np.concatenate([new, near, np.array(people.vectors_of(sorted(known)), dtype=np.int64)]))
    rows = people.face_rows_of(wanted.tolist())
    return rows, store.catalog.vectors.get([row.vector for row in rows], store.model.dim)


def _sampled_strangers(store: Store, calibration: Calibration, total: int) -> Strangers:
    """Measure strangers among a random sample of the index, always the same one."""
    people, last = store.catalog.people, store.catalog.vectors.last_id()
    size = min(last, _SAMPLE * max(1, round(last / total)))
    chosen = np.sort(np.random.default_rng(0).choice(last, size, replace=False)) + 1
    rows = people.face_rows_of(chosen.tolist())
    vectors = store.catalog.vectors.get([row.vector for row in rows], store.model.dim)
    groups = np.array([row.person or -row.vector for row in rows], dtype=np.int64)
    return Strangers.among(vectors, groups, people.count() + total - people.count_faces(), calibration)


def _face_set(
    rows: Sequence[FaceRow], vectors: FloatArray, said: Said, named: Mapping[int, int], *, after: int, again: bool
) -> FaceSet:
    """Return the faces to group; `named` are faces that people had when they were named."""
    people = np.zeros(len(rows), dtype=np.int64)
    placed, pinned = (np.zeros(len(rows), dtype=np.bool_) for _ in range(2))
    known_people = said.known
    new = np.zeros(len(rows), dtype=np.bool_)
    for number, row in enumerate(rows):
        if row.face in said.placed:
            people[number], placed[number], pinned[number] = said.placed[row.face][0], True, True
            continue
        known = said.current(row.person) if row.person and not row.statement else 0
        if not known and not row.overruled and row.vector > after:  # it may have been deleted, and come back
            known = named.get(row.face, 0)
        if known and (row.face, known) not in said.barred and (not again or known in known_people):
            people[number], pinned[number] = known, known in known_people
        new[number] = people[number] == 0 and (again or row.vector > after or row.person != 0 or row.overruled != 0)
    contents = [-row.photo if row.content is None else int.from_bytes(row.content[:7], "big") for row in rows]
    poor = [row.quality is not None and row.quality < POOR for row in rows]
    return FaceSet(
        vectors, np.array(contents, dtype=np.int64), people, placed, pinned, np.array(poor, dtype=np.bool_), new
    )


def _said_apart(rows: Sequence[FaceRow], people: IdArray, said: Said) -> Apart:
    """Return the pairs of rows that the user has said to be two people."""
    if not said.barred and not said.apart:
        return Apart.none()
    first: dict[int, int] = {}
    for number, person in enumerate(people.tolist()):
        if person:
            first.setdefault(person, number)
    place = {row.face: number for number, row in enumerate(rows)}
    pairs = [(place.get(face), first.get(person)) for face, person in sorted(said.barred)]
    pairs += [(first.get(one), first.get(other)) for one, other in sorted(said.apart)]
    found = [(one, other) for one, other in pairs if one is not None and other is not None]
    ones, others = np.array(found, dtype=np.int64).reshape(-1, 2).T
    return Apart(ones, others, np.full(len(found), NEVER))


def _plan_of(rows: Sequence[FaceRow], faces: FaceSet, labels: IdArray, said: Said, *, again: bool) -> _Plan:
    """Decide which person each group is, and what changes."""
    plan, after = _Plan(), set()
    before = np.array([said.current(row.person) if row.person else 0 for row in rows], dtype=np.int64)
    numbers = _known_numbers(faces, labels, plan)
    if again:
        numbers |= _found_again(before, labels, numbers)
    split_off = np.bincount(labels[labels >= 0], minlength=1) == 1
    for label in np.unique(labels[labels >= 0]).tolist():
        if label not in numbers and not split_off[label]:
            plan.new += 1
            numbers[label] = -plan.new
    for row, label, was in zip(rows, labels.tolist(), before.tolist(), strict=True):
        person, statement = numbers.get(label, 0), 0
        if row.face in said.placed:
            person, statement = said.placed[row.face]
        elif (row.face, person) in said.barred:
            person = 0
        after.add(person)
        if not person:
            if row.person:
                plan.unassign.append(row.face)
        elif (person, statement) != (row.person, row.statement):
            plan.assign[row.face] = person, statement
            plan.joined += not was
            plan.moved += bool(was) and was != person
    gone = set(before[before > 0].tolist()) - set(faces.people.tolist()) - set(numbers.values())
    if again:
        plan.merge += sorted(_whereabouts(gone, before, labels, numbers))
    plan.people = len(after - {0})
    return plan


def _known_numbers(faces: FaceSet, labels: IdArray, plan: _Plan) -> dict[int, int]:
    """Return the person of each group that has known faces: the one the user named, or who has the most faces.

    A person is where most of the known faces are; the others were taken out of the group, and are nobody's now.
    """
    known = np.flatnonzero((faces.people > 0) & (labels >= 0))
    keys, counts = np.unique(np.stack([labels[known], faces.people[known]], axis=1), axis=0, return_counts=True)
    named = set(faces.people[faces.pinned].tolist())
    home: dict[int, tuple[int, int]] = {}
    for (label, person), count in zip(keys.tolist(), counts.tolist(), strict=True):
        home[person] = max(home.get(person, (0, 0)), (count, -label))
    at_home = np.array([home[person][1] == -label for label, person in keys.tolist()], dtype=np.bool_)
    keys, counts = keys[at_home], counts[at_home]
    best: dict[int, tuple[bool, int, int]] = {}
    for (label, person), count in zip(keys.tolist(), counts.tolist(), strict=True):
        best[label] = max(best.get(label, (False, 0, 0)), (person in named, count, -person))
    numbers = {label: -person for label, (_, _, person) in best.items()}
    plan.merge += [(person, numbers[label]) for label, person in keys.tolist() if person != numbers[label]]
    return numbers


def _found_again(before: IdArray, labels: IdArray, numbers: dict[int, int]) -> dict[int, int]:
    """Return the earlier number of groups found from scratch: of the group that shares most faces, each once."""
    known = np.flatnonzero((before > 0) & (labels >= 0))
    keys, counts = np.unique(np.stack([labels[known], before[known]], axis=1), axis=0, return_counts=True)
    taken = set(numbers.values())
    found: dict[int, int] = {}
    for place in np.lexsort((keys[:, 0], keys[:, 1], -counts)).tolist():
        label, person = keys[place].tolist()
        if label not in numbers and label not in found and person not in taken:
            found[label] = person
            taken.add(person)
    return found


def _whereabouts(
    gone: Iterable[int], before: IdArray, labels: IdArray, numbers: dict[int, int]
) -> list[tuple[int, int]]:
    """Return for people who have no faces any more the person who has most of them now."""
    found = []
    for person in gone:
        now = labels[(before == person) & (labels >= 0)]
        if len(now):
            groups, counts = np.unique(now, return_counts=True)
            found.append((person, numbers[int(groups[np.argmax(counts)])]))
    return found


def _write(store: Store, plan: _Plan, said: Said) -> None:
    people = store.catalog.people
    made = {-number: people.add() for number in range(1, plan.new + 1)}
    for person, into in plan.merge:
        people.merge(person, made.get(into, into))
    people.unassign(plan.unassign)
    people.agree(plan.unassign)
    found = sorted((face, made.get(person, person), statement) for face, (person, statement) in plan.assign.items())
    people.agree(face for face, _, statement in found if not statement)
    people.assign((face, person, None) for face, person, statement in found if not statement)
    place_faces(store.catalog, said, [face for face, _, statement in found if statement])


def _people_after(plan: _Plan, now: int) -> int:
    return now + plan.new - len(plan.merge) if plan.people is None else plan.people


def _told(store: Store, plan: _Plan, *, again: bool, pending: bool = False) -> Grouping:
    people = store.catalog.people
    return Grouping(
        people=_people_after(plan, people.count()) if pending else people.count(),
        faces=store.catalog.photos.counts().faces,
        grouped=people.count_faces() + (plan.joined - len(plan.unassign) if pending else 0),
        new=plan.new,
        merged=len(plan.merge),
        joined=plan.joined,
        moved=plan.moved,
        left=len(plan.unassign),
        again=again,
    )
