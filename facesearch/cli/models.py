"""`facesearch models`: the face models of this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli import model_calibrate, model_compare, model_pull
from facesearch.cli.advice import in_options, with_options
from facesearch.cli.console import Console
from facesearch.cli.messages import confirm, say
from facesearch.cli.options import (
    DryRun,
    TableOrJson,
    Yes,
    examples,
)
from facesearch.cli.stdout import for_stdout, write, write_json
from facesearch.errors import InputError, ModelError, UsageError
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.api.results import Removal

__all__ = ["register"]

_HELP = "List, install, verify, choose and measure face models."
_GROUP = examples(
    ("facesearch models list", "list the models with their licences"),
    ("facesearch models pull buffalo_l", "download a more accurate model"),
    ("facesearch models use buffalo_l", "use it for new indexes"),
)
_LIST = examples(("facesearch models list", "list all models and the default for new indexes"))
_ADD = examples(("facesearch models add ~/packs/mine --name mine", "then: facesearch index --model mine"))
_REMOVE = examples(("facesearch models remove buffalo_s --dry-run", "show what would be deleted"))
_VERIFY = examples(("facesearch models verify", "verify every pack, file by file"))
_USE = examples(
    ("facesearch models use embedded", "use the small free model, whatever is installed"),
    ("facesearch models use --none", "let facesearch choose again"),
)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="A model, as listed by `facesearch models`.")]
_Folder = Annotated[
    Path, typer.Argument(metavar="DIR", readable=False, help="A folder with a detection and a recognition model.")
]
_NewName = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="Name of the model. [default: the folder's name]")
]
_OneOrAll = Annotated[str | None, typer.Argument(metavar="NAME", help="A model. [default: all models]")]
_Default = Annotated[str | None, typer.Argument(metavar="NAME", help="An installed or registered model.")]
_None = Annotated[bool, typer.Option("--none", help="Let facesearch choose again.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    models = typer.Typer(help=f"{_HELP} Without a command, list them.", epilog=_GROUP)
    models.command(name="list", short_help="List all models.", epilog=_LIST)(list_models)
    model_pull.register(models)
    models.command(name="add", short_help="Register a folder of .onnx files.", epilog=_ADD)(add)
    models.command(name="remove", short_help="Unregister or delete a model.", epilog=_REMOVE)(remove)
    models.command(name="verify", short_help="Verify the files of installed packs.", epilog=_VERIFY)(verify)
    models.command(name="use", short_help="Choose the model for new indexes.", epilog=_USE)(use)
    model_compare.register(models)
    model_calibrate.register(models)
    models.callback(invoke_without_command=True)(_models)
    app.add_typer(models, name="models", short_help=_HELP)


def _models(context: typer.Context) -> None:
    """List, install, verify, choose and measure face models. Without a command, list them."""
    if context.invoked_subcommand is None:
        list_models()


def list_models(layout: TableOrJson = "table") -> None:
    """List all models with their licence, accuracy, size and folder, and the default for new indexes."""
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
    """Register a folder of .onnx files in InsightFace's format. The model is tried first; its files stay in place."""
    from facesearch.api.models import add_pack

    added = add_pack(folder, name, observer=Console())
    if added.is_new:
        say(f"registered {added.name}: {added.dim} dimensions, {', '.join(added.graphs)} in {added.folder}")
    else:
        say(f"{added.name} is already registered: {added.folder}")


def remove(name: _Name, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Unregister a folder, whose files stay, or delete a pack that `models pull` installed."""
    from facesearch.api.models import remove_pack, to_remove

    if dry_run:
        going = to_remove(name)
        if going.files is None:
            say(f"{name} would be unregistered and {going.folder} would stay; nothing was changed")
        else:
            say(f"{_what(going)} would be deleted for good; nothing was changed")
        return
    gone = remove_pack(name, confirm=lambda going: confirm(f"{_what(going)} will be deleted for good", yes=yes))
    if gone.was_default:
        say(f"{name} was the default for new indexes; facesearch now chooses the model")
    say(f"unregistered {name}; {gone.folder} stays" if gone.files is None else f"deleted {gone.folder}")


def _what(going: Removal) -> str:
    return f"{going.folder} with its {counted(going.files or 0, 'file')}"


def verify(name: _OneOrAll = None) -> None:
    """Compare the files of each pack with the recorded digests, and try it on faces. The exit code is 3 on faults."""
    from facesearch.api.models import verify as verified

    packs, show = verified(name), for_stdout()
    for pack in packs:
        if pack.note:
            write([show(with_options(f"note: {pack.name}: {pack.note}")) + "\n"])
        for fault in pack.faults:
            write([show(with_options(f"fault: {pack.name}: {fault}")) + "\n"])
        if not pack.note and not pack.faults:
            write([show(f"{pack.name}: no faults") + "\n"])
    bad = [pack.name for pack in packs if pack.faults]
    if bad:
        raise InputError(f"faults in {', '.join(bad)}; facesearch models remove NAME, then pull or add it again")


def use(name: _Default = None, none: _None = False) -> None:
    """Set the default model of new indexes. $FACESEARCH_MODEL and --model override it; existing indexes keep theirs."""
    if (name is None) != none:
        raise UsageError("give the NAME of a model or --none")
    from facesearch.api.models import use as chosen

    chosen(name)
    say(f"new indexes use {name}" if name is not None else "facesearch chooses the model of new indexes")
    if os.environ.get("FACESEARCH_MODEL"):
        say(f"$FACESEARCH_MODEL is set to {os.environ['FACESEARCH_MODEL']} and overrides it")
