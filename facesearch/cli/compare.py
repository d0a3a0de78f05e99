"""`facesearch compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli.console import Console
from facesearch.cli.options import (
    Device,
    MaxMegapixels,
    ModelName,
    NoRotations,
    Quiet,
    TableOrJson,
    Threads,
    check_limits,
    examples,
    pixels,
)
from facesearch.cli.stdout import write, write_json
from facesearch.settings import EMBEDDED_THRESHOLD
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.api.results import ComparedPhotos

__all__ = ["register"]

_EXAMPLES = examples(
    ("facesearch compare passport.jpg me.jpg", "compare the most similar faces of the two photos"),
    ("facesearch compare then.jpg now.jpg --all-faces", "compare each face with each"),
)

_One = Annotated[Path, typer.Argument(metavar="A", readable=False, help="A photo.")]
_Other = Annotated[Path, typer.Argument(metavar="B", readable=False, help="Another photo.")]
_AllFaces = Annotated[bool, typer.Option("--all-faces", help="Compare every face of A with every face of B.")]
_Threshold = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        "-t",
        metavar="T",
        min=-1,
        max=1,
        help="Minimum similarity of one person. [default: that of the model, "
        f"{EMBEDDED_THRESHOLD} for the embedded one]",
    ),
]
_Fmr = Annotated[
    float | None, typer.Option("--fmr", metavar="RATE", help="Set the threshold by its false-match rate, such as 1e-5.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        name="compare", short_help="Tell whether two photos show the same person.", epilog=_EXAMPLES
    )(compare)  # fmt: skip


def compare(
    one: _One,
    other: _Other,
    all_faces: _AllFaces = False,
    threshold: _Threshold = None,
    fmr: _Fmr = None,
    layout: TableOrJson = "table",
    model: ModelName = None,
    device: Device = "auto",
    threads: Threads = 0,
    no_rotations: NoRotations = False,
    max_megapixels: MaxMegapixels = 200,
    quiet: Quiet = False,
) -> None:
    """Tell whether two photos show the same person, and how sure that is. The exit code is 1 if they do not."""
    check_limits(threshold, fmr)
    from facesearch.api.compare import compare as compared
    from facesearch.render.comparisons import comparison_text, comparisons_record, comparisons_table

    console = Console(quiet=quiet)
    done = compared(
        one, other, observer=console, model=model, threshold=threshold, fmr=fmr, device=device, threads=threads,
        rotations=not no_rotations, max_pixels=pixels(max_megapixels),
    )  # fmt: skip
    if layout == "json":
        pairs = done.pairs if all_faces else None
        write_json(comparisons_record(done.best, pairs, done.threshold, done.model), indent=2)
    else:
        write([comparisons_table(done.pairs) if all_faces else comparison_text(done.best)])
    _tell(done, console, all_faces=all_faces)
    if not done.same:
        raise typer.Exit(1)


def _tell(done: ComparedPhotos, console: Console, *, all_faces: bool) -> None:
    ones, others = len(done.pairs), len(done.pairs[0])
    if not all_faces and max(ones, others) > 1:
        console.note(
            f"{counted(ones, 'face')} and {counted(others, 'face')}: comparing the most similar, number "
            f"{done.best.one.number} and number {done.best.other.number} by size; --all-faces compares all"
        )
