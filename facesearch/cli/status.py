"""`facesearch status`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facesearch.cli.console import examples, for_stdout, say, write
from facesearch.cli.options import Device, IndexPath, Threads
from facesearch.errors import UsageError
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.index.store import Store

__all__ = ["register"]

_EXAMPLES = examples(("facesearch status", "what is in it"), ("facesearch status --failed", "what could not be read"))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="status", short_help="Where the index is and what is in it.", epilog=_EXAMPLES)(status)


def status(
    index_path: IndexPath = None,
    failed: Annotated[bool, typer.Option("--failed", help="List the photos that could not be read, and why.")] = False,
    layout: Annotated[str, typer.Option("--format", "-f", help="table or json.")] = "table",
    device: Device = "auto",
    threads: Threads = 0,
) -> None:
    """Where the index is, its model, what is in it, its size and its last run."""
    if layout not in ("table", "json"):
        raise UsageError(f"--format {layout}: choose table or json")
    from facesearch.calibration.storage import calibration_of
    from facesearch.index.store import Store
    from facesearch.models.runtime import choose_runtime
    from facesearch.render.records import shown_path
    from facesearch.render.text import render_status, search_line
    from facesearch.settings import default_index_path

    folder = index_path or default_index_path()
    with Store.open(folder) as store:
        if failed:
            show = for_stdout()
            write(f"{show(os.fsdecode(path))}\t{show(error)}\n" for path, error in store.catalog.photos.failed())
            return
        search, calibration = store.search_facts(), calibration_of(store.model)
        counts, size, last = store.catalog.photos.counts(), store.size(), store.catalog.meta.last_run()
        paths = [os.fsdecode(root.path) for root in store.catalog.roots.all()]
        facts: dict[str, Any] = {
            "index": shown_path(str(folder)),
            "model": store.model.name,
            "switch": _switch(store),
            "runtime": str(choose_runtime(device, threads)),
            "threshold": calibration.threshold,
            "calibration": {"people": calibration.people} if calibration.measured else None,
            "calibration_origin": calibration.origin,
            "search": asdict(search),
            "roots": [shown_path(path) for path in paths],
            "photos": counts.photos,
            "faces": counts.faces,
            "no_face": counts.no_face,
            "failed": counts.failed,
            "ours": store.catalog.photos.count_ours(),
            "hidden": counts.missing,
            "outdated": store.catalog.photos.count_outdated(),
            "catalog_bytes": size.catalog,
            "vectors_bytes": size.vectors,
            "last_run": last,
        }
    if layout == "json":
        write([json.dumps(facts, indent=2, ensure_ascii=True) + "\n"])
        return
    if facts["switch"] is None:
        del facts["switch"]
    else:
        facts["switch"] = "to {model}, {looked_at:,} of {photos:,} photos looked at".format(**facts["switch"])
    if not facts["outdated"]:
        del facts["outdated"]
    ours = facts.pop("ours")
    if ours:
        facts["made by facesearch"] = ours
    facts["roots"] = ", ".join(paths)
    facts["search"] = search_line(search)
    facts["calibration"] = facts.pop("calibration_origin")
    facts["size"] = f"{(facts.pop('catalog_bytes') + facts.pop('vectors_bytes')) / 1e6:,.1f} MB"
    facts["last_run"] = _told(facts.pop("last_run"))
    write([render_status(facts, show=for_stdout())])
    if counts.failed:
        say(f"photos that could not be read: {counts.failed:,}; --failed lists them")


def _switch(store: Store) -> dict[str, Any] | None:
    """How far a switch to another model is; None where none is under way."""
    model = store.catalog.models.next()
    if model is None:
        return None
    looked_at, photos = store.catalog.staging.count(), store.catalog.staging.count_contents()
    return {"model": model.name, "looked_at": looked_at, "photos": photos}


def _told(last: dict[str, Any] | None) -> str:
    if last is None:
        return "never finished"
    when = datetime.fromtimestamp(last["finished"]).isoformat(sep=" ", timespec="seconds")
    read = last["new"] + last["changed"] + last["moved"]
    stopped = ", stopped early" if last["stopped"] else ""
    return f"{when}, {counted(read, 'photo')} read in {last['seconds']:,.1f} s{stopped}"
