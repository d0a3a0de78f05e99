"""`facesearch folders`: the folders of an index."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli.console import Console
from facesearch.cli.groups import listing_group
from facesearch.cli.messages import confirm, say
from facesearch.cli.options import Anyway, IndexPath, Wait, Yes, examples, format_option
from facesearch.cli.stdout import for_stdout, write, write_json
from facesearch.visible import shown_path

if TYPE_CHECKING:
    from facesearch.api.results import Forgetting

__all__ = ["register"]

_HELP = "List, move or remove the folders of the index."
_EXAMPLES = examples(
    ("facesearch folders", "list the folders"),
    ("facesearch folders move /mnt/old /mnt/new", "the photos are mounted elsewhere now"),
)

_Format = Annotated[str, format_option("paths", "json", "jsonl")]
_Old = Annotated[Path, typer.Argument(metavar="OLD", help="The folder as the index knows it.")]
_New = Annotated[Path, typer.Argument(metavar="NEW", help="Where its photos are now.")]
_Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of the index.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    commands: dict[str, tuple[str, Callable[..., None]]] = {
        "list": ("List the folders.", list_folders),
        "move": ("Change the path of a folder.", move),
        "remove": ("Remove a folder with its faces.", remove),
    }
    app.add_typer(listing_group("folders", _HELP, list_folders, commands, _EXAMPLES), name="folders", short_help=_HELP)


def list_folders(index_path: IndexPath = None, layout: _Format = "paths") -> None:
    """List the folders, one per line. Those of which the index takes one shard are also named on stderr."""
    from facesearch.api.index import Index
    from facesearch.render.records import path_keys

    with Index.open(index_path) as index:
        folders, shards = [str(folder) for folder in index.folders()], index.shards()
    taken = {str(folder): shard for folder, shard in shards.items()}
    if layout == "json":
        write_json([shown_path(folder) for folder in folders], ascii_only=True)
    elif layout == "jsonl":
        for folder in folders:
            record = {**path_keys("path", os.fsencode(folder)), "shard": taken.get(folder)}
            write_json(record, ascii_only=True)
    else:
        show = for_stdout()
        write(f"{show(folder)}\n" for folder in folders)
        for folder, shard in taken.items():
            say(f"{folder}: only shard {shard}")


def move(old: _Old, new: _New, anyway: Anyway = False, index_path: IndexPath = None, wait: Wait = 0) -> None:
    """Change the path of a folder that was moved or is mounted elsewhere. Everything known about its photos stays."""
    from facesearch.api.index import Index

    with Index.open(index_path, wait=wait, observer=Console()) as index:
        index.move_folder(old, new, anyway=anyway)
        say(f"moved {old} to {new} in the index")


def remove(folder: _Folder, index_path: IndexPath = None, yes: Yes = False, wait: Wait = 0) -> None:
    """Remove a folder with all its faces from the index. The photo files are not touched."""
    from facesearch.api.index import Index

    def ask(going: Forgetting) -> None:
        confirm(f"{going.what} will be deleted from the index for good", yes=yes)

    with Index.open(index_path, wait=wait, observer=Console()) as index:
        gone = index.remove_folder(folder, confirm=ask)
    say(f"deleted from the index: {gone.what}")
    if gone.owed:
        raise typer.Exit(5)  # galleries that could not be reached still have the faces
