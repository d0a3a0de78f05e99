"""Pictures of photos and faces, for pages: in few sizes, as JPEG, without the metadata of the photos."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facesearch.errors import PhotoError, UsageError
from facesearch.visible import shown_path

if TYPE_CHECKING:
    from facesearch.photos.previews import Previews
    from facesearch.types import FaceRecord, KnownFile

__all__ = ["FACE_SIDES", "PHOTO_SIDES", "Picture", "about_photo", "picture_of_face", "picture_of_photo"]

PHOTO_SIDES = (320, 640, 1280, 2560)
"""The longer side of a picture of a photo, in pixels. Few sizes, because each is kept on disk."""
FACE_SIDES = (96, 192, 384)
"""The side of a picture of a face, in pixels."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as JPEG, without the metadata of its photo. Two pictures with the same `tag` are equal."""

    data: bytes
    tag: str


def picture_of_photo(
    previews: Previews, file: KnownFile, mtime_ns: int, side: int, is_known: Callable[[], bool]
) -> Picture:
    """Return a whole photo, upright, its longer side at most `side` pixels; see `Previews.photo`.

    Raises `UsageError` unless `side` is one of `PHOTO_SIDES`, `PhotoError` with the path.
    """
    _require_side(side, PHOTO_SIDES)
    data = about_photo(file, lambda: previews.photo(file, mtime_ns, side, is_known))
    return Picture(data, f"{(file.content or b'').hex()[:32]}-{side}")


def picture_of_face(previews: Previews, face: FaceRecord, side: int, is_known: Callable[[], bool]) -> Picture:
    """Return a square around a face, of `side` pixels; see `Previews.face`.

    Raises `UsageError` unless `side` is one of `FACE_SIDES`, `PhotoError` with the path.
    """
    _require_side(side, FACE_SIDES)
    file, box = face.file, face.detection.box
    data = about_photo(file, lambda: previews.face(file, face.mtime_ns, box, side, is_known))
    return Picture(data, f"{(file.content or b'').hex()[:32]}-{side}-{face.face_id}")


def about_photo(file: KnownFile, read: Callable[[], bytes]) -> bytes:
    """Return what is read of a photo. Raises `PhotoError` with the path."""
    try:
        return read()
    except PhotoError as error:
        raise error.about(shown_path(os.fsdecode(file.path))) from error


def _require_side(side: int, sides: tuple[int, ...]) -> None:
    if side not in sides:
        raise UsageError(f"side {side!s:.20}: choose one of {', '.join(map(str, sides))}", option="side")
