"""`facesearch models calibrate`: the error rates of a model, on labelled photos or on the people of an index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli.console import Console
from facesearch.cli.messages import say
from facesearch.cli.options import Device, IndexPath, ModelName, NoRotations, Quiet, Threads, examples
from facesearch.cli.stdout import write
from facesearch.errors import UsageError
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.api.results import Calibrated

__all__ = ["register"]

_EXAMPLES = examples(
    ("facesearch models calibrate people", "people/ada/*.jpg, people/bea/*.jpg, ..."),
    ("facesearch models calibrate --from-people", "on the people whom you named in the index"),
)
_Folder = Annotated[
    Path | None,
    typer.Argument(metavar="[FOLDER]", readable=False, help="A folder with one subfolder of photos per person."),
]
_FromPeople = Annotated[
    bool,
    typer.Option("--from-people", help="Measure on the named people of an index, for the verdicts in that index."),
]
_Reset = Annotated[
    bool, typer.Option("--reset", help="With --from-people: base verdicts in the index on the model's table again.")
]
_MeasureOnly = Annotated[bool, typer.Option("--dry-run", help="Measure and print; do not save the result.")]


def register(models: typer.Typer) -> None:
    """Add the command."""
    models.command(name="calibrate", short_help="Measure the error rates of a model on your photos.", epilog=_EXAMPLES)(
        calibrate
    )


def calibrate(
    folder: _Folder = None,
    from_people: _FromPeople = False,
    reset: _Reset = False,
    index_path: IndexPath = None,
    model: ModelName = None,
    device: Device = "auto",
    threads: Threads = 0,
    no_rotations: NoRotations = False,
    dry_run: _MeasureOnly = False,
    quiet: Quiet = False,
) -> None:
    """Measure false-match and true-match rates of a model on photos of known people. Verdicts then use them."""
    if from_people:
        if folder is not None or model is not None:
            raise UsageError("--from-people measures the model of an index on its people; omit FOLDER and --model")
        _on_people(index_path, reset=reset, dry_run=dry_run)
        return
    if folder is None or index_path is not None or reset:
        raise UsageError("give a FOLDER with one subfolder of photos per person, or --from-people")
    from facesearch.api.measure import calibrate as measured
    from facesearch.render.calibrations import render_calibration

    with Console(quiet=quiet, keeps=False) as console:
        done = measured(
            folder, model=model, device=device, threads=threads, rotations=not no_rotations, keep=not dry_run,
            observer=console,
        )  # fmt: skip
    if done is not None:
        write([render_calibration(done.table)])
        _tell(done, console)
    console.end()


def _on_people(index_path: Path | None, *, reset: bool, dry_run: bool) -> None:
    """Measure on the people of an index, or forget what was measured."""
    from facesearch.api.index import Index
    from facesearch.render.calibrations import render_calibration

    with Index.open(index_path, observer=Console()) as index:
        if reset:
            had = index.people.forget_calibration()
            say("verdicts use the table of the model again" if had else "nothing was measured on this index")
            return
        done = index.people.calibrate(keep=not dry_run)
        write([render_calibration(done.table)])
        if done.kept is not None:
            say(f"verdicts in {index.path} are based on these {counted(done.people, 'person', 'people')} now")


def _tell(done: Calibrated, console: Console) -> None:
    """Report how good the measurement is and whether it was saved."""
    if done.on_few_people:
        console.note(
            f"measured on only {counted(done.people, 'person', 'people')}: the rates may be off by a factor of ten; "
            "use twelve people or more for better ones"
        )
    if done.shipped_to is not None:
        say(
            f"not saved: facesearch's own table for {done.model} is better: measured on {done.shipped_people} people "
            f"down to an FMR of {10**done.shipped_to:.0e}, this one on {done.people} down to "
            f"{10**done.measured_to:.0e}"
        )
    elif done.kept is not None:
        console.note(f"saved in {done.kept}; delete that file to use facesearch's own table again")
