"""Everything that an index holds about one person, for that person to see."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from facesearch.catalog.people import Profile
from facesearch.indexing.leaving_out import strict_similarity
from facesearch.models.geometry import unit_length
from facesearch.people.names import person_of
from facesearch.people.statements import Kind, undone_by

if TYPE_CHECKING:
    from facesearch.calibration.table import Calibration
    from facesearch.catalog.kept_out import Template
    from facesearch.index.store import Store
    from facesearch.types import FaceRecord, FloatArray, PhotoFacts

__all__ = ["HeldFace", "HeldStatement", "PersonReport", "person_report"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldFace:
    """A face of the person. `similarity` is that to the mean of the person's other faces, None if it is the only one.

    `facts` are those of the photo, which is `hidden` if its file is missing. `beside` are the people of the other faces
    in it, by number, None for somebody who is not known. `statement` is the number of the one that says who it is.
    """

    face: FaceRecord
    facts: PhotoFacts
    hidden: bool
    similarity: float | None
    beside: tuple[int | None, ...]
    statement: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldStatement:
    """A statement about the person or about its faces. Other people have a number only.

    `faces` are the ids of the person's faces that it is about, and `of_faces` the number of all. `undone_by` is the
    statement that takes it back.
    """

    number: int
    said_at: int
    author: str
    origin: str
    kind: str
    person: int | None
    other: int | None
    value: str | None
    faces: tuple[int, ...]
    of_faces: int
    undone_by: int | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PersonReport:
    """All that is held about a person.

    `numbers` are all numbers that stand for it, and `uid` is its id outside this index, None if it has none. `vectors`
    is float32[n, dim], one row per face, zeros for a face without an embedding. `templates` keep somebody out of the
    index who looks like this person. `galleries` are the shared galleries that may hold copies.
    """

    index: str
    made_at: int
    model: str
    person: int
    numbers: tuple[int, ...]
    uid: str | None
    profile: Profile
    faces: tuple[HeldFace, ...]
    statements: tuple[HeldStatement, ...]
    templates: tuple[Template, ...]
    galleries: tuple[str, ...]
    vectors: FloatArray


def person_report(store: Store, who: int | str, calibration: Calibration) -> PersonReport:
    """Return all that is held about a person. Raises what `person_of` raises."""
    catalog = store.catalog
    catalog.view()
    person = person_of(catalog, who, str(store.path))
    numbers = catalog.forgetting.numbers_of(person)
    records = [record for _, record in sorted(catalog.faces.held(catalog.forgetting.faces_of([person])).items())]
    vectors = catalog.vectors.get([record.vector_id for record in records], store.model.dim)
    uids = {number: uid for uid, number in catalog.statements.identities().items()}
    return PersonReport(
        index=str(store.path), made_at=int(time.time()), model=f"{store.model.name} (revision {store.model.revision})",
        person=person, numbers=tuple(numbers), uid=uids.get(person),
        profile=catalog.people.profiles().get(person, Profile()), faces=_faces(store, person, records, vectors),
        statements=_statements(store, set(numbers), {record.face_id for record in records}),
        templates=_templates(store, vectors, calibration),
        galleries=tuple(known.name for known in catalog.changes.galleries()), vectors=vectors,
    )  # fmt: skip


def _faces(store: Store, person: int, records: list[FaceRecord], vectors: FloatArray) -> tuple[HeldFace, ...]:
    catalog = store.catalog
    photos = sorted({record.photo_id for record in records})
    hidden, beside = catalog.forgetting.hidden(photos), catalog.forgetting.people_in(photos)
    facts = {photo: catalog.photos.facts_of(photo) for photo in photos}
    placed = catalog.forgetting.placed([record.face_id for record in records])
    rest = vectors.sum(axis=0) - vectors if len(records) else vectors
    lengths = np.linalg.norm(rest, axis=1)
    found = []
    for record, vector, others, length in zip(records, vectors, rest, lengths.tolist(), strict=True):
        known = record.vector_id > 0 and length > 1e-3
        shown = [other for face, other in beside.get(record.photo_id, []) if face != record.face_id]
        found.append(
            HeldFace(
                face=record, facts=facts[record.photo_id], hidden=record.photo_id in hidden,
                similarity=min(1.0, float(vector @ others) / length) if known else None,
                beside=tuple(shown), statement=placed.get(record.face_id),
            )
        )  # fmt: skip
    return tuple(found)


def _statements(store: Store, numbers: set[int], own: set[int]) -> tuple[HeldStatement, ...]:
    statements = store.catalog.statements
    rows, counts = statements.all(), statements.face_counts()
    undone = undone_by(rows)
    about: dict[int, list[int]] = {}
    for said in statements.faces(tuple(Kind)):
        if said.face in own:
            about.setdefault(said.statement, []).append(said.face)
    chosen = {row.id for row in rows if row.id in about or row.person in numbers or row.other in numbers}
    chosen |= {row.id for row in rows if row.undoes is not None and row.undoes in chosen}
    return tuple(
        HeldStatement(
            number=row.id, said_at=row.said_at, author=row.author, origin=row.origin, kind=row.kind, person=row.person,
            other=row.other, value=row.value if row.person in numbers else None, faces=tuple(about.get(row.id, ())),
            of_faces=counts.get(row.id, 0), undone_by=undone.get(row.id),
        )
        for row in rows
        if row.id in chosen
    )  # fmt: skip


def _templates(store: Store, vectors: FloatArray, calibration: Calibration) -> tuple[Template, ...]:
    """Return the templates of people who are left out that look like the person."""
    kept = store.catalog.kept_out
    if not len(vectors) or not vectors.any():
        return ()
    mean = unit_length(vectors.sum(axis=0))
    known = zip(kept.all(), kept.vectors(store.model.dim, 0), strict=False)
    return tuple(
        template for template, (vector, faces) in known if float(mean @ vector) >= strict_similarity(calibration, faces)
    )
