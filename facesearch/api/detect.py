"""The faces in a photo, without an index."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from facesearch.events import SILENT, Observer
from facesearch.settings import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    from pathlib import Path

    from facesearch.care.copies import Export
    from facesearch.search.probes import Probe

__all__ = ["detect", "save_faces"]


def detect(
    photo: str | os.PathLike[str],
    *,
    model: str | None = None,
    device: str = "auto",
    threads: int = 0,
    rotations: bool = True,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    observer: Observer = SILENT,
) -> list[Probe]:
    """The faces in a photo, the largest first, each with its box, landmarks, score, quality and embedding.

    `model` is `embedded`, a pack's name or a folder; None: the one that new indexes get. Without `rotations` it is not
    looked at turned on its sides. Raises `PhotoError` where it cannot be read, `NoFaceError` where it shows no face,
    `ModelError`, `DeviceError`.
    """
    from facesearch.models.resolve import choose_model, open_model
    from facesearch.models.runtime import choose_runtime
    from facesearch.search.probes import probe_faces

    opened = open_model(choose_model(model).name, choose_runtime(device, threads, few=True, notify=observer.note))
    return probe_faces(opened, os.fspath(photo), rotations=rotations, max_pixels=max_pixels, mark=observer.lap)


def save_faces(faces: list[Probe], folder: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Export:
    """Cut faces of one photo out of it, a JPEG file for each in `folder`; nothing is overwritten.

    Raises `StorageError` where the folder cannot be written to.
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
