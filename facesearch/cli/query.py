"""`facesearch query`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli.advice import option_name
from facesearch.cli.completion import complete_people
from facesearch.cli.console import Console
from facesearch.cli.options import Device, IndexPath, Threads, Verbose, examples
from facesearch.cli.question import Question, asks
from facesearch.errors import UsageError

if TYPE_CHECKING:
    from facesearch.api.index import Index
    from facesearch.api.results import QueryResult
    from facesearch.query_options import QueryOptions

__all__ = ["register"]

_EXAMPLES = examples(
    ("facesearch query me.jpg", "find the photos that show me"),
    ("facesearch query me1.jpg me2.jpg me3.jpg", "find more of them, from three photos"),
    ("facesearch query me.jpg --top-k 20 --sheet hits.png", "draw the 20 most similar on a contact sheet"),
    ("facesearch query me.jpg --under holidays --since 2024-06 --until 2024-08", "search last summer's holidays only"),
    ("facesearch query me.jpg --with you.jpg --copy-to both", "copy the photos of the two of us"),
    ("facesearch query Anna", "find the photos of somebody whom you named with facesearch people"),
    ("facesearch query '#12'", "find the photos of somebody listed by facesearch people"),
    ("facesearch query me.jpg -0 | xargs -0 ls -l", "pass the paths to another program"),
)

_Whom = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="WHO",
        readable=False,
        help="Photos of one person, or folders of such photos: several find more than one. Or the name of a person.",
        autocompletion=complete_people,
    ),
]
_Gallery = Annotated[
    str | None,
    typer.Option("--gallery", metavar="NAME", help="Query this shared gallery, by name or URL, instead of an index."),
]
_Of = Annotated[str | None, typer.Option("--of", metavar="NAME", help="Only photos of this index of the gallery.")]
_Person = Annotated[
    list[str] | None,
    typer.Option(
        "--person",
        metavar="WHO",
        help="Find this person, by name or number such as '#12', instead of photos of one.",
        autocompletion=complete_people,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="query", short_help="Find photos of a person in the index.", epilog=_EXAMPLES)(query)


@asks
def query(
    question: Question,
    photos: _Whom = None,
    person: _Person = None,
    each: Annotated[bool, typer.Option("--each", help="Make a query of its own for each photo.")] = False,
    direct: Annotated[
        bool, typer.Option("--direct", help="Only photos similar to the query photo, no others of the same person.")
    ] = False,
    index_path: IndexPath = None,
    gallery: _Gallery = None,
    of: _Of = None,
    device: Device = "auto",
    threads: Threads = 0,
    timing: Annotated[bool, typer.Option("--timing", help="Report on stderr how long each step took.")] = False,
    verbose: Verbose = False,
) -> None:
    """Find photos of a person in the index. The indexed photos themselves are not read.

    First come the photos that are similar to the query photo, then the other photos of the same person.
    """
    if not photos and question.options.person is None:
        raise UsageError("give a photo or the name of the person to search for")
    outputs = question.outputs
    with (
        Console(quiet=question.quiet, verbose=verbose, timing=timing) as console,
        _opened(index_path, gallery, device, threads, console) as searched,
    ):
        result = searched(photos or (), question, of)
        complete = outputs.hand_out(result, console, seconds=console.seconds, max_pixels=question.options.max_pixels)
        if result.nothing_found:
            raise typer.Exit(1)
        console.end(complete=complete)


def _by_name(index: Index, photos: Sequence[Path], options: QueryOptions) -> tuple[Sequence[Path], QueryOptions]:
    """Return the photos and the options; a single argument that is no file may be the name or number of a person."""
    given = str(photos[0]) if len(photos) == 1 else ""
    if not given or options.person is not None or os.path.lexists(given):
        return photos, options
    if index.people.knows(given) or not (Path(given).suffix or os.sep in given):
        return (), _of_person(given, options)
    return photos, options


def _of_person(given: str, asked: QueryOptions) -> QueryOptions:
    """Return the options with a person. Raises `UsageError` if one of them needs a query photo."""
    try:
        return replace(asked, person=given)
    except UsageError as error:
        named = error.values.get("option")
        if not isinstance(named, tuple):
            raise
        name = option_name(named[-1])
        raise UsageError(
            f"{given}: a person is searched for without a query photo, which {name} needs; omit {name}"
        ) from error


@contextmanager
def _opened(
    index_path: Path | None, gallery: str | None, device: str, threads: int, console: Console
) -> Iterator[Callable[[Sequence[Path], Question, str | None], QueryResult]]:
    """Open the index or the gallery; return what queries it."""
    from facesearch.api.gallery import Gallery
    from facesearch.api.index import Index

    if gallery is not None:
        if index_path is not None:
            raise UsageError("--index and --gallery contradict each other; omit one of them")
        with Gallery.open(gallery, device=device, threads=threads, observer=console) as shared:
            yield lambda photos, asked, of: shared.query(photos, asked.options, where=replace(asked.where, index=of))
        return
    with Index.open(index_path, device=device, threads=threads, observer=console) as index:
        yield lambda photos, asked, of: _of_index(index, photos, asked, of)


def _of_index(index: Index, photos: Sequence[Path], asked: Question, of: str | None) -> QueryResult:
    if of is not None:
        raise UsageError(f"--of {of}: names an index of a gallery; give --gallery too")
    photos, options = _by_name(index, photos, asked.options)
    return index.query(photos, options, where=asked.where, keep=not asked.outputs.dry_run)
