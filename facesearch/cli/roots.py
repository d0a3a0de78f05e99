"""`facesearch roots`: the folders that an index knows."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from facesearch.cli.console import confirm, examples, for_stdout, say, write
from facesearch.cli.options import IndexPath, Wait, Yes
from facesearch.errors import UsageError

__all__ = ["register"]

_EXAMPLES = examples(
    ("facesearch roots list", "where the photos are"),
    ("facesearch roots move /mnt/old /mnt/new", "the library is mounted elsewhere now"),
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The folders that an index knows: list, move, remove.", epilog=_EXAMPLES)
    group.command(name="list")(list_roots)
    group.command(name="move")(move)
    group.command(name="remove")(remove)
    app.add_typer(group, name="roots", short_help="The folders that an index knows: list, move, remove.")


def list_roots(
    index_path: IndexPath = None,
    layout: Annotated[str, typer.Option("--format", "-f", help="paths or json.")] = "paths",
) -> None:
    """List the folders, one a line."""
    if layout not in ("paths", "json"):
        raise UsageError(f"--format {layout}: choose paths or json")
    from facesearch.index.store import Store
    from facesearch.render.records import shown_path
    from facesearch.settings import default_index_path

    with Store.open(index_path or default_index_path()) as store:
        paths = [os.fsdecode(root.path) for root in store.catalog.roots.all()]
    show = for_stdout()
    write(
        [json.dumps([shown_path(path) for path in paths]) + "\n"]
        if layout == "json"
        else [f"{show(path)}\n" for path in paths]
    )


def move(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Where the library was.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Where it is now.")],
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Move even if no known photos are at NEW, such as on an unmounted disk.")
    ] = False,
    index_path: IndexPath = None,
    wait: Wait = 0,
) -> None:
    """A library is mounted or was moved elsewhere: everything known about its photos stays."""
    from facesearch.care.folders import move_root
    from facesearch.index.store import Store
    from facesearch.settings import default_index_path

    with Store.open(index_path or default_index_path(), write=True, wait=wait, notify=say) as store:
        move_root(store, old, new, anyway=anyway)


def remove(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="A folder that the index knows.")],
    index_path: IndexPath = None,
    yes: Yes = False,
    wait: Wait = 0,
) -> None:
    """Remove a folder from the index, with all its photos and faces; the photos themselves are not touched."""
    from facesearch.care.forget import forget, to_forget_root
    from facesearch.index.store import Store
    from facesearch.settings import default_index_path

    with Store.open(index_path or default_index_path(), write=True, wait=wait, notify=say) as store:
        going = to_forget_root(store, root)
        confirm(f"{going.what} will be deleted from the index for good", yes=yes)
        forget(store, going)
