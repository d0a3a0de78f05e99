"""Options that several commands share, and what they are turned into."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from facesearch.api.models import DEVICES
from facesearch.cli.messages import use_log_format
from facesearch.errors import UsageError

__all__ = [
    "Again",
    "Anyway",
    "Device",
    "DryRun",
    "IndexPath",
    "KeepMissing",
    "LabelledFolder",
    "LogFormat",
    "MaxMegapixels",
    "MaxMemory",
    "MaxTime",
    "ModelName",
    "NoRotations",
    "Photos",
    "Prune",
    "Quiet",
    "RetryFailed",
    "TableOrJson",
    "Threads",
    "Verbose",
    "Wait",
    "Yes",
    "check_limits",
    "examples",
    "one_of",
    "parse_duration",
    "parse_size",
    "pixels",
    "suggestions",
]


def examples(*lines: tuple[str, str]) -> str:
    """The end of a command's help: commands, and what they do, one a line."""
    width = max(len(command) for command, _ in lines)
    shown = [
        f"  {command:<{width}}  {purpose}" if width < 50 else f"  {command}\n      {purpose}"
        for command, purpose in lines
    ]
    return "\b\nExamples:\n" + "\n".join(shown)


def suggestions(*words: str) -> Callable[[str], list[str]]:
    """What a shell offers for an option's value: those of the words that go on as what was typed."""
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]


def one_of(option: str, *words: str, told: str = "choose {but_last} or {last}") -> Callable[[str | None], str | None]:
    """What looks at an option's value while the command line is read: `UsageError` unless it is one of the words."""

    def checked(value: str | None) -> str | None:
        if value is not None and value not in words:
            choice = told.format(but_last=", ".join(words[:-1]), last=words[-1], all=", ".join(words))
            raise UsageError(f"{option} {value}: {choice}")
        return value

    return checked


"""Whoever asks for another than these is told so before anything is loaded."""


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


IndexPath = Annotated[
    Path | None,
    typer.Option(
        "--index",
        readable=False,
        help="The index's folder. [default: $FACESEARCH_INDEX, ./indexes/default, or your data folder]",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        help=f"{', '.join(DEVICES[:-1])} or {DEVICES[-1]}.",
        autocompletion=suggestions(*DEVICES),
        callback=one_of("--device", *DEVICES, told="choose one of {all}"),
    ),
]
Threads = Annotated[int, typer.Option("--threads", min=0, max=1024, help="Processor cores to use; 0: all there are.")]
MaxMemory = Annotated[
    int | None,
    typer.Option(
        "--max-memory",
        metavar="SIZE",
        parser=parse_size,
        help="Memory to stay within, as 800M or 2G. [default: 1G, half of what a small machine has]",
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option("--model", help="embedded, an installed InsightFace pack, or a folder of .onnx files."),
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
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask: the answer is yes.")]
Wait = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", min=0, help="Wait for another run to end instead of giving up.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what would be removed; do nothing.")]
MaxTime = Annotated[
    float | None,
    typer.Option(
        "--max-time", metavar="TIME", parser=parse_duration, help="Stop cleanly after 30m, 2h or 90s; exit code 5."
    ),
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Try photos again that could not be read.")]
Again = Annotated[
    bool, typer.Option("--again", help="Look at every photo anew, for what an earlier facesearch did not measure.")
]
KeepMissing = Annotated[
    float, typer.Option("--keep-missing", metavar="DAYS", min=0, help="How long photos out of sight are kept.")
]
Prune = Annotated[bool, typer.Option("--prune", help="Delete photos that are out of sight now, for good; asks first.")]
Anyway = Annotated[
    bool, typer.Option("--anyway", help="Move even if no known photos are at NEW, such as on an unmounted disk.")
]
Photos = Annotated[
    list[Path] | None,
    typer.Argument(metavar="PATH", readable=False, help="Folders and photos; none: every known folder."),
]
LabelledFolder = Annotated[
    Path, typer.Argument(metavar="FOLDER", readable=False, help="One folder a person, with photos of them.")
]
TableOrJson = Annotated[
    str,
    typer.Option(
        "--format",
        "-f",
        help="table or json.",
        autocompletion=suggestions("table", "json"),
        callback=one_of("--format", "table", "json"),
    ),
]
LogFormat = Annotated[
    str,
    typer.Option(
        "--log-format",
        help="How messages are written to stderr: text or json.",
        is_eager=True,
        callback=use_log_format,
    ),
]


def check_limits(threshold: float | None, fmr: float | None, *, no_threshold: bool = False) -> None:
    """Raises `UsageError` where more than one says from which similarity on, or a rate is none."""
    limits = {"--threshold": threshold, "--fmr": fmr, "--no-threshold": no_threshold or None}
    given = [name for name, value in limits.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} contradict each other; give one of them")
    if fmr is not None and not 0 < fmr < 1:
        raise UsageError(f"--fmr {fmr:g}: a share of strangers lies between 0 and 1, as 1e-5")


def pixels(megapixels: float) -> int:
    """How many that are."""
    return round(megapixels * 1e6)
