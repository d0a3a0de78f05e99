"""`facesearch index`."""

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
    confirm,
    examples,
    for_stdout,
    is_somebody_there,
    is_terminal,
    say,
    use_log_format,
    write,
)
from facesearch.cli.options import (
    Device,
    IndexPath,
    LogFormat,
    MaxMegapixels,
    MaxMemory,
    NoRotations,
    Quiet,
    Threads,
    Verbose,
    Wait,
    Yes,
    memory_for_photos,
    parse_duration,
    parse_size,
)
from facesearch.errors import UsageError
from facesearch.events import observing
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.index.store import Store
    from facesearch.indexing.options import Options
    from facesearch.indexing.report import Report

__all__ = ["check_options", "register", "tell_other_media", "tell_troubles"]

_MANY = 100_000
"""Photos. Reading this many takes an hour or more, and few libraries have them."""

_EXAMPLES = examples(
    ("facesearch index ~/Pictures", "the first time"),
    ("facesearch index", "from then on: every folder it knows, only what changed"),
    ("facesearch index --quiet --max-time 4h", "every night, from cron"),
    ("facesearch index ~/Pictures --dry-run", "what would be read"),
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="index", short_help="Find every face in folders of photos and keep it.", epilog=_EXAMPLES)(index)


def index(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", readable=False, help="Folders and photos; none: every known folder."),
    ] = None,
    index_path: IndexPath = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", help="For a new index: embedded, an installed InsightFace pack, or a folder of .onnx files."
        ),
    ] = None,
    device: Device = "auto",
    threads: Threads = 0,
    max_memory: MaxMemory = None,
    index_type: Annotated[
        str | None,
        typer.Option(
            "--index-type", help="auto, flat (exact) or ivf (approximate, for millions of faces); the index keeps it."
        ),
    ] = None,
    no_rotations: NoRotations = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try photos again that could not be read.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option("--again", help="Look at every photo anew, for what an earlier facesearch did not measure."),
    ] = False,
    max_megapixels: MaxMegapixels = 200,
    keep_missing: Annotated[
        float, typer.Option("--keep-missing", metavar="DAYS", min=0, help="How long photos out of sight are kept.")
    ] = 30,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete photos that are out of sight now, for good; asks first.")
    ] = False,
    yes: Yes = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be done, by names, sizes and times; do nothing.")
    ] = False,
    max_time: Annotated[
        str | None, typer.Option("--max-time", metavar="TIME", help="Stop cleanly after 30m, 2h or 90s; exit code 5.")
    ] = None,
    wait: Wait = 0,
    layout: Annotated[str, typer.Option("--format", "-f", help="How the report is written: table or json.")] = "table",
    log_format: LogFormat = "text",
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Find every face in folders of photos and keep it; run again, only what changed is read."""
    from facesearch.indexing.options import Options
    from facesearch.indexing.refresh import preview, refresh
    from facesearch.render.records import report_record
    from facesearch.settings import default_index_path

    use_log_format(log_format)
    check_options(layout, max_memory, index_type)
    seconds = None if max_time is None else parse_duration(max_time)
    folder = index_path or default_index_path()
    options = Options(
        rotations=not no_rotations,
        retry_failed=retry_failed,
        again=again,
        max_pixels=round(max_megapixels * 1e6),
        keep_missing=0 if prune else keep_missing * 86400,
    )
    stop = StopSignal(seconds)

    def work(store: Store) -> tuple[Report, str]:
        from facesearch.models.resolve import open_model
        from facesearch.models.runtime import choose_runtime

        if prune:
            expected = preview(store, paths or (), options=options)
            if expected.removed:
                confirm(_deletion(expected), yes=yes)
        runtime = choose_runtime(device, threads, notify=note)
        # Each photo is worked on by one thread, and as many photos at once as there are cores: no thread waits.
        opened = open_model(store.model.source or store.model.name, runtime.shared_by(runtime.threads))
        store.require_model(opened.info)
        if verbose:
            note(f"model {store.model.name}; {opened.runtime}, {runtime.threads} photos at once")
        with stop.noted(), RunProgress(quiet=quiet) as progress:
            chosen = replace(options, workers=runtime.threads, memory=memory_for_photos(max_memory, runtime.threads))
            report = refresh(
                store, opened, paths or (), options=chosen, observer=observing(progress=progress, cancelled=stop)
            )
        if index_type is not None and not report.stopped:
            store.use_index_type(index_type)
        return report, str(runtime)

    note = (lambda _message: None) if quiet else say
    if paths and not (dry_run or yes) and is_somebody_there():
        _ask_about_much(folder, model, paths, options)
    if dry_run:
        with _store_to_look_at(folder, model, paths or []) as store:
            report = preview(store, paths or (), options=options)
            record = {**report_record(report, str(folder)), "dry_run": True, "new_index": store.path is None}
    else:
        with _open_store(folder, model, paths or [], note, wait) as store:
            report, runtime = work(store)
            unmeasured = store.catalog.faces.count_unmeasured()
            if unmeasured:
                note(f"faces whose quality an earlier facesearch did not measure: {unmeasured:,}; --again does")
            record = {**report_record(report, str(folder)), "runtime": runtime}
            store.keep_report({**record, "finished": round(time.time())})
    tell_troubles(report, note)
    _write_report(record, layout, note, quiet=quiet)
    if stop.number is not None:
        raise typer.Exit(stop.exit_code)
    if not report.complete:
        raise typer.Exit(5)


def check_options(layout: str, max_memory: str | None, index_type: str | None) -> None:
    """What is wrong with the options, before anything is done. Raises `UsageError`."""
    from facesearch.index.store import check_index_type

    if layout not in ("table", "json"):
        raise UsageError(f"--format {layout}: a report is written as table or json")
    if max_memory is not None:
        parse_size(max_memory)
    if index_type is not None:
        check_index_type(index_type)


def _write_report(record: dict[str, Any], layout: str, note: Callable[[str], None], *, quiet: bool) -> None:
    from facesearch.render.text import render_plan, render_report, summary_line

    if layout == "json":
        write([json.dumps(record, ensure_ascii=True) + "\n"])
    elif not quiet:
        write([(render_plan if "dry_run" in record else render_report)(record, show=for_stdout())])
    if not is_terminal():
        note(summary_line(record))


def tell_troubles(report: Report, note: Callable[[str], None]) -> None:
    """What an indexing run could not look at."""
    for root in report.offline:
        say(f"{root}: not there, or empty; its photos are kept as they are")
    for path in report.given_up:
        say(f"{path}: left out, facesearch died while looking at it alone; --retry-failed tries again")
    for trouble in report.unreadable:
        say(f"{trouble}; its photos are kept as they are")
    if report.failed:
        note(f"photos that could not be read: {report.failed:,}; facesearch status --failed lists them")
    tell_other_media(report, note)


def tell_other_media(report: Report, note: Callable[[str], None]) -> None:
    """Which files a run has not looked at, the most frequent kinds first."""
    kinds = sorted(report.not_looked_at.items(), key=lambda kind: (-kind[1], kind[0]))
    if kinds:
        told = ", ".join(f"{number:,} {ending.upper()}" for ending, number in kinds)
        note(f"not looked at: {told} (RAW photos, videos and some other formats are not read)")


def _deletion(report: Report) -> str:
    photos = counted(report.removed, "photo")
    return f"{photos} out of sight will be deleted from the index for good, with all faces"


def _ask_about_much(folder: Path, model: str | None, paths: list[Path], options: Options) -> None:
    """A slip of the hand, `/` for a folder, is told before anything is read. Raises `UsageError` when it was one."""
    from facesearch.errors import IndexVersionError
    from facesearch.indexing.refresh import preview

    try:
        with _store_to_look_at(folder, model, paths) as store:
            expected = preview(store, paths, options=options)
    except IndexVersionError:
        return  # the run brings the index up to date first
    if expected.new + expected.changed > _MANY:
        confirm(f"{counted(expected.new + expected.changed, 'photo')} will be read", yes=False)


def _store_to_look_at(folder: Path, asked: str | None, paths: list[Path]) -> Store:
    """The index in `folder`, to be read; where there is none, an empty one in memory, so that all photos are new."""
    from facesearch.index.store import Store
    from facesearch.models.resolve import choose_model, model_info

    if Store.exists(folder):
        store = Store.open(folder, keep=False)
        if asked is not None:
            try:
                store.require_model(model_info(asked))
            except BaseException:
                store.close()
                raise
        return store
    if not paths:
        raise UsageError(f"no index at {folder} yet; name a folder of photos: facesearch index FOLDER")
    return Store.memory(model_info(choose_model(asked).name))


def _open_store(folder: Path, asked: str | None, paths: list[Path], note: Callable[[str], None], wait: float) -> Store:
    """The index in `folder`, or a new one there for the model asked for."""
    from facesearch.index.store import Store
    from facesearch.indexing.diff import require_paths
    from facesearch.models.resolve import choose_model, model_info

    if Store.exists(folder):
        store = Store.open(folder, write=True, wait=wait, notify=note)
        if asked is not None:
            try:
                store.take_model(model_info(asked))
            except BaseException:
                store.close()
                raise
        return store
    if not paths:
        raise UsageError(f"no index at {folder} yet; name a folder of photos: facesearch index FOLDER")
    require_paths(paths)  # before a folder is made for an index of nothing
    choice = choose_model(asked)
    store = Store.create(folder, model_info(choice.name), wait=wait, notify=note)
    note(f"new index in {folder}")
    if choice.note:
        note(choice.note)
    return store
