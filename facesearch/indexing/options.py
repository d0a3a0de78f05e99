"""Options of an indexing run: how it reads photos, and how long it keeps missing ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from facesearch.settings import DEFAULT_MAX_PIXELS
from facesearch.shards import Shard
from facesearch.types import Corrections

__all__ = ["DEFAULTS", "Options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How photos are read: `workers` at the same time, and with `rotations` also rotated if no face is confident.

    `retry_failed` reads photos again that could not be read, `again` all photos, even known and unchanged ones; their
    faces keep their ids. A photo of more than `max_pixels` pixels is rejected.

    The photos in progress take up to `memory` bytes together; a single one may take more.

    A photo that has been missing for `keep_missing` seconds is deleted for good; 0 deletes it immediately.

    `shard` is the part of each folder that the index takes from now on; None changes nothing.

    `corrections` are what the user said about the faces in some contents.
    """

    rotations: bool = True
    retry_failed: bool = False
    again: bool = False
    max_pixels: int = DEFAULT_MAX_PIXELS
    workers: int = 1
    memory: int = 640 * 2**20
    keep_missing: float = 30 * 86400.0
    shard: Shard | None = None
    corrections: Mapping[bytes, Corrections] = field(default_factory=dict)


DEFAULTS = Options()
"""The default options."""
