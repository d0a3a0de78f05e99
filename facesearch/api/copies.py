"""Copy or link the photos found into a folder, or save their faces. Nothing is overwritten."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.settings import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    from facesearch.care.copies import Export
    from facesearch.search.result import QueryResult
    from facesearch.types import Box

__all__ = ["copy_found", "crop_found", "link_found"]


def copy_found(result: QueryResult, folder: Path, *, dry_run: bool = False) -> Export:
    """Copy the photos that reach the threshold, with their timestamps.

    A photo that is missing or has changed since it was indexed is listed in `failed`. With `dry_run` nothing is
    written. Raises `StorageError` if the folder cannot be written to.
    """
    from facesearch.care.copies import copy_photos

    return copy_photos([hit.face.file for hit in result.found], folder, dry_run=dry_run)


def link_found(result: QueryResult, folder: Path, *, hard: bool = False, dry_run: bool = False) -> Export:
    """Link to the photos that reach the threshold, with symbolic or `hard` links. Otherwise like `copy_found`."""
    from facesearch.care.copies import link_photos

    return link_photos([hit.face.file for hit in result.found], folder, hard=hard, dry_run=dry_run)


def crop_found(
    result: QueryResult, folder: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS, dry_run: bool = False
) -> Export:
    """Save the faces that reach the threshold as JPEG files, each once. Otherwise like `copy_found`."""
    from facesearch.care.copies import save_crops

    return save_crops(_faces(result), folder, max_pixels=max_pixels, dry_run=dry_run)


def _faces(result: QueryResult) -> Iterator[tuple[str, int, Box, Callable[[], bytes]]]:
    from facesearch.photos.known import read_known

    for face in {hit.face.face_id: hit.face for hit in result.found}.values():
        yield os.fsdecode(face.path), face.face_id, face.detection.box, partial(read_known, face.file)
