"""What a shared gallery stores of a face: one flat row, which becomes a complete record again.

The ids of an index are its own. In a record of a shared gallery they hold the number of the index, too, so that no two
faces have the same: see `facesearch.types.whole_id`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from facesearch.types import Box, Detection, FaceRecord, whole_id

if TYPE_CHECKING:
    from facesearch.types import FloatArray

__all__ = ["COLUMNS", "Row", "record_of", "row_of"]

COLUMNS: Mapping[str, str] = {
    "face": "bigint",
    "vector": "bigint",
    "photo": "bigint",
    "root": "bigint",
    "root_path": "bytea",
    "path": "bytea",
    "size": "bigint",
    "mtime_ns": "bigint",
    "content": "bytea",
    "fingerprint": "bigint",
    "taken_at": "text",
    "date_source": "text",
    "date_precision": "text",
    "first_moment": "text",
    "last_moment": "text",
    "x": "double precision",
    "y": "double precision",
    "width": "double precision",
    "height": "double precision",
    "landmarks": "bytea",
    "score": "double precision",
    "quality": "double precision",
    "faces_in_photo": "integer",
    "person": "bigint",
    "digest": "bigint",
}
"""The columns of a row, and their types in SQL; the embedding comes after them. `digest` is a hash of all others but
the moments, which follow from others, in local time."""

_NAMES = tuple(COLUMNS)
_ENDS = {"year": (4, "-12-31T23:59:59"), "month": (7, "-31T23:59:59"), "day": (10, "T23:59:59"), "minute": (16, ":59")}


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A face as a shared gallery stores it: the values of `COLUMNS`, and its embedding, float32[dim]."""

    values: tuple[Any, ...]
    embedding: FloatArray

    @property
    def face(self) -> int:
        """The id of the face in its index."""
        return int(self.values[0])

    @property
    def digest(self) -> int:
        """A hash of everything else, below 2**63."""
        return int(self.values[-1])


def row_of(face: FaceRecord, faces_in_photo: int, embedding: FloatArray) -> Row:
    """Return the row of a face of an index."""
    box = face.detection.box
    values = (
        face.face_id, face.vector_id, face.photo_id, face.root_id, face.root_path, face.path, face.size, face.mtime_ns,
        face.content, face.fingerprint, face.taken_at, face.dated_by, face.dated_to, face.date, _last_moment(face),
        box.left, box.top, box.width, box.height, face.detection.landmarks.astype("<f4").tobytes(),
        face.detection.score, face.quality, faces_in_photo, face.person,
    )  # fmt: skip
    lasting = [value for name, value in zip(COLUMNS, values, strict=False) if not name.endswith("_moment")]
    told = hashlib.blake2b(repr(lasting).encode(), digest_size=8)
    told.update(embedding.astype("<f4").tobytes())
    return Row((*values, int.from_bytes(told.digest(), "big") >> 1), embedding)


def record_of(index: int, name: str, values: Sequence[Any]) -> FaceRecord:
    """Return the record of a row of the index `name`, whose number in the gallery is `index`."""
    row = dict(zip(_NAMES, values, strict=True))
    landmarks = np.frombuffer(row["landmarks"], dtype="<f4").reshape(5, 2).astype(np.float32)
    detection = Detection(Box(row["x"], row["y"], row["width"], row["height"]), landmarks, row["score"])
    return FaceRecord(
        whole_id(index, row["vector"]), whole_id(index, row["face"]), whole_id(index, row["photo"]),
        whole_id(index, row["root"]), row["path"], detection, row["taken_at"], row["mtime_ns"], row["quality"],
        row["fingerprint"], row["date_source"], row["date_precision"], row["size"], row["content"], row["root_path"],
        None if row["person"] is None else whole_id(index, row["person"]), name,
    )  # fmt: skip


def _last_moment(face: FaceRecord) -> str:
    """Return the last second at which a photo may have been taken; as text, every month ends on a 31st."""
    length, end = _ENDS.get(face.date_precision, (19, ""))
    return face.date[:length] + end
