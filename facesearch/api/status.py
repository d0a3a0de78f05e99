"""What an index is: where, of which model, how large, how it answers, and what its last run did."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facesearch.catalog.catalog import Catalog
    from facesearch.index.store import Store
    from facesearch.index.vector_file import SearchFacts
    from facesearch.models.runtime import Runtime

__all__ = ["IndexStatus", "SwitchProgress", "status_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchProgress:
    """A switch to another model that is under way: `done` of `photos` were read with it."""

    model: str
    done: int
    photos: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexStatus:
    """An index, its model and what is in it.

    `threshold` is the cosine similarity from which a face is a match; it rests on `calibrated_people`, None where false
    matches were never measured for this model, and `calibration` says in a line where it comes from. `runtime` is what
    the model would run on here.

    `photos` count those in sight, `hidden` those that are kept and out of sight, `failed` those that could not be read,
    `made_here` pictures that facesearch made, which are no photos; `outdated` photos wait for the model to read them.
    Sizes are in bytes. `last_run` is the report of the last indexing run, None where none was finished.
    """

    path: Path
    model: str
    switch: SwitchProgress | None
    runtime: str
    threshold: float
    calibrated_people: int | None
    calibration: str
    search: SearchFacts
    folders: tuple[str, ...]
    photos: int
    faces: int
    no_face: int
    failed: int
    made_here: int
    hidden: int
    outdated: int
    catalog_bytes: int
    vectors_bytes: int
    last_run: dict[str, Any] | None


def status_of(store: Store, path: Path, runtime: Runtime) -> IndexStatus:
    """Look it all up. Raises what the store raises."""
    from facesearch.calibration.storage import calibration_of

    catalog, calibration = store.catalog, calibration_of(store.model)
    search = store.search_facts()  # first: what is counted afterwards fits the vectors
    counts, size = catalog.photos.counts(), store.size()
    return IndexStatus(
        path=path,
        model=store.model.name,
        switch=_switch(catalog),
        runtime=str(runtime),
        threshold=calibration.threshold,
        calibrated_people=calibration.people if calibration.measured else None,
        calibration=calibration.origin,
        search=search,
        folders=tuple(os.fsdecode(root.path) for root in catalog.roots.all()),
        photos=counts.photos,
        faces=counts.faces,
        no_face=counts.no_face,
        failed=counts.failed,
        made_here=catalog.photos.count_ours(),
        hidden=counts.missing,
        outdated=catalog.photos.count_outdated(),
        catalog_bytes=size.catalog,
        vectors_bytes=size.vectors,
        last_run=catalog.meta.last_run(),
    )


def _switch(catalog: Catalog) -> SwitchProgress | None:
    model = catalog.models.next()
    if model is None:
        return None
    done, photos = catalog.staging.count(), catalog.staging.count_contents()
    return SwitchProgress(model=model.name, done=done, photos=photos)
