"""The faces of one photo, and whom they show: text, JSON, CSV."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

from facesearch.cells import csv_lines
from facesearch.render.records import path_keys
from facesearch.render.text import table
from facesearch.search.naming import NamedFace
from facesearch.search.probes import Probe

__all__ = ["faces_record", "render_faces"]

_HEAD = ("face", "box", "face px", "quality", "detected", "person", "similarity", "verdict")
_NAMED = ("person", "similarity", "verdict")


def render_faces(
    faces: Sequence[NamedFace], layout: str, show: Callable[[str], str] = str, *, named: bool = False
) -> str:
    """Return the faces of one photo as `table`, `json` or `csv`, in the order given; `named` if people were asked."""
    if layout == "json":
        return json.dumps(faces_record(faces), indent=2, ensure_ascii=False) + "\n"
    if layout == "csv":
        fields = ["face", "left", "top", "width", "height", "face_px", "quality", "det_score"]
        fields += ["face_id", "person", "name", "similarity", "verdict"]
        return "".join(csv_lines(fields, [{**_csv_row(one.probe), **_who(one)} for one in faces]))
    head = [name if named or name not in _NAMED else "" for name in _HEAD]
    rows = [(*_row(one.probe), *(_shown(one, show) if named else ("", "", ""))) for one in faces]
    return table(head, rows, ("box", "person", "verdict"))


def faces_record(faces: Sequence[NamedFace]) -> dict[str, Any]:
    """Return the faces of one photo as plain values, in the order given."""
    path = os.fsencode(faces[0].probe.path)
    return {**path_keys("path", path), "faces": [{**_record(one.probe), **_who(one)} for one in faces]}


def _who(one: NamedFace) -> dict[str, Any]:
    """Return the keys about the person of a face; null if it is unknown."""
    person = one.person
    return {
        "face_id": one.face_id,
        "person": None if person is None else person.number,
        "name": None if person is None else person.name,
        "similarity": None if one.similarity is None else round(one.similarity, 6),
        "verdict": None if one.verdict is None else str(one.verdict),
    }


def _shown(one: NamedFace, show: Callable[[str], str]) -> tuple[str, ...]:
    similarity = "" if one.similarity is None else f"{one.similarity:.4f}"
    return ("unknown" if one.person is None else show(str(one.person)), similarity, str(one.verdict or ""))


def _record(face: Probe) -> dict[str, Any]:
    detection = face.face.detection
    box = detection.box
    quality = face.face.quality
    return {
        "face": face.number,
        "box": [round(value, 1) for value in (box.left, box.top, box.width, box.height)],
        "face_px": round(box.shorter, 1),
        "quality": None if quality is None else round(quality, 3),
        "det_score": None if detection.is_given else round(detection.score, 4),
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
        "" if face.face.detection.is_given else f"{face.face.detection.score:.2f}",
    )
