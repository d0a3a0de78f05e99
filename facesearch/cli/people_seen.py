"""`facesearch people seen`: who is new since the last time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from facesearch.cli.console import Console
from facesearch.cli.options import IndexPath, Quiet, TableOrJson
from facesearch.cli.stdout import for_stdout, write, write_json

__all__ = ["COMMANDS"]

_Bookmark = Annotated[
    str, typer.Option("--bookmark", metavar="NAME", help="Each bookmark remembers for itself what it has told.")
]
_Since = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="DATE", help="Who is in photos taken on this date or later, whenever they were indexed."
    ),
]
_Peek = Annotated[bool, typer.Option("--peek", help="Leave the bookmark where it is.")]


def seen(
    bookmark: _Bookmark = "default",
    since: _Since = None,
    peek: _Peek = False,
    index_path: IndexPath = None,
    layout: TableOrJson = "table",
    quiet: Quiet = False,
) -> None:
    """Tell who is in photos that were indexed since the last call. Without news it writes nothing to stdout.

    --since goes by the date on which photos were taken instead, and neither reads nor moves a bookmark.
    """
    from facesearch.api.index import Index
    from facesearch.render.people import news_record, render_news

    console = Console(quiet=quiet)
    with Index.open(index_path, observer=console) as index:
        news = index.people.seen(bookmark, since=since, keep=not peek)
    if layout == "json":
        write_json(news_record(news), ascii_only=True)
    elif news.is_empty:
        console.note("nothing new")
    else:
        write([render_news(news, for_stdout())])


COMMANDS: dict[str, tuple[str, Callable[..., None]]] = {"seen": ("Tell who is new since the last time.", seen)}
"""The command, by name: the short help and the function."""
