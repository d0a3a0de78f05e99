"""Detections under overlap, turns and padding; embeddings of unit length.

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
    """Non-maximum suppression: of detections that overlap by more, the one with the best score stays. Best first."""
    kept: list[Detection] = []
    for candidate in sorted(detections, key=lambda detection: -detection.score):
        if all(candidate.box.overlap(other.box) <= max_overlap for other in kept):
            kept.append(candidate)
    return kept


def scaled(detection: Detection, factor: float) -> Detection:
    """From a shrunken picture back to a larger one, `factor` times its size."""
    box = detection.box
    # A landmark names a pixel by its centre, a box edge lies between pixels: half a pixel apart, which shows at scale.
    return replace(
        detection,
        box=Box(box.left * factor, box.top * factor, box.width * factor, box.height * factor),
        landmarks=((detection.landmarks + 0.5) * factor - 0.5).astype(np.float32),
    )


def shifted(detection: Detection, x: float, y: float) -> Detection:
    """The same detection in a picture whose origin lies `x` to the left and `y` above."""
    box = detection.box
    return replace(
        detection,
        box=Box(box.left + x, box.top + y, box.width, box.height),
        landmarks=(detection.landmarks + np.array([x, y])).astype(np.float32),
    )


def unit_length(vectors: FloatArray) -> FloatArray:
    """Each row of float32[n, dim], or a single float32[dim], divided by its length; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: FloatArray = vectors / np.maximum(lengths, np.float32(1e-12))
    return unit


def with_border(picture: Pixels) -> tuple[Pixels, int, int]:
    """The picture in a black frame, half its size wide on every side, and where in it the picture's origin lies.

    Detectors of one input size miss a face that fills the frame; in the border it is half as large.
    """
    height, width = picture.shape[:2]
    framed = np.zeros((height * 2, width * 2, 3), dtype=np.uint8)
    left, top = width // 2, height // 2
    framed[top : top + height, left : left + width] = picture
    return framed, left, top


def turned_back(detection: Detection, turns: int, width: int, height: int) -> Detection:
    """From a picture turned counter-clockwise by `turns` right angles (as `np.rot90` does) back to the unturned one.

    `width` and `height` are those of the unturned picture.
    """
    box, landmarks = detection.box, detection.landmarks.astype(np.float64)
    left, top, box_width, box_height = box.left, box.top, box.width, box.height
    # One turn takes (x, y) to (y, width - x); undone one turn at a time, the last picture's sides come first.
    sides = [(width, height) if turn % 2 == 0 else (height, width) for turn in range(turns)]
    for side, _other in reversed(sides):
        left, top, box_width, box_height = side - (top + box_height), left, box_height, box_width
        landmarks = np.stack([side - 1 - landmarks[:, 1], landmarks[:, 0]], axis=1)
    return replace(detection, box=Box(left, top, box_width, box_height), landmarks=landmarks.astype(np.float32))


def looks_upright(detection: Detection) -> bool:
    """Whether the landmarks could be those of an upright face: eyes above nose above mouth, left before right.

    Detectors fire on faces that lie on their side or head, and put the landmarks where an upright face would have
    them, squeezed or crossed. A profile passes: the tests ask for order, not for distances.
    """
    (ax, ay), (bx, by), (_, nose_y), (mx, my), (nx, ny) = detection.landmarks.tolist()
    eyes_y, mouth_y = (ay + by) / 2, (my + ny) / 2
    size = max(detection.box.width, detection.box.height)
    in_order = eyes_y < nose_y < mouth_y and ax < bx and mx < nx
    return bool(in_order and mouth_y - eyes_y > 0.15 * size and abs(by - ay) < 1.5 * (bx - ax) + 0.05 * size)
