"""The options of runs that read photos: of `Index.refresh`, `Index.switch_model` and their previews."""

from __future__ import annotations

from typing import TypedDict

__all__ = ["PreviewKeywords", "ReadingKeywords", "RefreshKeywords", "ScanKeywords"]


class ReadingKeywords(TypedDict, total=False):
    """How photos are read.

    - `rotations`: turn photos without a clear face by 90, 180 and 270 degrees; by default True.
    - `max_pixels`: refuse photos with more pixels.
    """

    rotations: bool
    max_pixels: int


class ScanKeywords(ReadingKeywords, total=False):
    """How photos are read, and which.

    - `retry_failed`: try photos again that could not be read before; by default False.
    - `again`: read all photos again; by default False.
    - `keep_missing_days`: delete hidden photos for good after this time, by default 30; 0 deletes them immediately.
    - `shard`: index only this part of each folder, in this and later runs: `3/10` is the third of ten parts, divided by
      the paths of photos, `all` the whole folder; None changes nothing. Known photos of other shards are hidden, but
      not deleted.
    """

    retry_failed: bool
    again: bool
    keep_missing_days: float
    shard: str | None


class PreviewKeywords(ScanKeywords, total=False):
    """How photos are read and which, and how the index is kept.

    - `max_memory`: the memory limit of the whole process, in bytes; None chooses one for this machine.
    - `index_type`: `auto`, `flat` (exact) or `ivf` (approximate); None changes nothing.
    """

    max_memory: int | None
    index_type: str | None


class RefreshKeywords(PreviewKeywords, total=False):
    """How photos are read and which, how the index is kept, and what follows.

    - `group`: whether this and later runs end with grouping new faces by person; None changes nothing.
    """

    group: bool | None
