"""Reports and tables as text. A `show` function makes file names printable before column widths are measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from facesearch.visible import width
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.index.vector_file import SearchFacts

__all__ = [
    "lines_of",
    "moment",
    "render_plan",
    "render_report",
    "search_line",
    "summary_line",
    "table",
]


_REPORT_FIGURES = (
    "photos", "faces", "new", "changed", "unchanged", "moved", "missing", "removed", "no_face", "failed", "ours",
    "headers", "other_shards", "handed_over", "left_out", "expired",
)  # fmt: skip
_REPORT_NAMES = {
    "no_face": "without a face", "missing": "hidden", "removed": "deleted", "ours": "made by facesearch",
    "headers": "headers read again", "other_shards": "in other shards", "handed_over": "hidden by the shard",
    "left_out": "faces left out", "expired": "people indexed again",
}  # fmt: skip
_PLANNED = (("hide", "missing"), ("delete", "removed"), ("hide by the shard", "handed_over"))


def render_report(report: dict[str, Any], *, show: Callable[[str], str] = str) -> str:
    """Return the report of an indexing run, one figure per line; most zeros are omitted."""
    always = {"photos", "faces", "new", "unchanged"}
    lines = [
        (_REPORT_NAMES.get(key, key), f"{report.get(key, 0):,}")
        for key in _REPORT_FIGURES
        if report.get(key) or key in always
    ]
    if report.get("people") is not None:
        new = f", {report['new_people']:,} new" if report["new_people"] else ""
        lines.insert(2, ("people", f"{report['people']:,}{new}; {counted(report['grouped'], 'face')}"))
    read = report["new"] + report["changed"] + report["moved"]
    pace = f" ({read / report['seconds']:.1f} photos/s)" if read and report["seconds"] else ""
    lines += _shard_lines(report, show)
    lines.append(("seconds", f"{report['seconds']:.1f}{pace}"))
    if read and "runtime" in report:
        lines.append(("device", report["runtime"]))
    lines.append(("index", show(report["index"])))
    return lines_of(lines)


def render_plan(report: dict[str, Any], *, show: Callable[[str], str] = str) -> str:
    """Return what an indexing run would do, one thing per line, and then what would stay as it is."""
    kinds = [f"{report[key]:,} {key}" for key in ("new", "changed") if report[key]]
    lines = [
        ("would read", counted(report["new"] + report["changed"], "photo") + f" ({', '.join(kinds)})" * bool(kinds))
    ]
    lines += [(f"would {verb}", f"{report[key]:,}") for verb, key in _PLANNED if report[key]]
    lines.append(("unchanged", f"{report['unchanged']:,}"))
    if report["other_shards"]:
        lines.append((_REPORT_NAMES["other_shards"], f"{report['other_shards']:,}"))
    lines += _shard_lines(report, show)
    lines.append(
        (
            "would make" if report["new_index"] else "index",
            "a new index in " * report["new_index"] + show(report["index"]),
        )
    )
    return lines_of(lines)


def _shard_lines(report: dict[str, Any], show: Callable[[str], str]) -> list[tuple[str, str]]:
    return [("shard", f"{shard} of {show(folder)}") for folder, shard in report.get("shards", {}).items()]


def summary_line(report: dict[str, Any]) -> str:
    """Return the report of an indexing run or a dry run in one line, for a log."""
    if "dry_run" in report:
        would = [f"{verb} {report[key]:,}" for verb, key in _PLANNED if report[key]]
        read = counted(report["new"] + report["changed"], "photo")
        return f"nothing was changed; would {', '.join([f'read {read}', *would])}"
    figures = [f"{report[key]:,} {_REPORT_NAMES.get(key, key)}" for key in _REPORT_FIGURES[2:] if report.get(key)]
    done = "stopped early" if report["stopped"] else "done"
    changes = ", ".join(figures) or "no photos found"
    there = f"{counted(report['photos'], 'photo')}, {counted(report['faces'], 'face')}"
    there += "" if report.get("people") is None else f", {counted(report['people'], 'person', 'people')}"
    return f"{done} in {report['seconds']:.1f} s: {changes}; {there}"


def search_line(search: SearchFacts) -> str:
    """Return the index type and its recall in one line."""
    from facesearch.vectors.ivf import LEAST_RECALL

    why = "as chosen" if search.chosen == search.kind else f"{search.chosen} chosen but not in use yet"
    why = "chosen by size" if search.chosen == "auto" else why
    if search.exact:
        return f"{search.kind}, exact, {why}"
    found = f"finds {search.recall:.1%} of the true ten nearest"
    found += "" if search.probes is None else f" ({search.probes} probes)"
    if search.recall < LEAST_RECALL:
        found += ", and no more with all probes; facesearch reindex --index-type flat finds all"
    return f"{search.kind}, approximate, {why}: {found}"


def moment(seconds: int) -> str:
    """Return seconds since 1970 as a moment in UTC, as `YYYY-MM-DDTHH:MM:SS+00:00`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def lines_of(pairs: list[tuple[str, str]]) -> str:
    """Return names and values, one pair per line, with the values aligned."""
    widest = max(width(name) for name, _ in pairs)
    return "".join(f"{_padded(name, widest)}  {value}\n" for name, value in pairs)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left_aligned: Sequence[str] = ()) -> str:
    """Return a table; columns fit their contents, the last is never cut or wrapped, an empty unnamed one is omitted."""
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
