"""Suppress, scale, shift and rotate detections; normalise embeddings.

Coordinates are pixels, x to the right and y down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from facesearch.types import Box, Detection

if TYPE_CHECKING:
    from facesearch.types import FloatArray, Pixels

__all__ = ["looks_upright", "scaled", "shifted", "turned_back", "unit_length", "with_border", "without_duplicates"]


def without_duplicates(detections: Sequence[Detection], max_overlap: float) -> list[Detection]:
    """Drop detections that overlap a better one by more than `max_overlap` (non-maximum suppression). Best first."""
    kept: list[Detection] = []
    for candidate in sorted(detections, key=lambda detection: -detection.score):
        if all(candidate.box.overlap(other.box) <= max_overlap for other in kept):
            kept.append(candidate)
    return kept


def scaled(detection: Detection, factor: float) -> Detection:
    """Map a detection from a reduced image to one `factor` times its size."""
    box = detection.box
    # Landmarks are pixel centres and box edges lie between pixels: half a pixel apart, which matters when scaled.
    return replace(
        detection,
        box=Box(box.left * factor, box.top * factor, box.width * factor, box.height * factor),
        landmarks=((detection.landmarks + 0.5) * factor - 0.5).astype(np.float32),
    )


def shifted(detection: Detection, x: float, y: float) -> Detection:
    """Return a detection in the coordinates of an image whose origin lies `x` further left and `y` higher."""
    box = detection.box
    return replace(
        detection,
        box=Box(box.left + x, box.top + y, box.width, box.height),
        landmarks=(detection.landmarks + np.array([x, y])).astype(np.float32),
    )


def unit_length(vectors: FloatArray) -> FloatArray:
    """Divide each row of float32[n, dim], or a single float32[dim], by its length; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: FloatArray = vectors / np.maximum(lengths, np.float32(1e-12))
    return unit


def with_border(picture: Pixels) -> tuple[Pixels, int, int]:
    """Return an image with a black border of half its size on every side, and the position of its origin.

    Detectors with a fixed input size miss a face that fills the image; with the border it is half as large.
    """
    height, width = picture.shape[:2]
    framed = np.zeros((height * 2, width * 2, 3), dtype=np.uint8)
    left, top = width // 2, height // 2
    framed[top : top + height, left : left + width] = picture
    return framed, left, top


def turned_back(detection: Detection, turns: int, width: int, height: int) -> Detection:
    """Map a detection from an image rotated counter-clockwise by `turns` right angles (as `np.rot90`) to the original.

    `width` and `height` are the size of the original image.
    """
    box, landmarks = detection.box, detection.landmarks.astype(np.float64)
    left, top, box_width, box_height = box.left, box.top, box.width, box.height
    # One turn maps (x, y) to (y, width - x). The turns are undone one at a time, the last one first.
    sides = [(width, height) if turn % 2 == 0 else (height, width) for turn in range(turns)]
    for side, _other in reversed(sides):
        left, top, box_width, box_height = side - (top + box_height), left, box_height, box_width
        landmarks = np.stack([side - 1 - landmarks[:, 1], landmarks[:, 0]], axis=1)
    return replace(detection, box=Box(left, top, box_width, box_height), landmarks=landmarks.astype(np.float32))


def looks_upright(detection: Detection) -> bool:
    """Return True if the landmarks fit an upright face: eyes above nose above mouth, left before right.

    Detectors also find faces that lie on their side or upside down, and put squeezed or crossed landmarks where an
    upright face would have them. A profile passes: the tests compare order, not distances.
    """
    (ax, ay), (bx, by), (_, nose_y), (mx, my), (nx, ny) = detection.landmarks.tolist()
    eyes_y, mouth_y = (ay + by) / 2, (my + ny) / 2
    size = max(detection.box.width, detection.box.height)
    in_order = eyes_y < nose_y < mouth_y and ax < bx and mx < nx
    return bool(in_order and mouth_y - eyes_y > 0.15 * size and abs(by - ay) < 1.5 * (bx - ax) + 0.05 * size)
