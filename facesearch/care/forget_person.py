"""Forget a person: every face that could be this person, everything that was said, and nothing left to be found.

What is deleted goes in one transaction, and nothing of it stays in the files of the index (see `index.erasing`). Then
it is searched for once more. The receipt says what was removed, what stays on purpose, and what this cannot reach.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from facesearch.care.forget import Forgetting
from facesearch.catalog.columns import MOST_COUNTED
from facesearch.catalog.records import Grouped
from facesearch.errors import Hint, UsageError
from facesearch.people.names import person_of
from facesearch.people.statements import GROUPING, Kind, everything_said
from facesearch.people.sweeping import Reach, still_like, sweep
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.index.store import Store
    from facesearch.types import FaceRecord, FloatArray

__all__ = ["Forgotten", "forget_person", "to_forget_person"]

_AT_ONCE = 500
_SAME = 0.9999
_SHOWN_BY = (Kind.belongs, Kind.name, Kind.cover, Kind.face)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forgotten:
    """What was removed, and what a search found afterwards.

    `left` are faces that could still be the person and that nobody has decided to keep; `similar` is the number of all
    similar faces that are left, and `nearest` the highest similarity of a face that is left to one that was removed,
    without spared ones. `unmarked` are removed faces in photos whose content the index does not know: they may come
    back. `template` is the id of the embedding that keeps the person out.
    """

    when: int
    faces: int
    vectors: int
    statements: int
    marks: int
    left: tuple[FaceRecord, ...]
    similar: int
    nearest: float | None
    unmarked: tuple[FaceRecord, ...] = ()
    template: int | None = None


def to_forget_person(
    store: Store,
    who: int | str,
    *,
    reach: Reach = "similar",
    spare: Sequence[int] = (),
    never_again: bool = False,
    until: int | None = None,
    check: Callable[[], object] = lambda: None,
) -> Forgetting:
    """Select the faces that could be a person, without those to `spare`, by their ids, and without copies of these.

    With `never_again` later runs leave the person out, `until` a moment in seconds since 1970. Raises `InputError` for
    somebody who is not known, `UsageError` for a face to spare that would not be deleted.
    """
    person = person_of(store.catalog, who, str(store.path))
    found = sweep(store, person, reach=reach, check=check)
    swept = {one.face.face_id for one in found.faces}
    for face in spare:
        if face not in swept:
            raise UsageError(f"spare {face}: not among the faces that would be deleted", Hint.SPARE, option="spare")
    kept = {copy for face in spare for copy, _ in store.catalog.faces.copies(face)}
    if never_again and found.likeness is None:
        raise UsageError(f"{who!s:.60}: no face with an embedding by which later runs could know this person")
    going = tuple(one for one in found.faces if one.face.face_id not in kept)
    others = len(going) - sum(one.own for one in going)
    called = f"{found.names[0]} (#{person})" if found.names else f"#{person}"
    similar = f", {counted(others, 'of them only similar', 'of them only similar')}" if others else ""
    photos = counted(len({one.face.photo_id for one in going}), "photo")
    return Forgetting(
        what=f"{called}: {counted(len(going), 'face')} in {photos}{similar}, and everything said about this person",
        never_again=never_again, sweep=found, going=going,
        spared=tuple(one for one in found.faces if one.face.face_id in kept), until=until,
    )  # fmt: skip


def forget_person(store: Store, forgetting: Forgetting) -> Forgotten:
    """Remove what was selected for good, in one transaction, and search for it again."""
    found = forgetting.sweep
    assert found is not None
    catalog, now = store.catalog, int(time.time())
    ids = [one.face.face_id for one in forgetting.going]
    vectors = catalog.vectors.get([one.face.vector_id for one in forgetting.going], store.model.dim)
    people = catalog.forgetting.numbers_of(found.person)
    counts = catalog.forgetting.counts()
    kept: list[int] = []
    absent: list[int] = []

    def keep_out() -> None:
        if forgetting.never_again and found.likeness is not None and forgetting.until is not None:
            likeness = found.likeness
            kept.append(catalog.kept_out.add(likeness.mean, likeness.faces, now, forgetting.until))

    def mark_absent() -> None:
        absent.append(catalog.forgetting.mark_absent_faces(people, _SHOWN_BY))

    deletions: list[Callable[[], object]] = [keep_out, mark_absent]
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        deletions.append(partial(catalog.forgetting.forget_what_was_said_of_faces, part))
        deletions += [partial(catalog.faces.delete, face) for face in part]
    deletions.append(partial(_forget_people, store, people))
    store.erase(deletions)
    faces, embeddings, statements, marks = (
        abs(before - after) for before, after in zip(counts, catalog.forgetting.counts(), strict=True)
    )
    spared = {one.face.face_id for one in forgetting.spared}
    left = [] if found.likeness is None else still_like(store, found.likeness)
    known = {*spared, *found.fit_others, *found.said_otherwise}
    return Forgotten(
        when=now, faces=faces, vectors=embeddings, statements=statements, marks=marks,
        left=tuple(face for face in left if face.face_id not in known), similar=len(left),
        nearest=_nearest(store, vectors, spared),
        unmarked=tuple(one.face for one in forgetting.going if one.face.content is None),
        template=kept[-1] if kept else None,
    )  # fmt: skip


def _forget_people(store: Store, people: Sequence[int]) -> None:
    """Delete people with everything that was said about them, and derive again what follows for others."""
    catalog = store.catalog
    grouped = catalog.meta.grouped()
    up_to_date = grouped is not None and grouped.statements == catalog.statements.last_id(GROUPING)
    spared = bool(catalog.forgetting.faces_of(people))
    catalog.forgetting.forget_people(people)
    catalog.people.set_profiles(everything_said(catalog).profiles)
    if grouped is not None:  # with faces that belong to nobody now, the next run groups again
        last = catalog.statements.last_id(GROUPING) if up_to_date and not spared else MOST_COUNTED
        catalog.meta.set_grouped(Grouped(grouped.vectors, last, catalog.people.count()))


def _nearest(store: Store, vectors: FloatArray, spared: set[int]) -> float | None:
    """Return the highest similarity of a face that is left to one of these vectors, float32[n, dim]."""
    best: float | None = None
    for start in range(0, len(vectors), _AT_ONCE):
        part = vectors[start : start + _AT_ONCE]
        if not len(store):
            return None
        scores, ids = store.search(part, min(len(store), len(spared) + 1))
        faces = {
            row.vector: row.face for row in store.catalog.people.face_rows_of(sorted({*ids.ravel().tolist()} - {-1}))
        }
        for score, key in zip(scores.ravel().tolist(), ids.ravel().tolist(), strict=True):
            if key >= 0 and faces.get(key) not in spared:
                best = score if best is None else max(best, score)
    return best
