"""`facesearch models`: which face models there are, where they are, and how well each knows faces."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli import model_compare, model_pull
from facesearch.cli.advice import in_options, with_options
from facesearch.cli.console import Console
from facesearch.cli.messages import confirm, say
from facesearch.cli.options import (
    Device,
    DryRun,
    LabelledFolder,
    ModelName,
    NoRotations,
    Quiet,
    TableOrJson,
    Threads,
    Yes,
    examples,
)
from facesearch.cli.stdout import for_stdout, write, write_json
from facesearch.errors import InputError, ModelError, UsageError
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.api.results import Calibrated, Removal

__all__ = ["register"]

_HELP = "Face models: list, fetch, register, verify, choose and measure them."
_GROUP = examples(
    ("facesearch models list", "what there is, and under which licence"),
    ("facesearch models pull buffalo_l", "fetch a more accurate one"),
    ("facesearch models use buffalo_l", "for new indexes, from now on"),
)
_LIST = examples(("facesearch models list", "every model, and the one that new indexes get"))
_ADD = examples(("facesearch models add ~/packs/mine --name mine", "then: facesearch index --model mine"))
_REMOVE = examples(("facesearch models remove buffalo_s --dry-run", "what would go"))
_VERIFY = examples(("facesearch models verify", "every pack, file by file"))
_USE = examples(
    ("facesearch models use embedded", "the small free one, whatever is installed"),
    ("facesearch models use --none", "facesearch chooses again"),
)
_CALIBRATE = examples(("facesearch models calibrate people", "people/ada/*.jpg, people/bea/*.jpg, ..."))

_Name = Annotated[str, typer.Argument(metavar="NAME", help="A model; `facesearch models list` shows them.")]
_Folder = Annotated[
    Path, typer.Argument(metavar="DIR", readable=False, help="A folder with a detector and a recogniser in it.")
]
_NewName = Annotated[str | None, typer.Option("--name", help="What to call it. [default: the folder's name]")]
_OneOrAll = Annotated[str | None, typer.Argument(metavar="NAME", help="One model. [default: all of them]")]
_Default = Annotated[str | None, typer.Argument(metavar="NAME", help="An installed or registered model.")]
_None = Annotated[bool, typer.Option("--none", help="Leave the choice to facesearch again.")]
_MeasureOnly = Annotated[bool, typer.Option("--dry-run", help="Measure and print; do not keep the result.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    models = typer.Typer(help=_HELP, epilog=_GROUP)
    models.command(name="list", short_help="Every model, and where it is.", epilog=_LIST)(list_models)
    model_pull.register(models)
    models.command(name="add", short_help="Register a folder of .onnx files.", epilog=_ADD)(add)
    models.command(name="remove", short_help="Forget a registered pack, or delete one.", epilog=_REMOVE)(remove)
    models.command(name="verify", short_help="Are the packs still what they were.", epilog=_VERIFY)(verify)
    models.command(name="use", short_help="Choose the model for new indexes.", epilog=_USE)(use)
    model_compare.register(models)
    models.command(
        name="calibrate", short_help="Measure how sure a model's matches are, on labelled photos.", epilog=_CALIBRATE
    )(calibrate)
    models.callback(invoke_without_command=True)(_models)
    app.add_typer(models, name="models", short_help=_HELP)


def _models(context: typer.Context) -> None:
    """Face models: list, fetch, register, verify, choose and measure them."""
    if context.invoked_subcommand is None:
        write([context.get_help() + "\n"])
        raise typer.Exit(2)


def list_models(layout: TableOrJson = "table") -> None:
    """Every model: its licence, accuracy and size, where it is, and which one new indexes get."""
    from facesearch.api import models as api
    from facesearch.render.models import models_record, models_table

    listed = api.list_models()
    try:
        default: str | None = api.default_model()
    except ModelError as error:
        say(in_options(error))
        default = None
    if layout == "json":
        write_json(models_record(listed, default, str(api.models_folder())), indent=2)
    else:
        write([models_table(listed, default, show=for_stdout())])


def add(folder: _Folder, name: _NewName = None) -> None:
    """Register a folder of .onnx files in InsightFace's format under a name; it is tried first, and stays in place."""
    from facesearch.api.models import add_pack

    added = add_pack(folder, name, observer=Console())
    if added.is_new:
        say(f"registered {added.name}: {added.dim} dimensions, {', '.join(added.graphs)} in {added.folder}")
    else:
        say(f"{added.name} is registered already: {added.folder}")


def remove(name: _Name, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Forget a registered folder, its files stay; or delete a pack that `models pull` has installed."""
    from facesearch.api.models import remove_pack, to_remove

    if dry_run:
        going = to_remove(name)
        if going.files is None:
            say(f"{name} would be forgotten, and {going.folder} left as it is; nothing was done")
        else:
            say(f"{_what(going)} would be deleted for good; nothing was done")
        return
    gone = remove_pack(name, confirm=lambda going: confirm(f"{_what(going)} will be deleted for good", yes=yes))
    if gone.was_default:
        say(f"{name} was the default for new indexes; facesearch chooses again")
    say(f"forgot {name}; {gone.folder} is as it was" if gone.files is None else f"deleted {gone.folder}")


def _what(going: Removal) -> str:
    return f"{going.folder} with its {counted(going.files or 0, 'file')}"


def verify(name: _OneOrAll = None) -> None:
    """Compare the files of every pack with the digests on record, and try it on faces; exit code 3 for any fault."""
    from facesearch.api.models import verify as verified

    packs, show = verified(name), for_stdout()
    for pack in packs:
        if pack.note:
            write([show(with_options(f"note: {pack.name}: {pack.note}")) + "\n"])
        for fault in pack.faults:
            write([show(with_options(f"fault: {pack.name}: {fault}")) + "\n"])
        if not pack.note and not pack.faults:
            write([show(f"{pack.name}: sound") + "\n"])
    bad = [pack.name for pack in packs if pack.faults]
    if bad:
        raise InputError(f"not sound: {', '.join(bad)}; facesearch models remove NAME, then pull or add it again")


def use(name: _Default = None, none: _None = False) -> None:
    """Choose the model for new indexes; $FACESEARCH_MODEL and --model still come first, and indexes keep theirs."""
    if (name is None) != none:
        raise UsageError("give either the NAME of a model, or --none")
    from facesearch.api.models import use as chosen

    chosen(name)
    say(f"new indexes get {name}" if name is not None else "new indexes get what facesearch chooses")
    if os.environ.get("FACESEARCH_MODEL"):
        say(f"$FACESEARCH_MODEL is set to {os.environ['FACESEARCH_MODEL']}, and comes first")


def calibrate(
    folder: LabelledFolder,
    model: ModelName = None,
    device: Device = "auto",
    threads: Threads = 0,
    no_rotations: NoRotations = False,
    dry_run: _MeasureOnly = False,
    quiet: Quiet = False,
) -> None:
    """Measure how often strangers, and photos of one person, reach each similarity; verdicts then rest on it."""
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


def _tell(done: Calibrated, console: Console) -> None:
    """How good the measurement is, and whether it is kept."""
    if done.on_few_people:
        console.note(
            f"measured on {counted(done.people, 'person', 'people')} only: the rates may be off by a factor of "
            "ten; a dozen or more people make them better"
        )
    if done.shipped_to is not None:
        say(
            f"not kept: the table that comes with facesearch for {done.model} rests on {done.shipped_people} people "
            f"and is measured to an FMR of {10**done.shipped_to:.0e}, this one on {done.people} and to "
            f"{10**done.measured_to:.0e}"
        )
    elif done.kept is not None:
        console.note(f"kept in {done.kept}; delete that file to go back to what comes with facesearch")
