"""Answers as text: a table for people; JSON, CSV and bare paths for programs.

Paths stand in the text as the file system has them: bytes that are not UTF-8 are kept as surrogates, which the writer
of the text turns back into those bytes. Only JSON, which must be valid, differs (see `records`).
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from facesearch.render.records import answers_record, hit_record
from facesearch.searching import Answer, Hit
from facesearch.store.store import SearchFacts

__all__ = ["Format", "render_answers", "render_report", "render_status", "search_line", "summary_line"]


class Format(StrEnum):
    """How an answer is written."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    paths = "paths"


_CSV_FIELDS = (
    "query", "query_face", "rank", "path", "similarity", "distance", "above_threshold", "left", "top", "width",
    "height", "face_px", "det_score", "photo_id", "face_id", "taken_at",
)  # fmt: skip
_REPORT_FIGURES = (
    "photos", "faces", "new", "changed", "unchanged", "moved", "missing", "removed", "no_face", "failed",
)  # fmt: skip
_REPORT_NAMES = {"no_face": "without a face", "missing": "hidden", "removed": "deleted"}
_TABLE_HEAD = ("rank", "similarity", "distance", "box", "face px", "detected", "", "path")


def render_answers(
    answers: list[Answer], threshold: float | None, index: dict[str, Any], layout: Format, *, nul: bool = False
) -> Iterator[str]:
    """Pieces of text, to be written one after the other. `nul` ends paths with NUL instead of a new line."""
    if layout is Format.json:
        yield json.dumps(answers_record(answers, threshold, index), indent=2, ensure_ascii=False) + "\n"
    elif layout is Format.jsonl:
        for answer in answers:
            for hit in answer.hits:
                yield json.dumps(hit_record(answer.probe, hit, threshold), ensure_ascii=False) + "\n"
    elif layout is Format.csv:
        yield _csv(answers, threshold)
    elif layout is Format.paths:
        for answer in answers:
            for hit in answer.hits:
                yield os.fsdecode(hit.face.path) + ("\0" if nul else "\n")
    else:
        for answer in answers:
            if len(answers) > 1:
                yield f"{answer.probe.path}, face {answer.probe.number} of {answer.probe.of}\n"
            if answer.hits:
                yield _table([_row(hit, threshold) for hit in answer.hits])


def render_report(report: dict[str, Any]) -> str:
    """What an indexing run did, one figure a line, the empty ones left out."""
    always = {"photos", "faces", "new", "unchanged"}
    lines = [
        (_REPORT_NAMES.get(key, key), f"{report[key]:,}") for key in _REPORT_FIGURES if report[key] or key in always
    ]
    read = report["new"] + report["changed"] + report["moved"]
    pace = f" ({read / report['seconds']:.1f} photos/s)" if read and report["seconds"] else ""
    lines += [("seconds", f"{report['seconds']:.1f}{pace}"), ("index", report["index"])]
    return _lines(lines)


def summary_line(report: dict[str, Any]) -> str:
    """The same in one line, for a log."""
    figures = [f"{report[key]:,} {_REPORT_NAMES.get(key, key)}" for key in _REPORT_FIGURES[2:] if report[key]]
    done = "stopped early" if report["stopped"] else "done"
    changes = ", ".join(figures) or "nothing there"
    return f"{done} in {report['seconds']:.1f} s: {changes}; {report['photos']:,} photos, {report['faces']:,} faces"


def render_status(status: dict[str, Any]) -> str:
    """What an index is, one fact a line."""
    return _lines([(key.replace("_", " "), str(value)) for key, value in status.items()])


def search_line(search: SearchFacts) -> str:
    """How questions are answered, and how good that is, in one line."""
    why = "as chosen" if search.chosen == search.kind else f"not yet {search.chosen}, which is chosen"
    why = "by its size" if search.chosen == "auto" else why
    if search.probes is None:
        return f"{search.kind}, exact, {why}"
    return (
        f"{search.kind}, approximate, {why}: finds {search.recall:.1%} of the true ten nearest ({search.probes} probes)"
    )


def _lines(pairs: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in pairs)
    return "".join(f"{name:<{width}}  {value}\n" for name, value in pairs)


def _row(hit: Hit, threshold: float | None) -> tuple[str, ...]:
    box = hit.face.detection.box
    remarks = []
    if threshold is not None and hit.similarity < threshold:
        remarks.append("below threshold")
    if hit.offline:
        remarks.append("offline")
    return (
        str(hit.rank),
        f"{hit.similarity:.4f}",
        f"{hit.distance:.4f}",
        f"{box.left:.0f},{box.top:.0f} {box.width:.0f}x{box.height:.0f}",
        f"{box.shorter:.0f}",
        f"{hit.face.detection.score:.2f}",
        ", ".join(remarks),
        os.fsdecode(hit.face.path),
    )


def _table(rows: list[tuple[str, ...]]) -> str:
    """Columns wide enough for what is in them; the path comes last and is never cut or wrapped."""
    head: tuple[str, ...] = _TABLE_HEAD
    if not any(row[-2] for row in rows):
        head = (*head[:-2], head[-1])
        rows = [(*row[:-2], row[-1]) for row in rows]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head) - 1)]
    lines = []
    for row in [head, *rows]:
        cells = [
            f"{cell:<{width}}" if head[column] in ("box", "") else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row[:-1], widths, strict=True))
        ]
        lines.append("  ".join([*cells, row[-1]]) + "\n")
    return "".join(lines)


def _csv(answers: list[Answer], threshold: float | None) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV_FIELDS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for answer in answers:
        for hit in answer.hits:
            record = hit_record(answer.probe, hit, threshold)
            left, top, width, height = record["box"]
            paths = {"query": answer.probe.path, "path": os.fsdecode(hit.face.path)}
            writer.writerow({**record, **paths, "left": left, "top": top, "width": width, "height": height})
    return text.getvalue()
