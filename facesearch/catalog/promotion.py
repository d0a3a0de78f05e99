"""Make the next model the current one: its staged faces replace the known ones."""

from __future__ import annotations

from dataclasses import dataclass

from facesearch.catalog.catalog import Catalog

__all__ = ["Promotion", "promote_next_model"]


@dataclass(frozen=True, slots=True)
class Promotion:
    """The number of faces that a new model `kept` (known and found again), found (`new`) and missed (`lost`).

    `outdated` faces are in `outdated_photos`, which it has not read.
    """

    kept: int
    new: int
    lost: int
    outdated: int
    outdated_photos: int


def promote_next_model(catalog: Catalog) -> Promotion:
    """Switch to the embeddings of the next model, in one transaction.

    A face that it found in the place of a known one keeps the id of that one. Forgotten faces stay forgotten. Photos
    that it has not read keep their faces, but queries do not find them until a later run reads them.
    """
    with catalog.transaction():
        before, last_face = catalog.faces.count(), catalog.faces.last_id()
        catalog.models.promote_next()
        dim = catalog.models.current().dim
        for photo, content in catalog.staging.photos():
            faces, fingerprint = catalog.staging.faces_of(content, dim)
            catalog.photos.mark_extracted(photo, faces=bool(faces), fingerprint=fingerprint)
            catalog.faces.replace(photo, faces)
        catalog.photos.mark_outdated()
        new, outdated = catalog.faces.count(after=last_face), catalog.faces.count(outdated=True)
        kept = catalog.faces.count() - new - outdated
        catalog.vectors.forget_dead(catalog.meta.generation)  # every existing vector file is another model's
    return Promotion(kept, new, before - kept - outdated, outdated, catalog.photos.count_outdated())
