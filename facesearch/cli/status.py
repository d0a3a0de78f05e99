"""`facesearch status`."""

from __future__ import annotations

from typing import Annotated

import typer

from facesearch.cli.advice import with_options
from facesearch.cli.messages import say
from facesearch.cli.options import Device, IndexPath, TableOrJson, Threads, examples
from facesearch.cli.stdout import for_stdout, write, write_json

__all__ = ["register"]

_EXAMPLES = examples(
    ("facesearch status", "show what the index holds"),
    ("facesearch status --failed", "list unreadable photos"),
)

_Failed = Annotated[bool, typer.Option("--failed", help="List the photos that could not be read, with the reasons.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="status", short_help="Show what the index holds.", epilog=_EXAMPLES)(status)


def status(
    index_path: IndexPath = None,
    failed: _Failed = False,
    layout: TableOrJson = "table",
    device: Device = "auto",
    threads: Threads = 0,
) -> None:
    """Show where the index is, its model, what it holds, its size and its last run."""
    from facesearch.api.index import Index
    from facesearch.render.status import render_status, status_record

    show = for_stdout()
    with Index.open(index_path, device=device, threads=threads) as index:
        if failed:
            write(f"{show(str(path))}\t{show(with_options(reason))}\n" for path, reason in index.failed_photos())
            return
        known = index.status()
    if layout == "json":
        write_json(status_record(known), indent=2, ascii_only=True)
        return
    write([render_status(known, show=lambda text: show(with_options(text)))])
    if known.failed:
        say(f"unreadable photos: {known.failed:,}; --failed lists them")
