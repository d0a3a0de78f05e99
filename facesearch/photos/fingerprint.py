"""Perceptual 64-bit hash of a photo, to recognise near-identical shots: copies, resized re-saves, bursts.

Each bit records whether one of 8 x 8 cells is brighter than its neighbour to the left (a difference hash). It survives
resizing, another quality and a slight shift of the camera.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facesearch.photos.picture import Photo

__all__ = ["ALIKE_BITS", "fingerprint"]

ALIKE_BITS = 10
"""Two photos look alike if their hashes differ in at most this number of bits."""

_PLACES = 8
_FROM = 160


def fingerprint(photo: Photo) -> int:
    """Return the hash as a signed 64-bit number, as SQLite stores them.

    Raises `PhotoError` if the photo cannot be decoded.
    """
    import numpy as np
    from PIL import Image

    small = Image.fromarray(photo.pixels(_FROM)).convert("L")
    grey = np.asarray(small.resize((_PLACES + 1, _PLACES), Image.Resampling.BOX), dtype=np.int16)
    brighter = (grey[:, 1:] > grey[:, :-1]).ravel()
    return int.from_bytes(np.packbits(brighter).tobytes(), "big", signed=True)
