"""Rows of the catalog as types: roots, photos, counts; and how they are read from columns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from facesearch.types import PhotoFile

__all__ = [
    "KNOWN_PHOTO",
    "SAME_FACE",
    "Counts",
    "KnownPhoto",
    "PendingPhoto",
    "Root",
    "Status",
    "known_photo",
    "path_in_root",
]

Status = Literal["faces", "no_face", "failed", "unwanted"]
"""What became of a photo; an unwanted one was forgotten for ever, and is not read again."""

SAME_FACE = 0.4
"""How much the boxes of two models overlap at least, as intersection over union, where they found the same face.

Of 93 faces that YuNet and SCRFD both found in 71 photos the boxes overlapped by 0.58 (a face cut by the border) to
0.96, half of them by 0.90 or more. Two faces of one model never overlap by more than 0.4.
"""


class Root(NamedTuple):
    """A folder, or a single file, that was given to be indexed; `path` is absolute, in the system's bytes."""

    id: int
    path: bytes


@dataclass(frozen=True, slots=True)
class KnownPhoto:
    """A photo as the catalog knows it; `file.path` is relative to its root, empty where the root is the file.

    `was_read` tells that its bytes could be read, whatever became of them, `measured` that its fingerprint was taken,
    `outdated` that the index's model has not seen it yet: its faces are an earlier one's, and are not found.
    `deaths` is how many processes died while they looked at it alone; `ours` is a picture that facesearch made, and no
    photo.
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


class Counts(NamedTuple):
    """What is in an index; photos that have gone from sight are `missing` and not among the others.

    Pictures that facesearch made are no photos; see `Photos.count_ours`.
    """

    photos: int
    faces: int
    no_face: int
    failed: int
    missing: int


class PendingPhoto(NamedTuple):
    """A photo that the next model has not seen yet: its absolute path, its size in bytes, its content's SHA-256."""

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
)
"""The columns of `known_photo`, in its order."""


def known_photo(row: Sequence[Any]) -> KnownPhoto:
    """A photo from the values of `KNOWN_PHOTO`."""
    row_id, root, path, size, mtime_ns, status, missing, was_read, measured, outdated, deaths, ours = row
    file = PhotoFile(path, size, mtime_ns)
    return KnownPhoto(
        row_id, root, file, status, bool(missing), bool(was_read), bool(measured), bool(outdated), deaths, bool(ours)
    )


def path_in_root(root: bytes, path: bytes) -> bytes:
    """The absolute path of a photo from its root's and its own, which is empty where the root is the file."""
    return os.path.join(root, path) if path else root
