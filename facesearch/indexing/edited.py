"""Faces that an edit of a photo left where they were, although they are not detected any more.

The user has said whom such a face shows. A tag written into the file, another compression or another detector option
must not take that away, but another picture under the same name must.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from facesearch.indexing.contents import read
from facesearch.indexing.extraction import extract
from facesearch.photos.fingerprint import ALIKE_BITS
from facesearch.types import SAME_FACE, Corrections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facesearch.catalog.catalog import Catalog
    from facesearch.indexing.diff import Task
    from facesearch.indexing.extraction import Outcome
    from facesearch.indexing.options import Options
    from facesearch.models.protocol import FaceModel
    from facesearch.types import Face

__all__ = ["with_kept_faces"]

_ITSELF = 0.5
"""The least similarity of a face to itself before an edit. Among strangers, one pair in 100,000 reaches it."""


def with_kept_faces(catalog: Catalog, model: FaceModel, outcome: Outcome[Task], options: Options) -> Outcome[Task]:
    """Return what was extracted from a photo, with the faces of its earlier content that have to stay.

    Where such a face was missed, the photo is read once more: it stays if the picture looks the same, and the face too.
    """
    task, content, facts = outcome.content.item, outcome.content.hash, outcome.facts
    here = None if task.known is None else catalog.photos.at(task.root.id, task.file.path)
    was = None if here is None else catalog.photos.content_of(here.id)
    if here is None or was is None or was not in options.corrections:
        return outcome
    if content is None or content == was or facts is None:
        return outcome
    boxes = [face.detection.box for face in outcome.faces]
    missed = [one for one in options.corrections[was].kept if all(one.box.overlap(box) < SAME_FACE for box in boxes)]
    before = catalog.photos.facts_of(here.id)
    alike = _alike(catalog.photos.fingerprint_of(here.id), outcome.fingerprint)
    if not missed or not alike or (before.width, before.height) != (facts.width, facts.height):
        return outcome
    said = options.corrections.get(content, Corrections())
    wanted = replace(said, kept=(*said.kept, *missed))
    again = extract(model, read(task), replace(options, corrections={content: wanted}))
    if again.content.hash != content or again.facts is None:
        return outcome  # it is being changed; the next run reads it
    earlier = catalog.faces.of_photo(here.id)
    places = {one.box for one in missed}
    return again._replace(
        faces=[face for face in again.faces if face.detection.box not in places or _is_itself(face, earlier)]
    )


def _alike(one: int | None, other: int | None) -> bool:
    """Whether two fingerprints are those of pictures that look alike; False if one was not measured."""
    return one is not None and other is not None and ((one ^ other) & (2**64 - 1)).bit_count() <= ALIKE_BITS


def _is_itself(face: Face, earlier: Sequence[Face]) -> bool:
    """Whether a face looks as it did before the edit; one that another model embedded cannot be compared."""
    return any(
        one.detection.box == face.detection.box
        and (one.embedding.size != face.embedding.size or float(one.embedding @ face.embedding) >= _ITSELF)
        for one in earlier
    )
