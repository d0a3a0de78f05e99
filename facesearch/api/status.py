"""The status of an index: its path, model, size, index type, contents and last run."""

from __future__ import annotations

import os
from collections.abc import Mapping
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
    """A model switch in progress: `done` of `photos` photos were read with the new `model`, for its `revision`."""

    model: str
    revision: int
    done: int
    photos: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexStatus:
    """The status of an index.

    `revision` is that of the embeddings, and `latest_revision` the one that `Index.switch_model` would make.

    `threshold` is the cosine similarity from which a face is a match. It was measured on `calibrated_people`, None if
    the model was never calibrated; `calibration` describes its source in one line. `runtime` is the runtime and device
    of the model on this machine. `search` describes the vector index.

    `people` is the number of people whose faces were grouped, None if that was never done; `grouped` faces belong to
    one of them. `groups_after_runs` says whether indexing runs group new faces.

    `shards` has the shard, such as `3/10`, of each folder that the index does not take as a whole.

    `photos` is the number of visible photos, `hidden` of hidden ones, of which `handed_over` are hidden because they
    are in other shards. `no_face` photos have no face, `failed` ones are unreadable, `made_here` are pictures made by
    facesearch, which are not indexed, and the model has yet to read `outdated` photos. Sizes are in bytes. `last_run`
    is the report of the last indexing run, None if no run has finished. `left_out` has, for each person who was
    forgotten and is left out of later runs, until when, in seconds since 1970; an embedding is kept for each.
    """

    path: Path
    model: str
    revision: int
    latest_revision: int
    switch: SwitchProgress | None
    runtime: str
    threshold: float
    calibrated_people: int | None
    calibration: str
    search: SearchFacts
    folders: tuple[str, ...]
    shards: Mapping[str, str]
    photos: int
    faces: int
    no_face: int
    failed: int
    made_here: int
    hidden: int
    handed_over: int
    outdated: int
    people: int | None
    grouped: int
    groups_after_runs: bool
    catalog_bytes: int
    vectors_bytes: int
    last_run: dict[str, Any] | None
    left_out: tuple[int, ...] = ()


def status_of(store: Store, path: Path, runtime: Runtime) -> IndexStatus:
    """Return the status of an index. Raises what the store raises."""
    from facesearch.calibration.storage import calibration_of
    from facesearch.models.framing import LATEST_REVISION

    catalog = store.catalog
    calibration = calibration_of(store.model, catalog.meta.calibration())
    search = store.search_facts()  # first, so that the counts match the vectors
    counts, size = catalog.photos.counts(), store.size()
    roots, shards = catalog.roots.all(), catalog.roots.shards()
    return IndexStatus(
        path=path,
        model=store.model.name,
        revision=store.model.revision,
        latest_revision=LATEST_REVISION,
        switch=_switch(catalog),
        runtime=str(runtime),
        threshold=calibration.threshold,
        calibrated_people=calibration.people if calibration.measured else None,
        calibration=calibration.origin,
        search=search,
        folders=tuple(os.fsdecode(root.path) for root in roots),
        shards={os.fsdecode(root.path): str(shards[root.id]) for root in roots if root.id in shards},
        photos=counts.photos,
        faces=counts.faces,
        no_face=counts.no_face,
        failed=counts.failed,
        made_here=catalog.photos.count_ours(),
        hidden=counts.missing,
        handed_over=catalog.photos.count_handed_over(),
        outdated=catalog.photos.count_outdated(),
        people=None if catalog.meta.grouped() is None else catalog.people.count(),
        grouped=catalog.people.count_faces(),
        groups_after_runs=catalog.meta.groups_after_runs(),
        catalog_bytes=size.catalog,
        vectors_bytes=size.vectors,
        last_run=catalog.meta.last_run(),
        left_out=tuple(sorted(one.until for one in catalog.kept_out.all())),
    )


def _switch(catalog: Catalog) -> SwitchProgress | None:
    model = catalog.models.next()
    if model is None:
        return None
    done, photos = catalog.staging.count(), catalog.staging.count_contents()
    return SwitchProgress(model=model.name, revision=model.revision, done=done, photos=photos)
