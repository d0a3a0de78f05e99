"""`facesearch reindex`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facesearch.cli.console import (
    RunProgress,
    StopSignal,
    examples,
    for_stdout,
    is_terminal,
    say,
    use_log_format,
    write,
)
from facesearch.cli.index import check_options, tell_troubles
from facesearch.cli.options import (
    Device,
    IndexPath,
    LogFormat,
    MaxMegapixels,
    MaxMemory,
    NoRotations,
    Quiet,
    Threads,
    Wait,
    memory_for_photos,
    parse_duration,
    suggestions,
)
from facesearch.errors import UsageError
from facesearch.events import observing
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.index.store import Store
    from facesearch.indexing.model_switch import Switch
    from facesearch.types import ModelInfo

__all__ = ["register"]

_EXAMPLES = examples(
    ("facesearch reindex --model buffalo_l", "look at all photos with another model, then switch to it"),
    ("facesearch reindex --max-time 4h", "go on with it, from cron"),
    ("facesearch reindex --index-type flat", "the same faces, searched exactly, however many"),
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        name="reindex", short_help="Another model for an index, or another way to search it.", epilog=_EXAMPLES
    )(reindex)


def reindex(
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Switch to embedded, an installed InsightFace pack, or a folder of .onnx files; without it, a switch "
            "that is under way goes on.",
        ),
    ] = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="Drop a switch that is under way.")] = False,
    leave_offline: Annotated[
        bool,
        typer.Option(
            "--leave-offline",
            help="Switch although a folder is not there: its photos are found again once they were looked at.",
        ),
    ] = False,
    index_type: Annotated[
        str | None,
        typer.Option(
            "--index-type",
            help="auto: exact up to some 1,000,000 faces; flat: always exact; ivf: approximate, for millions of faces.",
        ),
    ] = None,
    index_path: IndexPath = None,
    device: Device = "auto",
    threads: Threads = 0,
    max_memory: MaxMemory = None,
    no_rotations: NoRotations = False,
    max_megapixels: MaxMegapixels = 200,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be looked at; do nothing.")] = False,
    max_time: Annotated[
        str | None, typer.Option("--max-time", metavar="TIME", help="Stop cleanly after 30m, 2h or 90s; exit code 5.")
    ] = None,
    wait: Wait = 0,
    layout: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            help="How the report is written: table or json.",
            autocompletion=suggestions("table", "json"),
        ),
    ] = "table",
    log_format: LogFormat = "text",
    quiet: Quiet = False,
) -> None:
    """Look at all photos with another model, beside the one that answers questions meanwhile, then switch in one step.

    Or make the vector file anew, of another type. Faces keep their ids, and what is known about them.
    """
    from facesearch.index.store import Store
    from facesearch.indexing.model_switch import begin_switch, switch
    from facesearch.indexing.options import Options
    from facesearch.models.resolve import model_info, open_model
    from facesearch.models.runtime import choose_runtime
    from facesearch.render.switches import switch_record
    from facesearch.settings import default_index_path

    use_log_format(log_format)
    check_options(layout, max_memory, index_type)
    if cancel and (model or index_type or dry_run):
        raise UsageError("--cancel drops a switch that is under way; leave --model, --index-type and --dry-run away")
    folder = index_path or default_index_path()
    note = (lambda _message: None) if quiet else say
    stop = StopSignal(None if max_time is None else parse_duration(max_time))
    options = Options(rotations=not no_rotations, max_pixels=round(max_megapixels * 1e6))
    with Store.open(folder, write=not dry_run, wait=wait, keep=not dry_run, notify=note) as store:
        name = model or _under_way(store)
        if cancel:
            _cancel(store, folder)
            return
        if index_type is not None and model is None:
            if dry_run:
                kind = store.kind_for(index_type)
                write([for_stdout()(f"{folder}: would be searched as {kind}; nothing was done") + "\n"])
            else:
                _change_type(store, index_type, folder, note, quiet=quiet)
            return
        if name is None:
            note(f"{folder}: no switch is under way; --model NAME begins one, --index-type changes how it is searched")
            return
        if dry_run:
            _preview(store, model_info(name), folder, layout)
            return
        runtime = choose_runtime(device, threads, notify=note)
        opened = open_model(name, runtime.shared_by(runtime.threads))
        begin_switch(store, opened.info)
        note(f"{opened.info.name} looks at the photos, {store.model.name} answers questions meanwhile; {runtime}")
        chosen = replace(options, workers=runtime.threads, memory=memory_for_photos(max_memory, runtime.threads))
        with stop.noted(), RunProgress(quiet=quiet) as progress:
            done = switch(
                store, opened, options=chosen, leave_offline=leave_offline,
                observer=observing(progress=progress, notes=note, cancelled=stop),
            )  # fmt: skip
        record = switch_record(done, str(folder))
        if done.refresh is not None:
            store.keep_report({**record["refresh"], "finished": round(time.time())})
            if index_type is not None:
                store.use_index_type(index_type)
    _tell(done, note)
    _write_report(record, layout, note, quiet=quiet)
    if stop.number is not None:
        raise typer.Exit(stop.exit_code)
    if not done.complete:
        raise typer.Exit(5)


def _under_way(store: Store) -> str | None:
    """The model of a switch that goes on."""
    model = store.catalog.models.next()
    return None if model is None else model.source or model.name


def _tell(done: Switch, note: Callable[[str], None]) -> None:
    """Why it was not switched, or what was left out."""
    if done.refresh is not None:
        tell_troubles(done.refresh, note)
    else:
        for root in done.staging.offline:
            say(f"{root}: not there, or empty, so the model was not switched; --leave-offline leaves it for later")
    if done.staging.failed:
        failed = done.staging.failed
        say(f"photos that {done.target.name} could not look at, their faces are not found until it has: {failed:,}")


def _preview(store: Store, info: ModelInfo, folder: Path, layout: str) -> None:
    """What is to be done."""
    from facesearch.indexing.model_switch import left_to_extract, require_switchable
    from facesearch.render.records import shown_path

    require_switchable(store, info)
    left, known = left_to_extract(store, info)
    if layout == "json":
        facts = {"from": store.model.name, "to": info.name, "left": left, "known": known}
        write([json.dumps({**facts, "index": shown_path(str(folder))}) + "\n"])
    else:
        route = f"from {store.model.name} to {info.name}"
        line = f"{folder}: {route}: {counted(left, 'photo')} to look at, {known:,} looked at already"
        write([for_stdout()(line) + "\n"])


def _cancel(store: Store, folder: Path) -> None:
    from facesearch.indexing.model_switch import cancel_switch

    dropped = cancel_switch(store)
    store.vacuum()
    say(f"{folder}: the switch to {dropped.name} was dropped; {store.model.name} answers as before")


def _change_type(store: Store, index_type: str, folder: Path, note: Callable[[str], None], *, quiet: bool) -> None:
    from facesearch.render.text import search_line

    facts = store.use_index_type(index_type)
    if not quiet:
        write([for_stdout()(f"{folder}: {search_line(facts)}") + "\n"])
    if index_type not in ("auto", facts.kind):
        note(f"it holds too few faces for {index_type}: under 1,000 there is nothing to gain")


def _write_report(record: dict[str, Any], layout: str, note: Callable[[str], None], *, quiet: bool) -> None:
    from facesearch.render.switches import render_switch, switch_line

    if layout == "json":
        write([json.dumps(record, ensure_ascii=True) + "\n"])
    elif not quiet:
        write([render_switch(record, show=for_stdout())])
    if not is_terminal():
        note(switch_line(record))
