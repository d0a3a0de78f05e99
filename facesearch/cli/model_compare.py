"""`facesearch models compare`: measure which model is best for one's own photos."""

from __future__ import annotations

from typing import Annotated

import typer

from facesearch.cli.console import Console
from facesearch.cli.options import Device, LabelledFolder, Quiet, TableOrJson, Threads, examples
from facesearch.cli.stdout import for_stdout, write, write_json

__all__ = ["register"]

_EXAMPLES = examples(
    ("facesearch models compare people", "all installed models, on people/ada/*.jpg, people/bea/*.jpg, ..."),
    ("facesearch models compare people --model embedded --model buffalo_l", "two models"),
)

_Names = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="NAME", help="A model to compare. May be repeated. [default: all models]"),
]


def register(models: typer.Typer) -> None:
    """Add the command to its group."""
    models.command(name="compare", short_help="Compare the models on your photos.", epilog=_EXAMPLES)(compare)


def compare(
    folder: LabelledFolder,
    names: _Names = None,
    layout: TableOrJson = "table",
    device: Device = "auto",
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Measure how well and how fast each installed model tells the people in a folder apart."""
    from facesearch.api.measure import compare_models
    from facesearch.render.standings import standings_record, standings_table

    with Console(quiet=quiet, keeps=False) as console:
        standings = compare_models(folder, names, device=device, threads=threads, observer=console)
    console.end()
    if layout == "json":
        write_json(standings_record(standings), indent=2, ascii_only=True)
    else:
        write([standings_table(standings, show=for_stdout())])
    if any(share is None for one in standings for share in one.tmr):
        console.note("'too few': not enough pairs of different people to measure that rate")
