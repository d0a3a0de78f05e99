"""Split values into batches that fit into one SQLite statement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["BATCH", "batches", "marks"]

BATCH = 500
"""The maximum number of values bound to one statement."""


def batches(values: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield the values in order, up to `BATCH` at a time."""
    for start in range(0, len(values), BATCH):
        yield values[start : start + BATCH]


def marks(values: Sequence[object]) -> str:
    """Return one question mark per value, for `IN (...)`."""
    return ",".join("?" * len(values))
