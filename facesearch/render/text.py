"""Answers as text: a table for people; JSON, CSV and bare paths for programs.

Paths stand in the text as the file system has them: bytes that are not UTF-8 are kept as surrogates, which the writer
of the text turns back into those bytes. Only JSON, which must be valid, differs (see `records`). For a terminal the
`show` that renderers are given makes them visible, before columns are measured.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from facesearch.calibration.table import NOT_MEASURED
from facesearch.index.vector_file import SearchFacts
from facesearch.render.cells import csv_lines
from facesearch.render.records import answers_record, hit_record
from facesearch.search.engine import Answer, Hit
from facesearch.vectors.ivf import LEAST_RECALL
from facesearch.visible import width
from facesearch.wording import counted

__all__ = [
    "Format",
    "lines_of",
    "remarks",
    "render_answers",
    "render_plan",
    "render_report",
    "render_status",
    "search_line",
    "shown_expectation",
    "summary_line",
    "table",
]


class Format(StrEnum):
    """How an answer is written."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    paths = "paths"


_CSV_FIELDS = (
    "query", "query_face", "rank", "path", "similarity", "distance", "above_threshold", "left", "top", "width",
    "height", "face_px", "det_score", "photo_id", "face_id", "taken_at", "fmr", "expected_false_hits", "verdict",
    "quality", "date", "date_source", "is_query", "offline", "date_precision",
)  # fmt: skip
_REPORT_FIGURES = (
    "photos", "faces", "new", "changed", "unchanged", "moved", "missing", "removed", "no_face", "failed", "ours",
    "headers",
)  # fmt: skip
_REPORT_NAMES = {
    "no_face": "without a face", "missing": "hidden", "removed": "deleted", "ours": "made by facesearch",
    "headers": "headers read again",
}  # fmt: skip
_TABLE_HEAD = ("rank", "similarity", "verdict", "false hits", "face px", "quality", "date", "", "path")
_LEFT_ALIGNED = ("verdict", "date", "", "path")


def render_answers(
    answers: list[Answer],
    threshold: float | None,
    index: dict[str, Any],
    layout: Format,
    *,
    nul: bool = False,
    show: Callable[[str], str] = str,
) -> Iterator[str]:
    """Pieces of text, to be written one after the other. `nul` ends paths with NUL instead of a new line."""
    if layout is Format.json:
        yield json.dumps(answers_record(answers, threshold, index), indent=2, ensure_ascii=False) + "\n"
    elif layout is Format.jsonl:
        for answer in answers:
            for hit in answer.hits:
                yield json.dumps(hit_record(answer.probe, hit, threshold), ensure_ascii=False) + "\n"
    elif layout is Format.csv:
        yield from csv_lines(_CSV_FIELDS, _csv_rows(answers, threshold, show))
    elif layout is Format.paths:
        for answer in answers:
            for hit in answer.hits:
                path = os.fsdecode(hit.face.path)
                yield f"{path}\0" if nul else f"{show(path)}\n"
    else:
        for answer in answers:
            if len(answers) > 1:
                yield f"{show(answer.probe.path)}, face {answer.probe.number} of {answer.probe.of}\n"
            if answer.hits:
                yield table(_TABLE_HEAD, [_row(hit, threshold, show) for hit in answer.hits], _LEFT_ALIGNED)


def render_report(report: dict[str, Any], *, show: Callable[[str], str] = str) -> str:
    """What an indexing run did, one figure a line, the empty ones left out."""
    always = {"photos", "faces", "new", "unchanged"}
    lines = [
        (_REPORT_NAMES.get(key, key), f"{report.get(key, 0):,}")
        for key in _REPORT_FIGURES
        if report.get(key) or key in always
    ]
    read = report["new"] + report["changed"] + report["moved"]
    pace = f" ({read / report['seconds']:.1f} photos/s)" if read and report["seconds"] else ""
    lines.append(("seconds", f"{report['seconds']:.1f}{pace}"))
    if read and "runtime" in report:
        lines.append(("device", report["runtime"]))
    lines.append(("index", show(report["index"])))
    return lines_of(lines)


def render_plan(report: dict[str, Any], *, show: Callable[[str], str] = str) -> str:
    """What an indexing run would do, one thing a line; what it would leave as it is comes last."""
    kinds = [f"{report[key]:,} {key}" for key in ("new", "changed") if report[key]]
    lines = [
        ("would read", counted(report["new"] + report["changed"], "photo") + f" ({', '.join(kinds)})" * bool(kinds))
    ]
    lines += [
        (f"would {verb}", f"{report[key]:,}")
        for verb, key in (("hide", "missing"), ("delete", "removed"))
        if report[key]
    ]
    lines.append(("unchanged", f"{report['unchanged']:,}"))
    lines.append(
        (
            "would make" if report["new_index"] else "index",
            "a new index in " * report["new_index"] + show(report["index"]),
        )
    )
    return lines_of(lines)


def summary_line(report: dict[str, Any]) -> str:
    """The same in one line, for a log."""
    if "dry_run" in report:
        would = [f"{verb} {report[key]:,}" for verb, key in (("hide", "missing"), ("delete", "removed")) if report[key]]
        read = counted(report["new"] + report["changed"], "photo")
        return f"nothing was done; would {', '.join([f'read {read}', *would])}"
    figures = [f"{report[key]:,} {_REPORT_NAMES.get(key, key)}" for key in _REPORT_FIGURES[2:] if report.get(key)]
    done = "stopped early" if report["stopped"] else "done"
    changes = ", ".join(figures) or "nothing there"
    there = f"{counted(report['photos'], 'photo')}, {counted(report['faces'], 'face')}"
    return f"{done} in {report['seconds']:.1f} s: {changes}; {there}"


def render_status(status: dict[str, Any], *, show: Callable[[str], str] = str) -> str:
    """What an index is, one fact a line."""
    return lines_of([(key.replace("_", " "), show(str(value))) for key, value in status.items()])


def search_line(search: SearchFacts) -> str:
    """How questions are answered, and how good that is, in one line."""
    why = "as chosen" if search.chosen == search.kind else f"not yet {search.chosen}, which is chosen"
    why = "by its size" if search.chosen == "auto" else why
    if search.probes is None:
        return f"{search.kind}, exact, {why}"
    found = f"finds {search.recall:.1%} of the true ten nearest ({search.probes} probes)"
    if search.recall < LEAST_RECALL:
        found += ", and no more with all probes: facesearch reindex --index-type flat finds all"
    return f"{search.kind}, approximate, {why}: {found}"


def lines_of(pairs: list[tuple[str, str]]) -> str:
    """Names and values, one pair a line, the values below one another."""
    widest = max(width(name) for name, _ in pairs)
    return "".join(f"{_padded(name, widest)}  {value}\n" for name, value in pairs)


def _row(hit: Hit, threshold: float | None, show: Callable[[str], str]) -> tuple[str, ...]:
    face = hit.face
    return (
        str(hit.rank),
        f"{hit.similarity:.4f}",
        str(hit.verdict or ""),
        "" if hit.verdict is None else shown_expectation(hit.expected_false_hits),
        f"{face.detection.box.shorter:.0f}",
        "" if face.quality is None else f"{face.quality:.2f}",
        face.day + ("" if face.date_source == "exif" else f" ({face.date_source})"),
        ", ".join(["the query itself"] * hit.is_query + remarks(hit, threshold)),
        show(os.fsdecode(face.path)),
    )


def shown_expectation(number: float | None) -> str:
    """How many false hits are to be expected, to two digits: <0.001, 0.02, 1.5, 340; or that nobody knows."""
    if number is None:
        return NOT_MEASURED
    if number < 0.001:
        return "<0.001"
    return f"{number:.2g}" if number < 10 else f"{number:,.0f}"


def remarks(hit: Hit, threshold: float | None) -> list[str]:
    """What is special about a hit, in few words each."""
    told = []
    if threshold is not None and hit.similarity < threshold:
        told.append("below threshold")
    if hit.offline:
        told.append("offline")
    if hit.folded:
        told.append(f"+{len(hit.folded)} alike")
    return told


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left_aligned: Sequence[str] = ()) -> str:
    """Columns wide enough for what is in them; the last is never cut or wrapped, an empty one is left away."""
    shown = [column for column, name in enumerate(head) if name or any(row[column] for row in rows)]
    lines = [[line[column] for column in shown] for line in [head, *rows]]
    widths = [max(width(line[column]) for line in lines) for column in range(len(shown))]
    names = lines[0]

    def shown_line(line: Sequence[str]) -> str:
        *cells, last = (
            _padded(cell, widest, left=name in left_aligned)
            for cell, widest, name in zip(line, widths, names, strict=True)
        )
        return "  ".join([*cells, line[-1] if names[-1] in left_aligned else last]) if line[-1] else "  ".join(cells)

    return "".join(shown_line(line) + "\n" for line in lines)


def _padded(cell: str, columns: int, *, left: bool = True) -> str:
    space = " " * (columns - width(cell))
    return cell + space if left else space + cell


def _csv_rows(
    answers: list[Answer], threshold: float | None, show: Callable[[str], str]
) -> Iterator[Mapping[str, object]]:
    for answer in answers:
        for hit in answer.hits:
            record = hit_record(answer.probe, hit, threshold)
            left, top, width, height = record["box"]
            paths = {"query": show(answer.probe.path), "path": show(os.fsdecode(hit.face.path))}
            yield {**record, **paths, "left": left, "top": top, "width": width, "height": height}
