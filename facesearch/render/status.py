"""The status of an index, as data and as text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Any

from facesearch.api.status import IndexStatus
from facesearch.errors import Hint
from facesearch.models.framing import LOOKS
from facesearch.render.text import lines_of, moment, search_line
from facesearch.visible import shown_path
from facesearch.wording import counted

__all__ = ["render_status", "status_record"]


def status_record(status: IndexStatus) -> dict[str, Any]:
    """Return the status as plain values."""
    switch, people = status.switch, status.calibrated_people
    return {
        "index": shown_path(str(status.path)),
        "model": status.model,
        "revision": status.revision,
        "latest_revision": status.latest_revision,
        "switch": switch
        and {"model": switch.model, "revision": switch.revision, "looked_at": switch.done, "photos": switch.photos},
        "runtime": status.runtime,
        "threshold": status.threshold,
        "calibration": None if people is None else {"people": people},
        "calibration_origin": status.calibration,
        "search": asdict(status.search),
        "roots": [shown_path(folder) for folder in status.folders],
        "shards": {shown_path(folder): shard for folder, shard in status.shards.items()},
        "photos": status.photos,
        "faces": status.faces,
        "no_face": status.no_face,
        "failed": status.failed,
        "ours": status.made_here,
        "hidden": status.hidden,
        "handed_over": status.handed_over,
        "outdated": status.outdated,
        "people": status.people,
        "grouped": status.grouped,
        "grouping": status.groups_after_runs,
        "catalog_bytes": status.catalog_bytes,
        "vectors_bytes": status.vectors_bytes,
        "last_run": status.last_run,
        "left_out": [moment(until) for until in status.left_out],
    }


def render_status(status: IndexStatus, *, show: Callable[[str], str] = str) -> str:
    """Return the status as text, one fact per line; what does not apply is omitted."""
    switch = status.switch
    facts: list[tuple[str, object]] = [("index", shown_path(str(status.path))), ("model", _model(status))]
    if switch is not None:
        to = switch.model if switch.model != status.model else f"revision {switch.revision}"
        facts.append(("switch", f"to {to}, {switch.done:,} of {switch.photos:,} photos read"))
    facts += [
        ("runtime", status.runtime),
        ("threshold", status.threshold),
        ("calibration", status.calibration),
        ("search", search_line(status.search)),
        ("folders", ", ".join(map(partial(_folder, status), status.folders))),
        ("photos", status.photos),
        ("faces", status.faces),
        ("people", _people(status)),
        ("no face", status.no_face),
        ("failed", status.failed),
        ("hidden", _hidden(status)),
    ]
    if status.left_out:
        last = datetime.fromtimestamp(status.left_out[-1]).date().isoformat()
        facts.append(("left out", f"{counted(len(status.left_out), 'person', 'people')}, until {last} at most"))
    if status.outdated:
        facts.append(("outdated", status.outdated))
    if status.made_here:
        facts.append(("made by facesearch", status.made_here))
    facts += [
        ("size", f"{(status.catalog_bytes + status.vectors_bytes) / 1e6:,.1f} MB"),
        ("last run", _last_run(status.last_run)),
    ]
    return lines_of([(name, show(str(value))) for name, value in facts])


def _model(status: IndexStatus) -> str:
    if status.revision == status.latest_revision:
        return status.model
    its, latest = f"{status.model}, embeddings of revision {status.revision}", f"revision {status.latest_revision}"
    if status.revision in LOOKS:
        return f"{its}; {latest} is out: {Hint.NEW_EMBEDDINGS}"
    return f"{its}, which this version of facesearch cannot use; it has up to {latest}"


def _folder(status: IndexStatus, folder: str) -> str:
    shard = status.shards.get(folder)
    return folder if shard is None else f"{folder} (shard {shard})"


def _hidden(status: IndexStatus) -> str:
    return f"{status.hidden:,}" + f", {status.handed_over:,} of them in other shards" * (status.handed_over > 0)


def _people(status: IndexStatus) -> str:
    off = "" if status.groups_after_runs else "; indexing runs do not group new faces"
    if status.people is None:
        return f"not grouped yet{off}"
    return f"{status.people:,} with {counted(status.grouped, 'face')}{off}"


def _last_run(last: dict[str, Any] | None) -> str:
    if last is None:
        return "never finished"
    when = datetime.fromtimestamp(last["finished"]).isoformat(sep=" ", timespec="seconds")
    read = last["new"] + last["changed"] + last["moved"]
    stopped = ", stopped early" if last["stopped"] else ""
    return f"{when}, {counted(read, 'photo')} read in {last['seconds']:,.1f} s{stopped}"
