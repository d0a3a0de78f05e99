"""Embedding revisions: an index of an earlier one is queried and extended with it, until it is brought up to date."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from old_index import FORGOTTEN_FACE, NAMES, make_old_index
from sample_library import shipped_file, shipped_photo

from facesearch import Index, ModelMismatchError, QueryResult, compare, observing
from facesearch.faces.extract import extract_faces
from facesearch.models.bundled import THRESHOLDS
from facesearch.models.framing import LATEST_REVISION, LOOKS
from facesearch.models.resolve import open_model
from facesearch.models.runtime import choose_runtime
from facesearch.photos.picture import Photo
from facesearch.types import Box

SAME = 0.9995
"""The least similarity of a face to itself: processors round differently."""


class Kept(NamedTuple):
    """A face in an index: the name of its photo, its box and its embedding."""

    name: str
    box: Box
    vector: np.ndarray


@pytest.fixture
def old(tmp_path: Path) -> tuple[Path, Path]:
    """An index of revision 2, and its photos."""
    return make_old_index(tmp_path)


@pytest.fixture
def index(old: tuple[Path, Path]) -> Iterator[Index]:
    with Index.open(old[0], device="cpu") as index:
        yield index


def kept(index: Index) -> dict[int, Kept]:
    """Return the faces of an index by their ids."""
    return {
        record.face_id: Kept(os.path.basename(os.fsdecode(record.path)), record.detection.box, vector)
        for record, vector in index.export_faces()
    }


def is_like(one: dict[int, Kept], other: dict[int, Kept], least: float = SAME) -> bool:
    """Whether two indexes have the same faces under the same ids, with the same embeddings."""
    return one.keys() == other.keys() and all(
        (face.name, other[key].name) == (face.name, face.name) and float(face.vector @ other[key].vector) >= least
        for key, face in one.items()
    )


def best(answer: QueryResult) -> float:
    """Return the similarity of the first hit, which is in a photo of the name of the query photo."""
    first = next(iter(answer))
    assert os.path.basename(os.fsdecode(first.path)).endswith(os.path.basename(answer.answers[0].probe.path))
    return first.similarity


def test_an_earlier_revision_is_made_as_it_was(index: Index) -> None:
    """The embeddings in the old index were made by the version that introduced them."""
    model = open_model("embedded", choose_runtime("cpu"), 2)
    assert (model.info.revision, model.framing.crop_scale, model.framing.looks) == (2, 1.0, LOOKS[2])
    made = [
        (name, face)
        for name in ("astronaut", "t1")
        for face in extract_faces(model, Photo(shipped_file(name).read_bytes()))
    ]
    stored = [face for face in kept(index).values() if not face.name.startswith("again")]
    assert len(made) == len(stored) + 1 == 7, "one was forgotten"
    for face in stored:
        assert max(float(face.vector @ other.embedding) for _, other in made) >= SAME


def test_the_latest_revision_makes_other_embeddings(index: Index) -> None:
    """Otherwise, none of the other tests would notice that the wrong revision is used."""
    model = open_model("embedded", choose_runtime("cpu"))
    assert model.info.revision == LATEST_REVISION > 2
    (face,) = extract_faces(model, Photo(shipped_file("astronaut").read_bytes()))
    (earlier,) = (face for face in kept(index).values() if face.name == "astronaut.png")
    assert 0.8 < float(face.embedding @ earlier.vector) < SAME


def test_an_old_index_answers_with_its_own_revision(index: Index, old: tuple[Path, Path]) -> None:
    answer = index.query(old[1] / "astronaut.png", top_k=5)
    assert best(answer) >= SAME
    assert answer.threshold == THRESHOLDS[2]
    assert (index.status().revision, index.status().latest_revision) == (2, LATEST_REVISION)
    with Index.open(old[0], model="embedded", device="cpu") as named:
        assert best(named.query(old[1] / "astronaut.png", top_k=1)) >= SAME


def test_an_old_index_is_extended_with_its_own_revision(old: tuple[Path, Path]) -> None:
    notes: list[str] = []
    with Index.open(old[0], device="cpu", observer=observing(notes=notes.append)) as index:
        before = kept(index)
        (old[1] / "new").mkdir()
        shutil.copy(shipped_file("hanks"), old[1] / "new/hanks.png")
        report = index.refresh()
        assert (report.new, report.faces) == (1, len(before) + 1)
        (told,) = (line for line in notes if "revision" in line)
        assert told == (
            f"this index has embeddings of revision 2; revision {LATEST_REVISION} finds more photos; "
            "Index.switch_model() reads all photos again, while the index answers as before"
        )
        after = kept(index)
        assert is_like(before, {key: after[key] for key in before}, 0.999999)
        (new,) = (face for face in after.values() if face.name == "hanks.png")
        (face,) = extract_faces(
            open_model("embedded", choose_runtime("cpu"), 2), Photo(shipped_file("hanks").read_bytes())
        )
        assert float(new.vector @ face.embedding) >= SAME
        assert index.check().faults == []


def test_bringing_an_old_index_up_to_date(index: Index, old: tuple[Path, Path], tmp_path: Path) -> None:
    """Ids stay, forgotten faces and photos stay forgotten, and the embeddings are those of a new index."""
    before = kept(index)
    ahead = index.preview_switch()
    assert ahead is not None
    assert (ahead.origin_revision, ahead.target_revision, ahead.left, ahead.done) == (2, LATEST_REVISION, 2, 0)
    done = index.switch_model()
    assert done is not None
    assert done.complete
    assert done.takeover is not None
    assert (done.takeover.kept, done.takeover.new, done.takeover.lost) == (len(before), 0, 0)
    after = kept(index)
    assert {key: face.name for key, face in after.items()} == {key: face.name for key, face in before.items()}
    assert all(face.box.overlap(before[key].box) > 0.9 for key, face in after.items())
    assert not any(face.box.overlap(Box(*FORGOTTEN_FACE)) > 0.5 for face in after.values())
    assert index.status().revision == LATEST_REVISION
    assert index.switch_model() is None, "nothing is left to do"
    assert index.preview_switch() is None
    assert index.refresh().new == 0, "coffee.png stays forgotten"
    assert index.check().faults == []
    answer = index.query(old[1] / "astronaut.png")
    assert answer.threshold == THRESHOLDS[LATEST_REVISION]
    assert best(answer) >= SAME
    with Index.open(tmp_path / "fresh", create=True, device="cpu") as fresh:
        fresh.refresh([old[1]])
        for name in NAMES:
            ours = [face.vector for face in after.values() if face.name == name]
            theirs = [face.vector for face in kept(fresh).values() if face.name == name]
            assert all(max(float(one @ other) for other in theirs) >= SAME for one in ours)


def test_a_stopped_update_goes_on(index: Index, old: tuple[Path, Path]) -> None:
    """Until it is complete, the old embeddings answer."""
    for number in range(20):
        shipped_photo("hanks").crop((0, 0, 200 + number, 200)).save(old[1] / f"{number}.png")
    index.refresh()
    before = kept(index)
    calls = itertools.count()
    part = index.switch_model(observer=observing(cancelled=lambda: next(calls) >= 12))
    assert part is not None
    assert part.staging.stopped
    assert 0 < part.staging.extracted < 22
    assert not part.complete
    assert is_like(before, kept(index), 0.999999)
    assert best(index.query(old[1] / "astronaut.png")) >= SAME
    rest = index.switch_model()
    assert rest is not None
    assert rest.complete
    assert (rest.staging.known, rest.staging.extracted) == (part.staging.extracted, 22 - part.staging.extracted)
    assert kept(index).keys() == before.keys()


@pytest.mark.parametrize("revision", [1, LATEST_REVISION + 1])
def test_an_unknown_revision_is_refused(old: tuple[Path, Path], revision: int) -> None:
    with closing(sqlite3.connect(old[0] / "catalog.sqlite")) as catalog, catalog:
        catalog.execute("UPDATE models SET pipeline = ?", (revision,))
    with (
        Index.open(old[0], device="cpu") as index,
        pytest.raises(
            ModelMismatchError,
            match=rf"its embeddings have revision {revision}, this version has 2 and {LATEST_REVISION}; ",
        ),
    ):
        index.query(old[1] / "astronaut.png")


def test_photos_are_compared_with_the_latest_revision() -> None:
    told = compare(shipped_file("t1"), shipped_file("astronaut"), model="embedded", device="cpu")
    assert told.threshold == THRESHOLDS[LATEST_REVISION]
