"""What an indexing run has to do: which folders it looks at, and what in them differs from the catalog.

Names, sizes and times are compared; no photo is read, and nothing is written.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from facesearch.catalog.catalog import KnownPhoto, Root
from facesearch.errors import Hint, InputError, UsageError
from facesearch.index.store import Store
from facesearch.locations import Locations, Place, absolute, resolved
from facesearch.photos.decode import DEFAULT_MAX_PIXELS
from facesearch.photos.scan import is_offline, scan
from facesearch.types import PhotoFile

__all__ = [
    "Options",
    "Plan",
    "Report",
    "Scope",
    "Task",
    "find_scopes",
    "forgotten_before",
    "looks_unchanged",
    "make_plan",
    "require_paths",
    "side_by_side",
]

_CLOCK_SLACK_NS = 2_000_000_000
_HOUR_NS = 3_600_000_000_000
_ZONES = 14
_LOOK_UP_EVERY = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How photos are read, and when hidden ones go. `workers` photos are worked on at once.

    `again` reads all, also those that are known and unchanged; their faces keep their ids.

    Photos being read and looked at take up to `memory` bytes, whatever their number; a single one may take more.

    A photo that has been out of sight for `keep_missing` seconds is deleted for good; 0 deletes at once.
    """

    rotations: bool = True
    retry_failed: bool = False
    again: bool = False
    max_pixels: int = DEFAULT_MAX_PIXELS
    workers: int = 1
    memory: int = 640 * 2**20
    keep_missing: float = 30 * 86400.0


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run did. `photos` and `faces` are the index's afterwards; the others count this run's photos.

    `given_up` lists photos that ended a process which looked at nothing else. `offline` lists roots that were missing,
    `unreadable` folders that could not be looked into; `stopped` tells that the run was asked to end early.
    `not_looked_at` counts files with pictures in them that are not read, by the endings of their names. `ours` are
    pictures that facesearch made, which are no photos and count as nothing else. `headers` were read again, of photos
    that are known, because this version reads more in them.
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
        """Whether every root could be looked at and the run came to its end."""
        return not (self.offline or self.unreadable or self.stopped)


def require_paths(paths: Iterable[Path | bytes]) -> None:
    """Raises `InputError` for the first path where there is neither a file nor a folder."""
    for path in paths:
        if not os.path.exists(path):
            raise InputError(f"{os.fsdecode(path)}: no such file or folder; check the path")
        if not (os.path.isfile(path) or os.path.isdir(path)):
            raise InputError(f"{os.fsdecode(path)}: neither a file nor a folder; name a photo or a folder of photos")


class Scope(NamedTuple):
    """A root, or one folder or file of it."""

    root: Root
    within: bytes


class Task(NamedTuple):
    """A file to be read; `known` is what the catalog has at its path."""

    root: Root
    file: PhotoFile
    known: KnownPhoto | None

    @property
    def path(self) -> bytes:
        """Absolute, in the system's bytes."""
        return os.path.join(self.root.path, self.file.path) if self.file.path else self.root.path

    @property
    def size(self) -> int:
        """Bytes, as the scan saw it."""
        return self.file.size


class Plan(NamedTuple):
    """`seen` are the roots that are there: only in them a photo can be known to have gone."""

    tasks: list[Task]
    gone: list[int]
    back: list[int]
    seen: set[int]


def find_scopes(store: Store, paths: Sequence[Path]) -> list[Scope]:
    """What to look at. Paths that are in no root yet become roots, outer ones before inner ones."""
    roots = {root.id: root for root in store.catalog.roots()}
    if not paths:
        if not roots:
            raise UsageError("nothing to index yet", Hint.NAME_A_FOLDER)
        return [Scope(root, b"") for root in roots.values()]
    locations = Locations(roots.values())
    wanted = sorted({absolute(path) for path in paths}, key=lambda path: len(resolved(path)))  # outer ones first
    require_paths(path for path in wanted if not _is_known(store, locations, path))
    scopes: dict[Place, Scope] = {}
    for path in wanted:
        places = locations.containing(path)
        if not places:
            root = store.catalog.add_root(path, locations)
            roots[root.id], places = root, [Place(root.id, b"")]
        for place in places:
            if not any(Place(place.root, folder) in scopes for folder in _upwards(place.inner)):
                scopes[place] = Scope(roots[place.root], place.inner)
    return list(scopes.values())


def _is_known(store: Store, locations: Locations, path: bytes) -> bool:
    """Whether a path is a root, or holds photos of one: then it may be gone, and that is what is looked for."""
    return any(
        not place.inner or next(_known(store, place.root, place.inner), None) is not None
        for place in locations.containing(path)
    )


def _upwards(inner: bytes) -> Iterator[bytes]:
    """A path in a root, its folder, the folder of that, up to the root."""
    while inner:
        yield inner
        inner = os.path.dirname(inner)
    yield b""


def make_plan(
    store: Store,
    scopes: Sequence[Scope],
    options: Options,
    report: Report,
    should_stop: Callable[[], bool] = lambda: False,
) -> Plan:
    """Compare what is there with what is known, both in the order of their paths; nothing is read or written.

    Where it is asked to stop the plan ends early, and the report says so.
    """
    plan = Plan([], [], [], set())
    for place, (root, within) in enumerate(scopes):
        if place and should_stop():
            report.stopped = True
            break
        if is_offline(root.path):
            # An unmounted disk looks like an empty folder. Nothing is hidden because of it.
            kept = sum(not known.missing for known in store.catalog.photos(root.id, within))
            report.unchanged += kept
            if kept or not os.path.exists(root.path):
                report.offline.append(os.fsdecode(root.path))
            continue
        plan.seen.add(root.id)
        blind: list[bytes] = []

        def unreadable(folder: bytes, reason: str, root: Root = root, blind: list[bytes] = blind) -> None:
            blind.append(folder)
            report.unreadable.append(f"{os.fsdecode(os.path.join(root.path, folder))}: {reason}")

        def other(path: bytes) -> None:
            ending = os.fsdecode(os.path.splitext(path)[1]).lower()
            report.not_looked_at[ending] = report.not_looked_at.get(ending, 0) + 1

        files = scan(root.path, within, unreadable=unreadable, other=other)
        for number, (file, known) in enumerate(side_by_side(files, _known(store, root.id, within)), start=1):
            if number % _LOOK_UP_EVERY == 0 and should_stop():
                report.stopped = True
                break
            if file is None:
                assert known is not None
                if any(known.file.path.startswith(os.path.join(folder, b"")) or not folder for folder in blind):
                    report.unchanged += not known.missing
                elif not known.missing:
                    plan.gone.append(known.id)
            elif known is None or (known.status != "unwanted" and _is_to_be_read(file, known, options)):
                plan.tasks.append(Task(root, file, known))
            else:
                report.ours += known.ours
                report.unchanged += not known.ours
                if known.missing:
                    plan.back.append(known.id)
    # New paths first: where files were renamed in a row, each old name is free when its turn comes.
    # Of those that are looked at again, first what an earlier version left out: a run that is short of time gets on.
    plan.tasks.sort(key=lambda task: (task.known is not None, task.known is not None and task.known.measured))
    return plan


def _is_to_be_read(file: PhotoFile, known: KnownPhoto, options: Options) -> bool:
    broken = known.status == "failed" and known.was_read  # its faces are from before; they wait for another content
    if options.again or (known.outdated and not broken) or not looks_unchanged(file, known.file):
        return True
    return known.status == "failed" and (options.retry_failed or not known.was_read)


def _known(store: Store, root: int, within: bytes) -> Iterator[KnownPhoto]:
    """The photos of a scope, which may also be a single file of a root."""
    single = store.catalog.photo_at(root, within) if within else None
    if single is not None:
        yield single
    else:
        yield from store.catalog.photos(root, within)


def side_by_side(
    files: Iterable[PhotoFile], known: Iterable[KnownPhoto]
) -> Iterator[tuple[PhotoFile | None, KnownPhoto | None]]:
    """Pairs by path, of two sequences in the order of their paths; where one lacks a path its half is None."""
    rest = iter(known)
    old = next(rest, None)
    for file in files:
        while old is not None and old.file.path < file.path:
            yield None, old
            old = next(rest, None)
        if old is not None and old.file.path == file.path:
            yield file, old
            old = next(rest, None)
        else:
            yield file, None
    while old is not None:
        yield None, old
        old = next(rest, None)


def looks_unchanged(now: PhotoFile, then: PhotoFile) -> bool:
    """Same size, and the same time but for what file systems do to it.

    FAT keeps times to two seconds and in local time, and some network shares do the like: so up to two seconds, or
    whole hours up to the width of the world's time zones, are no change.
    """
    if now.size != then.size:
        return False
    apart = abs(now.mtime_ns - then.mtime_ns)
    hours = (apart + _CLOCK_SLACK_NS) // _HOUR_NS
    return hours <= _ZONES and abs(apart - hours * _HOUR_NS) <= _CLOCK_SLACK_NS


def forgotten_before(options: Options) -> int:
    """The moment, in seconds since 1970, before which a photo must have gone to be deleted now."""
    return int(time.time() - options.keep_missing)
