"""Checking an index: whether it is sound, what can be repaired, whether its photos and its model are there."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.catalog.audit import audit, mend, recorded_model_name
from facesearch.catalog.database import Database
from facesearch.catalog.records import path_in_root
from facesearch.errors import Hint, IndexDamagedError, ModelError
from facesearch.index.store import Store
from facesearch.locations import resolved
from facesearch.models.resolve import EMBEDDED, model_info
from facesearch.wording import are, counted

if TYPE_CHECKING:
    from facesearch.types import ModelInfo

__all__ = ["Health", "check"]


@dataclass(slots=True)
class Health:
    """What a check found. `faults` make the index unsound; `notes` are worth knowing and harm nothing.

    `mendable` tells that `check` with `repair` would mend all of them; `done` is what it did, one line each.
    """

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    mendable: bool = True
    done: list[str] = field(default_factory=list)


def check(path: Path, *, repair: bool = False, wait: float = 0.0) -> Health:
    """Check everything: the database, every row, every vector, the vector file, and whether the photos are there.

    With `repair` what can be mended is mended from what is there: first the catalog, then what is derived from it.
    Raises `IndexNotFoundError`, `LockedError` (to repair), and `IndexDamagedError` where nothing can be read.
    """
    health = Health()
    with Store.open_catalog(path, write=repair, wait=wait) as catalog:
        found = audit(catalog.database)
        if found.faults and repair:
            try:
                health.done += mend(catalog.database, found, _model_named_by(catalog.database))
            except IndexDamagedError as error:
                health.done.append(str(error))
            found = audit(catalog.database)
        health.faults += found.faults
        health.mendable = not found.beyond_repair
    if health.faults:
        return health
    with Store.open(path, write=repair, wait=wait, prepare=False) as store:
        _check_vectors(store, health, repair=repair, made_again=bool(health.done))
        _check_staging(store, health, repair=repair)
        _look_for_photos(store, health)
        _check_model(store, health, repair=repair)
    return health


def _check_model(store: Store, health: Health, *, repair: bool) -> None:
    """Whether the model of the index is here. Raises `ModelMismatchError` where another has its name."""
    try:
        store.require_model(model_info(store.model.source or store.model.name))
    except ModelError as error:
        embedded = model_info(EMBEDDED)
        if store.model.identity != embedded.identity:
            health.notes.append(f"its model is missing: {error}")
        elif repair:
            store.take_model(embedded)
            health.done.append(f"the index names its model {EMBEDDED} again")
        else:
            named = store.model.source or store.model.name
            health.faults.append(f"the model's record names {named!r:.60}; its weights are those of {EMBEDDED}")


def _model_named_by(database: Database) -> ModelInfo | None:
    """The model on this machine that has the name that the catalog gives; the embedded one where none has it."""
    name = recorded_model_name(database)
    try:
        return None if name is None else model_info(name)
    except (ModelError, ValueError):  # ValueError: a NUL in what should be a name
        return model_info(EMBEDDED)


def _check_vectors(store: Store, health: Health, *, repair: bool, made_again: bool) -> None:
    """Every vector, and the file that is derived from them."""
    bad = store.catalog.vectors.unusable(store.model.dim)
    if bad and not repair:
        health.faults.append(f"{are(len(bad), 'vector')} not of unit length")
        return
    if bad:
        with store.transaction():
            store.catalog.vectors.discard(bad)
        health.done.append(f"dropped {counted(len(bad), 'vector')}; {Hint.READ_PHOTOS_AGAIN}")
    missing = not store.has_vector_file()
    fault = None if missing else store.vector_file_fault()
    if repair and (bad or missing or fault or made_again):
        store.vacuum()
        health.done.append("the vector file was made again from the catalog")
    elif missing:
        health.notes.append(f"the vector file is missing; {Hint.MADE_WHEN_NEEDED}")
    elif fault:
        health.faults.append(fault)


def _check_staging(store: Store, health: Health, *, repair: bool) -> None:
    """What the next model has extracted so far."""
    model = store.catalog.models.next()
    bad = [] if model is None else store.catalog.staging.unusable(model.dim)
    if not bad:
        return
    if not repair:
        health.faults.append(
            f"{are(len(bad), 'photo')} not kept as the next model can have seen {'it' if len(bad) == 1 else 'them'}"
        )
        return
    with store.transaction():
        store.catalog.staging.drop(bad)
    health.done.append(f"{counted(len(bad), 'photo')} will be looked at again by the next model")


def _look_for_photos(store: Store, health: Health) -> None:
    names: dict[bytes, str] = {}
    for root in store.catalog.roots.all():
        name = os.fsdecode(root.path)
        first = names.setdefault(resolved(root.path), name)
        if first != name:  # as an earlier version let them be
            health.notes.append(
                f"{name} is the same folder as {first}, so its photos are found twice; {Hint.REMOVE_FOLDER}"
            )
        trouble = _why_not_seen(root.path)
        if trouble is not None:
            health.notes.append(f"{name} cannot be looked at ({trouble})" if trouble else f"{name} is not there now")
            continue
        gone, unseen = 0, Counter[str]()
        for photo in store.catalog.photos.within(root.id):
            if not photo.missing:
                trouble = _why_not_seen(path_in_root(root.path, photo.file.path))
                gone += trouble == ""
                unseen.update([trouble] if trouble else [])
        if gone:
            health.notes.append(f"{are(gone, 'photo')} no longer in {name}; {Hint.HIDE_GONE}")
        for reason, number in sorted(unseen.items()):
            health.notes.append(
                f"{counted(number, 'photo')} in {name} cannot be looked at ({reason}); nothing is hidden"
            )


def _why_not_seen(path: bytes) -> str | None:
    """None for a file that is there, an empty text for one that has gone, else why nobody can say."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return ""
    except OSError as error:
        return error.strerror or type(error).__name__
    return None
