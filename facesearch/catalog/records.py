"""The types of catalog rows (roots, photos, counts), and how they are read from columns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from facesearch.types import PhotoFile

__all__ = [
    "KNOWN_PHOTO",
    "Counts",
    "Grouped",
    "KnownPhoto",
    "PendingPhoto",
    "Root",
    "Status",
    "known_photo",
    "path_in_root",
]

Status = Literal["faces", "no_face", "failed", "unwanted"]
"""The result of reading a photo. An unwanted one is on the never-again list and is not read again."""


class Root(NamedTuple):
    """A folder or a single file that the user indexed; `path` is absolute, in the system's bytes."""

    id: int
    path: bytes


@dataclass(frozen=True, slots=True)
class KnownPhoto:
    """A photo as the catalog knows it; `file.path` is relative to its root, empty if the root is the file.

    `was_read` is set if its bytes could be read, even if decoding failed; `measured` if it has a fingerprint;
    `outdated` if the index's model has not processed it yet: its faces come from an earlier model and are not found.
    `deaths` is the number of processes that died while they processed it alone. `ours` marks a picture that facesearch
    made, which is not a photo. `handed_over` is set if it is hidden because another shard has it, not because it is
    missing from the disk.
    """

    id: int
    root: int
    file: PhotoFile
    status: Status
    missing: bool
    was_read: bool = True
    measured: bool = True
    outdated: bool = False
    deaths: int = 0
    ours: bool = False
    handed_over: bool = False


class Counts(NamedTuple):
    """The numbers of photos and faces in an index. Hidden photos are `missing` and not counted elsewhere.

    Pictures that facesearch made do not count as photos; see `Photos.count_ours`.
    """

    photos: int
    faces: int
    no_face: int
    failed: int
    missing: int


class Grouped(NamedTuple):
    """What was grouped by person: all vectors and statements up to these ids, into a number of `people`."""

    vectors: int
    statements: int
    people: int


class PendingPhoto(NamedTuple):
    """A photo that the next model has not processed: absolute path, size in bytes, SHA-256 of its content."""

    root: int
    path: bytes
    size: int
    content: bytes


KNOWN_PHOTO = (
    "photos.id",
    "photos.root",
    "photos.path",
    "photos.size",
    "photos.mtime_ns",
    "photos.status",
    "photos.missing_since IS NOT NULL",
    "photos.hash IS NOT NULL",
    "photos.fingerprint IS NOT NULL",
    "photos.outdated",
    "photos.deaths",
    "photos.ours",
    "photos.missing_since IS NOT NULL AND photos.id IN (SELECT photo FROM handed_over)",
)
"""The columns of `known_photo`, in its order."""


def known_photo(row: Sequence[Any]) -> KnownPhoto:
    """Return a photo from the values of `KNOWN_PHOTO`."""
    row_id, root, path, size, mtime_ns, status, missing, was_read, measured, outdated, deaths, ours, handed_over = row
    file = PhotoFile(path, size, mtime_ns)
    return KnownPhoto(
        row_id, root, file, status, bool(missing), bool(was_read), bool(measured), bool(outdated), deaths, bool(ours),
        bool(handed_over),
    )  # fmt: skip


def path_in_root(root: bytes, path: bytes) -> bytes:
    """Return the absolute path of a photo; `path` is relative to the root, empty if the root is the file."""
    return os.path.join(root, path) if path else root
