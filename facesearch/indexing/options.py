"""How an indexing run reads photos, and for how long it keeps missing ones."""

from __future__ import annotations

from dataclasses import dataclass

from facesearch.settings import DEFAULT_MAX_PIXELS

__all__ = ["DEFAULTS", "Options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How photos are read: `workers` of them at the same time, turned ones too with `rotations`.

    `retry_failed` reads photos again that could not be read, `again` all photos, also known and unchanged ones; their
    faces keep their ids. A photo of more than `max_pixels` pixels is refused.

    Photos in work take up to `memory` bytes together, however many they are; a single one may take more.

    A photo that has been missing for `keep_missing` seconds is deleted for good; 0 deletes it at once.
    """

    rotations: bool = True
    retry_failed: bool = False
    again: bool = False
    max_pixels: int = DEFAULT_MAX_PIXELS
    workers: int = 1
    memory: int = 640 * 2**20
    keep_missing: float = 30 * 86400.0


DEFAULTS = Options()
"""What holds where nothing else is asked for."""
