"""How much memory photos that are being read may take."""

from __future__ import annotations

from facesearch.arguments import require_number
from facesearch.machine import available_memory

__all__ = ["photo_memory"]

_BEFORE_PHOTOS = 400 * 2**20
_LEAST_FOR_PHOTOS = 64 * 2**20
_PER_WORKER = 128 * 2**20


def photo_memory(whole: int | None, workers: int) -> int:
    """Bytes for photos that `workers` threads read, of the `whole` that the process is to stay within.

    The models and libraries take the rest. None: 1 GiB or more where there are many workers, at most half of what the
    machine has.
    """
    if whole is not None:
        require_number("max_memory", whole, 0)
    else:
        whole = min(max(2**30, workers * _PER_WORKER), (available_memory() or 2**40) // 2)
    return max(whole - _BEFORE_PHOTOS, _LEAST_FOR_PHOTOS)
