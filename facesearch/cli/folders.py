"""`facesearch folders`: the folders of an index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli.console import Console
from facesearch.cli.messages import confirm, say
from facesearch.cli.options import Anyway, IndexPath, Wait, Yes, examples, format_option
from facesearch.cli.stdout import for_stdout, write, write_json
from facesearch.errors import UsageError
from facesearch.visible import shown_path

if TYPE_CHECKING:
    from facesearch.api.results import Forgetting

__all__ = ["register"]

_HELP = "List, move or remove the folders of the index."
_EXAMPLES = examples(
    ("facesearch folders", "list the folders"),
    ("facesearch folders move /mnt/old /mnt/new", "the photos are mounted elsewhere now"),
)

_Format = Annotated[str, format_option("paths", "json")]
_Old = Annotated[Path, typer.Argument(metavar="OLD", help="The folder as the index knows it.")]
_New = Annotated[Path, typer.Argument(metavar="NEW", help="Where its photos are now.")]
_Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of the index.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        epilog=_EXAMPLES, invoke_without_command=True, callback=_folders, help=f"{_HELP} Without a command, list them."
    )
    group.command(name="list", short_help="List the folders.")(list_folders)
    group.command(name="move", short_help="Change the path of a folder.")(move)
    group.command(name="remove", short_help="Remove a folder with its faces.")(remove)
    app.add_typer(group, name="folders", short_help=_HELP)


def _folders(context: typer.Context, index_path: IndexPath = None) -> None:
    """List, move or remove the folders of the index. Without a command, list them."""
    if context.invoked_subcommand is None:
        list_folders(index_path)
    elif index_path is not None:
        raise UsageError(f"give --index after the command: facesearch folders {context.invoked_subcommand} --index DIR")


def list_folders(index_path: IndexPath = None, layout: _Format = "paths") -> None:
    """List the folders, one per line."""
    from facesearch.api.index import Index

    with Index.open(index_path) as index:
        folders = [str(folder) for folder in index.folders()]
    if layout == "json":
        write_json([shown_path(folder) for folder in folders], ascii_only=True)
    else:
        show = for_stdout()
        write(f"{show(folder)}\n" for folder in folders)


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
        say(f"deleted from the index: {index.remove_folder(folder, confirm=ask).what}")
