"""`facesearch reindex`."""

from __future__ import annotations

from typing import Annotated

import typer

from facesearch.cli.console import examples, say, write
from facesearch.cli.options import IndexPath, Quiet, Wait

__all__ = ["register"]

_EXAMPLES = examples(("facesearch reindex --index-type flat", "exact again, however large"))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="reindex", short_help="Search the same faces in another way.", epilog=_EXAMPLES)(reindex)


def reindex(
    index_type: Annotated[
        str,
        typer.Option(
            "--index-type",
            help="auto: exact up to some 1,000,000 faces; flat: always exact; ivf: approximate, for millions of faces.",
        ),
    ],
    index_path: IndexPath = None,
    wait: Wait = 0,
    quiet: Quiet = False,
) -> None:
    """Make the vector file anew, of another type; the photos are not looked at again, and questions go on meanwhile."""
    from facesearch.render.text import search_line
    from facesearch.store.store import Store, check_index_type, default_index_path

    check_index_type(index_type)
    folder = index_path or default_index_path()
    note = (lambda _message: None) if quiet else say
    with Store.open(folder, write=True, wait=wait, notify=note) as store:
        facts = store.use_index_type(index_type)
        if not quiet:
            write([f"{folder}: {search_line(facts)}\n"])
        if index_type not in ("auto", facts.kind):
            note(f"it holds too few faces for {index_type}: under 1,000 there is nothing to gain")
