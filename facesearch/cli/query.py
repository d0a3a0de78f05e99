"""`facesearch query`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facesearch.cli.answering import Question
from facesearch.cli.console import say
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


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="query", short_help="Who looks like this: answer from the index.")(query)


def query(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", readable=False, help="A photo of the person to look for.")],
    index_path: IndexPath = None,
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
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Who looks like this: answer from the index, without touching the photos."""
    question = Question(
        top_k=top_k, threshold=threshold, no_threshold=no_threshold, min_face=min_face, all_faces=all_faces,
        face=face, layout=layout, nul=nul, sheet=sheet, max_pixels=round(max_megapixels * 1e6), quiet=quiet,
    )  # fmt: skip
    question.check()
    from facesearch.faces.model import open_model
    from facesearch.faces.runtime import choose_runtime
    from facesearch.store.store import Store, default_index_path

    folder = index_path or default_index_path()
    with Store.open(folder, notify=(lambda _message: None) if quiet else say) as store:
        model = open_model(store.model.source or store.model.name, choose_runtime(device, threads))
        store.require_model(model.info)
        if verbose:
            say(f"index {folder}, model {store.model.name}; {model.runtime}")
        probes = question.probes(model, str(photo), rotations=not no_rotations)
        question.answer(store, probes, str(folder))
