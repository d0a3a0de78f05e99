"""`facesearch query`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facesearch.cli.console import Console
from facesearch.cli.options import Device, IndexPath, Threads, Verbose, examples
from facesearch.cli.question import Question, asks

__all__ = ["register"]

_EXAMPLES = examples(
    ("facesearch query me.jpg", "every photo that shows me"),
    ("facesearch query me1.jpg me2.jpg me3.jpg", "the same, from three photos: finds more"),
    ("facesearch query me.jpg --top-k 20 --sheet hits.png", "the twenty nearest, drawn"),
    ("facesearch query me.jpg --under holidays --since 2024-06 --until 2024-08", "last summer's"),
    ("facesearch query me.jpg --together you.jpg --copy-to both", "the two of us, copied"),
    ("facesearch query me.jpg -0 | xargs -0 ls -l", "into other tools"),
)

_Photos = Annotated[
    list[Path],
    typer.Argument(
        metavar="PHOTO",
        readable=False,
        help="Photos of the person to look for, or folders of them; together they make one better question.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="query", short_help="Who looks like this: answer from the index.", epilog=_EXAMPLES)(query)


@asks
def query(
    photos: _Photos,
    question: Question,
    each: Annotated[bool, typer.Option("--each", help="Every photo is a question of its own.")] = False,
    index_path: IndexPath = None,
    device: Device = "auto",
    threads: Threads = 0,
    timing: Annotated[bool, typer.Option("--timing", help="Tell on stderr where the time went.")] = False,
    verbose: Verbose = False,
) -> None:
    """Who looks like this: answer from the index, without touching the photos."""
    from facesearch.api.index import Index

    outputs = question.outputs
    with (
        Console(quiet=question.quiet, verbose=verbose, timing=timing) as console,
        Index.open(index_path, device=device, threads=threads, observer=console) as index,
    ):
        result = index.query(photos, question.options, where=question.where, keep=not outputs.dry_run)
        complete = outputs.hand_out(result, console, seconds=console.seconds, max_pixels=question.options.max_pixels)
        if result.nothing_found:
            raise typer.Exit(1)
        console.end(complete=complete)
