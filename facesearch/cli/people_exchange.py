"""`facesearch people import` and `export`: people as files and folders, for other indexes and other programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli.console import Console
from facesearch.cli.messages import say
from facesearch.cli.options import IndexPath, MaxMegapixels, Quiet, TableOrJson, pixels
from facesearch.cli.stdout import write_json
from facesearch.errors import UsageError

if TYPE_CHECKING:
    from facesearch.api.results import Imported

__all__ = ["COMMANDS", "tell_import"]

_ExportJson = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="All statements, for another index of the same photos. Mode 0600."),
]
_ExportCsv = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="The faces of named people, one per line. Mode 0600.")
]
_ExportFolders = Annotated[
    Path | None, typer.Option("--folders", metavar="DIR", help="The photos of named people, in one folder per person.")
]
_Sync = Annotated[
    bool,
    typer.Option("--sync", help="With --folders, also remove copies that no longer belong there, unless changed."),
]
_HardLinks = Annotated[bool, typer.Option("--hard-links", help="With --folders, make hard links instead of copies.")]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it exists.")]
_ImportJson = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", readable=False, help="A file made by `people export --json`.")
]
_ImportCsv = Annotated[
    Path | None,
    typer.Option(
        "--csv", metavar="FILE", readable=False,
        help="A table with the columns name and path, or name and content (SHA-256); optional: left, top, width, "
        "height (or box), external_id, born.",
    ),
]  # fmt: skip
_ImportFolders = Annotated[
    Path | None,
    typer.Option("--folders", metavar="DIR", readable=False, help="A folder with one folder of photos per person."),
]


def export(
    json: _ExportJson = None,
    csv: _ExportCsv = None,
    folders: _ExportFolders = None,
    sync: _Sync = False,
    hard_links: _HardLinks = False,
    overwrite: _Overwrite = False,
    index_path: IndexPath = None,
    quiet: Quiet = False,
) -> None:
    """Write people to a file, or to folders. Give one of --json, --csv and --folders.

    Folders are kept up to date with --sync: run it every night. No file is overwritten, and only unchanged copies that
    facesearch made are removed.
    """
    from facesearch.api.index import Index
    from facesearch.render.exchange import exported_line, folders_line

    _require_one(json, csv, folders)
    console = Console(quiet=quiet)
    with console, Index.open(index_path, observer=console) as index:
        if folders is None:
            if sync or hard_links:
                raise UsageError(f"{'--sync' if sync else '--hard-links'} needs --folders DIR")
            done = index.people.export_to(json=json, csv=csv, overwrite=overwrite)
            console.note(f"wrote {json or csv}: {exported_line(done)}")
            return
        made = index.people.export_folders(folders, sync=sync, hard_links=hard_links)
    for trouble in made.failed:
        say(f"{trouble}; skipped")
    console.note(f"{folders}: {folders_line(made)}")
    console.end(complete=not made.failed)


def import_people(
    json: _ImportJson = None,
    csv: _ImportCsv = None,
    folders: _ImportFolders = None,
    max_megapixels: MaxMegapixels = 200,
    index_path: IndexPath = None,
    layout: TableOrJson = "table",
    quiet: Quiet = False,
) -> None:
    """Take over people from a file, or from folders. Give one of --json, --csv and --folders.

    An import is one action, which `people undo` takes back. What you said before counts more than a table or folders.
    """
    from facesearch.api.index import Index
    from facesearch.render.exchange import import_record

    _require_one(json, csv, folders)
    console = Console(quiet=quiet, keeps=False)
    with console, Index.open(index_path, observer=console) as index:
        limit = pixels(max_megapixels)
        done = index.people.import_from(json=json, csv=csv, folders=folders, max_pixels=limit)
    console.clear()
    if layout == "json":
        write_json(import_record(done), ascii_only=True)
    tell_import(done, console)
    console.end(complete=not (done.failed or done.refused))


def tell_import(done: Imported, console: Console) -> None:
    """Say what an import did."""
    from facesearch.render.exchange import import_line

    for remark in done.remarks:
        console.note(remark)
    back = "" if done.action is None else "; `facesearch people undo` takes it back"
    console.note(f"{import_line(done)}{back}")


def _require_one(*given: Path | None) -> None:
    if sum(one is not None for one in given) != 1:
        raise UsageError("give one of --json FILE, --csv FILE and --folders DIR")


COMMANDS: dict[str, tuple[str, Callable[..., None]]] = {
    "import": ("Take over people from a file or from folders.", import_people),
    "export": ("Write people to a file or to folders.", export),
}
"""The commands, by name: the short help and the function."""
