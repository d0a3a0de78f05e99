"""`facesearch faces`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facesearch.cli.console import examples, say, write
from facesearch.cli.options import Device, MaxMegapixels, ModelName, NoRotations, Quiet, Threads, suggestions
from facesearch.errors import PhotoError, UsageError
from facesearch.wording import counted

__all__ = ["register"]

_FORMATS = ("table", "json", "csv")
_EXAMPLES = examples(
    ("facesearch faces party.jpg", "how many, where, how large and how good"),
    ("facesearch faces party.jpg --draw drawn.jpg", "the same as a picture"),
    ("facesearch faces party.jpg --crops-to faces", "each face as a file"),
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="faces", short_help="The faces in a photo, as data or drawn.", epilog=_EXAMPLES)(faces)


def faces(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", readable=False, help="Any photo.")],
    draw: Annotated[
        Path | None,
        typer.Option("--draw", metavar="FILE", help="Also draw the photo with its faces framed: a .png or .jpg file."),
    ] = None,
    crops_to: Annotated[
        Path | None, typer.Option("--crops-to", metavar="DIR", help="Save the faces, cut out of the photo.")
    ] = None,
    layout: Annotated[
        str, typer.Option("--format", "-f", help="table, json or csv.", autocompletion=suggestions(*_FORMATS))
    ] = "table",
    model: ModelName = None,
    device: Device = "auto",
    threads: Threads = 0,
    no_rotations: NoRotations = False,
    max_megapixels: MaxMegapixels = 200,
    quiet: Quiet = False,
) -> None:
    """The faces in a photo, the largest first, as `--face` counts them; exit code 1 when there is none."""
    if layout not in _FORMATS:
        raise UsageError(f"--format {layout}: choose one of {', '.join(_FORMATS)}")
    if draw is not None:
        from facesearch.render.drawn import check_drawn_name
        from facesearch.render.pictures import check_may_be_written

        check_drawn_name(draw)
        check_may_be_written(draw)
    from facesearch.errors import NoFaceError
    from facesearch.models.resolve import choose_model, open_model
    from facesearch.models.runtime import choose_runtime
    from facesearch.render.faces import render_faces
    from facesearch.search.probes import probe_faces

    max_pixels = round(max_megapixels * 1e6)
    opened = open_model(choose_model(model).name, choose_runtime(device, threads, few=True))
    try:
        found = probe_faces(opened, str(photo), rotations=not no_rotations, max_pixels=max_pixels)
    except NoFaceError as error:
        say(str(error))
        raise typer.Exit(1) from error
    write([render_faces(found, layout)])

    def read() -> bytes:
        try:
            return photo.read_bytes()
        except OSError as error:  # it was there a moment ago
            raise PhotoError(f"{photo}: cannot be read ({error.strerror}); check the path") from error

    if draw is not None:
        from facesearch.photos.picture import Photo
        from facesearch.render.drawn import save_drawn

        picture = Photo(read(), max_pixels=max_pixels)
        save_drawn(picture, [(probe.face.detection, str(probe.number)) for probe in found], draw)
        if not quiet:
            say(f"drawn in {draw}")
    if crops_to is not None:
        from facesearch.care.copies import save_crops

        done = save_crops(
            [(str(photo), probe.number, probe.face.detection.box, read) for probe in found],
            crops_to,
            max_pixels=max_pixels,
        )
        for trouble in done.failed:
            say(f"{trouble}; left out")
        if not quiet:
            kept = f", {done.kept:,} already there" if done.kept else ""
            say(f"{counted(done.made, 'face')} saved in {crops_to}{kept}")
        if done.failed:
            raise typer.Exit(5)
