"""The writer: when a reader sees pending writes, and what a cancelled run leaves to the next one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from conftest import toy_model_info

from facesearch.index.store import Store
from facesearch.indexing import writer as writer_module
from facesearch.indexing.writer import Writer


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(tmp_path / "ix", toy_model_info("toy", 4)) as store:
        yield store


def keep(store: Store, number: int) -> None:
    report = {"finished": 0, "new": number, "changed": 0, "moved": 0, "seconds": 0.0, "stopped": False}
    store.catalog.meta.set_last_run(report)


def kept(store: Store) -> int | None:
    """Return what a reader of the same index sees."""
    assert store.path is not None
    with Store.open(store.path) as reader:
        report = reader.catalog.meta.last_run()
    return None if report is None else int(report["new"])


def test_nothing_is_visible_before_the_commit_and_writes_keep_their_order(store: Store) -> None:
    writer = Writer(store, cancelled=lambda: False)
    for number in range(3):
        writer.add(partial(keep, store, number))
    writer.commit_if_due()
    assert kept(store) is None
    writer.commit()
    assert kept(store) == 2


def test_a_commit_is_due_after_many_writes(store: Store) -> None:
    writer = Writer(store, cancelled=lambda: False)
    for number in range(500):
        writer.add(partial(keep, store, number))
        if number == 499:
            assert kept(store) is None
        writer.commit_if_due()
    assert kept(store) == 499


def test_a_long_commit_is_split(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "COMMIT_SECONDS", 0.0)
    writer, seen = Writer(store, cancelled=lambda: False), list[int | None]()

    def keep_and_look(number: int) -> None:
        seen.append(kept(store))
        keep(store, number)

    for number in range(3):
        writer.add(partial(keep_and_look, number))
    writer.commit(lambda: keep_and_look(3))
    assert seen == [None, 0, 1, 2]
    assert kept(store) == 3


def test_writes_added_by_a_write_are_part_of_the_commit_and_optional_writes_come_last(store: Store) -> None:
    writer, done = Writer(store, cancelled=lambda: False), list[str]()
    writer.add_optional(partial(done.append, "optional"))
    writer.add(lambda: writer.add(partial(done.append, "added")))
    writer.commit(partial(done.append, "last"))
    assert done == ["added", "optional", "last"]
    assert not writer.left_over


def test_a_cancelled_run_omits_only_optional_writes(store: Store) -> None:
    done: list[str] = []
    writer = Writer(store, cancelled=lambda: bool(done))
    writer.add_optional(partial(done.append, "first"))
    writer.add_optional(partial(done.append, "second"))
    writer.commit(partial(done.append, "last"))
    assert done == ["first", "last"]
    assert writer.left_over
    writer.add(partial(done.append, "needed"))
    writer.commit()
    assert done == ["first", "last", "needed"]
