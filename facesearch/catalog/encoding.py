"""How faces and vectors are stored: as the values of the columns `FACE`, and as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from facesearch.catalog.columns import MEASURES
from facesearch.types import Box, Detection, Face

if TYPE_CHECKING:
    from facesearch.types import FloatArray

__all__ = ["decode_detection", "decode_face", "decode_vector", "encode_face", "encode_vector"]


def encode_face(face: Face) -> tuple[Any, ...]:
    """Return a face without its embedding, as the values of `FACE`."""
    box, landmarks = face.detection.box, face.detection.landmarks.astype("<f4").tobytes()
    detected = (box.left, box.top, box.width, box.height, landmarks, face.detection.score)
    return (*(getattr(face, name) for name in MEASURES), *detected)


def decode_face(values: Sequence[Any], embedding: FloatArray) -> Face:
    """Return a face from the values of `FACE` and its embedding, float32[dim]."""
    measures: dict[str, Any] = dict(zip(MEASURES, values, strict=False))
    return Face(decode_detection(values[len(MEASURES) :]), embedding, **measures)


def decode_detection(values: Sequence[Any]) -> Detection:
    """Return the detection from the values of `FACE` that follow `MEASURES`."""
    import numpy as np

    x, y, width, height, landmarks, score = values
    points: FloatArray = np.frombuffer(landmarks, dtype="<f4").reshape(5, 2).astype(np.float32)
    return Detection(Box(x, y, width, height), points, score)


def encode_vector(vector: FloatArray) -> bytes:
    """Return float32[dim] as little-endian bytes."""
    return vector.astype("<f4").tobytes()


def decode_vector(data: bytes) -> FloatArray:
    """Return float32[dim]; dim follows from the length."""
    import numpy as np

    return np.frombuffer(data, dtype="<f4").astype(np.float32)
