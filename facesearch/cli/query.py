"""`facesearch query`."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from typing import Annotated

import typer

from facesearch.cli.answering import Question, photos_of
from facesearch.cli.console import Stopwatch, say
from facesearch.cli.options import (
    Device,
    FormatOption,
    IndexPath,
    MaxMegapixels,
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
)

__all__ = ["register"]

MANY = 16
"""Photos from which the runtime that runs fastest beats the one that starts fastest."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="query", short_help="Who looks like this: answer from the index.")(query)


def query(
    photos: Annotated[
        list[Path],
        typer.Argument(
            metavar="PHOTO",
            readable=False,
            help="Photos of the person to look for, or folders of them; together they make one better question.",
        ),
    ],
    index_path: IndexPath = None,
    each: Annotated[bool, typer.Option("--each", help="Every photo is a question of its own.")] = False,
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
    no_rotations: NoRotations = False,
    max_megapixels: MaxMegapixels = 200,
    timing: Annotated[bool, typer.Option("--timing", help="Tell on stderr where the time went.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Who looks like this: answer from the index, without touching the photos."""
    watch = Stopwatch()
    question = Question(
        top_k=top_k, threshold=threshold, no_threshold=no_threshold, min_face=min_face, all_faces=all_faces,
        face=face, layout=layout, nul=nul, sheet=sheet, max_pixels=round(max_megapixels * 1e6), quiet=quiet,
        each=each,
    )  # fmt: skip
    question.check()
    asked = photos_of(photos)
    from facesearch.faces.model import open_model
    from facesearch.faces.runtime import choose_runtime
    from facesearch.store.store import Store, default_index_path, preload

    folder = index_path or default_index_path()
    watch.lap("imports")
    try:
        with Store.open(folder, notify=(lambda _message: None) if quiet else say) as store:
            watch.lap("open the catalog")
            runtime = choose_runtime(device, threads, few=len(asked) < MANY)
            if len(asked) > 1:
                runtime = runtime.shared_by(runtime.threads)
            model = open_model(store.model.source or store.model.name, runtime)
            store.require_model(model.info)
            Thread(target=preload).start()
            watch.lap("load the model")
            if verbose:
                say(f"index {folder}, model {store.model.name}; {model.runtime}")
            probes = question.probes(model, asked, rotations=not no_rotations, mark=watch.lap)
            len(store)
            watch.lap("open the vectors")
            question.answer(store, probes, str(folder), watch.lap)
    finally:
        if timing:
            watch.tell()
