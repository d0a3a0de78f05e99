"""`facesearch query`."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from typing import Annotated

import typer

from facesearch.cli.answering import answer, ask
from facesearch.cli.asking import photos_of
from facesearch.cli.messages import say
from facesearch.cli.options import Device, IndexPath, NoRotations, Threads, Verbose, examples
from facesearch.cli.question import Question, asks
from facesearch.cli.timing import Stopwatch
from facesearch.errors import ModelSwitchedError

__all__ = ["register"]

MANY = 16
"""Photos from which the runtime that runs fastest beats the one that starts fastest."""

_EXAMPLES = examples(
    ("facesearch query me.jpg", "every photo that shows me"),
    ("facesearch query me1.jpg me2.jpg me3.jpg", "the same, from three photos: finds more"),
    ("facesearch query me.jpg --top-k 20 --sheet hits.png", "the twenty nearest, drawn"),
    ("facesearch query me.jpg --under holidays --since 2024-06 --until 2024-08", "last summer's"),
    ("facesearch query me.jpg --together you.jpg --copy-to both", "the two of us, copied"),
    ("facesearch query me.jpg -0 | xargs -0 ls -l", "into other tools"),
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="query", short_help="Who looks like this: answer from the index.", epilog=_EXAMPLES)(query)


@asks
def query(
    photos: Annotated[
        list[Path],
        typer.Argument(
            metavar="PHOTO",
            readable=False,
            help="Photos of the person to look for, or folders of them; together they make one better question.",
        ),
    ],
    question: Question,
    each: Annotated[bool, typer.Option("--each", help="Every photo is a question of its own.")] = False,
    index_path: IndexPath = None,
    device: Device = "auto",
    threads: Threads = 0,
    no_rotations: NoRotations = False,
    timing: Annotated[bool, typer.Option("--timing", help="Tell on stderr where the time went.")] = False,
    verbose: Verbose = False,
) -> None:
    """Who looks like this: answer from the index, without touching the photos."""
    watch = Stopwatch()
    question.check(each=each)
    asked_about = photos_of(photos)
    from facesearch.index.store import Store, preload
    from facesearch.models.resolve import open_model
    from facesearch.models.runtime import choose_runtime
    from facesearch.settings import default_index_path

    folder = index_path or default_index_path()
    watch.lap("imports")

    def asked_once() -> None:
        """Raises `ModelSwitchedError` when another model takes over between opening the index and its vectors."""
        notify = (lambda _message: None) if question.quiet else say
        with Store.open(folder, keep=not question.dry_run, notify=notify) as store:
            watch.lap("open the catalog")
            runtime = choose_runtime(device, threads, few=len(asked_about) < MANY)
            if len(asked_about) > 1:
                runtime = runtime.shared_by(runtime.threads)
            model = open_model(store.model.source or store.model.name, runtime)
            store.require_model(model.info)
            Thread(target=preload).start()
            watch.lap("load the model")
            if verbose:
                say(f"index {folder}, model {store.model.name}; {model.runtime}")
            asked = ask(question, model, asked_about, each=each, rotations=not no_rotations, mark=watch.lap)
            len(store)
            watch.lap("open the vectors")
            answer(question, asked, store, str(folder), mark=watch.lap, seconds=watch.total)

    try:
        asked_once()
    except ModelSwitchedError:  # at this moment, before anything was answered; it does not happen twice
        asked_once()
    finally:
        if timing:
            watch.tell()
