"""What an indexing run did, in figures."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Report"]


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run did. `photos` and `faces` are the index's afterwards; the others count this run's photos.

    `given_up` lists photos that ended a process which worked on nothing else. `offline` lists roots that were missing,
    `unreadable` folders that could not be listed; `stopped` says that the run was cancelled before its end.
    `not_looked_at` counts media files of kinds that are not read, by the suffixes of their names. `ours` are pictures
    that facesearch made, which are no photos and count as nothing else. `headers` of known photos were read again,
    because this version reads more in them. `seconds` is the time the run took.
    """

    photos: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    moved: int = 0
    missing: int = 0
    removed: int = 0
    no_face: int = 0
    failed: int = 0
    faces: int = 0
    ours: int = 0
    headers: int = 0
    seconds: float = 0.0
    given_up: list[str] = field(default_factory=list)
    offline: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    not_looked_at: dict[str, int] = field(default_factory=dict)
    stopped: bool = False

    @property
    def read(self) -> int:
        """Photos whose files were read."""
        return self.new + self.changed + self.moved

    @property
    def complete(self) -> bool:
        """Whether every root could be listed and the run came to its end."""
        return not (self.offline or self.unreadable or self.stopped)
