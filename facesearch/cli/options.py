"""Options that several commands share, and what they are turned into."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from facesearch.errors import UsageError

__all__ = [
    "Device",
    "FormatOption",
    "IndexPath",
    "LogFormat",
    "MaxMegapixels",
    "MaxMemory",
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
    "Wait",
    "Yes",
    "memory_for_photos",
    "parse_duration",
    "parse_face",
    "parse_size",
]

_BEFORE_PHOTOS = 400 * 2**20
_LEAST_FOR_PHOTOS = 64 * 2**20
_PER_WORKER = 128 * 2**20

IndexPath = Annotated[
    Path | None,
    typer.Option(
        "--index",
        readable=False,
        help="The index's folder. [default: $FACESEARCH_INDEX, ./indexes/default, or your data folder]",
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, coreml or openvino.")]
Threads = Annotated[int, typer.Option("--threads", min=0, max=1024, help="Processor cores to use; 0: all there are.")]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        "--max-memory",
        metavar="SIZE",
        help="Memory to stay within, as 800M or 2G. [default: 1G, half of what a small machine has]",
    ),
]
NoRotations = Annotated[
    bool, typer.Option("--no-rotations", help="Do not look at photos turned on their side when no face is sure.")
]
MaxMegapixels = Annotated[
    float,
    typer.Option("--max-megapixels", min=0.01, max=10_000, help="Refuse photos with more pixels: some are bombs."),
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

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before something is deleted for good.")]
Wait = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", min=0, help="Wait for another run to end instead of giving up.")
]
LogFormat = Annotated[str, typer.Option("--log-format", help="How messages are written to stderr: text or json.")]


def parse_duration(text: str) -> float:
    """Seconds in `90s`, `30m`, `2h` or `1h30m`. Raises `UsageError`."""
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip().lower())
    if not text or match is None or not any(match.groups()):
        raise UsageError(f"{text!r} is no time; write it as 30m, 2h, 90s or 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


def parse_size(text: str) -> int:
    """Bytes in `800M`, `2G` or `1.5G`. Raises `UsageError`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT])(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise UsageError(f"{text!r} is no size; write it as 800M, 2G or 1.5G")
    return round(float(match[1]) * 2.0 ** (10 * "KMGT".index(match[2].upper()) + 10))


def memory_for_photos(asked: str | None, workers: int) -> int:
    """Bytes for photos in hand, of all that the process is to stay within: the models and libraries take the rest."""
    from facesearch.machine import available_memory

    if asked is not None:
        whole = parse_size(asked)
    else:
        whole = min(max(2**30, workers * _PER_WORKER), (available_memory() or 2**40) // 2)
    return max(whole - _BEFORE_PHOTOS, _LEAST_FOR_PHOTOS)


def parse_face(text: str | None) -> int | None:
    """The number in `--face`: None when it is left away, 0 for `all`. Raises `UsageError`."""
    if text is None:
        return None
    if text == "all":
        return 0
    if text.isascii() and text.isdigit() and int(text) >= 1:
        return int(text)
    raise UsageError(f"--face {text}: give a number from 1, or all")
