"""Reports of indexing runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from facesearch.cli.console import Console
from facesearch.cli.messages import is_terminal, say
from facesearch.cli.stdout import for_stdout, write, write_json

if TYPE_CHECKING:
    from facesearch.api.results import Report

__all__ = ["tell_other_media", "tell_scanned", "tell_troubles", "write_report"]


def tell_troubles(report: Report, note: Callable[[str], None]) -> None:
    """Report the folders and photos that a run could not read."""
    for root in report.offline:
        say(f"{root}: missing or empty; its photos are kept")
    for path in report.given_up:
        say(f"{path}: skipped, because reading it crashed facesearch; --retry-failed tries again")
    for trouble in report.unreadable:
        say(f"{trouble}; its photos are kept")
    if report.failed:
        note(f"unreadable photos: {report.failed:,}; facesearch status --failed lists them")
    tell_other_media(report, note)


def tell_scanned(report: Report, console: Console) -> None:
    """Report what a scan could not read."""
    for trouble in report.unreadable:
        console.warn(trouble)
    if report.failed:
        console.note(f"unreadable photos: {report.failed:,} of {report.photos:,}")
    tell_other_media(report, console.note)


def tell_other_media(report: Report, note: Callable[[str], None]) -> None:
    """Report the files of unsupported formats, the most frequent first."""
    kinds = sorted(report.not_looked_at.items(), key=lambda kind: (-kind[1], kind[0]))
    if kinds:
        told = ", ".join(f"{number:,} {ending.upper()}" for ending, number in kinds)
        note(f"skipped: {told} (RAW photos, videos and some other formats are not supported)")


def write_report(
    record: dict[str, Any],
    layout: str,
    console: Console,
    *,
    text: Callable[..., str],
    line: Callable[[dict[str, Any]], str],
) -> None:
    """Write the record as JSON, or as `text` unless quiet; without a terminal also a `line` to the log."""
    console.clear()
    if layout == "json":
        write_json(record, ascii_only=True)
    elif not console.quiet:
        write([text(record, show=for_stdout())])
    if not is_terminal():
        console.note(line(record))
