"""`facesearch scan`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from facesearch.cli.answering import answer, ask
from facesearch.cli.asking import photos_of
from facesearch.cli.console import Console
from facesearch.cli.messages import say
from facesearch.cli.options import Device, MaxMemory, ModelName, NoRotations, Threads, Verbose, examples
from facesearch.cli.question import Question, asks
from facesearch.cli.reports import tell_other_media

__all__ = ["register"]

_EXAMPLES = examples(
    ("facesearch scan me.jpg /media/card", "who on this memory card is me"),
    ("facesearch scan me.jpg party.jpg --all-faces --no-threshold", "how much is everybody in it like me"),
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="scan", short_help="The same answers without an index.", epilog=_EXAMPLES)(scan)


@asks
def scan(
    photo: Annotated[
        Path, typer.Argument(metavar="PHOTO", readable=False, help="A photo of the person to look for, or a folder.")
    ],
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", readable=False, help="Folders and photos to search.")],
    question: Question,
    model: ModelName = None,
    device: Device = "auto",
    threads: Threads = 0,
    max_memory: MaxMemory = None,
    no_rotations: NoRotations = False,
    verbose: Verbose = False,
) -> None:
    """The same answers without an index, for folders searched once; no index is written."""
    started = time.monotonic()
    question.check()
    from facesearch.api.resources import photo_memory
    from facesearch.index.store import Store
    from facesearch.indexing.diff import Options, require_paths
    from facesearch.indexing.refresh import refresh
    from facesearch.models.resolve import choose_model, open_model
    from facesearch.models.runtime import choose_runtime

    require_paths(paths)
    runtime = choose_runtime(device, threads, notify=(lambda _line: None) if question.quiet else say)
    choice = choose_model(model)
    if choice.note and verbose:
        say(choice.note)
    opened = open_model(choice.name, runtime.shared_by(runtime.threads))
    if verbose:
        say(f"model {opened.info.name}; {opened.runtime}, {runtime.threads} photos at once")
    asked = ask(question, opened, photos_of([photo]), rotations=not no_rotations)
    options = Options(
        rotations=not no_rotations,
        max_pixels=question.max_pixels,
        workers=runtime.threads,
        memory=photo_memory(max_memory, runtime.threads),
    )
    console = Console(quiet=question.quiet, keeps=False)
    with Store.memory(opened.info) as store:
        with console:
            report = refresh(store, opened, paths, options=options, observer=console)
        for trouble in report.unreadable:
            say(trouble)
        if report.failed and not question.quiet:
            say(f"photos that could not be read: {report.failed:,} of {report.photos:,}")
        if not question.quiet:
            tell_other_media(report, say)
        console.end()
        where = ", ".join(str(path) for path in paths)
        answer(question, asked, store, where, seconds=lambda: time.monotonic() - started)
