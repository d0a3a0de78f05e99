"""Options that several commands share, and what they are turned into."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facesearch.errors import UsageError

__all__ = [
    "Device",
    "FormatOption",
    "IndexPath",
    "MaxMegapixels",
    "MinFace",
    "NoRotations",
    "NoThreshold",
    "Nul",
    "QueryFace",
    "Quiet",
    "Sheet",
    "Threads",
    "Threshold",
    "TopK",
    "Verbose",
    "parse_face",
]

IndexPath = Annotated[
    Path | None,
    typer.Option(
        "--index", help="The index's folder. [default: $FACESEARCH_INDEX, ./indexes/default, or your data folder]"
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, coreml or openvino.")]
Threads = Annotated[int, typer.Option("--threads", min=0, help="Processor cores to use; 0: all that are available.")]
NoRotations = Annotated[
    bool, typer.Option("--no-rotations", help="Do not look at photos turned on their side when no face is sure.")
]
MaxMegapixels = Annotated[
    float,
    typer.Option("--max-megapixels", min=0.01, help="Refuse photos with more pixels: a small file can be a bomb."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes, only errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say which model and runtime are used.")]
TopK = Annotated[
    int | None,
    typer.Option("--top-k", "-k", min=1, help="The K most similar photos; those below the threshold are marked."),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        "--threshold", "-t", min=-1, max=1, help="Photos from this cosine similarity on. [default: the model's]"
    ),
]
NoThreshold = Annotated[bool, typer.Option("--no-threshold", help="All photos, however unlike, most similar first.")]
MinFace = Annotated[
    float, typer.Option("--min-face", min=0, help="Only faces whose shorter side has this many pixels.")
]
FormatOption = Annotated[str, typer.Option("--format", "-f", help="table, json, jsonl, csv or paths.")]
Nul = Annotated[bool, typer.Option("--print0", "-0", help="Bare paths, each ended by NUL instead of a new line.")]
QueryFace = Annotated[
    str | None, typer.Option("--face", help="Which face of the query photo: 1 is the largest; all: each in turn.")
]
Sheet = Annotated[
    Path | None, typer.Option("--sheet", help="Also draw the hits as a contact sheet: a .png or .jpg file.")
]


def parse_face(text: str | None) -> int | None:
    """The number in `--face`: None when it is left away, 0 for `all`. Raises `UsageError`."""
    if text is None:
        return None
    if text == "all":
        return 0
    if text.isascii() and text.isdigit() and int(text) >= 1:
        return int(text)
    raise UsageError(f"--face {text}: give a number from 1, or all")
