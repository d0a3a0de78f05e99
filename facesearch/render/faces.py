"""The faces of one photo: text, JSON, CSV."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from facesearch.render.cells import csv_lines
from facesearch.render.records import path_keys
from facesearch.render.text import table
from facesearch.search.probes import Probe

__all__ = ["render_faces"]

_HEAD = ("face", "box", "face px", "quality", "detected")


def render_faces(faces: Sequence[Probe], layout: str) -> str:
    """Return the faces of one photo as `table`, `json` or `csv`, in the order given."""
    if layout == "json":
        record = {**path_keys("path", os.fsencode(faces[0].path)), "faces": [_record(face) for face in faces]}
        return json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    if layout == "csv":
        fields = ["face", "left", "top", "width", "height", "face_px", "quality", "det_score"]
        return "".join(csv_lines(fields, map(_csv_row, faces)))
    return table(_HEAD, [_row(face) for face in faces], left_aligned=("box",))


def _record(face: Probe) -> dict[str, Any]:
    detection = face.face.detection
    box = detection.box
    quality = face.face.quality
    return {
        "face": face.number,
        "box": [round(value, 1) for value in (box.left, box.top, box.width, box.height)],
        "face_px": round(box.shorter, 1),
        "quality": None if quality is None else round(quality, 3),
        "det_score": round(detection.score, 4),
        "landmarks": [[round(x, 2), round(y, 2)] for x, y in detection.landmarks.tolist()],
    }


def _csv_row(face: Probe) -> dict[str, Any]:
    record = _record(face)
    left, top, width, height = record["box"]
    return {**record, "left": left, "top": top, "width": width, "height": height}


def _row(face: Probe) -> tuple[str, ...]:
    box, quality = face.face.detection.box, face.face.quality
    return (
        str(face.number),
        f"{box.left:.0f},{box.top:.0f} {box.width:.0f}x{box.height:.0f}",
        f"{box.shorter:.0f}",
        "" if quality is None else f"{quality:.2f}",
        f"{face.face.detection.score:.2f}",
    )
