"""Format numbers with their nouns for messages."""

from __future__ import annotations

__all__ = ["are", "counted"]


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: `1 photo`, `2,000 photos`, or `3 copies` with an irregular `plural`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def are(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number and its noun with the verb: `1 photo is`, `2 photos are`."""
    return f"{counted(number, noun, plural)} {'is' if number == 1 else 'are'}"
