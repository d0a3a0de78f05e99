"""Framing: how a face is shown to the detector for its landmarks, and cropped for the recogniser.

Embeddings depend on it, so each framing has an embedding revision. Earlier ones stay here: an index is queried and
extended with the revision that made it, until `reindex` brings it to the latest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

__all__ = ["LATEST_REVISION", "LOOKS", "Framing", "Looks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """How often and at which sizes a detected face is detected again, upright and on its own; see `faces.landmarks`.

    Each pass shows it in views of `side` pixels, once per zoom as it is and once mirrored. A zoom of 1 makes the face
    as large as in the aligned crop. There is another pass, up to `passes` in total, if the landmarks moved by more than
    `moved` pixels of the aligned crop on average, or if the face turned out to be tilted by more than `turned` degrees
    or to have another scale than expected by more than the share `scaled`.
    """

    side: int
    zooms: tuple[float, ...]
    passes: int
    moved: float = inf
    turned: float = inf
    scaled: float = inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """The looks of an embedding revision, and the scale of aligned crops.

    A `crop_scale` of 0.96 shows the face at 96 % of the size of the template, around the centre of the crop, so there
    is more of what surrounds it. `looks` is None if the landmarks of a detector are used as they are.
    """

    looks: Looks | None
    crop_scale: float = 1.0


LOOKS: Mapping[int, Looks] = {
    2: Looks(side=160, zooms=(0.7, 0.9), passes=2, moved=2.5),
    3: Looks(side=128, zooms=(0.8,), passes=3, turned=3.0, scaled=0.1),
}
"""The looks of each embedding revision that can still be queried."""

LATEST_REVISION = max(LOOKS)
"""The embedding revision of new indexes."""
