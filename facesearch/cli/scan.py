"""`facesearch scan`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facesearch.cli.answering import Question, photos_of
from facesearch.cli.console import RunProgress, StopSignal, say
from facesearch.cli.options import (
    Device,
    FormatOption,
    MaxMegapixels,
    MaxMemory,
    MinFace,
    NoRotations,
    NoThreshold,
    Nul,
    QueryFace,
    Quiet,
    Sheet,
    Threads,
    Threshold,
    TopK,
    Verbose,
    memory_for_photos,
)

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="scan", short_help="The same answers without an index.")(scan)


def scan(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", readable=False, help="A photo of the person to look for.")],
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", readable=False, help="Folders and photos to search.")],
    model: Annotated[
        str | None, typer.Option("--model", help="embedded, an installed InsightFace pack, or a folder of .onnx files.")
    ] = None,
    top_k: TopK = None,
    threshold: Threshold = None,
    no_threshold: NoThreshold = False,
    min_face: MinFace = 0,
    all_faces: Annotated[bool, typer.Option("--all-faces", help="Every matching face, not one hit a photo.")] = False,
    face: QueryFace = None,
    layout: FormatOption = "table",
    nul: Nul = False,
    sheet: Sheet = None,
    device: Device = "auto",
    threads: Threads = 0,
    max_memory: MaxMemory = None,
    no_rotations: NoRotations = False,
    max_megapixels: MaxMegapixels = 200,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """The same answers without an index, for folders searched once; nothing is written."""
    question = Question(
        top_k=top_k, threshold=threshold, no_threshold=no_threshold, min_face=min_face, all_faces=all_faces,
        face=face, layout=layout, nul=nul, sheet=sheet, max_pixels=round(max_megapixels * 1e6), quiet=quiet,
    )  # fmt: skip
    question.check()
    from facesearch.faces.model import choose_model, open_model
    from facesearch.faces.runtime import choose_runtime
    from facesearch.indexing import refresh
    from facesearch.planning import Options, require_paths
    from facesearch.store.store import Store

    require_paths(paths)
    runtime = choose_runtime(device, threads)
    choice = choose_model(model)
    if choice.note and verbose:
        say(choice.note)
    opened = open_model(choice.name, runtime.shared_by(runtime.threads))
    if verbose:
        say(f"model {opened.info.name}; {opened.runtime}, {runtime.threads} photos at once")
    probes = question.probes(opened, photos_of([photo]), rotations=not no_rotations)
    options = Options(
        rotations=not no_rotations,
        max_pixels=question.max_pixels,
        workers=runtime.threads,
        memory=memory_for_photos(max_memory, runtime.threads),
    )
    stop = StopSignal()
    with Store.memory(opened.info) as store:
        with stop.noted(), RunProgress(quiet=quiet) as progress:
            report = refresh(store, opened, paths, options=options, progress=progress, should_stop=stop)
        for trouble in report.unreadable:
            say(trouble)
        if report.failed and not quiet:
            say(f"photos that could not be read: {report.failed:,} of {report.photos:,}")
        if report.stopped:
            raise typer.Exit(stop.exit_code)
        question.answer(store, probes, ", ".join(str(path) for path in paths))
