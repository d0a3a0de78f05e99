"""`facesearch people report` and `left-out`: what is held about a person, and people whom later runs leave out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from facesearch.cli.console import Console
from facesearch.cli.messages import confirm, say
from facesearch.cli.options import IndexPath, MaxMegapixels, TableOrJson, Who, Yes, pixels
from facesearch.cli.stdout import for_stdout, write, write_json
from facesearch.errors import UsageError
from facesearch.wording import counted

__all__ = ["COMMANDS"]

_File = Annotated[Path, typer.Argument(metavar="FILE.zip", readable=False, help="The file to write.")]
_Vectors = Annotated[
    bool, typer.Option("--vectors", help="Include the embeddings (biometric data), as vectors.npy for NumPy.")
]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace FILE.zip if it exists.")]
_End = Annotated[
    int | None, typer.Option("--end", metavar="NUMBER", help="Delete one of them: later runs index this person again.")
]


def report(
    who: Who,
    file: _File,
    vectors: _Vectors = False,
    overwrite: _Overwrite = False,
    max_megapixels: MaxMegapixels = 200,
    index_path: IndexPath = None,
) -> None:
    """Write all that is held about a person to a .zip file: photos, faces, dates and statements, and the faces cut out.

    report.html is for reading and report.json for programs. Other people have a number only. The file has mode 0600.
    """
    from facesearch.api.index import Index
    from facesearch.render.person_report import save_person_report

    if file.suffix.lower() != ".zip":
        raise UsageError(f"{file}: the report is a .zip file; end its name in .zip")
    console = Console()
    with console, Index.open(index_path, observer=console) as index:
        index.check_output(file, overwrite=overwrite)
        found = index.people.report(who)
        lost = save_person_report(
            found, file, vectors=vectors, max_pixels=pixels(max_megapixels), check=console.check
        )  # fmt: skip
    for trouble in lost:
        say(f"{trouble}; no picture of this face")
    photos = len({one.face.photo_id for one in found.faces})
    console.note(
        f"wrote {file}: {counted(len(found.faces), 'face')} in {counted(photos, 'photo')}, "
        f"{counted(len(found.statements), 'statement')}"
    )
    console.end(complete=not lost)


def left_out(end: _End = None, index_path: IndexPath = None, yes: Yes = False, layout: TableOrJson = "table") -> None:
    """List the forgotten people whom later runs leave out, each by a number. Who they are is not kept.

    `facesearch forget --person WHO --never-again` adds them. The embedding that is kept for it is biometric data. It is
    deleted on its date by the next run.
    """
    from facesearch.api.index import Index
    from facesearch.render.forgetting import left_out_records, render_left_out

    with Index.open(index_path, observer=Console()) as index:
        if end is not None:
            confirm(f"{end}: later runs will index this person again", yes=yes)
            index.people.end_left_out(end)
            say(f"{end}: deleted; `facesearch index --again` finds the faces that were left out")
            return
        found = index.people.left_out()
    if layout == "json":
        write_json(left_out_records(found), ascii_only=True)
    else:
        write([render_left_out(found, for_stdout())])


COMMANDS: dict[str, tuple[str, Callable[..., None]]] = {
    "report": ("Write all that is held about a person.", report),
    "left-out": ("List people whom later runs leave out.", left_out),
}
"""The commands, by name: the short help and the function."""
