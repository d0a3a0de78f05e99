"""The JSON contract: answers and reports as plain values. New keys may be added; none changes its meaning."""

from __future__ import annotations

import base64
import os
from dataclasses import asdict
from typing import Any

from facesearch.planning import Report
from facesearch.searching import Answer, Hit, Probe

__all__ = ["answers_record", "hit_record", "path_keys", "report_record", "shown_path"]


def hit_record(probe: Probe, hit: Hit, threshold: float | None) -> dict[str, Any]:
    """One hit. `above_threshold` is null where no threshold applies; keys that do not apply are left out.

    Of a template of several photos `query` is the first, and `query_paths` are all.
    """
    detection = hit.face.detection
    box = detection.box
    record: dict[str, Any] = {
        **path_keys("query", os.fsencode(probe.path)),
        **({"query_paths": [shown_path(path) for path in probe.paths]} if probe.others else {}),
        "query_face": probe.number,
        "rank": hit.rank,
        **path_keys("path", hit.face.path),
        "similarity": round(hit.similarity, 6),
        "distance": round(hit.distance, 6),
        "above_threshold": None if threshold is None else hit.similarity >= threshold,
        "box": [round(value, 1) for value in (box.left, box.top, box.width, box.height)],
        "face_px": round(box.shorter, 1),
        "det_score": round(detection.score, 4),
        "photo_id": hit.face.photo_id,
        "face_id": hit.face.face_id,
    }
    if hit.face.taken_at:
        record["taken_at"] = hit.face.taken_at
    if hit.offline:
        record["offline"] = True
    return record


def answers_record(answers: list[Answer], threshold: float | None, index: dict[str, Any]) -> dict[str, Any]:
    """All answers of one run as one object; `index` tells its `path`, `model`, `faces` and `photos`."""
    return {
        "queries": [
            {
                **_query_keys(answer.probe),
                "face": answer.probe.number,
                "faces": answer.probe.of,
                "hits": [hit_record(answer.probe, hit, threshold) for hit in answer.hits],
            }
            for answer in answers
        ],
        "threshold": threshold,
        "index": index,
    }


def _query_keys(probe: Probe) -> dict[str, Any]:
    if probe.others:
        return {"paths": [shown_path(path) for path in probe.paths]}
    return path_keys("path", os.fsencode(probe.path))


def report_record(report: Report, index: str) -> dict[str, Any]:
    """What an indexing run did."""
    record = asdict(report)
    for key in ("offline", "unreadable"):
        record[key] = [shown_path(path) for path in record[key]]
    return {**record, "index": shown_path(index)}


def shown_path(path: str) -> str:
    """A path for a program to read: bytes that are not UTF-8 become U+FFFD."""
    return os.fsencode(path).decode(errors="replace")


def path_keys(key: str, path: bytes) -> dict[str, str]:
    """A path as text; where it is not UTF-8 also its bytes, because the text is then only a likeness."""
    try:
        return {key: path.decode()}
    except UnicodeDecodeError:
        return {key: path.decode(errors="replace"), f"{key}_b64": base64.b64encode(path).decode()}
