"""`facesearch index`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facesearch.cli.console import Console
from facesearch.cli.messages import confirm, is_somebody_there
from facesearch.cli.options import (
    Again,
    Device,
    IndexPath,
    KeepMissing,
    LogFormat,
    MaxMegapixels,
    MaxMemory,
    MaxTime,
    NoRotations,
    Photos,
    Prune,
    Quiet,
    RetryFailed,
    TableOrJson,
    Threads,
    Verbose,
    Wait,
    Yes,
    examples,
    pixels,
)
from facesearch.cli.reports import tell_troubles, write_report
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.api.index import Index
    from facesearch.api.results import Report

__all__ = ["register"]

_MANY = 100_000
"""Photos. Reading this many takes an hour or more, and few libraries have as many."""

_EXAMPLES = examples(
    ("facesearch index ~/Pictures", "index a folder"),
    ("facesearch index", "refresh all folders of the index"),
    ("facesearch index --quiet --max-time 4h", "refresh every night, from cron"),
    ("facesearch index ~/Pictures --dry-run", "show what would be read"),
    ("facesearch index /archive --shard 3/10", "be the third of ten machines"),
)

_Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="Model of a new index: embedded, an installed InsightFace pack, or a folder of .onnx files.",
    ),
]
_IndexType = Annotated[
    str | None,
    typer.Option(
        "--index-type",
        metavar="TYPE",
        help="How faces are searched: auto, flat (exact) or ivf (approximate, for millions). The index keeps it.",
    ),
]
_Grouping = Annotated[
    bool | None,
    typer.Option(
        "--grouping/--no-grouping",
        help="Group new faces by person at the end of this and later runs, or not. The index keeps it. [default: do]",
        show_default=False,
    ),
]
_Shard = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="N/M",
        help="Index only part N of M of each folder, as one of M machines; `all` is everything. The index keeps it.",
    ),
]
_DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Report what would be read, by names, sizes and times; change nothing.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="index", short_help="Find faces in new and changed photos.", epilog=_EXAMPLES)(index)


def index(
    paths: Photos = None,
    index_path: IndexPath = None,
    model: _Model = None,
    device: Device = "auto",
    threads: Threads = 0,
    max_memory: MaxMemory = None,
    index_type: _IndexType = None,
    grouping: _Grouping = None,
    shard: _Shard = None,
    no_rotations: NoRotations = False,
    retry_failed: RetryFailed = False,
    again: Again = False,
    max_megapixels: MaxMegapixels = 200,
    keep_missing: KeepMissing = 30,
    prune: Prune = False,
    yes: Yes = False,
    dry_run: _DryRun = False,
    max_time: MaxTime = None,
    wait: Wait = 0,
    layout: TableOrJson = "table",
    log_format: LogFormat = "text",
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Find the faces in folders of photos and keep them. Later runs read only new and changed photos."""
    from facesearch.api.index import Index

    console = Console(quiet=quiet, verbose=verbose, seconds=max_time)
    means: dict[str, Any] = {"device": device, "threads": threads, "wait": wait, "observer": console}
    with console, Index.open(index_path, create=True, model=model, **means) as opened:
        options: dict[str, Any] = {
            "rotations": not no_rotations, "retry_failed": retry_failed, "again": again, "index_type": index_type,
            "max_pixels": pixels(max_megapixels), "keep_missing_days": 0 if prune else keep_missing,
            "max_memory": max_memory, "shard": shard,
        }  # fmt: skip
        report = _run(opened, paths or [], options, grouping=grouping, dry_run=dry_run, prune=prune, yes=yes)
        _tell(opened, report, layout, console, dry_run=dry_run)
    console.end(complete=report.complete)


def _run(
    opened: Index,
    paths: Sequence[Path],
    options: dict[str, Any],
    *,
    grouping: bool | None,
    dry_run: bool,
    prune: bool,
    yes: bool,
) -> Report:
    if dry_run:
        return opened.preview(paths, **options)
    return opened.refresh(paths, group=grouping, confirm=_questions(paths, prune=prune, yes=yes), **options)


def _questions(paths: Sequence[Path], *, prune: bool, yes: bool) -> Callable[[Report], None] | None:
    """Return what asks before photos are deleted, or before a slip such as `/` for a folder has very many read."""
    asks_about_much = bool(paths) and not yes and is_somebody_there()
    if not (prune or asks_about_much):
        return None

    def ask(expected: Report) -> None:
        if asks_about_much and expected.new + expected.changed > _MANY:
            confirm(f"{counted(expected.new + expected.changed, 'photo')} will be read", yes=False)
        if prune and expected.removed:
            photos = counted(expected.removed, "photo")
            confirm(f"{photos} missing from disk will be deleted from the index for good, with all faces", yes=yes)

    return ask


def _tell(index: Index, report: Report, layout: str, console: Console, *, dry_run: bool) -> None:
    from facesearch.render.records import report_record
    from facesearch.render.text import render_plan, render_report, summary_line

    record = report_record(report, str(index.path))
    if dry_run:
        record |= {"dry_run": True, "new_index": not index.exists}
    else:
        record["runtime"] = str(index.runtime)
    tell_troubles(report, console.note)
    write_report(record, layout, console, text=render_plan if dry_run else render_report, line=summary_line)
