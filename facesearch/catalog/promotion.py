"""The next model becomes the current one: its staged faces take the place of those that are known."""

from __future__ import annotations

from dataclasses import dataclass

from facesearch.catalog.catalog import Catalog

__all__ = ["Promotion", "promote_next_model"]


@dataclass(frozen=True, slots=True)
class Promotion:
    """What became of faces when a model replaced another: known ones that it found too, new ones, and those it missed.

    `outdated` faces are in `outdated_photos`, which it has not seen.
    """

    kept: int
    new: int
    lost: int
    outdated: int
    outdated_photos: int


def promote_next_model(catalog: Catalog) -> Promotion:
    """Answer with the embeddings of the next model from now on, all in one transaction.

    A face that it has found where an earlier one is known keeps that one's id, and with it all that was said about it;
    faces that were forgotten stay so. Photos that it has not seen keep their faces, out of sight of questions, until a
    later run reads them.
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
        catalog.vectors.forget_dead(catalog.meta.generation)  # every vector file until now is another model's
    return Promotion(kept, new, before - kept - outdated, outdated, catalog.photos.count_outdated())
