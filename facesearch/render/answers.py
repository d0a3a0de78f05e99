"""Answers as text: a table for people; JSON, CSV and bare paths for programs.

Paths are written as the file system has them: bytes that are not UTF-8 are kept as surrogates, which the writer of the
text turns back into those bytes. Only JSON, which must be valid, differs (see `records`). For a terminal the `show`
function makes such bytes visible, before column widths are measured.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from facesearch.calibration.table import NOT_MEASURED
from facesearch.cells import csv_lines
from facesearch.errors import UsageError
from facesearch.render.records import hit_record, result_record
from facesearch.render.text import table

if TYPE_CHECKING:
    from facesearch.search.result import Answer, Hit, QueryResult

    Renderer = Callable[[QueryResult, Callable[[str], str]], Iterator[str]]

__all__ = ["FORMATS", "is_below", "person_line", "remarks", "render_answers", "require_format", "shown_expectation"]

_CSV_FIELDS = (
    "query", "query_face", "rank", "path", "similarity", "distance", "above_threshold", "left", "top", "width",
    "height", "face_px", "det_score", "photo_id", "face_id", "taken_at", "fmr", "expected_false_hits", "verdict",
    "quality", "date", "date_source", "is_query", "offline", "date_precision", "via", "person", "similarity_to_person",
    "via_face", "somebody_else", "index", "name", "before_birth",
)  # fmt: skip
_TABLE_HEAD = (
    "rank", "similarity", "verdict", "false hits", "person", "face px", "quality", "date", "", "index", "path",
)  # fmt: skip
_LEFT_ALIGNED = ("verdict", "person", "date", "", "index", "path")


def require_format(name: str) -> None:
    """Raise `UsageError` unless the name is one of `FORMATS`."""
    if name not in FORMATS:
        raise UsageError(f"format {name}: choose one of {', '.join(FORMATS)}", option="format")


def render_answers(result: QueryResult, name: str, show: Callable[[str], str] = str) -> Iterator[str]:
    """Yield the text of a result in one of `FORMATS`, piece by piece."""
    return FORMATS[name](result, show)


def _table(result: QueryResult, show: Callable[[str], str]) -> Iterator[str]:
    for answer in result.answers:
        if len(result.answers) > 1:
            yield f"{show(answer.probe.path)}, face {answer.probe.number} of {answer.probe.of}\n"
        if answer.hits:
            rows = [_row(hit, result.threshold, show) for hit in answer.hits]
            named = any(hit.person is not None for hit in answer.hits)
            shared = any(hit.face.index is not None for hit in answer.hits)
            unneeded = ("person",) * (not named) + ("index",) * (not shared)
            head = ["" if name in unneeded else name for name in _TABLE_HEAD]
            yield table(head, rows, _LEFT_ALIGNED)


def _json(result: QueryResult, _show: Callable[[str], str]) -> Iterator[str]:
    yield json.dumps(result_record(result), indent=2, ensure_ascii=False) + "\n"


def _json_lines(result: QueryResult, _show: Callable[[str], str]) -> Iterator[str]:
    for answer in result.answers:
        for hit in answer.hits:
            yield json.dumps(hit_record(answer.probe, hit, result.threshold), ensure_ascii=False) + "\n"


def _csv(result: QueryResult, show: Callable[[str], str]) -> Iterator[str]:
    yield from csv_lines(_CSV_FIELDS, _csv_rows(result, show))


def _paths(result: QueryResult, show: Callable[[str], str]) -> Iterator[str]:
    for hit in result:
        yield f"{show(hit.path)}\n"


def _paths_with_nul(result: QueryResult, _show: Callable[[str], str]) -> Iterator[str]:
    for hit in result:
        yield f"{hit.path}\0"


FORMATS: Mapping[str, Renderer] = {
    "table": _table,
    "json": _json,
    "jsonl": _json_lines,
    "csv": _csv,
    "paths": _paths,
    "paths0": _paths_with_nul,
}
"""The output formats by name; `paths0` ends each path with NUL instead of a newline."""


def _row(hit: Hit, threshold: float | None, show: Callable[[str], str]) -> tuple[str, ...]:
    face = hit.face
    return (
        str(hit.rank),
        f"{hit.similarity:.4f}",
        str(hit.verdict or ""),
        "" if hit.verdict is None or hit.via == "person" else shown_expectation(hit.expected_false_hits),
        "" if hit.person is None else show(hit.face.name or f"#{hit.person}"),
        f"{face.detection.box.shorter:.0f}",
        "" if face.quality is None else f"{face.quality:.2f}",
        face.day + ("" if face.date_source == "exif" else f" ({face.date_source})"),
        ", ".join(["query photo"] * hit.is_query + remarks(hit, threshold)),
        hit.face.index or "",
        show(os.fsdecode(face.path)),
    )


def shown_expectation(number: float | None) -> str:
    """Return the number of expected false hits to two digits: <0.001, 0.02, 1.5, 340; or that it was not measured."""
    if number is None:
        return NOT_MEASURED
    if number < 0.001:
        return "<0.001"
    return f"{number:.2g}" if number < 10 else f"{number:,.0f}"


def is_below(hit: Hit, threshold: float | None) -> bool:
    """Whether a hit is only shown because a number of hits was asked for."""
    return hit.via == "face" and not hit.reaches(threshold)


def person_line(answer: Answer, threshold: float | None) -> str:
    """Return which person a query was taken for, and how many photos were found in which way."""
    photos = {"face": 0, "person": 0}
    for hit in answer.hits:
        if not hit.is_query and hit.counts(threshold):
            photos[hit.via] += 1
    who = ", ".join(map(str, answer.people))
    return f"probably {who}: {photos['face']:,} by face, {photos['person']:,} through other photos"


def remarks(hit: Hit, threshold: float | None) -> list[str]:
    """Return short remarks on a hit."""
    told = []
    if hit.via == "person" and hit.via_face is not None:
        told.append("through other photos")
    if hit.somebody_else:
        told.append("somebody else")
    if hit.before_birth:
        told.append("before birth")
    if is_below(hit, threshold):
        told.append("below threshold")
    if hit.offline:
        told.append("offline")
    if hit.folded:
        told.append(f"+{len(hit.folded)} near-identical")
    return told


def _csv_rows(result: QueryResult, show: Callable[[str], str]) -> Iterator[Mapping[str, object]]:
    for answer in result.answers:
        for hit in answer.hits:
            record = hit_record(answer.probe, hit, result.threshold)
            left, top, width, height = record["box"]
            query = None if answer.probe.person is not None else show(answer.probe.path)
            paths: dict[str, str | None] = {"query": query, "path": show(os.fsdecode(hit.face.path))}
            if hit.via_face is not None:
                paths["via_face"] = show(os.fsdecode(hit.via_face.path))
            yield {**record, **paths, "left": left, "top": top, "width": width, "height": height}
