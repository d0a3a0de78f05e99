"""The report of a model switch, as data and as text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from facesearch.indexing.model_switch import Switch
from facesearch.render.records import report_record, shown_path
from facesearch.render.text import lines_of, render_report
from facesearch.wording import counted

__all__ = ["render_switch", "switch_line", "switch_record"]


def switch_record(switch: Switch, index: str) -> dict[str, Any]:
    """Return the report as plain values; `refresh` is the report of the final indexing run."""
    staging = switch.staging
    return {
        "from": switch.origin.name,
        "to": switch.target.name,
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
        ("switched" if record["switched"] else "not yet switched", show(f"from {record['from']} to {record['to']}")),
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
        pairs.append(("not found", f"{counted(takeover['lost'], 'face')} that {show(record['from'])} had found"))
    if takeover["outdated"]:
        photos = counted(takeover["outdated_photos"], "photo")
        pairs.append(("waiting", f"{counted(takeover['outdated'], 'face')} of {photos} that could not be read"))
    return lines_of(pairs) + "\n" + render_report(record["refresh"], show=show)


def switch_line(record: dict[str, Any]) -> str:
    """Return the report in one line, for a log."""
    done = f"{counted(record['looked_at'], 'photo')} read in {record['seconds']:.1f} s"
    route = f"from {record['from']} to {record['to']}"
    return f"switched {route}; {done}" if record["switched"] else f"not switched yet {route}; {done}, which is kept"
