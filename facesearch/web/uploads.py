"""Photos that are added from a page: kept in one folder, and indexed at once."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from facesearch.api.index import Index
from facesearch.api.results import PhotoBytes
from facesearch.errors import LockedError, NoFaceError, PhotoError, StorageError
from facesearch.files import replacing

__all__ = ["kept_uploads"]

_LONGEST_NAME = 150


def kept_uploads(index: Index, folder: Path, photos: list[PhotoBytes]) -> dict[str, Any]:
    """Keep photos in a folder and index them; return what became of each, in their order.

    A photo that the index has is not kept again; one that cannot be read is refused. While another run is writing, new
    photos wait for the next run. Raises `StorageError` if the folder cannot be written to.
    """
    results: list[dict[str, Any]] = []
    kept: dict[bytes, Path] = {}
    for photo in photos:
        content = hashlib.sha256(photo.data).digest()
        known = index.photos.with_content(content)
        if known is not None:
            results.append({"name": photo.name, "result": "known", "photo_id": known})
            continue
        if content in kept:
            results.append({"name": photo.name, "result": "known", "file": kept[content].name})
            continue
        try:
            index.look_at(photo)
        except NoFaceError:
            pass  # a photo all the same
        except PhotoError as error:
            results.append({"name": photo.name, "result": "refused", "reason": str(error)})
            continue
        kept[content] = _keep(folder, photo)
        results.append({"name": photo.name, "result": "kept", "file": kept[content].name})
    return {"photos": results, "indexed": _indexed(index, list(kept.values()), results)}


def _keep(folder: Path, photo: PhotoBytes) -> Path:
    """Write a photo under its own name, or with a number if there is another photo of that name.

    If it is there already, because it waits for the next run, it is not written again.
    """
    stem, suffix = os.path.splitext(photo.name.lstrip(".").replace("/", "_").replace("\0", "_") or "photo")
    stem = stem.encode()[:_LONGEST_NAME].decode(errors="ignore") or "photo"
    suffix = suffix.encode()[:20].decode(errors="ignore")
    path = folder / f"{stem}{suffix}"
    number = 1
    while os.path.lexists(path):
        if _holds(path, photo.data):
            return path
        number += 1
        path = folder / f"{stem} ({number}){suffix}"
    try:
        with replacing(path) as stream:
            stream.write(photo.data)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror}); check the folder") from error
    return path


def _holds(path: Path, data: bytes) -> bool:
    """Whether a file has this content."""
    try:
        return path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False


def _indexed(index: Index, kept: list[Path], results: list[dict[str, Any]]) -> bool:
    """Index new photos, and note their ids; return False if another run is writing, which leaves them to the next."""
    if not kept:
        return True
    try:
        index.refresh(kept)
    except LockedError:
        return False
    for result in results:
        if "file" in result:
            result["photo_id"] = index.photos.at(next(path for path in kept if path.name == result["file"]))
    return True
