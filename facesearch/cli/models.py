"""`facesearch models`: what the face models are, and how well each knows faces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facesearch.cli.console import RunProgress, StopSignal, examples, say, write
from facesearch.cli.options import Device, ModelName, NoRotations, Quiet, Threads
from facesearch.errors import InputError

__all__ = ["register"]

_EXAMPLES = examples(("facesearch models calibrate people", "people/ada/*.jpg, people/bea/*.jpg, ..."))


def register(app: typer.Typer) -> None:
    """Add the commands."""
    models = typer.Typer(help="Face models: measure one on your own photos.", epilog=_EXAMPLES)
    models.command(
        name="calibrate", short_help="Measure how sure a model's matches are, on labelled photos.", epilog=_EXAMPLES
    )(calibrate)
    # A callback makes `models calibrate` a group even while it has a single command.
    models.callback(invoke_without_command=True)(_models)
    app.add_typer(models, name="models", short_help="Face models: measure one on your own photos.")


def _models(context: typer.Context) -> None:
    """Face models: measure one on your own photos."""
    if context.invoked_subcommand is None:
        write([context.get_help() + "\n"])
        raise typer.Exit(2)


def calibrate(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", readable=False, help="One folder a person, with photos of them.")
    ],
    model: ModelName = None,
    device: Device = "auto",
    threads: Threads = 0,
    no_rotations: NoRotations = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Measure and print; do not keep the result.")] = False,
    quiet: Quiet = False,
) -> None:
    """Measure how often strangers, and photos of one person, reach each similarity; verdicts then rest on it."""
    from facesearch.calibrating import FEW_PEOPLE, labelled_faces, measured
    from facesearch.calibration import keep_calibration, shipped_calibration
    from facesearch.faces.model import choose_model, open_model
    from facesearch.faces.runtime import choose_runtime
    from facesearch.render.calibrations import render_calibration

    runtime = choose_runtime(device, threads)
    opened = open_model(choose_model(model).name, runtime.shared_by(runtime.threads))
    stop = StopSignal()
    with stop.noted(), RunProgress(quiet=quiet) as progress:
        faces = labelled_faces(folder, opened, rotations=not no_rotations, progress=progress, should_stop=stop)
    if stop.number is not None:
        raise typer.Exit(stop.exit_code)
    for trouble in faces.left_out:
        say(f"{trouble}; left out")
    if not faces.people:
        raise InputError(f"{folder}: no folders with photos of faces in it; make one folder a person")
    table = measured(faces.vectors, faces.labels, opened.info)
    write([render_calibration(table)])
    if not quiet and table["people"] < FEW_PEOPLE:
        say(f"{table['people']} people are few: the rates may be off by a factor of ten; a dozen and more say more")
    known = shipped_calibration(opened.info)
    if known is not None and table["people"] < known.people:
        say(
            f"not kept: the table that comes with facesearch for {opened.info.name} rests on {known.people} people, "
            f"this one on {table['people']}"
        )
    elif not dry_run:
        kept = keep_calibration(opened.info, table)
        if not quiet:
            say(f"kept in {kept}; delete that file to go back to what comes with facesearch")
