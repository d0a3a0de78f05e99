"""`facesearch people history` and `undo`: what was said about people, and taking it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from facesearch.cli.console import Console
from facesearch.cli.messages import say
from facesearch.cli.options import IndexPath, TableOrJson
from facesearch.cli.stdout import for_stdout, write, write_json

__all__ = ["COMMANDS"]

_Number = Annotated[
    int | None,
    typer.Argument(metavar="[NUMBER]", help="The number of an action in `people history`. [default: the last one]"),
]
_Last = Annotated[int | None, typer.Option("--last", "-n", metavar="N", min=1, help="Only the last N actions.")]


def undo(number: _Number = None, index_path: IndexPath = None) -> None:
    """Take back what was said about people: the last action, or any other one. Taking that back brings it back."""
    from facesearch.api.index import Index
    from facesearch.render.people import action_line

    with Index.open(index_path, observer=Console()) as index:
        undoing = index.people.undo(number)
        history = index.people.history()
    (done,) = (action for action in history if action.number == undoing)
    (taken,) = (action for action in history if action.number == done.undoes)
    say(f"taken back: {action_line(taken)}; `facesearch people undo {undoing}` brings it back")


def history(last: _Last = None, index_path: IndexPath = None, layout: TableOrJson = "table") -> None:
    """List what was said about people: who said it, and when. The last comes first."""
    from facesearch.api.index import Index
    from facesearch.render.people import history_records, render_history

    with Index.open(index_path, observer=Console()) as index:
        found = index.people.history()[:last]
    if layout == "json":
        write_json(history_records(found), ascii_only=True)
    else:
        write([render_history(found, for_stdout())])


COMMANDS: dict[str, tuple[str, Callable[..., None]]] = {
    "undo": ("Take back what was said.", undo),
    "history": ("List what was said, and by whom.", history),
}
"""The commands, by name: the short help and the function."""
