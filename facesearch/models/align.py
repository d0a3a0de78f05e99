"""Align a face to a 112 x 112 crop: map five landmarks onto the ArcFace template and sample without aliasing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

    from facesearch.types import FloatArray, Pixels

__all__ = ["CROP_SIDE", "TEMPLATE", "Similarity", "centred", "crop_face", "similarity_to_template"]

CROP_SIDE = 112
"""Pixels along each side of an aligned crop."""

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    dtype=np.float64,
)
"""The five landmarks of a frontal face in a crop, as x and y of pixel centres (ArcFace, Deng et al. 2019)."""

_ONE_PLACE = 1e-14
"""Square pixels: landmarks with at most this spread coincide, up to rounding."""

Similarity = tuple[complex, complex]
"""The map z -> a*z + b as (a, b)."""

TEMPLATE.setflags(write=False)


def similarity_to_template(landmarks: FloatArray) -> Similarity:
    """Return the similarity z -> a*z + b, in complex numbers x + iy, that brings `landmarks` closest to the template.

    `landmarks` is float[5, 2] in pixel centres. |a| is the scale (crop pixels per photo pixel), the angle of a is the
    rotation. In the plane, the least-squares similarity without mirroring (Umeyama 1991) is this one linear regression.
    """
    source = landmarks[:, 0].astype(np.float64) + 1j * landmarks[:, 1]
    target = TEMPLATE[:, 0] + 1j * TEMPLATE[:, 1]
    centred = source - source.mean()
    spread = float((np.abs(centred) ** 2).sum())
    a = complex((centred.conj() * (target - target.mean())).sum() / spread) if spread > _ONE_PLACE else 1 + 0j
    return a, complex(target.mean() - a * source.mean())


def centred(transform: Similarity, zoom: float, side: int) -> Similarity:
    """Return a transform that shows a face `zoom` times the size, in the middle of a square of `side` pixels."""
    margin = (side - CROP_SIDE * zoom) / 2
    return transform[0] * zoom, transform[1] * zoom + complex(margin, margin)


def crop_face(
    image: Image, image_scale: float, transform: Similarity, side: int = CROP_SIDE, *, rough: bool = False
) -> Pixels:
    """Crop a face with `transform`, as uint8[side, side, 3] RGB; areas outside the photo are black.

    `image` is the upright photo, or a smaller decode of it with `image_scale` pixels per photo pixel; `transform` maps
    photo pixels to crop pixels. A face larger than the crop is first shrunk with a filter that is wide enough (sampling
    a 600-pixel face at 112 points would alias), then rotated at a scale of one. A `rough` crop, good enough to find
    landmarks in, uses fewer neighbours per pixel and takes half the time.
    """
    from PIL.Image import Resampling, Transform

    a, b = transform
    shrink = abs(a) / image_scale
    # Pixel centres lie at index + 0.5 in Pillow's continuous coordinates.
    half = 0.5 + 0.5j
    to_image = image_scale / a  # continuous crop -> continuous image: z -> to_image * z + offset
    offset = ((-half - b) / a + half) * image_scale
    if shrink < 1:
        corners = [to_image * corner + offset for corner in (0, side, side * 1j, side + side * 1j)]
        margin = 3 / shrink
        left = max(0.0, min(corner.real for corner in corners) - margin)
        top = max(0.0, min(corner.imag for corner in corners) - margin)
        right = min(float(image.width), max(corner.real for corner in corners) + margin)
        bottom = min(float(image.height), max(corner.imag for corner in corners) + margin)
        if right - left < 1 or bottom - top < 1:
            return np.zeros((side, side, 3), dtype=np.uint8)
        size = (max(1, round((right - left) * shrink)), max(1, round((bottom - top) * shrink)))
        scale_x, scale_y = size[0] / (right - left), size[1] / (bottom - top)
        image = image.resize(size, Resampling.BILINEAR, box=(left, top, right, bottom))
    else:
        left = top = 0.0
        scale_x = scale_y = 1.0
    matrix = (
        to_image.real * scale_x,
        -to_image.imag * scale_x,
        (offset.real - left) * scale_x,
        to_image.imag * scale_y,
        to_image.real * scale_y,
        (offset.imag - top) * scale_y,
    )
    between = Resampling.BILINEAR if rough else Resampling.BICUBIC
    crop = image.transform((side, side), Transform.AFFINE, matrix, between, fillcolor=(0, 0, 0))
    return np.asarray(crop)
