"""`facesearch models`: which face models there are, where they are, and how well each knows faces."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from facesearch.cli import model_compare, model_pull
from facesearch.cli.console import RunProgress, StopSignal, confirm, examples, for_stdout, say, write
from facesearch.cli.options import Device, ModelName, NoRotations, Quiet, Threads, Yes
from facesearch.errors import InputError, ModelError, UsageError
from facesearch.wording import counted

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

PackName = Annotated[str, typer.Argument(metavar="NAME", help="A model; `facesearch models list` shows them.")]


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


def list_models(
    layout: Annotated[str, typer.Option("--format", "-f", help="table or json.")] = "table",
) -> None:
    """Every model: its licence, accuracy and size, where it is, and which one new indexes get."""
    if layout not in ("table", "json"):
        raise UsageError(f"--format {layout}: choose table or json")
    from facesearch.models.insightface_pack import models_folder
    from facesearch.models.resolve import choose_model, listed_models
    from facesearch.render.models import models_record, models_table

    models = listed_models()
    try:
        default: str | None = choose_model(None).name
    except ModelError as error:
        say(str(error))
        default = None
    if layout == "json":
        record = models_record(models, default, str(models_folder()))
        write([json.dumps(record, indent=2, ensure_ascii=False) + "\n"])
    else:
        write([models_table(models, default, show=for_stdout())])


def add(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", readable=False, help="A folder with a detector and a recogniser in it.")
    ],
    name: Annotated[str | None, typer.Option("--name", help="What to call it. [default: the folder's name]")] = None,
) -> None:
    """Register a folder of .onnx files in InsightFace's format under a name; it is tried first, and stays in place."""
    from facesearch.faces.trial import tried
    from facesearch.models.insightface_pack import pack_info
    from facesearch.models.packs.known import known_pack
    from facesearch.models.packs.record import graph_digests
    from facesearch.models.packs.registry import AddedPack, Registry, change_registry, read_registry, require_name
    from facesearch.models.resolve import pack_folder

    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the one that the .onnx files are in")
    folder = Path(os.path.abspath(folder))
    name = require_name(name if name is not None else folder.name)
    pack = AddedPack(folder, graph_digests(folder))
    if read_registry().added.get(name) == pack:
        say(f"{name} is registered already: {folder}")
        return
    if known_pack(name) is not None or name in read_registry().added or pack_folder(name) is not None:
        raise UsageError(
            f"the name {name} is taken; give another with --name, or facesearch models remove {name} first"
        )
    info = pack_info(folder)
    trial = tried(str(folder))
    if trial.fault is not None:
        raise ModelError(f"{folder}: {trial.fault}; not registered")
    if trial.note is not None:
        say(f"{name}: {trial.note}")

    def added(registry: Registry) -> Registry:
        return replace(registry, added={**registry.added, name: pack})

    change_registry(added)
    say(f"registered {name}: {info.dim} numbers a face, {', '.join(info.digests)} in {folder}")


def remove(
    name: PackName,
    yes: Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be removed; do nothing.")] = False,
) -> None:
    """Forget a registered folder, its files stay; or delete a pack that `models pull` has installed."""
    from facesearch.models.packs.install import remove_pack
    from facesearch.models.packs.record import read_record
    from facesearch.models.packs.registry import read_registry
    from facesearch.models.resolve import EMBEDDED, pack_folder

    if name == EMBEDDED:
        raise UsageError(f"{EMBEDDED} is a part of facesearch; it cannot be removed")
    registered = read_registry().added.get(name)
    if registered is not None:
        if dry_run:
            say(f"{name} would be forgotten, and {registered.folder} left as it is; nothing was done")
            return
        _forget(name)
        say(f"forgot {name}; {registered.folder} is as it was")
        return
    folder = pack_folder(name)
    if folder is None:
        raise ModelError(f"no model {name!r} is installed or registered; facesearch models list shows those that are")
    record = read_record(folder)
    if record is None:
        raise ModelError(f"{folder} was not installed by facesearch, so it does not delete it; delete it yourself")
    what = f"{folder} with its {counted(len(record.digests), 'file')}"
    if dry_run:
        say(f"{what} would be deleted for good; nothing was done")
        return
    confirm(f"{what} will be deleted for good", yes=yes)
    remove_pack(name, folder, record)
    _forget(name)
    say(f"deleted {folder}")


def _forget(name: str) -> None:
    """Take a model out of the registry, also as the default."""
    from facesearch.models.packs.registry import Registry, change_registry, read_registry

    was_default = read_registry().default == name
    if not was_default and name not in read_registry().added:
        return

    def without(registry: Registry) -> Registry:
        added = {other: pack for other, pack in registry.added.items() if other != name}
        return Registry(added, None if registry.default == name else registry.default)

    change_registry(without)
    if was_default:
        say(f"{name} was the default for new indexes; facesearch chooses again")


def verify(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One model. [default: all of them]")] = None,
) -> None:
    """Compare the files of every pack with the digests on record, and try it on faces; exit code 3 for any fault."""
    from facesearch.faces.trial import examined

    verified, show = examined(name), for_stdout()
    for pack in verified:
        if pack.note:
            write([show(f"note: {pack.name}: {pack.note}") + "\n"])
        for fault in pack.faults:
            write([show(f"fault: {pack.name}: {fault}") + "\n"])
        if not pack.note and not pack.faults:
            write([show(f"{pack.name}: sound") + "\n"])
    bad = [pack.name for pack in verified if pack.faults]
    if bad:
        raise InputError(f"not sound: {', '.join(bad)}; facesearch models remove NAME, then pull or add it again")


def use(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="An installed or registered model.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Leave the choice to facesearch again.")] = False,
) -> None:
    """Choose the model for new indexes; $FACESEARCH_MODEL and --model still come first, and indexes keep theirs."""
    if (name is None) != none:
        raise UsageError("give either the NAME of a model, or --none")
    from facesearch.models.packs.registry import Registry, change_registry
    from facesearch.models.resolve import EMBEDDED, model_info, pack_folder

    if name is not None and name != EMBEDDED and pack_folder(name) is None:
        raise ModelError(
            f"no model {name!r} is installed or registered; facesearch models pull or models add brings it here"
        )
    if name is not None:
        model_info(name)  # complete

    def chosen(registry: Registry) -> Registry:
        return replace(registry, default=name)

    change_registry(chosen)
    say(f"new indexes get {name}" if name is not None else "new indexes get what facesearch chooses")
    if os.environ.get("FACESEARCH_MODEL"):
        say(f"$FACESEARCH_MODEL is set to {os.environ['FACESEARCH_MODEL']}, and comes first")


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
    from facesearch.calibration.table import keep_calibration, shipped_calibration
    from facesearch.evaluation.fit import FEW_PEOPLE, labelled_faces, measured
    from facesearch.models.resolve import choose_model, open_model
    from facesearch.models.runtime import choose_runtime
    from facesearch.render.calibrations import render_calibration

    runtime = choose_runtime(device, threads, notify=(lambda _line: None) if quiet else say)
    opened = open_model(choose_model(model).name, runtime.shared_by(runtime.threads))
    stop = StopSignal(keeps=False)
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
        say(
            f"measured on {counted(table['people'], 'person', 'people')} only: the rates may be off by a factor of "
            "ten; a dozen or more people make them better"
        )
    known = shipped_calibration(opened.info)
    reach = table["curves"][0]["measured_to"]
    if known is not None and (table["people"] < known.people or reach > known.curve(1).measured_to):
        say(
            f"not kept: the table that comes with facesearch for {opened.info.name} rests on {known.people} people and "
            f"is measured to an FMR of {10 ** known.curve(1).measured_to:.0e}, this one on {table['people']} and to "
            f"{10**reach:.0e}"
        )
    elif not dry_run:
        kept = keep_calibration(opened.info, table)
        if not quiet:
            say(f"kept in {kept}; delete that file to go back to what comes with facesearch")
