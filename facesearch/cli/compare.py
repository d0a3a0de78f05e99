"""`facesearch compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from facesearch.cli.asking import note_guess
from facesearch.cli.console import examples, say, write
from facesearch.cli.options import (
    Device,
    MaxMegapixels,
    ModelName,
    NoRotations,
    Quiet,
    Threads,
    check_limits,
    require_measured,
    suggestions,
)
from facesearch.errors import UsageError
from facesearch.wording import counted

__all__ = ["register"]

_EXAMPLES = examples(
    ("facesearch compare passport.jpg me.jpg", "the faces most alike in the two"),
    ("facesearch compare then.jpg now.jpg --all-faces", "everybody in one with everybody in the other"),
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="compare", short_help="Do two photos show the same person, and how sure.", epilog=_EXAMPLES)(
        compare
    )


def compare(
    one: Annotated[Path, typer.Argument(metavar="A", readable=False, help="A photo.")],
    other: Annotated[Path, typer.Argument(metavar="B", readable=False, help="Another photo.")],
    all_faces: Annotated[
        bool, typer.Option("--all-faces", help="Every face of A with every face of B, as a table.")
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", "-t", min=-1, max=1, help="The same from here on. [default: the model's]"),
    ] = None,
    fmr: Annotated[
        float | None, typer.Option("--fmr", help="The threshold that this share of strangers reach.")
    ] = None,
    layout: Annotated[
        str, typer.Option("--format", "-f", help="table or json.", autocompletion=suggestions("table", "json"))
    ] = "table",
    model: ModelName = None,
    device: Device = "auto",
    threads: Threads = 0,
    no_rotations: NoRotations = False,
    max_megapixels: MaxMegapixels = 200,
    quiet: Quiet = False,
) -> None:
    """Do two photos show the same person, and how sure is that; exit code 1 when no pair reaches the threshold."""
    if layout not in ("table", "json"):
        raise UsageError(f"--format {layout}: choose table or json")
    check_limits(threshold, fmr)
    from facesearch.calibration.storage import calibration_of
    from facesearch.models.resolve import choose_model, open_model
    from facesearch.models.runtime import choose_runtime
    from facesearch.render.comparisons import comparison_text, comparisons_record, comparisons_table
    from facesearch.search.compare import compare as compared
    from facesearch.search.compare import nearest
    from facesearch.search.probes import probe_faces

    opened = open_model(choose_model(model).name, choose_runtime(device, threads, few=True))
    calibration = calibration_of(opened.info)
    require_measured(fmr, calibration, opened.info.name)
    note_guess(calibration, opened.info.name, quiet=quiet)
    ones, others = (
        probe_faces(opened, str(path), rotations=not no_rotations, max_pixels=round(max_megapixels * 1e6))
        for path in (one, other)
    )
    table = compared(ones, others, calibration)
    best = nearest(table)
    limit = calibration.threshold if threshold is None else threshold
    if fmr is not None:
        limit = calibration.similarity_at(fmr)
    if layout == "json":
        record = comparisons_record(best, table if all_faces else None, limit, opened.info.name)
        write([json.dumps(record, indent=2, ensure_ascii=False) + "\n"])
    else:
        write([comparisons_table(table) if all_faces else comparison_text(best)])
    if not quiet and not all_faces and max(len(ones), len(others)) > 1:
        say(
            f"{counted(len(ones), 'face')} and {counted(len(others), 'face')}: compared are those most alike, number "
            f"{best.one.number} and number {best.other.number} by size; --all-faces compares all"
        )
    if best.similarity < limit:
        raise typer.Exit(1)
