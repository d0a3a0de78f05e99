"""Plan an indexing run: how the folders that it scans differ from the catalog.

Only names, sizes and times are compared. No photo is read, and nothing is written.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from facesearch.catalog.records import KnownPhoto, Root
from facesearch.events import SILENT, Observer
from facesearch.index.store import Store
from facesearch.indexing.options import Options
from facesearch.indexing.report import Report
from facesearch.indexing.scopes import Scope, known_photos
from facesearch.photos.scan import is_offline, scan
from facesearch.types import PhotoFile

__all__ = [
    "Plan",
    "Task",
    "forgotten_before",
    "looks_unchanged",
    "make_plan",
    "side_by_side",
]

_CLOCK_SLACK_NS = 2_000_000_000
_HOUR_NS = 3_600_000_000_000
_ZONES = 14
_ASK_EVERY = 256


class Task(NamedTuple):
    """A file to read; `known` is the catalog's photo at its path, if any."""

    root: Root
    file: PhotoFile
    known: KnownPhoto | None

    @property
    def path(self) -> bytes:
        """The absolute path, in the system's bytes."""
        return os.path.join(self.root.path, self.file.path) if self.file.path else self.root.path

    @property
    def size(self) -> int:
        """The size in bytes, according to the scan."""
        return self.file.size


class Plan(NamedTuple):
    """What a run has to do. Photos can be recognised as missing only in `seen` roots, which were available.

    `tasks` are the files to read, `gone` the ids of photos whose files are missing, `back` the ids of hidden photos
    whose files are back unchanged, and `handed_over` the ids of photos whose files are in other shards now.
    """

    tasks: list[Task]
    gone: list[int]
    back: list[int]
    handed_over: list[int]
    seen: set[int]


def make_plan(
    store: Store,
    scopes: Sequence[Scope],
    options: Options,
    report: Report,
    observer: Observer = SILENT,
) -> Plan:
    """Compare the files on disk with the known photos, both in the order of their paths.

    Photos that need no work are counted in the report. If `observer` cancels, the plan ends early and the report says
    so.
    """
    plan = Plan([], [], [], [], set())
    for number, scope in enumerate(scopes):
        if not scope.shard.is_all:
            report.shards[os.fsdecode(scope.root.path)] = str(scope.shard)
        if number and observer.cancelled():
            report.stopped = True
            break
        if is_offline(scope.root.path):
            _leave_offline(store, scope, report)
        else:
            plan.seen.add(scope.root.id)
            _compare(store, scope, options, plan, report, observer)
    # New paths first: if files were renamed in a chain, each old name is free when its turn comes.
    # Then known photos that an earlier version did not measure: so every run makes progress, however short.
    plan.tasks.sort(key=lambda task: (task.known is not None, task.known is not None and task.known.measured))
    return plan


def _leave_offline(store: Store, scope: Scope, report: Report) -> None:
    """Report a root as missing: an unmounted disk looks like an empty or missing folder, so no photo is hidden."""
    root, within, _ = scope
    kept = sum(not known.missing for known in store.catalog.photos.within(root.id, within))
    report.unchanged += kept
    if kept or not os.path.exists(root.path):
        report.offline.append(os.fsdecode(root.path))


def _compare(store: Store, scope: Scope, options: Options, plan: Plan, report: Report, observer: Observer) -> None:
    """Add the differences in one scope to the plan. In a folder that cannot be listed, no photo counts as missing."""
    root, within, shard = scope
    unlisted: list[bytes] = []

    def unreadable(folder: bytes, reason: str) -> None:
        unlisted.append(folder)
        report.unreadable.append(f"{os.fsdecode(os.path.join(root.path, folder))}: {reason}")

    def other(path: bytes) -> None:
        if not shard.has(path):
            return
        suffix = os.fsdecode(os.path.splitext(path)[1]).lower()
        report.not_looked_at[suffix] = report.not_looked_at.get(suffix, 0) + 1

    def wanted(path: bytes) -> bool:
        here = shard.has(path)
        report.other_shards += not here
        return here

    files = scan(root.path, within, unreadable=unreadable, other=other, wanted=wanted)
    for number, (file, known) in enumerate(side_by_side(files, known_photos(store, root.id, within)), start=1):
        if number % _ASK_EVERY == 0 and observer.cancelled():
            report.stopped = True
            return
        if file is None:
            assert known is not None
            if any(not folder or known.file.path.startswith(os.path.join(folder, b"")) for folder in unlisted):
                report.unchanged += not known.missing
            elif not shard.has(known.file.path) and not _is_missing(os.path.join(root.path, known.file.path)):
                if not known.handed_over:
                    plan.handed_over.append(known.id)
            elif not known.missing or known.handed_over:
                plan.gone.append(known.id)
        elif known is None or (known.status != "unwanted" and _is_to_be_read(file, known, options)):
            plan.tasks.append(Task(root, file, known))
        else:
            report.ours += known.ours
            report.unchanged += not known.ours
            if known.missing:
                plan.back.append(known.id)


def _is_missing(path: bytes) -> bool:
    """Whether there is certainly no file at a path."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the path
        return True
    except OSError:
        return False
    return False


def _is_to_be_read(file: PhotoFile, known: KnownPhoto, options: Options) -> bool:
    broken = known.status == "failed" and known.was_read  # keeps its earlier faces until its content changes
    if options.again or (known.outdated and not broken) or not looks_unchanged(file, known.file):
        return True
    return known.status == "failed" and (options.retry_failed or not known.was_read)


def side_by_side(
    files: Iterable[PhotoFile], known: Iterable[KnownPhoto]
) -> Iterator[tuple[PhotoFile | None, KnownPhoto | None]]:
    """Pair two sequences, both in the order of their paths, by path; None stands for a path missing from one."""
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
    """Whether a file has the same size and the same time, allowing for what file systems do to times.

    FAT stores times in steps of two seconds and in local time, and some network shares do the same. So a difference of
    up to two seconds, or of whole hours up to the range of the world's time zones, does not count as a change.
    """
    if now.size != then.size:
        return False
    apart = abs(now.mtime_ns - then.mtime_ns)
    hours = (apart + _CLOCK_SLACK_NS) // _HOUR_NS
    return hours <= _ZONES and abs(apart - hours * _HOUR_NS) <= _CLOCK_SLACK_NS


def forgotten_before(options: Options) -> int:
    """Return the time, in seconds since 1970, before which photos must have gone missing to be deleted now."""
    return max(0, int(time.time() - min(options.keep_missing, 1e12)))
