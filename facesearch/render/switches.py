"""The report of a model switch, as data and as text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from facesearch.api.keeping import SwitchPreview
from facesearch.indexing.model_switch import Switch
from facesearch.render.records import report_record, shown_path
from facesearch.render.text import lines_of, render_report
from facesearch.wording import counted, duration

__all__ = ["preview_line", "preview_record", "render_switch", "switch_line", "switch_record"]


def preview_record(ahead: SwitchPreview, index: str) -> dict[str, Any]:
    """Return what a switch would read as plain values."""
    return {
        "from": ahead.origin,
        "to": ahead.target,
        "from_revision": ahead.origin_revision,
        "to_revision": ahead.target_revision,
        "left": ahead.left,
        "known": ahead.done,
        "seconds": ahead.seconds,
        "index": shown_path(index),
    }


def preview_line(ahead: SwitchPreview) -> str:
    """Return what a switch would read, and how long that takes, in one line."""
    about = "" if ahead.seconds is None else f", about {duration(ahead.seconds)}"
    read = f", {ahead.done:,} already read" if ahead.done else ""
    return f"{_route(preview_record(ahead, ''))}: {counted(ahead.left, 'photo')} to read{about}{read}"


def switch_record(switch: Switch, index: str) -> dict[str, Any]:
    """Return the report as plain values; `refresh` is the report of the final indexing run."""
    staging = switch.staging
    return {
        "from": switch.origin.name,
        "to": switch.target.name,
        "from_revision": switch.origin.revision,
        "to_revision": switch.target.revision,
        "switched": switch.takeover is not None,
        "looked_at": staging.extracted,
        "known": staging.known,
        "faces": staging.faces,
        "failed": staging.failed,
        "elsewhere": staging.elsewhere,
        "seconds": staging.seconds,
        "offline": [shown_path(root) for root in staging.offline],
        "stopped": staging.stopped,
        "takeover": None if switch.takeover is None else asdict(switch.takeover),
        "refresh": None if switch.refresh is None else report_record(switch.refresh, index),
        "index": shown_path(index),
    }


def render_switch(record: dict[str, Any], *, show: Callable[[str], str] = str) -> str:
    """Return the progress of a switch, or its outcome and the contents of the index, one fact per line."""
    pace = f" ({record['looked_at'] / record['seconds']:.1f} photos/s)" if record["looked_at"] else ""
    pairs = [
        ("switched" if record["switched"] else "not yet switched", show(_route(record))),
        ("read", f"{record['looked_at']:,} in {record['seconds']:.1f} s{pace}"),
    ]
    if record["known"]:
        pairs.append(("read before", f"{record['known']:,}"))
    if record["failed"]:
        pairs.append(("failed", f"{record['failed']:,}"))
    takeover = record["takeover"]
    if takeover is None:
        return lines_of([*pairs, ("index", show(record["index"]))])
    pairs.append(("faces", f"{takeover['kept']:,} found again, {takeover['new']:,} new"))
    if takeover["lost"]:
        pairs.append(("not found", f"{counted(takeover['lost'], 'face')} that had been found before"))
    if takeover["outdated"]:
        photos = counted(takeover["outdated_photos"], "photo")
        pairs.append(("waiting", f"{counted(takeover['outdated'], 'face')} of {photos} that could not be read"))
    return lines_of(pairs) + "\n" + render_report(record["refresh"], show=show)


def switch_line(record: dict[str, Any]) -> str:
    """Return the report in one line, for a log."""
    done = f"{counted(record['looked_at'], 'photo')} read in {record['seconds']:.1f} s"
    route = _route(record)
    return f"switched {route}; {done}" if record["switched"] else f"not switched yet {route}; {done}, which is kept"


def _route(record: dict[str, Any]) -> str:
    """Return from which model to which other one, or between which embedding revisions of one model."""
    if record["from"] == record["to"] and record["from_revision"] != record["to_revision"]:
        return f"{record['from']} from revision {record['from_revision']} to {record['to_revision']}"
    return f"from {record['from']} to {record['to']}"
