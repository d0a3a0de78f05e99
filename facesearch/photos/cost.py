"""Estimate the peak memory of a photo from its header, before it is decoded.

A JPEG is decoded at the size that is needed. All other formats are decoded whole, at 4 bytes per colour pixel, and some
of their decoders hold several copies: see `facesearch.photos.formats` for each.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

    from facesearch.photos.formats import Format
    from facesearch.photos.parts import Parts

__all__ = ["BAND", "cost_of", "most_memory", "pixels_for"]

BAND = 1 << 20
"""Pixels that are converted at a time from one mode to another, so that no two full copies exist in memory."""

_MOST = 600 * 2**20
_USUAL_PIXELS = 200_000_000
_IN_A_BAND = 24
_IN_MODE = {"1": 1, "L": 1, "P": 1, "LA": 4, "PA": 4, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
_COLOUR = 4


def most_memory(max_pixels: int) -> int:
    """Return the bytes that one photo may take: 600 MiB, and proportionally more if `max_pixels` is above 200 million.

    With models, libraries and other waiting photos, 600 MiB stays within 1 GiB.
    """
    return round(_MOST * max(1.0, max_pixels / _USUAL_PIXELS))


def pixels_for(memory: int) -> int:
    """Return the pixel limit, rounded up to whole megapixels, under which a photo may take `memory` bytes."""
    return math.ceil(memory / _MOST * _USUAL_PIXELS / 1e6) * 1_000_000


def cost_of(image: Image, form: Format, parts: Parts, *, finest: float, turned: bool) -> int:
    """Return the peak memory of a photo in bytes until its faces are known, without the file itself.

    `image` is opened but not decoded. It is kept at no more than `finest` of its size, and rotated if `turned`.
    """
    whole = image.width * image.height
    kept = whole * finest**2
    in_mode = _IN_MODE.get(image.mode, _COLOUR)
    pyramid = _COLOUR * kept * 4 / 3
    result = 0.0 if image.mode == "RGB" and (finest == 1 or form.decodes_smaller) else _COLOUR * kept
    bands = min(BAND, whole) * _IN_A_BAND if result else 0
    turning = 2 * _COLOUR * kept if turned else 0.0
    if form.decodes_smaller:
        # A smaller decode and its halvings stay in memory while a larger one is made.
        decoded = parts.coefficients * whole + in_mode * kept
        return round(max(decoded, in_mode * kept + result + bands, turning, pyramid) + pyramid / 4)
    beside = form.bytes_beside * whole + form.bytes_at_once(image)
    return round(max(in_mode * whole + beside + result + bands, turning, pyramid))
