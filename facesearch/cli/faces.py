"""`facesearch faces`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli.advice import in_options
from facesearch.cli.console import Console
from facesearch.cli.messages import say
from facesearch.cli.options import (
    Device,
    MaxMegapixels,
    ModelName,
    NoRotations,
    Quiet,
    Threads,
    examples,
    one_of,
    pixels,
    suggestions,
)
from facesearch.cli.stdout import write
from facesearch.errors import NoFaceError
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.api.results import Probe

__all__ = ["register"]

_FORMATS = ("table", "json", "csv")
_EXAMPLES = examples(
    ("facesearch faces party.jpg", "how many, where, how large and how good"),
    ("facesearch faces party.jpg --draw drawn.jpg", "the same as a picture"),
    ("facesearch faces party.jpg --crops-to faces", "each face as a file"),
)

_Photo = Annotated[Path, typer.Argument(metavar="PHOTO", readable=False, help="Any photo.")]
_Draw = Annotated[
    Path | None,
    typer.Option("--draw", metavar="FILE", help="Also draw the photo with its faces framed: a .png or .jpg file."),
]
_CropsTo = Annotated[
    Path | None, typer.Option("--crops-to", metavar="DIR", help="Save the faces, cut out of the photo.")
]
_Format = Annotated[
    str,
    typer.Option(
        "--format",
        "-f",
        help="table, json or csv.",
        autocompletion=suggestions(*_FORMATS),
        callback=one_of("--format", *_FORMATS),
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="faces", short_help="The faces in a photo, as data or drawn.", epilog=_EXAMPLES)(faces)


def faces(
    photo: _Photo,
    draw: _Draw = None,
    crops_to: _CropsTo = None,
    layout: _Format = "table",
    model: ModelName = None,
    device: Device = "auto",
    threads: Threads = 0,
    no_rotations: NoRotations = False,
    max_megapixels: MaxMegapixels = 200,
    quiet: Quiet = False,
) -> None:
    """The faces in a photo, the largest first, as `--face` counts them; exit code 1 when there is none."""
    if draw is not None:
        from facesearch.render.drawn import check_may_be_drawn

        check_may_be_drawn(draw)
    from facesearch.api.detect import detect
    from facesearch.render.faces import render_faces

    limit, console = pixels(max_megapixels), Console(quiet=quiet)
    try:
        found = detect(photo, model=model, device=device, threads=threads, rotations=not no_rotations, max_pixels=limit)
    except NoFaceError as error:
        say(in_options(error))
        raise typer.Exit(1) from error
    write([render_faces(found, layout)])
    if draw is not None:
        _draw(found, draw, limit, console)
    if crops_to is not None:
        _save(found, crops_to, limit, console)


def _draw(found: list[Probe], file: Path, max_pixels: int, console: Console) -> None:
    from facesearch.render.drawn import draw_found

    draw_found(found, file, max_pixels=max_pixels)
    console.note(f"drawn in {file}")


def _save(found: list[Probe], folder: Path, max_pixels: int, console: Console) -> None:
    from facesearch.api.detect import save_faces

    done = save_faces(found, folder, max_pixels=max_pixels)
    for trouble in done.failed:
        say(f"{trouble}; left out")
    kept = f", {done.kept:,} already there" if done.kept else ""
    console.note(f"{counted(done.made, 'face')} saved in {folder}{kept}")
    console.end(complete=not done.failed)
