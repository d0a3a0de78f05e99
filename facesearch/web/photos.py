"""Photos and faces by their ids: what is known of them, and pictures without metadata."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Annotated, Any, BinaryIO, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import Field

from facesearch.api.index import Index
from facesearch.api.photos import IndexedPhoto
from facesearch.api.results import FaceRecord, Picture
from facesearch.errors import StorageError
from facesearch.render.records import path_keys
from facesearch.visible import visible
from facesearch.web.asked import Asked, Id
from facesearch.web.problems import ProblemError
from facesearch.web.rights import Rights, Visitor
from facesearch.web.serving import needs, serving_of

__all__ = ["Chosen", "as_file", "photo_record", "picture_response", "router"]

router = APIRouter(prefix="/api/v1", tags=["photos"])

Looks = Annotated[Visitor, Depends(needs(Rights.LOOK))]

_KEPT = "private, max-age=0, must-revalidate"
"""A browser keeps a picture, and asks each time whether it is still the one that may be shown."""
_MOST_ZIPPED = 500
_MOST_ZIP_BYTES = 2 * 2**30


@router.get("/photos/{photo}", summary="Show a photo")
async def show(request: Request, photo: Id, _: Looks) -> JSONResponse:
    """Return a photo with its faces."""
    return JSONResponse(await serving_of(request).ask(lambda index: photo_record(index.photos.show(photo))))


@router.get("/photos/{photo}/picture", summary="Get a picture of a photo", response_class=Response)
async def picture(
    request: Request, photo: Id, _: Looks, side: Annotated[Literal["320", "640", "1280", "2560"], Query()] = "640"
) -> Response:
    """Return the photo as JPEG, upright and without metadata, its longer side at most `side` pixels."""
    return await _picture(request, lambda index: index.photos.picture(photo, int(side)))


@router.get("/faces/{face}/picture", summary="Get a picture of a face", response_class=Response)
async def face_picture(
    request: Request, face: Id, _: Looks, side: Annotated[Literal["96", "192", "384"], Query()] = "192"
) -> Response:
    """Return a square around a face as JPEG, of `side` pixels."""
    return await _picture(request, lambda index: index.photos.face_picture(face, int(side)))


@router.get("/photos/{photo}/original", summary="Get the file of a photo", response_class=Response)
async def original(request: Request, photo: Id, _: Looks) -> Response:
    """Return the file of a photo as it is, with its metadata, for download."""

    def read(index: Index) -> tuple[bytes, bytes]:
        return index.photos.original(photo), index.photos.path(photo)

    data, path = await serving_of(request).draw(read)
    return Response(data, media_type="application/octet-stream", headers=as_file(os.path.basename(path)))


class Chosen(Asked):
    """Photos by their ids."""

    photos: Annotated[list[Id], Field(min_length=1, max_length=_MOST_ZIPPED)]


@router.post("/photos/zip", summary="Get the files of several photos", response_class=Response)
async def zipped(request: Request, chosen: Chosen, _: Looks) -> Response:
    """Return the files of photos, as they are, in a ZIP file."""
    stream = await serving_of(request).pack(lambda index: _zip(index, list(dict.fromkeys(chosen.photos))))
    return StreamingResponse(_pieces(stream), media_type="application/zip", headers=as_file(b"photos.zip"))


def photo_record(photo: IndexedPhoto) -> dict[str, Any]:
    """Return a photo as plain values."""
    return {
        "photo_id": photo.photo_id, **path_keys("path", photo.path), "width": photo.width, "height": photo.height,
        "date": photo.date, "date_source": photo.date_source, "date_precision": photo.date_precision,
        "faces": [_face_record(face) for face in photo.faces],
    }  # fmt: skip


def _face_record(face: FaceRecord) -> dict[str, Any]:
    box, detection = face.detection.box, face.detection
    return {
        "face_id": face.face_id,
        "box": [round(side, 1) for side in (box.left, box.top, box.width, box.height)],
        "det_score": None if detection.is_given else round(detection.score, 4),
        "quality": None if face.quality is None else round(face.quality, 3),
        "person": face.person, "name": face.name,
    }  # fmt: skip


async def _picture(request: Request, make: Callable[[Index], Picture]) -> Response:
    return picture_response(request, await serving_of(request).draw(make))


def picture_response(request: Request, made: Picture) -> Response:
    """Return a picture, or that the browser has it already."""
    headers = {"ETag": f'"{made.tag}"', "Cache-Control": _KEPT}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(made.data, media_type="image/jpeg", headers=headers)


def _zip(index: Index, photos: list[int]) -> BinaryIO:
    """Return photos in a ZIP file, uncompressed; it is a temporary file without a name.

    Raises `ProblemError` if they are too large together, `StorageError` if there is no room for them.
    """
    stream: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 (whoever sends it closes it)
    try:
        _write_zip(stream, index, photos)
    except BaseException as error:
        stream.close()
        if isinstance(error, OSError):
            raise StorageError(f"the ZIP file cannot be written ({error.strerror}); choose fewer photos") from error
        raise
    stream.seek(0)
    return stream


def _write_zip(stream: BinaryIO, index: Index, photos: list[int]) -> None:
    """Write photos to a ZIP file, under names that differ."""
    names = set[str]()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for photo in photos:
            name = visible(os.path.basename(index.photos.path(photo)).decode(errors="replace")).replace("\\", "_")
            if name in names:
                stem, suffix = os.path.splitext(name)
                name = f"{stem} ({photo}){suffix}"
            names.add(name)
            archive.writestr(name, index.photos.original(photo))
            if stream.tell() > _MOST_ZIP_BYTES:
                size = f"{_MOST_ZIP_BYTES // 2**30} GB"
                raise ProblemError(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the photos are larger than {size} together; choose fewer"
                )


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while piece := stream.read(1 << 20):
            yield piece


def as_file(name: bytes) -> dict[str, str]:
    """Return the header that lets a browser save a file under a name of any bytes."""
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
