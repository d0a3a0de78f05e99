"""A shared gallery that is served: search, and the photos that can be reached from this machine. Nothing is written."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response

from facesearch.api.gallery import Gallery
from facesearch.api.gallery_photos import GalleryPhotos
from facesearch.api.results import NamedFace, Picture, QueryPhoto
from facesearch.errors import GalleryError, ModelSwitchedError, UsageError
from facesearch.events import observing
from facesearch.render.faces import faces_record
from facesearch.web.asked import Id, Question, photos_and_question
from facesearch.web.photos import as_file, photo_record, picture_response
from facesearch.web.problems import ProblemError
from facesearch.web.records import answer_record, coarse
from facesearch.web.rights import Keyring, Rights, Visitor
from facesearch.web.serving import SeenPhotos, needs
from facesearch.web.workers import Workers

__all__ = ["ServedGallery", "router"]

router = APIRouter(prefix="/api/v1", tags=["search"])

T = TypeVar("T")
Looks = Annotated[Visitor, Depends(needs(Rights.LOOK))]
_Index = Annotated[str, Query(max_length=100, description="The index in the gallery that has the photo.")]

_THREADS, _WAITING = 2, 16
_PICTURES_WAITING = 256


class _Connection:
    """A connection of one thread, with the pictures that it may make."""

    def __init__(self, gallery: Gallery, pictures: Path) -> None:
        self.gallery = gallery
        self.photos: GalleryPhotos = gallery.photos(pictures)


class ServedGallery:
    """One gallery that is served. Pictures are kept in a temporary folder until the server ends."""

    kind: Literal["index", "gallery"] = "gallery"

    def __init__(self, gallery: Gallery, keyring: Keyring) -> None:
        self.keyring = keyring
        self.ending = asyncio.Event()
        self.seen = SeenPhotos()
        self._pictures = tempfile.TemporaryDirectory(prefix="facesearch-")

        def connect() -> _Connection:
            return _Connection(gallery.another(), Path(self._pictures.name))

        self._questions = Workers(connect, threads=_THREADS, waiting=_WAITING, name="question", renew=GalleryError)
        self._drawing = Workers(
            connect, threads=_THREADS, waiting=_PICTURES_WAITING, name="picture", renew=GalleryError
        )

    async def ask(self, question: Callable[[_Connection], T]) -> T:
        """Answer a question. If the gallery is switched to another model meanwhile, it is asked once more."""
        try:
            return await self._questions.run(question)
        except ModelSwitchedError:
            return await self._questions.run(question)

    async def draw(self, picture: Callable[[_Connection], T]) -> T:
        """Make a picture."""
        return await self._drawing.run(picture)

    def close(self) -> None:
        """End the threads, and delete the pictures."""
        self._questions.close()
        self._drawing.close()
        self._pictures.cleanup()


def _served(request: Request) -> ServedGallery:
    served: ServedGallery = request.app.state.serving
    return served


@router.post("/search", summary="Find photos of a person")
async def search(request: Request, _: Looks) -> JSONResponse:
    """Find photos of the person in the photos, in all indexes of the gallery or in `index`."""
    served = _served(request)
    photos, question = await photos_and_question(request)
    if question.face_ids or question.with_ or question.without:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "a shared gallery is searched by photos, not by faces or names of people"
        )

    def found(connection: _Connection) -> dict[str, Any]:
        remarks: list[str] = []
        sources = [served.seen.look_at(connection.gallery, photo) for photo in photos]
        result = connection.gallery.query(
            sources, question.options([], [], _number(question)), where=question.filter(),
            observer=observing(notes=remarks.append),
        )  # fmt: skip
        return answer_record(result, remarks)

    return JSONResponse(await served.ask(found))


@router.post("/faces", summary="Find the faces in a photo")
async def faces(request: Request, _: Looks) -> JSONResponse:
    """Return the faces in a photo, the largest first."""
    served = _served(request)
    photos, _question = await photos_and_question(request)
    if len(photos) != 1:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{len(photos)} photos: give one")

    def seen(connection: _Connection) -> dict[str, Any]:
        record: dict[str, Any] = coarse(faces_record(_unnamed(served.seen.look_at(connection.gallery, photos[0]))))
        return record

    return JSONResponse(await served.ask(seen))


@router.get("/status", summary="Show what the gallery holds")
async def status(request: Request, _: Looks) -> JSONResponse:
    """Return the model and the contents of the gallery."""

    def known(connection: _Connection) -> dict[str, Any]:
        found = connection.gallery.status()
        return {
            "gallery": found.address, "model": found.model.name, "photos": found.photos, "faces": found.faces,
            "people": found.people, "indexes": [one.name for one in found.indexes], "uploads": False,
        }  # fmt: skip

    return JSONResponse(await _served(request).ask(known))


@router.get("/photos/{photo}", summary="Show a photo")
async def show(request: Request, photo: Id, index: _Index, _: Looks) -> JSONResponse:
    """Return a photo with its faces."""
    return JSONResponse(await _served(request).ask(lambda here: photo_record(here.photos.show(photo, index))))


@router.get("/photos/{photo}/picture", summary="Get a picture of a photo", response_class=Response)
async def picture(
    request: Request,
    photo: Id,
    index: _Index,
    _: Looks,
    side: Annotated[Literal["320", "640", "1280", "2560"], Query()] = "640",
) -> Response:
    """Return the photo as JPEG, upright and without metadata, its longer side at most `side` pixels."""
    return await _picture(request, lambda here: here.photos.picture(photo, index, int(side)))


@router.get("/faces/{face}/picture", summary="Get a picture of a face", response_class=Response)
async def face_picture(
    request: Request,
    face: Id,
    photo: Annotated[Id, Query(description="The photo that shows it.")],
    index: _Index,
    _: Looks,
    side: Annotated[Literal["96", "192", "384"], Query()] = "192",
) -> Response:
    """Return a square around a face as JPEG, of `side` pixels."""
    return await _picture(request, lambda here: here.photos.face_picture(face, photo, index, int(side)))


@router.get("/photos/{photo}/original", summary="Get the file of a photo", response_class=Response)
async def original(request: Request, photo: Id, index: _Index, _: Looks) -> Response:
    """Return the file of a photo as it is, with its metadata, for download."""

    def read(here: _Connection) -> tuple[bytes, bytes]:
        return here.photos.original(photo, index), here.photos.path(photo, index)

    data, path = await _served(request).draw(read)
    return Response(data, media_type="application/octet-stream", headers=as_file(os.path.basename(path)))


def _unnamed(photo: QueryPhoto) -> list[NamedFace]:
    """Return the faces of a photo; names belong to indexes."""
    return [NamedFace(face) for face in photo.faces]


async def _picture(request: Request, make: Callable[[_Connection], Picture]) -> Response:
    return picture_response(request, await _served(request).draw(make))


def _number(question: Question) -> int | None:
    """Return the person asked for. Raises `UsageError` for a name: those belong to indexes."""
    if isinstance(question.person, str):
        raise UsageError(f"{question.person}: give the number of a person, and the index that knows it")
    return question.person
