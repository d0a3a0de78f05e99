"""`facesearch roots`: the folders that an index knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli.console import Console
from facesearch.cli.messages import confirm
from facesearch.cli.options import Anyway, IndexPath, Wait, Yes, examples, one_of
from facesearch.cli.stdout import for_stdout, write, write_json
from facesearch.visible import shown_path

if TYPE_CHECKING:
    from facesearch.api.results import Forgetting

__all__ = ["register"]

_EXAMPLES = examples(
    ("facesearch roots list", "where the photos are"),
    ("facesearch roots move /mnt/old /mnt/new", "the library is mounted elsewhere now"),
)

_Format = Annotated[
    str, typer.Option("--format", "-f", help="paths or json.", callback=one_of("--format", "paths", "json"))
]
_Old = Annotated[Path, typer.Argument(metavar="OLD", help="Where the library was.")]
_New = Annotated[Path, typer.Argument(metavar="NEW", help="Where it is now.")]
_Root = Annotated[Path, typer.Argument(metavar="ROOT", help="A folder that the index knows.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The folders that an index knows: list, move, remove.", epilog=_EXAMPLES)
    group.command(name="list")(list_roots)
    group.command(name="move")(move)
    group.command(name="remove")(remove)
    app.add_typer(group, name="roots", short_help="The folders that an index knows: list, move, remove.")


def list_roots(index_path: IndexPath = None, layout: _Format = "paths") -> None:
    """List the folders, one a line."""
    from facesearch.api.index import Index

    with Index.open(index_path) as index:
        folders = [str(folder) for folder in index.folders()]
    if layout == "json":
        write_json([shown_path(folder) for folder in folders], ascii_only=True)
    else:
        show = for_stdout()
        write(f"{show(folder)}\n" for folder in folders)


def move(old: _Old, new: _New, anyway: Anyway = False, index_path: IndexPath = None, wait: Wait = 0) -> None:
    """A library is mounted or was moved elsewhere: everything known about its photos stays."""
    from facesearch.api.index import Index

    with Index.open(index_path, wait=wait, observer=Console()) as index:
        index.move_folder(old, new, anyway=anyway)


def remove(root: _Root, index_path: IndexPath = None, yes: Yes = False, wait: Wait = 0) -> None:
    """Remove a folder from the index, with all its photos and faces; the photos themselves are not touched."""
    from facesearch.api.index import Index

    def ask(going: Forgetting) -> None:
        confirm(f"{going.what} will be deleted from the index for good", yes=yes)

    with Index.open(index_path, wait=wait, observer=Console()) as index:
        index.remove_folder(root, confirm=ask)
