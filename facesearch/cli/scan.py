"""`facesearch scan`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facesearch.cli.console import Console
from facesearch.cli.options import Device, MaxMemory, ModelName, Threads, Verbose, examples
from facesearch.cli.question import Question, asks
from facesearch.cli.reports import tell_scanned

__all__ = ["register"]

_EXAMPLES = examples(
    ("facesearch scan me.jpg /media/card", "find me on a memory card"),
    ("facesearch scan me.jpg party.jpg --all-faces --no-threshold", "compare me with everybody in a photo"),
)

_Photo = Annotated[
    Path, typer.Argument(metavar="PHOTO", readable=False, help="A photo of the person, or a folder of such photos.")
]
_Paths = Annotated[list[Path], typer.Argument(metavar="PATH", readable=False, help="Folders and photos to search.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="scan", short_help="Search folders without an index.", epilog=_EXAMPLES)(scan)


@asks
def scan(
    photo: _Photo,
    paths: _Paths,
    question: Question,
    model: ModelName = None,
    device: Device = "auto",
    threads: Threads = 0,
    max_memory: MaxMemory = None,
    verbose: Verbose = False,
) -> None:
    """Search folders and photos for a person without an index. Every photo is read, and nothing is kept."""
    from facesearch.api.scan import scan as scanned

    with Console(quiet=question.quiet, verbose=verbose, keeps=False) as console:
        found = scanned(
            photo, paths, question.options, where=question.where, model=model, device=device, threads=threads,
            max_memory=max_memory, observer=console,
        )  # fmt: skip
        tell_scanned(found.report, console)
        if found.result is None:
            console.end(complete=False)
            return
        complete = question.outputs.hand_out(
            found.result, console, seconds=console.seconds, max_pixels=question.options.max_pixels
        )
        if found.result.nothing_found:
            raise typer.Exit(1)
        console.end(complete=complete)
