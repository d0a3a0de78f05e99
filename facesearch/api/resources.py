"""The memory for photos that are being read."""

from __future__ import annotations

from facesearch.arguments import require_number
from facesearch.machine import available_memory

__all__ = ["photo_memory"]

_BEFORE_PHOTOS = 400 * 2**20
_LEAST_FOR_PHOTOS = 64 * 2**20
_PER_WORKER = 128 * 2**20


def photo_memory(whole: int | None, workers: int) -> int:
    """Return the bytes available to photos that `workers` threads read, if the process may use `whole` bytes.

    The rest is for models and libraries. `whole` None is 1 GiB, or more for many workers, and at most half of the
    available memory. Raises `UsageError` for an invalid number.
    """
    if whole is not None:
        require_number("max_memory", whole, 0)
    else:
        whole = min(max(2**30, workers * _PER_WORKER), (available_memory() or 2**40) // 2)
    return max(whole - _BEFORE_PHOTOS, _LEAST_FOR_PHOTOS)
