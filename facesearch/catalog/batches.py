"""Many values for one statement, in batches that SQLite accepts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["BATCH", "batches", "marks"]

BATCH = 500
"""Values that are bound to one statement at most."""


def batches(values: Sequence[int]) -> Iterator[Sequence[int]]:
    """The values in order, up to `BATCH` of them at a time."""
    for start in range(0, len(values), BATCH):
        yield values[start : start + BATCH]


def marks(values: Sequence[int]) -> str:
    """A question mark for each value, for `IN (...)`."""
    return ",".join("?" * len(values))
