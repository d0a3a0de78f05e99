"""The JSON contract: answers and reports as plain values. Keys may be added; no key changes its meaning."""

from __future__ import annotations

import base64
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from facesearch.types import own_id
from facesearch.visible import shown_path

if TYPE_CHECKING:
    from facesearch.indexing.report import Report
    from facesearch.search.probes import Probe
    from facesearch.search.result import Answer, Hit, QueryResult

__all__ = [
    "CONTRACT",
    "answers_record",
    "gallery_record",
    "hit_record",
    "path_keys",
    "report_record",
    "result_record",
    "rounded",
    "shown_path",
]

CONTRACT = 2
"""The revision of `hit.schema.json`: raised only when a key changes its meaning."""


def hit_record(probe: Probe, hit: Hit, threshold: float | None) -> dict[str, Any]:
    """Return one hit as described in `hit.schema.json`; keys that do not apply are omitted.

    `above_threshold` is null if there is no threshold. For a template of several photos `query` is the first, and
    `query_paths` has all. If a person was asked for by number, there is no query, and no similarity to it.
    """
    face, detection = hit.face, hit.face.detection
    box = detection.box
    asked = probe.person is None
    record: dict[str, Any] = {
        **(path_keys("query", os.fsencode(probe.path)) if asked else {"query": None}),
        **({"query_paths": [shown_path(path) for path in probe.paths]} if probe.others else {}),
        "query_face": probe.number if asked else None,
        "rank": hit.rank,
        **path_keys("path", face.path),
        "similarity": round(hit.similarity, 6) if asked else None,
        "distance": round(hit.distance, 6) if asked else None,
        "above_threshold": None if threshold is None or not asked else hit.similarity >= threshold,
        **_through(hit),
        **_sureness(hit),
        "box": [round(value, 1) for value in (box.left, box.top, box.width, box.height)],
        "face_px": round(box.shorter, 1),
        "det_score": None if detection.is_given else round(detection.score, 4),
        **({} if face.index is None else {"index": face.index}),
        "photo_id": own_id(face.photo_id)[1],
        "face_id": own_id(face.face_id)[1],
        "date": face.date,
        "date_source": face.date_source,
        "date_precision": face.date_precision,
    }
    if face.quality is not None:
        record["quality"] = round(face.quality, 3)
    if face.taken_at:
        record["taken_at"] = face.taken_at
    if hit.is_query:
        record["is_query"] = True
    if hit.offline:
        record["offline"] = True
    if hit.folded:
        record["folded"] = [
            {**path_keys("path", also.face.path), "similarity": round(also.similarity, 6)} for also in hit.folded
        ]
    return record


def _through(hit: Hit) -> dict[str, Any]:
    """Return the keys about the person of a hit."""
    record: dict[str, Any] = {"via": hit.via}
    if hit.person is not None:
        record["person"] = hit.person
        if hit.face.name is not None:
            record["name"] = hit.face.name
    if hit.similarity_to_person is not None:
        record["similarity_to_person"] = round(hit.similarity_to_person, 6)
    if hit.via_face is not None:
        face = hit.via_face
        ids = {"face_id": own_id(face.face_id)[1], "photo_id": own_id(face.photo_id)[1]}
        record["via_face"] = {**path_keys("path", face.path), **ids}
    if hit.somebody_else:
        record["somebody_else"] = True
    if hit.before_birth:
        record["before_birth"] = True
    return record


def _sureness(hit: Hit) -> dict[str, Any]:
    if hit.verdict is None:
        return {}
    return {
        "fmr": None if hit.fmr is None else rounded(hit.fmr),
        "expected_false_hits": None if hit.expected_false_hits is None else rounded(hit.expected_false_hits),
        **({"extrapolated": True} if hit.extrapolated else {}),
        "verdict": str(hit.verdict),
    }


def rounded(number: float) -> float:
    """Round to three significant digits."""
    return float(f"{number:.3g}")


def answers_record(answers: list[Answer], threshold: float | None, index: dict[str, Any]) -> dict[str, Any]:
    """Return all answers of a query as one object; `index` has the `path`, `model`, `faces` and `photos` searched."""
    return {
        "contract": CONTRACT,
        "queries": [
            {
                **_query_keys(answer.probe),
                "face": answer.probe.number,
                "faces": answer.probe.of,
                "searched": answer.searched,
                "person": answer.person,
                **_name(answer),
                **_people(answer),
                "excess": rounded(answer.excess),
                **({"expanded_with": answer.probe.found} if answer.probe.found else {}),
                "hits": [hit_record(answer.probe, hit, threshold) for hit in answer.hits],
            }
            for answer in answers
        ],
        "threshold": threshold,
        "index": index,
    }


def _name(answer: Answer) -> dict[str, str]:
    name = answer.people[0].name if answer.people else None
    return {} if name is None else {"name": name}


def _people(answer: Answer) -> dict[str, Any]:
    """Return the person in each index of a shared gallery."""
    people = [{"person": one.number, "index": one.index} for one in answer.people if one.index is not None]
    return {"people": people} if people else {}


def result_record(result: QueryResult) -> dict[str, Any]:
    """Return a result as one object, with what was searched."""
    return answers_record(result.answers, result.threshold, gallery_record(result))


def gallery_record(result: QueryResult) -> dict[str, Any]:
    """Return what was searched for a result."""
    return {
        "path": shown_path(result.gallery),
        "model": result.model,
        "faces": result.size.faces,
        "photos": result.size.photos,
    }


def _query_keys(probe: Probe) -> dict[str, Any]:
    if probe.person is not None:
        return {"path": None}
    if probe.others:
        return {"paths": [shown_path(path) for path in probe.paths]}
    return path_keys("path", os.fsencode(probe.path))


def report_record(report: Report, index: str) -> dict[str, Any]:
    """Return the report of an indexing run as plain values."""
    record = asdict(report)
    for key in ("given_up", "offline", "unreadable"):
        record[key] = [shown_path(path) for path in record[key]]
    record["shards"] = {shown_path(folder): shard for folder, shard in record["shards"].items()}
    return {**record, "index": shown_path(index)}


def path_keys(key: str, path: bytes) -> dict[str, str]:
    """Return a path as text; if it is not UTF-8 also its bytes in base64, because the text is then not exact."""
    try:
        return {key: path.decode()}
    except UnicodeDecodeError:
        return {key: path.decode(errors="replace"), f"{key}_b64": base64.b64encode(path).decode()}
