"""Collect writes to the catalog and commit them every few seconds: a crash loses no more than that."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from facesearch.index.store import Store

__all__ = ["COMMIT_SECONDS", "Writer"]

COMMIT_SECONDS = 5.0
"""The work that a crash can lose at most, and the time that another writer may have to wait."""

_COMMIT_WRITES = 500


class Writer:
    """Collects writes and commits them together. Between commits the catalog is free for other writers.

    A write may add others, which are part of the same commit. Use on the thread that owns the store.
    """

    def __init__(self, store: Store, *, cancelled: Callable[[], bool]) -> None:
        self._store = store
        self._cancelled = cancelled
        self._writes: deque[Callable[[], None]] = deque()
        self._optional: deque[Callable[[], None]] = deque()
        self._committed_at = time.monotonic()

    def add(self, write: Callable[[], None]) -> None:
        """Schedule a write for the next commit."""
        self._writes.append(write)

    def add_optional(self, write: Callable[[], None]) -> None:
        """Schedule a write after all others. It is skipped if the run is cancelled: the next run can do it."""
        self._optional.append(write)

    @property
    def left_over(self) -> bool:
        """Whether optional writes are still waiting."""
        return bool(self._optional)

    def commit_if_due(self) -> None:
        """Commit if enough time has passed or enough writes are waiting."""
        if time.monotonic() - self._committed_at >= COMMIT_SECONDS or len(self._writes) >= _COMMIT_WRITES:
            self.commit()

    def commit(self, last: Callable[[], None] = lambda: None) -> None:
        """Write everything that waits, then `last`. If that takes long, commit every few seconds."""
        done = False
        while not done:
            with self._store.transaction():
                until = time.monotonic() + COMMIT_SECONDS
                while not done:
                    if self._writes:
                        self._writes.popleft()()
                    elif self._optional and not self._cancelled():
                        self._optional.popleft()()
                    else:
                        last()
                        done = True
                    if time.monotonic() >= until:
                        break
        self._committed_at = time.monotonic()
