"""The report of an indexing run."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Report"]


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run did. `photos` and `faces` are those in the index afterwards; the other fields count this run's photos.

    `given_up` lists photos that ended a process which processed nothing else. `offline` lists missing roots,
    `unreadable` folders that could not be listed; `stopped` is set if the run was cancelled. `not_looked_at` counts
    skipped media files of unsupported kinds, by suffix. `ours` counts pictures that facesearch made, which do not count
    as photos. `headers` counts known photos whose headers were read again, because this version reads more in them.
    `seconds` is the duration of the run. `people` is the number of people in the index, if it groups faces by person:
    `new_people` of them were found in this run, and `grouped` faces belong to one of them. `unpushed` are the galleries
    that should have got the changes but could not be reached.

    `left_out` counts faces that were not kept because they are of people who were forgotten and are never to be indexed
    again. `expired` counts such people who are indexed from now on, because their time is over.

    `shards` has the shard, such as `3/10`, of each folder of this run that the index does not take as a whole.
    `other_shards` counts the photo files there that are in other shards, which were skipped, and `handed_over` known
    photos that were hidden because they are in other shards now.
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
    other_shards: int = 0
    handed_over: int = 0
    left_out: int = 0
    expired: int = 0
    seconds: float = 0.0
    people: int | None = None
    new_people: int = 0
    grouped: int = 0
    given_up: list[str] = field(default_factory=list)
    offline: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    not_looked_at: dict[str, int] = field(default_factory=dict)
    unpushed: list[str] = field(default_factory=list)
    shards: dict[str, str] = field(default_factory=dict)
    stopped: bool = False

    @property
    def read(self) -> int:
        """Photos whose files were read."""
        return self.new + self.changed + self.moved

    @property
    def complete(self) -> bool:
        """Whether every root could be listed, every gallery be reached, and the run was not cancelled."""
        return not (self.offline or self.unreadable or self.unpushed or self.stopped)
