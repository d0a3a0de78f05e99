"""`facesearch reindex`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from facesearch.cli.console import Console
from facesearch.cli.messages import say
from facesearch.cli.options import (
    Device,
    IndexPath,
    LogFormat,
    MaxMegapixels,
    MaxMemory,
    MaxTime,
    NoRotations,
    Quiet,
    TableOrJson,
    Threads,
    Wait,
    examples,
    pixels,
)
from facesearch.cli.reports import tell_troubles, write_report
from facesearch.cli.stdout import for_stdout, write, write_json
from facesearch.errors import UsageError

if TYPE_CHECKING:
    from facesearch.api.index import Index
    from facesearch.api.results import Switch, SwitchPreview

__all__ = ["register"]

_EXAMPLES = examples(
    ("facesearch reindex", "bring embeddings up to date after an upgrade, or continue"),
    ("facesearch reindex --model buffalo_l", "read all photos with another model, then switch to it"),
    ("facesearch reindex --dry-run", "how many photos would be read, and how long that takes"),
    ("facesearch reindex --max-time 4h", "stop after four hours; the next run continues"),
    ("facesearch reindex --index-type flat", "search the same faces exactly, whatever their number"),
)

_Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="New model: embedded, an installed InsightFace pack, or a folder of .onnx files. [default: continue the "
        "switch in progress, else the newest embeddings of the same model]",
    ),
]
_Cancel = Annotated[bool, typer.Option("--cancel", help="Cancel the switch in progress.")]
_LeaveOffline = Annotated[
    bool,
    typer.Option(
        "--leave-offline",
        help="Switch even if a folder is missing. Its photos are found again after a later `facesearch index`.",
    ),
]
_IndexType = Annotated[
    str | None,
    typer.Option(
        "--index-type",
        metavar="TYPE",
        help="How faces are searched: auto (exact up to about 1,000,000), flat (exact) or ivf (approximate).",
    ),
]
_DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Report what would be read, and how long that takes; change nothing.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="reindex", short_help="Switch to another model or to newer embeddings.", epilog=_EXAMPLES)(reindex)


def reindex(
    model: _Model = None,
    cancel: _Cancel = False,
    leave_offline: _LeaveOffline = False,
    index_type: _IndexType = None,
    index_path: IndexPath = None,
    device: Device = "auto",
    threads: Threads = 0,
    max_memory: MaxMemory = None,
    no_rotations: NoRotations = False,
    max_megapixels: MaxMegapixels = 200,
    dry_run: _DryRun = False,
    max_time: MaxTime = None,
    wait: Wait = 0,
    layout: TableOrJson = "table",
    log_format: LogFormat = "text",
    quiet: Quiet = False,
) -> None:
    """Read all photos again, with another model or for newer embeddings, then switch in one step.

    Queries are answered meanwhile. Faces that are found again keep their ids; forgotten ones stay forgotten. With
    --index-type alone, only rebuild the vector file.
    """
    if cancel and (model or index_type or dry_run):
        raise UsageError("--cancel cancels the switch in progress; omit --model, --index-type and --dry-run")
    from facesearch.api.index import Index

    console = Console(quiet=quiet, seconds=max_time)
    reading: dict[str, Any] = {"rotations": not no_rotations, "max_pixels": pixels(max_megapixels)}
    with console, Index.open(index_path, device=device, threads=threads, wait=wait, observer=console) as index:
        if cancel:
            _cancel(index)
        elif index_type is not None and model is None:
            _change_type(index, index_type, console, dry_run=dry_run)
        elif dry_run:
            _tell_preview(index, index.preview_switch(model, index_type=index_type, **reading), layout, console)
        else:
            _tell(index, index.switch_model(
                model, leave_offline=leave_offline, max_memory=max_memory, index_type=index_type, **reading
            ), layout, console)  # fmt: skip


def _cancel(index: Index) -> None:
    kept, dropped = index.cancel_switch()
    dropped_name, kept_name = dropped.beside(kept), kept.beside(dropped)
    say(f"{index.path}: cancelled the switch to {dropped_name}; the model is still {kept_name}")


def _change_type(index: Index, kind: str, console: Console, *, dry_run: bool) -> None:
    from facesearch.render.text import search_line

    if dry_run:
        line = f"{index.path}: the index type would be {index.kind_for(kind)}; nothing was changed"
        write([for_stdout()(line) + "\n"])
        return
    facts = index.use_index_type(kind)
    if not console.quiet:
        write([for_stdout()(f"{index.path}: {search_line(facts)}") + "\n"])
    if kind not in ("auto", facts.kind):
        console.note(f"too few faces for {kind}: it needs 1,000 or more")


def _tell_preview(index: Index, ahead: SwitchPreview | None, layout: str, console: Console) -> None:
    """Report what would be read."""
    from facesearch.render.switches import preview_line, preview_record

    if ahead is None:
        _nothing_to_do(index, console)
    elif layout == "json":
        write_json(preview_record(ahead, str(index.path)), ascii_only=True)
    else:
        write([for_stdout()(f"{index.path}: {preview_line(ahead)}") + "\n"])


def _nothing_to_do(index: Index, console: Console) -> None:
    console.note(
        f"{index.path}: no switch is in progress, and its embeddings are the newest of its model; --model NAME "
        "switches to another, --index-type changes how faces are searched"
    )


def _tell(index: Index, done: Switch | None, layout: str, console: Console) -> None:
    """Report the progress, or why the switch is not complete, and end the command with its exit code."""
    from facesearch.render.switches import render_switch, switch_line, switch_record

    if done is None:
        _nothing_to_do(index, console)
        return
    if done.refresh is not None:
        tell_troubles(done.refresh, console.note)
    else:
        for root in done.staging.offline:
            say(f"{root}: missing or empty, so the model was not switched; --leave-offline switches without it")
    if done.staging.failed:
        failed = done.staging.failed
        say(f"photos that {done.target.name} could not read, so their faces are not found: {failed:,}")
    record = switch_record(done, str(index.path))
    write_report(record, layout, console, text=render_switch, line=switch_line)
    console.end(complete=done.complete)
