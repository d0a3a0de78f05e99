"""`facesearch models compare`: which model is best for one's own photos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from facesearch.cli.console import RunProgress, StopSignal, examples, for_stdout, say, write
from facesearch.cli.options import Device, Quiet, Threads, suggestions
from facesearch.errors import FacesearchError, ModelError, UsageError
from facesearch.events import observing

__all__ = ["register"]

_EXAMPLES = examples(
    ("facesearch models compare people", "people/ada/*.jpg, people/bea/*.jpg, ...: all models that are installed"),
    ("facesearch models compare people --model embedded --model buffalo_l", "these two"),
)


def register(models: typer.Typer) -> None:
    """Add the command to its group."""
    models.command(name="compare", short_help="Which model is best for your photos.", epilog=_EXAMPLES)(compare)


def compare(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", readable=False, help="One folder a person, with photos of them.")
    ],
    names: Annotated[
        list[str] | None, typer.Option("--model", help="Compare these; may be repeated. [default: all there are]")
    ] = None,
    layout: Annotated[
        str, typer.Option("--format", "-f", help="table or json.", autocompletion=suggestions("table", "json"))
    ] = "table",
    device: Device = "auto",
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Let every installed model find and tell apart the people in a folder, and say how well and how fast it does."""
    if layout not in ("table", "json"):
        raise UsageError(f"--format {layout}: choose table or json")
    from facesearch.evaluation.compare_models import standing
    from facesearch.models.resolve import listed_models, open_model
    from facesearch.models.runtime import choose_runtime
    from facesearch.render.standings import standings_record, standings_table

    runtime = choose_runtime(device, threads, notify=(lambda _line: None) if quiet else say)
    chosen = list(dict.fromkeys(names or [model.name for model in listed_models() if model.usable]))
    stop = StopSignal(keeps=False)
    standings = []
    for name in chosen:
        try:
            model = open_model(name, runtime.shared_by(runtime.threads))
            with stop.noted(), RunProgress(quiet=quiet) as progress:
                standings.append(
                    standing(model.info.name, model, folder, observer=observing(progress=progress, cancelled=stop))
                )
        except FacesearchError as error:
            if stop.number is not None:  # there is too little to compare because it was stopped
                raise typer.Exit(stop.exit_code) from error
            if names or not isinstance(error, ModelError):
                raise
            say(f"{error}; left out")  # a broken pack is no reason not to compare the others
        if stop.number is not None:
            raise typer.Exit(stop.exit_code)
    if layout == "json":
        write([json.dumps(standings_record(standings), indent=2) + "\n"])
    else:
        write([standings_table(standings, show=for_stdout())])
    if not quiet and any(share is None for one in standings for share in one.tmr):
        say("where it says too few there are not enough pairs of different people for that rate")
