"""`facesearch backup` and `facesearch restore`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli.console import Console
from facesearch.cli.messages import confirm, say
from facesearch.cli.options import IndexPath, Wait, Yes, examples
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.api.results import Backup

__all__ = ["register"]

_BACKUP = examples(("facesearch backup faces.sqlite", "works during an indexing run too"))
_RESTORE = examples(
    ("facesearch restore faces.sqlite --index ~/faces", "make an index from the backup"),
    ("facesearch restore faces.sqlite --index ~/faces --overwrite", "replace the existing index"),
    ("facesearch restore statements.jsonl", "name people again after the catalog was lost"),
)

_Target = Annotated[Path, typer.Argument(metavar="FILE", help="The backup: one SQLite file, with mode 0600.")]
_Source = Annotated[
    Path, typer.Argument(metavar="FILE", readable=False, help="A backup of an index, or a .jsonl file of statements.")
]
_OverwriteFile = Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it exists.")]
_OverwriteIndex = Annotated[bool, typer.Option("--overwrite", help="Replace the index if there is one. Asks first.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(name="backup", short_help="Copy the index to one file.", epilog=_BACKUP)(backup)
    app.command(name="restore", short_help="Make an index from a backup.", epilog=_RESTORE)(restore)


def backup(file: _Target, index_path: IndexPath = None, overwrite: _OverwriteFile = False) -> None:
    """Copy the index to one file, consistently, even while an indexing run writes to it.

    The photos are not part of it. `facesearch restore` makes an index from the file.
    """
    from facesearch.api.index import Index

    with Index.open(index_path) as index:
        index.backup(file, overwrite=overwrite)
        say(f"wrote {file}")


def restore(
    file: _Source,
    index_path: IndexPath = None,
    overwrite: _OverwriteIndex = False,
    yes: Yes = False,
    wait: Wait = 0,
) -> None:
    """Make an index from a backup. The backup is verified first and is not changed.

    With a .jsonl file of statements, such as the one in the folder of an index whose catalog was lost, what was said
    about people is said again in this index, once its photos are indexed.
    """
    from facesearch.api.index import Index

    if file.suffix == ".jsonl":
        _restore_statements(file, index_path, wait)
        return

    def ask(found: Backup) -> None:
        if found.replaces:
            confirm(f"the index {index.path} will be replaced by a backup of {_what(found)}", yes=yes)

    with Index.open(index_path, create=True, wait=wait, observer=Console()) as index:
        say(f"restored {_what(index.restore(file, overwrite=overwrite, confirm=ask))} to {index.path}")


def _restore_statements(file: Path, index_path: Path | None, wait: float) -> None:
    from facesearch.api.index import Index
    from facesearch.cli.people_exchange import tell_import

    console = Console(keeps=False)
    with Index.open(index_path, wait=wait, observer=console) as index:
        done = index.restore_statements(file)
    tell_import(done, console)
    console.end(complete=not done.refused)


def _what(backup: Backup) -> str:
    return f"{counted(backup.photos, 'photo')} and {counted(backup.faces, 'face')}"
