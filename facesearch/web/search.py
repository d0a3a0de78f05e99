"""Search, compare, and the faces of a photo."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from facesearch.api.index import Index
from facesearch.api.results import PhotoBytes, QueryPhoto
from facesearch.events import observing
from facesearch.render.comparisons import comparisons_record
from facesearch.render.faces import faces_record
from facesearch.web.asked import Question, photos_and_question
from facesearch.web.problems import ProblemError
from facesearch.web.records import answer_record, coarse
from facesearch.web.rights import Rights, Visitor
from facesearch.web.serving import SeenPhotos, needs, serving_of

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["search"])

Looks = Annotated[Visitor, Depends(needs(Rights.LOOK))]


@router.post("/search", summary="Find photos of a person")
async def search(request: Request, _: Looks) -> JSONResponse:
    """Find photos of the person in the photos, of the faces, or of the person asked for.

    The answer is that of `facesearch query --format json`, with `summary` and `remarks` in words.
    """
    serving = serving_of(request)
    photos, question = await photos_and_question(request)
    return JSONResponse(await serving.ask(lambda index: _found(index, serving.seen, photos, question)))


@router.post("/compare", summary="Compare two photos")
async def compare(request: Request, _: Looks) -> JSONResponse:
    """Return whether two photos show one person: the most similar pair of faces, and all pairs."""
    serving = serving_of(request)
    photos, question = await photos_and_question(request)
    if len(photos) + len(question.face_ids) != 2:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "give two photos, or the ids of two faces")
    return JSONResponse(await serving.ask(lambda index: _compared(index, serving.seen, photos, question)))


@router.post("/faces", summary="Find the faces in a photo")
async def faces(request: Request, _: Looks) -> JSONResponse:
    """Return the faces in a photo, the largest first, with names where they are known."""
    serving = serving_of(request)
    photos, _question = await photos_and_question(request)
    if len(photos) != 1:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{len(photos)} photos: give one")
    return JSONResponse(await serving.ask(lambda index: _faces(index, serving.seen, photos[0])))


def _sources(index: Index, seen: SeenPhotos, photos: list[PhotoBytes], question: Question) -> list[QueryPhoto]:
    looked_at = [seen.look_at(index, photo) for photo in photos]
    return [*looked_at, *(index.indexed_face(face) for face in question.face_ids)]


def _found(index: Index, seen: SeenPhotos, photos: list[PhotoBytes], question: Question) -> dict[str, Any]:
    remarks: list[str] = []
    person = None if question.person is None else index.people.find(question.person).number
    together, without = (
        [index.people.find(who).number for who in people] for people in (question.with_, question.without)
    )
    result = index.query(
        _sources(index, seen, photos, question), question.options(together, without, person),
        where=question.filter(), observer=observing(notes=remarks.append),
    )  # fmt: skip
    return answer_record(result, remarks)


def _compared(index: Index, seen: SeenPhotos, photos: list[PhotoBytes], question: Question) -> dict[str, Any]:
    one, other = _sources(index, seen, photos, question)
    compared = index.compare(one, other)
    record: dict[str, Any] = coarse(
        comparisons_record(compared.best, compared.pairs, compared.threshold, compared.model)
    )
    return record


def _faces(index: Index, seen: SeenPhotos, photo: PhotoBytes) -> dict[str, Any]:
    record: dict[str, Any] = coarse(faces_record(index.who(seen.look_at(index, photo))))
    return record
