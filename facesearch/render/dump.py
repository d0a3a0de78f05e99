"""Export every face of an index, for other programs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facesearch.cells import csv_lines
from facesearch.errors import InputError, StorageError
from facesearch.files import output_file
from facesearch.render.records import path_keys
from facesearch.types import FaceRecord

if TYPE_CHECKING:
    from facesearch.types import FloatArray

__all__ = ["dump_text", "save_npz", "save_text"]


def dump_text(
    faces: Iterable[tuple[FaceRecord, FloatArray]], layout: str, *, vectors: bool, show: Callable[[str], str] = str
) -> Iterator[str]:
    """Yield lines of JSON or CSV, one per face, with its photo, box, landmarks, scores and ids.

    With `vectors` each line includes the embedding, at unit length. In CSV landmarks and vectors are numbers separated
    by spaces.
    """
    if layout == "jsonl":
        for row, vector in faces:
            yield json.dumps({**path_keys("path", row.path), **_values(row, vector, vectors=vectors)}) + "\n"
        return
    fields = [
        "path", "left", "top", "width", "height", "landmarks", "det_score", "quality", "photo_id", "face_id",
        "taken_at", "date_source", "date_precision",
    ]  # fmt: skip
    rows = (_csv_row(row, vector, vectors=vectors, show=show) for row, vector in faces)
    yield from csv_lines(fields + ["vector"] * vectors, rows)


def save_text(faces: Iterable[tuple[FaceRecord, FloatArray]], layout: str, path: Path, *, vectors: bool) -> None:
    """Write the lines of `dump_text` to a file, completely or not at all; file names of photos keep their bytes.

    With `vectors` the file has mode 0600. Raises `InputError` if it cannot be written.
    """
    try:
        with output_file(path, private=vectors) as stream:
            stream.writelines(
                line.encode("utf-8", "surrogateescape") for line in dump_text(faces, layout, vectors=vectors)
            )
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); check the folder") from error


def _csv_row(row: FaceRecord, vector: FloatArray, *, vectors: bool, show: Callable[[str], str]) -> Mapping[str, object]:
    values = _values(row, vector, vectors=vectors)
    left, top, width, height = values.pop("box")
    values["landmarks"] = _spaced(number for point in values["landmarks"] for number in point)
    if vectors:
        values["vector"] = _spaced(values["vector"])
    return {"path": show(os.fsdecode(row.path)), "left": left, "top": top, "width": width, "height": height, **values}


def save_npz(faces: Iterable[tuple[FaceRecord, FloatArray]], path: Path, *, vectors: bool, dim: int) -> None:
    """Write arrays with one row per face to an .npz file, completely or not at all.

    The arrays are `paths` (bytes), `boxes` float32[n, 4], `landmarks` float32[n, 5, 2], `det_scores` float32[n] (0 if
    no detector found the face), `qualities` float32[n] (NaN if not measured), `photo_ids` and `face_ids` int64[n], and
    with `vectors` also `vectors` float32[n, dim]; the file then has mode 0600. Raises `StorageError` if it cannot be
    written.
    """
    import numpy as np

    rows, kept = [], []
    for row, vector in faces:
        rows.append(row)
        kept.append(vector)
    boxes = [(d.box.left, d.box.top, d.box.width, d.box.height) for d in (row.detection for row in rows)]
    arrays = {
        "paths": np.array([row.path for row in rows], dtype=object).astype(bytes),
        "boxes": np.array(boxes, dtype=np.float32).reshape(-1, 4),
        "landmarks": np.array([row.detection.landmarks for row in rows], dtype=np.float32).reshape(-1, 5, 2),
        "det_scores": np.array([row.detection.score for row in rows], dtype=np.float32),
        "qualities": np.array([np.nan if row.quality is None else row.quality for row in rows], dtype=np.float32),
        "photo_ids": np.array([row.photo_id for row in rows], dtype=np.int64),
        "face_ids": np.array([row.face_id for row in rows], dtype=np.int64),
    }
    if vectors:
        arrays["vectors"] = np.array(kept, dtype=np.float32).reshape(-1, dim)
    try:
        with output_file(path, private=vectors) as stream:
            np.savez_compressed(stream, allow_pickle=False, **arrays)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror}); check the folder") from error


def _values(row: FaceRecord, vector: FloatArray, *, vectors: bool) -> dict[str, Any]:
    detection, box = row.detection, row.detection.box
    values: dict[str, Any] = {
        "box": [round(value, 1) for value in (box.left, box.top, box.width, box.height)],
        "landmarks": [[round(x, 2), round(y, 2)] for x, y in detection.landmarks.tolist()],
        "det_score": None if detection.is_given else round(detection.score, 4),
        "quality": None if row.quality is None else round(row.quality, 4),
        "photo_id": row.photo_id,
        "face_id": row.face_id,
        "taken_at": row.taken_at,
        "date_source": row.date_source,
        "date_precision": row.date_precision,
    }
    if vectors:
        values["vector"] = [round(number, 7) for number in vector.tolist()]
    return values


def _spaced(numbers: Iterable[float]) -> str:
    return " ".join(f"{number:g}" for number in numbers)
