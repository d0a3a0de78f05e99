"""`facesearch gallery probe`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facesearch.cli.console import Console
from facesearch.cli.messages import say
from facesearch.cli.options import Device, Threads, parse_duration
from facesearch.cli.stdout import write

__all__ = ["probe"]

_Photo = Annotated[Path, typer.Argument(metavar="PHOTO", readable=False, help="A photo of the person to ask for.")]
_For = Annotated[
    float | None,
    typer.Option("--for", metavar="TIME", parser=parse_duration, help="How long to store it: 30m, 2h. [default: 1h]"),
]
_ProbeName = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="What to call it. [default: the name of the photo]")
]
_Gallery = Annotated[
    str | None,
    typer.Option("--gallery", metavar="GALLERY", help="The gallery, or its URL. [default: the only one connected]"),
]
_HOUR = 3600.0


def probe(
    photo: _Photo,
    lasting: _For = None,
    name: _ProbeName = None,
    gallery: _Gallery = None,
    device: Device = "auto",
    threads: Threads = 0,
) -> None:
    """Store the largest face in a photo in a gallery for a while, to ask for it with SQL. Prints a SELECT that does.

    Nobody but the user of the database who stored it sees it. The same name replaces it.
    """
    from facesearch.api.gallery import Gallery, only_gallery
    from facesearch.render.galleries import probe_example, probe_line

    with (
        Console() as console,
        Gallery.open(only_gallery(gallery), device=device, threads=threads, observer=console) as shared,
    ):
        stored = shared.probe(photo, name=name, lasting=_HOUR if lasting is None else lasting)
    say(probe_line(stored))
    write([probe_example(stored)])
