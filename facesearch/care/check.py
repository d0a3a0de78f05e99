"""Check and repair an index, and report missing photos and a missing model."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.catalog.audit import audit, recorded_model_name, repair_faults
from facesearch.catalog.database import Database
from facesearch.catalog.records import path_in_root
from facesearch.errors import Hint, IndexDamagedError, ModelError
from facesearch.index.store import Store
from facesearch.locations import resolved
from facesearch.models.framing import LOOKS
from facesearch.models.resolve import EMBEDDED, model_info
from facesearch.people.exchange.statement_file import STATEMENT_FILE, find_fault, rewrite
from facesearch.people.saying import derive_again
from facesearch.wording import are, counted

if TYPE_CHECKING:
    from facesearch.types import ModelInfo

__all__ = ["Health", "check"]


@dataclass(slots=True)
class Health:
    """The result of a check. `faults` are damage to the index; `notes` are worth knowing but harmless.

    `mendable` is set if `check` with `repair` can fix all faults; `done` is what it did, one line each.
    """

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    mendable: bool = True
    done: list[str] = field(default_factory=list)


def check(path: Path, *, repair: bool = False, wait: float = 0.0) -> Health:
    """Check the database, every row, every vector, the vector file and the model, and whether the photos exist.

    With `repair`, faults are repaired as far as the data allows: first the catalog, then what is derived from it.
    Raises `IndexNotFoundError`, `LockedError` (to repair), and `IndexDamagedError` if nothing can be read.
    """
    health = Health()
    with Store.open_catalog(path, write=repair, wait=wait) as catalog:
        found = audit(catalog.database)
        if found.faults and repair:
            try:
                health.done += repair_faults(catalog.database, found, _model_named_by(catalog.database))
            except IndexDamagedError as error:
                health.done.append(str(error))
            found = audit(catalog.database)
        health.faults += found.faults
        health.mendable = not found.beyond_repair
    if health.faults:
        return health
    with Store.open(path, write=repair, wait=wait, prepare=False) as store:
        if health.done:  # what follows from statements may have been among what was damaged
            with store.transaction():
                derive_again(store.catalog)
        _check_vectors(store, health, repair=repair, made_again=bool(health.done))
        _check_staging(store, health, repair=repair)
        _check_left_out(store, health, repair=repair)
        _check_statement_file(store, path, health, repair=repair)
        _check_photos(store, health)
        _check_model(store, health, repair=repair)
    return health


def _check_model(store: Store, health: Health, *, repair: bool) -> None:
    """Check that the index's model is installed. Raises `ModelMismatchError` if another model has its name."""
    if store.model.revision not in LOOKS:
        health.faults.append(f"its embeddings have revision {store.model.revision}, which this version does not have")
        health.mendable = False
        return
    try:
        store.require_model(model_info(store.model.source or store.model.name, store.model.revision))
    except ModelError as error:
        embedded = model_info(EMBEDDED, store.model.revision)
        if store.model.identity != embedded.identity:
            health.notes.append(f"its model is missing: {error}")
        elif repair:
            store.take_model(embedded)
            health.done.append(f"corrected the name of the model to {EMBEDDED}")
        else:
            named = store.model.source or store.model.name
            health.faults.append(f"the record of the model names {named!r:.60}, but has the weights of {EMBEDDED}")


def _model_named_by(database: Database) -> ModelInfo | None:
    """Return the installed model with the name in the catalog; the embedded model if there is none."""
    name = recorded_model_name(database)
    try:
        return None if name is None else model_info(name)
    except (ModelError, ValueError):  # ValueError: a NUL in the name
        return model_info(EMBEDDED)


def _check_vectors(store: Store, health: Health, *, repair: bool, made_again: bool) -> None:
    """Check every vector, and the vector file."""
    bad = store.catalog.vectors.unusable(store.model.dim)
    if bad and not repair:
        health.faults.append(f"{are(len(bad), 'vector')} not of unit length")
        return
    if bad:
        with store.transaction():
            store.catalog.vectors.discard(bad)
        health.done.append(f"deleted {counted(len(bad), 'vector')}; {Hint.READ_PHOTOS_AGAIN}")
    missing = not store.has_vector_file()
    fault = None if missing else store.vector_file_fault()
    if repair and (bad or missing or fault or made_again):
        store.vacuum()
        health.done.append("rebuilt the vector file from the catalog")
    elif missing:
        health.notes.append(f"the vector file is missing; {Hint.MADE_WHEN_NEEDED}")
    elif fault:
        health.faults.append(fault)


def _check_staging(store: Store, health: Health, *, repair: bool) -> None:
    """Check what the next model has extracted so far."""
    model = store.catalog.models.next()
    bad = [] if model is None else store.catalog.staging.unusable(model.dim)
    if not bad:
        return
    if not repair:
        health.faults.append(f"{counted(len(bad), 'photo')} with invalid vectors of the next model")
        return
    with store.transaction():
        store.catalog.staging.drop(bad)
    health.done.append(f"{counted(len(bad), 'photo')} will be processed again by the next model")


def _check_left_out(store: Store, health: Health, *, repair: bool) -> None:
    """Check the embeddings of people who are left out."""
    bad = store.catalog.kept_out.unusable(store.model.dim)
    if not bad:
        return
    if not repair:
        health.faults.append(f"{counted(len(bad), 'embedding')} of people who are left out damaged")
        return
    with store.transaction():
        for template in bad:
            store.catalog.kept_out.delete(template)
    health.done.append(f"deleted {counted(len(bad), 'embedding')} of people who were left out; they are indexed again")


def _check_statement_file(store: Store, path: Path, health: Health, *, repair: bool) -> None:
    """Check the file of statements beside the catalog."""
    fault = find_fault(store.catalog, path)
    if fault is None:
        return
    if repair:
        try:
            told = rewrite(store.catalog, path)
        except OSError as error:
            health.faults.append(f"{STATEMENT_FILE} cannot be written ({error.strerror})")
            return
        health.done += [f"wrote {STATEMENT_FILE} again from the catalog", *([] if told is None else [told])]
    else:
        (health.notes if fault.harmless else health.faults).append(fault.problem)


def _check_photos(store: Store, health: Health) -> None:
    names: dict[bytes, str] = {}
    for root in store.catalog.roots.all():
        name = os.fsdecode(root.path)
        first = names.setdefault(resolved(root.path), name)
        if first != name:  # an earlier version allowed this
            health.notes.append(
                f"{name} is the same folder as {first}, so its photos are found twice; {Hint.REMOVE_FOLDER}"
            )
        trouble = _why_not_seen(root.path)
        if trouble is not None:
            health.notes.append(f"{name} is unreadable ({trouble})" if trouble else f"{name} is missing now")
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
            health.notes.append(f"{are(number, 'photo')} unreadable in {name} ({reason}); nothing is hidden")


def _why_not_seen(path: bytes) -> str | None:
    """Return None if a file exists, an empty text if it is missing, else the reason why that is unknown."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return ""
    except OSError as error:
        return error.strerror or type(error).__name__
    return None
