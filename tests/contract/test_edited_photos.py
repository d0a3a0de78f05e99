"""What was said of photos holds after edits, in this index and in one to which only the statements are left."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from test_any_history import PHASES, ColourModel

from facesearch.index.store import Store
from facesearch.indexing.options import Options
from facesearch.indexing.refresh import refresh
from facesearch.people.exchange.document import read_document
from facesearch.people.exchange.exporting import save_lines
from facesearch.people.exchange.importing import say_document
from facesearch.people.saying import say
from facesearch.people.statements import Kind, everything_said

PHOTOS, COPIES, PEOPLE = ["a.png", "b.png"], ["c.png", "d.png"], ["Anna", "Ben"]
SHADES = [(200, 40, 40), (190, 50, 40), (180, 40, 60)]
"""Colours so similar that a face that changes from one to another is still the same face."""

photos = st.sampled_from([*PHOTOS, *COPIES])
HISTORY = st.lists(
    st.one_of(
        st.tuples(st.just("say"), photos, st.sampled_from(PEOPLE)),
        st.tuples(st.just("retouch"), photos, st.sampled_from(SHADES)),
        st.tuples(st.just("comment"), photos, st.sampled_from(["", "one", "two"])),
        st.tuples(st.just("copy"), photos, st.sampled_from(COPIES)),
        st.tuples(st.just("break off"), photos, st.just("")),
        st.tuples(st.just("delete"), photos, st.just("")),
        st.tuples(st.just("restore"), st.just(""), st.just("")),
    ),
    max_size=9,
)


class Album:
    """A folder of photos with one face each, and its index."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "photos"
        self.root.mkdir(parents=True)
        self.model, self.clock, self.lost = ColourModel("colours", 4, 5), 1_000_000_000, 0
        self.looks: dict[str, tuple[Any, str]] = {name: (SHADES[0], name) for name in PHOTOS}
        for name in PHOTOS:
            self.draw(name)
        Store.create(folder / "index 0", self.model.info).close()
        self.run()

    @property
    def index(self) -> Path:
        return self.folder / f"index {self.lost}"

    def draw(self, name: str) -> None:
        colour, comment = self.looks[name]
        about = PngInfo()
        about.add_text("Comment", comment)
        Image.new("RGB", (32, 32), colour).save(self.root / name, pnginfo=about)
        self.stamp(name)

    def stamp(self, name: str) -> None:
        self.clock += 10_007
        os.utime(self.root / name, (self.clock, self.clock))

    def run(self) -> None:
        with Store.open(self.index, write=True) as store:
            refresh(store, self.model, [self.root], options=Options(workers=1, keep_missing=0))

    def do(self, what: str, name: str, how: object) -> None:
        if what != "restore" and name not in self.looks:
            return
        if what == "say":
            self.say(name, str(how))
        elif what == "restore":
            self.lose_and_restore()
        elif what == "copy" and how not in self.looks:
            self.looks[str(how)] = self.looks[name]
            self.draw(str(how))
            self.run()
            self.looks[name] = self.looks[name][0], f"{name} is not {how}"  # and never what the copy is again
            self.draw(name)
        elif what == "break off":  # half a file, as of a copy in progress, and then the whole one
            (self.root / name).write_bytes((self.root / name).read_bytes()[:40])
            self.stamp(name)
            self.run()
            self.draw(name)
        elif what == "delete":  # for good, and then it comes back
            (self.root / name).unlink()
            self.run()
            self.draw(name)
        elif what in ("retouch", "comment"):
            colour, comment = self.looks[name]
            kept = comment.split("|")[0]
            self.looks[name] = (how, comment) if what == "retouch" else (colour, f"{kept}|{how}")
            self.draw(name)
        self.run()

    def say(self, name: str, person: str) -> None:
        with Store.open(self.index, write=True) as store, store.catalog.transaction():
            catalog = store.catalog
            known = {said.name: number for number, said in catalog.people.profiles().items()}
            number = known.get(person) or catalog.people.add()
            if person not in known:
                say(catalog, Kind.name, person=number, value=person)
            face = next(row.face_id for row in catalog.faces.all() if row.path.endswith(name.encode()))
            say(catalog, Kind.belongs, faces=[face], person=number)

    def who(self) -> dict[str, str | None]:
        with Store.open(self.index) as store:
            placed, profiles = everything_said(store.catalog).placed, store.catalog.people.profiles()
            return {
                os.path.basename(os.fsdecode(row.path)): profiles[placed[row.face_id][0]].name
                for row in store.catalog.faces.all()
                if row.face_id in placed
            }

    def lose_and_restore(self) -> None:
        lines = self.folder / "statements.jsonl"
        with Store.open(self.index) as store:
            save_lines(store.catalog, lines)
        self.lost += 1
        Store.create(self.index, self.model.info).close()
        self.run()
        with Store.open(self.index, write=True) as store, store.catalog.transaction():
            say_document(store.catalog, read_document(lines), name=lines.name)


def laws(folder: Path, history: list[tuple[str, str, object]]) -> None:
    album = Album(folder)
    for what, name, how in history:
        before = album.who()
        album.do(what, name, how)
        after = album.who()
        if what in ("retouch", "comment", "break off", "delete", "restore"):
            assert {photo: after.get(photo) for photo in before} == before, (what, name, how)
    shutil.rmtree(folder)


SETTINGS = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)


@SETTINGS
@given(history=HISTORY)
def test_names_follow_edits(tmp_path_factory: pytest.TempPathFactory, history: list[tuple[str, str, object]]) -> None:
    laws(tmp_path_factory.mktemp("album"), history)


@pytest.mark.slow
@settings(SETTINGS, max_examples=100)
@given(history=HISTORY)
def test_names_follow_any_edits(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[str, str, object]]
) -> None:
    laws(tmp_path_factory.mktemp("album"), history)
