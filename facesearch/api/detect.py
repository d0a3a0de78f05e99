"""Detect the faces in a photo, without an index."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from facesearch.api.opening import Models, as_model
from facesearch.arguments import AnyPath, require_whole_number, text_of_path
from facesearch.events import SILENT, Observer
from facesearch.settings import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    from pathlib import Path

    from facesearch.care.copies import Export
    from facesearch.search.probes import Probe

__all__ = ["detect", "save_faces"]


def detect(
    photo: AnyPath,
    *,
    model: AnyPath | None = None,
    device: str = "auto",
    threads: int = 0,
    rotations: bool = True,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    observer: Observer = SILENT,
) -> list[Probe]:
    """Detect the faces in a photo; the largest comes first, each with box, landmarks, score, quality and embedding.

    `model` is `embedded`, the name of a pack or a folder; None selects the model for new indexes. `device` and
    `threads` are those of `Index.open`. A photo without a clear face is also tried turned by 90, 180 and 270 degrees,
    unless `rotations` is false. A photo with more than `max_pixels` is refused.

    Raises `PhotoError` if the photo cannot be read, `NoFaceError` if it shows no face, `ModelError`, `DeviceError`.
    """
    path = text_of_path("photo", photo)
    require_whole_number("max_pixels", max_pixels, 1)
    models = Models(device, threads, observer)
    from facesearch.models.resolve import choose_model
    from facesearch.search.probes import probe_faces

    opened = models.open(choose_model(as_model(model)).name, few=True, at_once=False)
    return probe_faces(opened, path, rotations=rotations, max_pixels=max_pixels, mark=observer.lap)


def save_faces(faces: list[Probe], folder: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Export:
    """Save faces of one photo as JPEG files in `folder`, one per face. Nothing is overwritten.

    Raises `StorageError` if the folder cannot be written to.
    """
    from facesearch.care.copies import save_crops

    return save_crops(
        [(face.path, face.number, face.face.detection.box, partial(_read, face.path)) for face in faces],
        folder,
        max_pixels=max_pixels,
    )


def _read(path: str) -> bytes:
    from facesearch.errors import PhotoError

    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:  # it was there a moment ago
        raise PhotoError(f"{path}: cannot be read ({error.strerror}); check the path") from error
