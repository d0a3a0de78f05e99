"""`facesearch index`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli.console import RunProgress, StopSignal, say, write
from facesearch.cli.options import Device, IndexPath, MaxMegapixels, NoRotations, Quiet, Threads, Verbose
from facesearch.errors import UsageError

if TYPE_CHECKING:
    from facesearch.store.store import Store

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="index", short_help="Find every face in folders of photos and keep it.")(index)


def index(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PATH", help="Folders and photos; none: every known folder.")
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
    no_rotations: NoRotations = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try photos again that could not be read.")
    ] = False,
    max_megapixels: MaxMegapixels = 200,
    layout: Annotated[str, typer.Option("--format", "-f", help="How the report is written: table or json.")] = "table",
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Find every face in folders of photos and keep it; run again, only what changed is read."""
    from dataclasses import replace

    from facesearch.faces.model import open_model
    from facesearch.faces.runtime import choose_runtime
    from facesearch.indexing import Options, refresh
    from facesearch.render.records import report_record
    from facesearch.render.text import render_report
    from facesearch.store.store import default_index_path

    if layout not in ("table", "json"):
        raise UsageError(f"--format {layout}: a report is written as table or json")
    note = (lambda _message: None) if quiet else say
    runtime = choose_runtime(device, threads)
    folder = index_path or default_index_path()
    stop = StopSignal()
    with _open_store(folder, model, paths or [], note) as store:
        # Each photo is worked on by one thread, and as many photos at once as there are cores: no thread waits.
        opened = open_model(store.model.source or store.model.name, replace(runtime, threads=1))
        store.require_model(opened.info)
        if verbose:
            note(f"model {store.model.name}; {opened.runtime}, {runtime.threads} photos at once")
        options = Options(
            rotations=not no_rotations,
            retry_failed=retry_failed,
            max_pixels=round(max_megapixels * 1e6),
            workers=runtime.threads,
        )
        with stop.noted(), RunProgress(quiet=quiet) as progress:
            report = refresh(store, opened, paths or (), options=options, progress=progress, should_stop=stop)
        record = report_record(report, str(folder))
        store.keep_report({**record, "finished": round(time.time())})
    for root in report.offline:
        say(f"{root}: not there, or empty; its photos are kept as they are")
    for trouble in report.unreadable:
        say(f"{trouble}; its photos are kept as they are")
    if report.failed:
        note(f"{report.failed} photos could not be read; facesearch status --failed lists them")
    write([json.dumps(record, ensure_ascii=True) + "\n" if layout == "json" else render_report(record)])
    if report.stopped:
        raise typer.Exit(stop.exit_code)
    if not report.complete:
        raise typer.Exit(5)


def _open_store(folder: Path, asked: str | None, paths: list[Path], note: Callable[[str], None]) -> Store:
    """The index in `folder`, or a new one there for the model asked for."""
    from facesearch.faces.model import choose_model, model_info
    from facesearch.indexing import require_paths
    from facesearch.store.store import Store

    if Store.exists(folder):
        store = Store.open(folder, write=True, notify=note)
        if asked is not None:
            try:
                store.require_model(model_info(asked))
            except BaseException:
                store.close()
                raise
        return store
    if not paths:
        raise UsageError(f"no index at {folder} yet; name a folder of photos: facesearch index FOLDER")
    require_paths(paths)  # before a folder is made for an index of nothing
    choice = choose_model(asked)
    store = Store.create(folder, model_info(choice.name), notify=note)
    note(f"new index in {folder}")
    if choice.note:
        note(choice.note)
    return store
