"""`facesearch who`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli.advice import in_options
from facesearch.cli.console import Console
from facesearch.cli.messages import say
from facesearch.cli.options import (
    Device,
    IndexPath,
    MaxMegapixels,
    ModelName,
    NoRotations,
    Quiet,
    Threads,
    examples,
    format_option,
    pixels,
)
from facesearch.cli.stdout import for_stdout, write
from facesearch.errors import IndexNotFoundError, NoFaceError, UsageError
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.api.results import NamedFace, Probe

__all__ = ["register"]

_EXAMPLES = examples(
    ("facesearch who party.jpg", "list the faces, with the people of the index whom they show"),
    ("facesearch who party.jpg --draw drawn.jpg", "draw them into a copy of the photo"),
    ("facesearch who party.jpg --crops-to faces", "save each face as a file"),
)

_Photo = Annotated[Path, typer.Argument(metavar="PHOTO", readable=False, help="Any photo.")]
_Draw = Annotated[
    Path | None,
    typer.Option("--draw", metavar="FILE", help="Draw the photo with framed faces: a .png or .jpg file."),
]
_CropsTo = Annotated[Path | None, typer.Option("--crops-to", metavar="DIR", help="Save each face as a JPEG file.")]
_Format = Annotated[str, format_option("table", "json", "csv")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="who", short_help="Tell who is in a photo.", epilog=_EXAMPLES)(who)


def who(
    photo: _Photo,
    draw: _Draw = None,
    crops_to: _CropsTo = None,
    layout: _Format = "table",
    index_path: IndexPath = None,
    model: ModelName = None,
    device: Device = "auto",
    threads: Threads = 0,
    no_rotations: NoRotations = False,
    max_megapixels: MaxMegapixels = 200,
    quiet: Quiet = False,
) -> None:
    """List the faces in a photo, the largest first, numbered as for `query --face`. The exit code is 1 if none.

    Each face is named if it clearly shows a person of the index; else it is `unknown`. Without an index, or with
    --model, the faces are only detected.
    """
    if index_path is not None and model is not None:
        raise UsageError("--index and --model contradict each other; omit one of them")
    if draw is not None:
        from facesearch.render.drawn import check_may_be_drawn

        check_may_be_drawn(draw)
    from facesearch.render.faces import render_faces

    limit, console = pixels(max_megapixels), Console(quiet=quiet)
    asked = model is None and (index_path is not None or _has_index())
    find = partial(_named, index_path, console) if asked else partial(_detected, model)
    try:
        found = find(photo, device, threads, rotations=not no_rotations, max_pixels=limit)
    except NoFaceError as error:
        say(in_options(error))
        raise typer.Exit(1) from error
    write([render_faces(found, layout, for_stdout(), named=asked)])
    if draw is not None:
        _draw(found, draw, limit, console)
    if crops_to is not None:
        _save([one.probe for one in found], crops_to, limit, console)


def _has_index() -> bool:
    """Whether there is a default index."""
    from facesearch.api.index import Index

    try:
        with Index.open() as index:
            return index.exists
    except (IndexNotFoundError, UsageError):
        return False


def _named(
    index_path: Path | None, console: Console, photo: Path, device: str, threads: int,
    *, rotations: bool, max_pixels: int,
) -> list[NamedFace]:  # fmt: skip
    """Return the faces of a photo with the people of an index whom they show."""
    from facesearch.api.index import Index

    with Index.open(index_path, device=device, threads=threads, observer=console) as index:
        return index.who(photo, rotations=rotations, max_pixels=max_pixels)


def _detected(
    model: str | None, photo: Path, device: str, threads: int, *, rotations: bool, max_pixels: int
) -> list[NamedFace]:
    """Return the faces of a photo, without people."""
    from facesearch.api.detect import detect
    from facesearch.api.results import NamedFace

    found = detect(photo, model=model, device=device, threads=threads, rotations=rotations, max_pixels=max_pixels)
    return [NamedFace(probe) for probe in found]


def _draw(found: list[NamedFace], file: Path, max_pixels: int, console: Console) -> None:
    from facesearch.render.drawn import draw_found

    draw_found(found, file, max_pixels=max_pixels)
    console.note(f"drew {file}")


def _save(found: list[Probe], folder: Path, max_pixels: int, console: Console) -> None:
    from facesearch.api.detect import save_faces

    done = save_faces(found, folder, max_pixels=max_pixels)
    for trouble in done.failed:
        say(f"{trouble}; skipped")
    kept = f", {done.kept:,} already existed" if done.kept else ""
    console.note(f"saved {counted(done.made, 'face')} in {folder}{kept}")
    console.end(complete=not done.failed)
