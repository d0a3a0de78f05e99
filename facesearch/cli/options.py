"""Options that several commands share, and functions that parse their values."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from facesearch.api.models import DEVICES
from facesearch.cli.completion import complete_people
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
    "People",
    "Photos",
    "Prune",
    "Quiet",
    "RetryFailed",
    "TableOrJson",
    "Threads",
    "Verbose",
    "Wait",
    "Who",
    "Yes",
    "check_limits",
    "examples",
    "format_option",
    "one_of",
    "parse_duration",
    "parse_size",
    "pixels",
    "suggestions",
]


_COLUMNS = 76
"""What fits beside the indentation on a terminal of 80 columns."""


def examples(*lines: tuple[str, str]) -> str:
    """Return the end of a command's help: example commands and what they do, one per line."""
    width, longest = (max(map(len, column)) for column in zip(*lines, strict=True))
    layout = "  {0:<{width}}  {1}" if 2 + width + 2 + longest <= _COLUMNS else "  {0}\n      {1}"
    shown = [layout.format(command, purpose, width=width) for command, purpose in lines]
    return "\b\nExamples:\n" + "\n".join(shown)


def suggestions(*words: str) -> Callable[[str], list[str]]:
    """Return the completion of an option's value: the words that start with what was typed."""
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]


def one_of(option: str, *words: str, told: str = "choose {but_last} or {last}") -> Callable[[str | None], str | None]:
    """Return a callback that raises `UsageError` unless the value of an option is one of the words."""

    def checked(value: str | None) -> str | None:
        if value is not None and value not in words:
            choice = told.format(but_last=", ".join(words[:-1]), last=words[-1], all=", ".join(words))
            raise UsageError(f"{option} {value}: {choice}")
        return value

    return checked


def format_option(*formats: str) -> Any:
    """Return the option `--format` with these values."""
    return typer.Option(
        "--format",
        "-f",
        metavar="FORMAT",
        help=f"Output {', '.join(formats[:-1])} or {formats[-1]}.",
        autocompletion=suggestions(*formats),
        callback=one_of("--format", *formats),
    )


def parse_duration(text: str) -> float:
    """Return the seconds in `90s`, `30m`, `2h` or `1h30m`. Raises `UsageError`."""
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip().lower())
    if not text or match is None or not any(match.groups()):
        raise UsageError(f"{text!r} is not a duration; write it as 90s, 30m, 2h or 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


def parse_size(text: str) -> int:
    """Return the bytes in `800M`, `2G` or `1.5G`. Raises `UsageError`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT])(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise UsageError(f"{text!r} is not a size; write it as 800M, 2G or 1.5G")
    return round(float(match[1]) * 2.0 ** (10 * "KMGT".index(match[2].upper()) + 10))


IndexPath = Annotated[
    Path | None,
    typer.Option(
        "--index",
        metavar="DIR",
        readable=False,
        help="Folder of the index. [default: $FACESEARCH_INDEX, ./indexes/default if ./indexes exists, or your data "
        "folder]",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="NAME",
        help=f"Run the model on {', '.join(DEVICES[:-1])} or {DEVICES[-1]}.",
        autocompletion=suggestions(*DEVICES),
        callback=one_of("--device", *DEVICES, told="choose one of {all}"),
    ),
]
Threads = Annotated[
    int, typer.Option("--threads", metavar="N", min=0, max=1024, help="Number of processor cores to use; 0 uses all.")
]
MaxMemory = Annotated[
    int | None,
    typer.Option(
        "--max-memory",
        metavar="SIZE",
        parser=parse_size,
        help="Memory limit, such as 800M or 2G. [default: 1G, or half the memory of a small machine]",
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="NAME", help="Model: embedded, an installed InsightFace pack, or a folder of .onnx files."
    ),
]
NoRotations = Annotated[
    bool,
    typer.Option("--no-rotations", help="Do not turn photos without a clear face by 90, 180 and 270 degrees."),
]
MaxMegapixels = Annotated[
    float,
    typer.Option(
        "--max-megapixels",
        metavar="N",
        min=0.01,
        max=10_000,
        help="Refuse photos with more megapixels (decompression bombs).",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors and warnings only, no progress and no notes.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Report which model and runtime are used.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Answer yes to all questions.")]
Wait = Annotated[
    float,
    typer.Option("--wait", metavar="SECONDS", min=0, help="Wait up to this long for another run to end."),
]
Who = Annotated[
    str,
    typer.Argument(
        metavar="WHO", help="A person, by name or by number, such as '#12'.", autocompletion=complete_people
    ),
]
People = Annotated[
    list[str],
    typer.Argument(metavar="WHO...", help="People, by name or by number.", autocompletion=complete_people),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Report what would be deleted; change nothing.")]
MaxTime = Annotated[
    float | None,
    typer.Option(
        "--max-time",
        metavar="TIME",
        parser=parse_duration,
        help="Stop cleanly after this time, such as 30m or 2h, with exit code 5.",
    ),
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Try unreadable photos again.")]
Again = Annotated[
    bool, typer.Option("--again", help="Read all photos again, for values that an earlier version did not measure.")
]
KeepMissing = Annotated[
    float,
    typer.Option("--keep-missing", metavar="DAYS", min=0, help="Days to keep the faces of missing photos."),
]
Prune = Annotated[bool, typer.Option("--prune", help="Delete the faces of missing photos now, for good. Asks first.")]
Anyway = Annotated[
    bool, typer.Option("--anyway", help="Move even if NEW does not hold the known photos, such as an unmounted disk.")
]
Photos = Annotated[
    list[Path] | None,
    typer.Argument(metavar="PATH", readable=False, help="Folders and photos. [default: the folders of the index]"),
]
LabelledFolder = Annotated[
    Path, typer.Argument(metavar="FOLDER", readable=False, help="A folder with one subfolder of photos per person.")
]
TableOrJson = Annotated[str, format_option("table", "json")]
LogFormat = Annotated[
    str,
    typer.Option(
        "--log-format",
        metavar="FORMAT",
        help="Format of the messages on stderr: text or json.",
        is_eager=True,
        callback=use_log_format,
    ),
]


def check_limits(threshold: float | None, fmr: float | None, *, no_threshold: bool = False) -> None:
    """Raise `UsageError` if more than one of these options is given, or if `fmr` is not a rate."""
    limits = {"--threshold": threshold, "--fmr": fmr, "--no-threshold": no_threshold or None}
    given = [name for name, value in limits.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} contradict each other; give one of them")
    if fmr is not None and not 0 < fmr < 1:
        raise UsageError(f"--fmr {fmr:g}: give a rate between 0 and 1, such as 1e-5")


def pixels(megapixels: float) -> int:
    """Return the number of pixels."""
    return round(megapixels * 1e6)
