"""Format numbers with their nouns for messages."""

from __future__ import annotations

__all__ = ["are", "counted", "duration"]


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: `1 photo`, `2,000 photos`, or `3 copies` with an irregular `plural`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def are(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number and its noun with the verb: `1 photo is`, `2 photos are`."""
    return f"{counted(number, noun, plural)} {'is' if number == 1 else 'are'}"


def duration(seconds: float) -> str:
    """Return a duration in words, rounded as an estimate: `40 seconds`, `12 minutes`, `3.5 hours`."""
    if seconds < 90:
        return counted(max(1, round(seconds)), "second")
    if seconds < 90 * 60:
        return counted(round(seconds / 60), "minute")
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} hours"
    return counted(round(seconds / 86_400), "day")
