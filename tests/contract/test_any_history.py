"""The index matches the library whatever happens between runs: stateful tests against a model of the library."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import toy_model_info
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from PIL import Image

from facesearch.care.folders import move_root
from facesearch.events import observing
from facesearch.index.store import Store
from facesearch.indexing.model_switch import begin_switch, stage, switch
from facesearch.indexing.options import Options
from facesearch.indexing.refresh import refresh
from facesearch.indexing.report import Report
from facesearch.models.framing import Framing
from facesearch.models.protocol import DetectorTraits
from facesearch.models.runtime import Runtime
from facesearch.people.regroup import regroup
from facesearch.people.saying import say, undo
from facesearch.people.statements import Kind, everything_said
from facesearch.shards import Shard
from facesearch.types import Box, Detection

Colour = tuple[int, int, int]
Array = np.ndarray[Any, Any]
PHASES = [phase for phase in Phase if phase is not Phase.shrink or "HYPOTHESIS_SHRINK" in os.environ]
"""Shrinking a failing history takes minutes; set this variable to do it when debugging."""

LANDMARKS = np.array([[10, 10], [20, 10], [15, 15], [11, 20], [19, 20]], dtype=np.float32)


class ColourModel:
    """A fast model that detects one face in every picture and embeds its mean colour."""

    runtime = Runtime("none", "cpu", 1)
    detector = DetectorTraits(face_score=0.5, sure_score=0.5, finds_faces_of_any_size=True)
    framing = Framing(looks=None)

    def __init__(self, name: str, dim: int, place: int) -> None:
        self.info = toy_model_info(name, dim)
        self.place = place
        self.embedded = 0

    def detect(self, images: Sequence[Array]) -> list[list[Detection]]:
        return [[Detection(Box(5, self.place, 20, 20), LANDMARKS, 0.9)] for _ in images]

    def detect_in_views(self, views: Array) -> list[list[Detection]]:
        return self.detect(list(views))

    def embed(self, crops: Array) -> Array:
        self.embedded += len(crops)
        vectors = [vector_of(crop[56, 56], self.info.dim) for crop in crops]
        return np.array(vectors, dtype=np.float32).reshape(-1, self.info.dim)


def vector_of(colour: Sequence[int] | Array, dim: int) -> Array:
    values = np.array([*(float(value) for value in colour), 100.0, *[50.0] * (dim - 4)], dtype=np.float32)
    unit: Array = values / np.linalg.norm(values)
    return unit


names = st.sampled_from(["a.png", "b.png", "c.png", "sub/a.png", "sub/d.png", "deep/er/e.png"])
somebody = st.sampled_from(["Anna", "Ben", "Cleo"])
colours = st.sampled_from([(0, 0, 250), (0, 250, 0), (250, 0, 0), (250, 250, 0), (0, 120, 250), (90, 90, 90)])


class Library(RuleBasedStateMachine):
    """A folder of one-coloured photos, its index, and the contents that the index should have."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="history-"))
        self.root, self.away = self.folder / "photos", self.folder / "unplugged"
        self.model, self.other = ColourModel("colours", 4, 5), ColourModel("shades", 6, 8)
        self.clock = 1_000_000_000
        self.present: dict[str, Colour] = {}
        self.indexed: dict[str, Colour] = {}
        self.in_between: set[str] = set()
        self.whole = False
        """Whether the last run that changed anything was complete: then the index has what was on disk at that time."""
        self.ids: dict[Colour, int] = {}
        self.shard = Shard()
        self.people: dict[int, int] = {}
        """The person of each face when faces were last grouped, or somebody said something."""
        self.numbers: dict[str, int] = {}
        self.told: dict[int, tuple[str, str | bytes]] = {}
        """Who was said to be in photos of a content, or to be another person, by statement, as far as it counts."""

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize()
    def begin(self) -> None:
        (self.root / "sub").mkdir(parents=True)
        (self.root / "deep/er").mkdir(parents=True)
        self.write("keep.png", (1, 2, 3))  # keeps the folder from being empty, which would mean unplugged
        Store.create(self.folder / "index", self.model.info).close()
        self.run()

    @property
    def mounted(self) -> bool:
        return self.root.exists()

    @property
    def expected(self) -> dict[str, Colour]:
        """What a complete run indexes."""
        return {name: colour for name, colour in self.present.items() if self.shard.has(name.encode())}

    def place(self, name: str) -> Path:
        return (self.root if self.mounted else self.away) / name

    def write(self, name: str, colour: Colour) -> None:
        Image.new("RGB", (32, 32), colour).save(self.place(name))
        self.stamp(name)
        self.present[name] = colour

    def stamp(self, name: str) -> None:
        self.clock += 10_007  # neither seconds nor whole hours apart
        os.utime(self.place(name), (self.clock, self.clock))

    @rule(name=names, colour=colours)
    def add_or_edit(self, name: str, colour: Colour) -> None:
        self.write(name, colour)

    @rule(name=names)
    def delete(self, name: str) -> None:
        if name in self.present:
            self.place(name).unlink()
            del self.present[name]

    @rule(name=names, to=names)
    def rename(self, name: str, to: str) -> None:
        if name in self.present and name != to:
            self.place(name).rename(self.place(to))
            self.present[to] = self.present.pop(name)

    @rule(name=names, to=names)
    def swap(self, name: str, to: str) -> None:
        if name in self.present and to in self.present and name != to:
            spare = self.place("spare")
            self.place(name).rename(spare)
            self.place(to).rename(self.place(name))
            spare.rename(self.place(to))
            self.present[name], self.present[to] = self.present[to], self.present[name]

    @rule(name=names, to=names)
    def copy(self, name: str, to: str) -> None:
        if name in self.present and name != to:
            shutil.copy2(self.place(name), self.place(to))
            self.present[to] = self.present[name]

    @rule(name=names)
    def touch(self, name: str) -> None:
        if name in self.present:
            self.stamp(name)

    @precondition(lambda self: self.mounted)
    @rule()
    def unplug(self) -> None:
        self.root.rename(self.away)

    @precondition(lambda self: not self.mounted)
    @rule()
    def plug_in(self) -> None:
        self.away.rename(self.root)

    @precondition(lambda self: not self.mounted)
    @rule()
    def plug_in_elsewhere(self) -> None:
        elsewhere = self.folder / f"mounted {self.clock}"
        self.clock += 1
        self.away.rename(elsewhere)
        with Store.open(self.folder / "index", write=True) as store:
            move_root(store, self.root, elsewhere, anyway=True)  # photos may have changed since the last run
        self.root = elsewhere

    @rule(after=st.integers(0, 3))
    def interrupted_run(self, after: int) -> None:
        """Stop a run after a few photos: its work is kept, and a later run does the rest."""
        if self.mounted:
            self.ids = {}
            self.whole = False
            self.in_between |= {path for path, colour in self.indexed.items() if self.present.get(path) != colour}
            asked = iter([False] * after + [True] * 100)
            with Store.open(self.folder / "index", write=True) as store:
                refresh(
                    store,
                    self.model,
                    [self.root],
                    options=Options(workers=2),
                    observer=observing(cancelled=lambda: next(asked)),
                )

    @rule(after=st.integers(0, 3))
    def stage_another_model(self, after: int) -> None:
        asked = iter([False] * after + [True] * 100)
        with Store.open(self.folder / "index", write=True) as store:
            begin_switch(store, self.other.info)
            stage(store, self.other, options=Options(workers=2), observer=observing(cancelled=lambda: next(asked)))

    @rule(leave_offline=st.booleans())
    def switch_to_another_model(self, leave_offline: bool) -> None:
        with Store.open(self.folder / "index", write=True) as store:
            begin_switch(store, self.other.info)
            done = switch(store, self.other, options=Options(workers=2), leave_offline=leave_offline)
            if done.takeover is None:
                assert done.staging.offline
                assert not self.mounted
                return
            assert not store.catalog.staging.has_any()
            assert store.vector_file_fault() is None
        self.model, self.other = self.other, self.model
        if self.mounted:
            assert done.complete
            self.indexed = self.expected
            self.in_between = set()
            self.whole = True
            self.check_ids()
        elif leave_offline:
            self.whole = False
            self.in_between = set(self.indexed)  # photos not staged yet are not found until they are back

    @rule()
    def lose_the_vector_file(self) -> None:
        (self.folder / "index/faces.faiss").unlink(missing_ok=True)

    @rule(killed_after=st.none() | st.integers(0, 3))
    def group(self, killed_after: int | None) -> None:
        """Faces keep their people, whatever happened meanwhile; a run that is killed changes nothing."""
        asked = iter(range(1000))

        def check() -> None:
            if next(asked) == killed_after:
                raise InterruptedError

        with Store.open(self.folder / "index", write=True) as store:
            before = store.catalog.people.assigned()
            assert {face: self.people[face] for face in before} == before, "nobody else assigns faces"
            placed = everything_said(store.catalog).placed
            try:
                done = regroup(store, check=check)
            except InterruptedError:
                assert store.catalog.people.assigned() == before
                return
            self.people = store.catalog.people.assigned()
            current = store.catalog.people.current
            others = before.keys() - placed.keys()
            assert {face: current(before[face]) for face in others} == {face: self.people[face] for face in others}
            self.check_people(store)
            assert len(self.people) == done.grouped
            assert not regroup(store).changed

    @rule(name=names, person=somebody, killed=st.booleans())
    def say_who(self, name: str, person: str, killed: bool) -> None:
        """Say who is in a photo, as it was when it was indexed."""
        with Store.open(self.folder / "index", write=True) as store:
            rows = {os.fsdecode(row.path): row for row in store.catalog.faces.all()}
            row = rows.get(str(self.root / name))
            if row is None or row.content is None:
                return
            number = self.number(store, person)
            before = store.catalog.people.assigned(), store.catalog.statements.last_id()
            try:
                with store.catalog.transaction():
                    statement = say(store.catalog, Kind.belongs, faces=[row.face_id], person=number)
                    if killed:
                        raise InterruptedError
            except InterruptedError:
                assert (store.catalog.people.assigned(), store.catalog.statements.last_id()) == before
                return
            self.told[statement] = person, row.content
            self.people = store.catalog.people.assigned()
            assert self.people[row.face_id] == store.catalog.people.current(number)
            self.check_people(store)

    @rule(one=somebody, other=somebody)
    def say_that_two_are_one(self, one: str, other: str) -> None:
        if one != other:
            with Store.open(self.folder / "index", write=True) as store:
                numbers = self.number(store, one), self.number(store, other)
                with store.catalog.transaction():
                    statement = say(store.catalog, Kind.one, person=numbers[0], other=numbers[1])
                self.told[statement] = one, other
                self.people = store.catalog.people.assigned()
                self.check_people(store)

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        statement = data.draw(st.sampled_from(sorted(self.told)))
        with Store.open(self.folder / "index", write=True) as store:
            with store.catalog.transaction():
                undo(store.catalog, statement)
            del self.told[statement]
            self.people = store.catalog.people.assigned()
            self.check_people(store)

    def number(self, store: Store, person: str) -> int:
        """Return the number of a person, who has a name."""
        if person not in self.numbers:
            with store.catalog.transaction():
                self.numbers[person] = store.catalog.people.add()
                say(store.catalog, Kind.name, person=self.numbers[person], value=person)
        return self.numbers[person]

    def check_people(self, store: Store) -> None:
        """What was said last of a photo that is there holds, and the names are those that were given."""
        leads_to = {person: person for person in self.numbers}
        for one, other in (told for _, told in sorted(self.told.items()) if isinstance(told[1], str)):
            assert isinstance(other, str)
            leads_to = {person: leads_to[one] if to == leads_to[other] else to for person, to in leads_to.items()}
        said = {told[1]: told[0] for _, told in sorted(self.told.items()) if isinstance(told[1], bytes)}
        assigned = store.catalog.people.assigned()
        grouped = store.catalog.meta.grouped()
        for row in store.catalog.faces.all():
            known = grouped is not None and row.vector_id <= grouped.vectors
            if row.content in said and (known or row.face_id in assigned):
                assert assigned.get(row.face_id) == self.numbers[leads_to[said[row.content]]]
        names = {person: said.names for person, said in store.catalog.people.profiles().items()}
        for person, number in self.numbers.items():
            assert store.catalog.people.current(number) == self.numbers[leads_to[person]]
            assert person in names[self.numbers[leads_to[person]]]

    @rule(shard=st.sampled_from(["1/2", "2/2", "2/3", "all"]))
    def take_another_shard(self, shard: str) -> None:
        self.shard = Shard.of(shard)
        self.ids = {}  # of two copies in different shards, each has its own
        self.run(self.shard)

    @rule()
    def run(self, shard: Shard | None = None) -> None:
        before = self.model.embedded
        options = Options(workers=2, shard=shard)
        with Store.open(self.folder / "index", write=True) as store:
            report: Report = refresh(store, self.model, [self.root] if self.mounted else [], options=options)
            assert store.catalog.roots.shards() == ({} if self.shard.is_all else {1: self.shard})
        if self.mounted:
            assert report.complete
            self.indexed = self.expected
            self.in_between = set()
            self.whole = True
            self.check_ids()
        else:
            assert report.offline
            assert self.model.embedded == before

    def check_ids(self) -> None:
        """Content that exists exactly once after this run and the last one keeps its face id."""
        with Store.open(self.folder / "index") as store:
            once = {
                colour: path for path, colour in self.indexed.items() if list(self.indexed.values()).count(colour) == 1
            }
            rows = {os.fsdecode(row.path): row for row in store.catalog.faces.all()}
            now = {colour: rows[str(self.root / path)].face_id for colour, path in once.items()}
        assert {colour: now[colour] for colour in now.keys() & self.ids.keys()} == {
            colour: self.ids[colour] for colour in now.keys() & self.ids.keys()
        }
        self.ids = now

    @invariant()
    def the_index_is_correct(self) -> None:
        if not (self.folder / "index/catalog.sqlite").exists():
            return
        with Store.open(self.folder / "index") as store:
            rows = {os.fsdecode(row.path): row for row in store.catalog.faces.all()}
            there = {str(self.root / path) for path in self.indexed} == set(rows)
            assert there or not self.whole
            if there:
                for path, colour in self.indexed.items():
                    if self.present.get(path) != colour or path in self.in_between:
                        continue
                    vector = vector_of(colour, self.model.info.dim)
                    scores, ids = store.search(vector[None, :], len(store))
                    best = [vector_id for score, vector_id in zip(scores[0], ids[0], strict=True) if score > 1 - 1e-5]
                    assert rows[str(self.root / path)].vector_id in best

    @rule()
    def settle(self) -> None:
        """After a complete run, the index has exactly the photos on disk, with the right vectors."""
        self.run()
        if not self.mounted:
            return
        with Store.open(self.folder / "index") as store:
            rows = list(store.catalog.faces.all())
            assert {os.fsdecode(row.path) for row in rows} == {str(self.root / path) for path in self.expected}
            assert len(rows) == len(self.expected)
            for row in rows:
                colour = self.present[os.path.relpath(os.fsdecode(row.path), self.root)]
                (vector,) = store.catalog.vectors.get([row.vector_id], self.model.info.dim)
                assert np.allclose(vector, vector_of(colour, self.model.info.dim), atol=0.02)
        before, ids = self.model.embedded, dict(self.ids)
        self.run()
        assert self.model.embedded == before, "nothing changed, so nothing is embedded"
        assert self.ids == ids


class OtherLibrary(Library):
    """The same machine, with more histories."""


SETTINGS = settings(
    max_examples=20, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES
)
Library.TestCase.settings = SETTINGS
OtherLibrary.TestCase.settings = settings(SETTINGS, max_examples=60)
TestAnyHistory = Library.TestCase
TestManyHistories = pytest.mark.slow(OtherLibrary.TestCase)
