"""`facesearch check`."""

from __future__ import annotations

from typing import Annotated

import typer

from facesearch.cli.advice import with_options
from facesearch.cli.options import IndexPath, Wait, examples
from facesearch.cli.stdout import for_stdout, write
from facesearch.errors import InputError

__all__ = ["register"]

_EXAMPLES = examples(
    ("facesearch check", "verify the index now and then"),
    ("facesearch check --repair", "fix what a check has found"),
)

_Repair = Annotated[bool, typer.Option("--repair", help="Fix what can be fixed.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="check", short_help="Verify the index; --repair fixes it.", epilog=_EXAMPLES)(check)


def check(index_path: IndexPath = None, repair: _Repair = False, wait: Wait = 0) -> None:
    """Verify the catalog, every vector, the vector file and the model. The exit code is 3 if there are faults."""
    from facesearch.api.index import Index

    show = for_stdout()
    with Index.open(index_path, wait=wait) as index:
        health = index.check(repair=repair)
    notes, faults = (f"note: {line}" for line in health.notes), (f"fault: {line}" for line in health.faults)
    write([show(with_options(line)) + "\n" for line in (*health.done, *notes, *faults)])
    if health.faults:
        repairable = health.mendable and not repair
        advice = "facesearch check --repair fixes it" if repairable else "restore a backup, or index the photos again"
        raise InputError(f"{index.path} has faults; {advice}")
    write([show(f"{index.path} has no faults") + "\n"])
