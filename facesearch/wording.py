"""Numbers and the words that go with them, for sentences that people read."""

from __future__ import annotations

__all__ = ["are", "counted"]


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number and what it counts: `1 photo`, `2,000 photos`, `3 copies` for a plural of its own."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def are(number: int, noun: str, plural: str | None = None) -> str:
    """The same as the subject of a sentence: `1 photo is`, `2 photos are`."""
    return f"{counted(number, noun, plural)} {'is' if number == 1 else 'are'}"
