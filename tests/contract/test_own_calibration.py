"""A calibration that was measured on the named people of an index, and the verdicts that follow from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from test_grouping import Library

from facesearch.api.measure import calibrate_from_people
from facesearch.calibration.storage import calibration_of
from facesearch.errors import InputError
from facesearch.galleries.local import LocalGallery
from facesearch.people.confirmed import confirmed_faces
from facesearch.people.regroup import regroup
from facesearch.people.statements import Kind

PEOPLE, PHOTOS = 12, 6


@pytest.fixture
def library() -> Iterator[Library]:
    library = Library()
    for _ in range(PHOTOS):
        for person in range(PEOPLE):
            library.add(person)
    regroup(library.store)
    yield library
    library.store.close()


def name_all(library: Library, people: int) -> None:
    for number in sorted(set(library.people.values()))[:people]:
        faces = library.store.catalog.people.faces_of(number)
        library.say(Kind.name, person=number, value=f"person {number}", faces=faces)


def test_too_few_people_are_refused(library: Library) -> None:
    name_all(library, PEOPLE - 1)
    with pytest.raises(InputError, match="11 named people with 4 or more faces; name 12 or more"):
        calibrate_from_people(library.store)


def test_verdicts_of_the_index_rest_on_its_people(library: Library) -> None:
    name_all(library, PEOPLE)
    gallery, model = LocalGallery(library.store), library.store.model
    assert gallery.own_calibration() is None
    assert calibrate_from_people(library.store, keep=False).people == PEOPLE
    assert gallery.own_calibration() is None
    done = calibrate_from_people(library.store)
    own, usual = calibration_of(model, gallery.own_calibration()), calibration_of(model)
    assert (done.people, own.people, usual.people) == (PEOPLE, PEOPLE, 0)
    assert own.threshold == usual.threshold, "the default threshold stays that of the model"
    assert own.origin == "measured on 12 people of this index"
    assert own.measured
    other = replace(model, digests={"another": "0" * 64})
    assert not calibration_of(other, gallery.own_calibration()).measured, "a table of another model is not used"


def test_only_confirmed_faces_count(library: Library) -> None:
    """Faces that join a named person later, by their likeness alone, say nothing new about likeness."""
    name_all(library, 1)
    number = min(library.people.values())
    before = confirmed_faces(library.store, 4)
    (shown,) = {library.shown[face] for face, person in library.people.items() if person == number}
    (later,) = library.add(shown)
    regroup(library.store)
    assert library.people[later] == number
    assert len(confirmed_faces(library.store, 4).labels) == len(before.labels) == PHOTOS
    library.say(Kind.belongs, faces=[later], person=number)
    assert len(confirmed_faces(library.store, 4).labels) == PHOTOS + 1
    library.say(Kind.does_not, faces=[later], person=number)
    assert len(confirmed_faces(library.store, 4).labels) == PHOTOS


def test_a_damaged_calibration_is_not_used(library: Library) -> None:
    model = library.store.model
    for text in ("", "{", "[]", "{}", '{"digests": 1}'):
        assert calibration_of(model, text) == calibration_of(model)
