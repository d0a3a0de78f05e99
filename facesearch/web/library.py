"""The library: its status, what could not be read, indexing runs and their progress, uploads, and forgetting."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import Field

from facesearch.api.forgetting import ForgetKeywords
from facesearch.api.index import Index
from facesearch.render.forgetting import forgetting_record
from facesearch.render.status import status_record
from facesearch.visible import shown_path, visible
from facesearch.web.asked import Asked, Id, photos_and_question
from facesearch.web.problems import ProblemError
from facesearch.web.records import coarse
from facesearch.web.rights import Rights, Visitor
from facesearch.web.serving import Serving, needs, serving_of
from facesearch.web.uploads import kept_uploads

__all__ = ["Forget", "Refresh", "router"]

router = APIRouter(prefix="/api/v1", tags=["library"])

Looks = Annotated[Visitor, Depends(needs(Rights.LOOK))]
Owns = Annotated[Visitor, Depends(needs(Rights.OWNER))]

_ALIVE_EVERY = 15.0
_LOOK_EVERY = 2.0


@router.get("/status", summary="Show what the index holds")
async def status(request: Request, _: Looks) -> JSONResponse:
    """Return the model, the contents and the last run of the index, and whether uploads are taken."""
    serving = serving_of(request)
    record = await serving.ask(lambda index: status_record(index.status()))
    return JSONResponse({**record, "uploads": serving.uploads is not None, "run": serving.refreshing.state})


@router.get("/failures", summary="Show photos that could not be read")
async def failures(request: Request, _: Looks, limit: Annotated[int, Query(ge=1, le=10_000)] = 200) -> JSONResponse:
    """Return the photos that could not be read, each with the reason."""

    def failed(index: Index) -> dict[str, Any]:
        found = index.failed_photos()
        shown = [{"path": shown_path(str(path)), "reason": visible(reason)} for path, reason in found[:limit]]
        return {"total": len(found), "failures": shown}

    return JSONResponse(await serving_of(request).ask(failed))


class Refresh(Asked):
    """How an indexing run is started."""

    retry_failed: bool = Field(default=False, description="Try photos again that could not be read before.")


@router.post("/refresh", status_code=202, summary="Start an indexing run")
async def refresh(request: Request, _: Owns, how: Refresh | None = None) -> JSONResponse:
    """Bring the index up to date with its folders, in a process of its own; `/events` tells of it."""
    refreshing = serving_of(request).refreshing
    refreshing.start(again_failed=how is not None and how.retry_failed)
    return JSONResponse(refreshing.state, 202)


@router.delete("/refresh", status_code=202, summary="Cancel the indexing run")
async def cancel(request: Request, _: Owns) -> JSONResponse:
    """End the indexing run after the photos in hand; what it has done is kept."""
    refreshing = serving_of(request).refreshing
    refreshing.cancel()
    return JSONResponse(refreshing.state, 202)


@router.get("/events", summary="Follow what happens", response_class=StreamingResponse)
async def events(request: Request, _: Looks) -> StreamingResponse:
    """Return server-sent events: `run` with the state of the indexing run, `changed` when the index has changed."""
    serving = serving_of(request)
    if not serving.refreshing.has_room:
        raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "too many pages are open; close one", retry_after=30)
    return StreamingResponse(_events(request, serving), media_type="text/event-stream")


async def _events(request: Request, serving: Serving) -> AsyncIterator[str]:
    version, quiet = serving.version(), 0.0
    with serving.refreshing.listening() as queue:
        while not await request.is_disconnected() and not serving.ending.is_set():
            try:
                state = await asyncio.wait_for(queue.get(), _LOOK_EVERY)
                yield f"event: run\ndata: {json.dumps(state)}\n\n"
                quiet = 0.0
            except TimeoutError:
                quiet += _LOOK_EVERY
            seen = serving.version()
            if seen != version:
                version, quiet = seen, 0.0
                yield "event: changed\ndata: {}\n\n"
            elif quiet >= _ALIVE_EVERY:
                quiet = 0.0
                yield ": still here\n\n"


@router.post("/uploads", status_code=201, summary="Add photos")
async def upload(request: Request, _: Owns) -> JSONResponse:
    """Keep photos in the folder for uploads, and index them. Photos that the index has already are not kept again."""
    serving = serving_of(request)
    folder = serving.uploads
    if folder is None:
        raise ProblemError(HTTPStatus.FORBIDDEN, "uploads are off; start the server with --uploads DIR")
    photos, _question = await photos_and_question(request)
    if not photos:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "no photo in the request")
    return JSONResponse(await serving.write(lambda index: kept_uploads(index, folder, photos)), 201)


class Forget(Asked):
    """What is deleted from the index for good: one of a photo, a face and a person."""

    photo: Id | None = None
    face: Id | None = None
    person: Id | None = None
    spare: list[Id] = Field(default=[], max_length=100_000, description="Faces that stay, of a person.")
    reach: Literal["group", "similar", "everything"] = "similar"
    never_again: bool = Field(default=False, description="Later runs leave them out.")


@router.post("/forget", summary="Delete face data for good")
async def forget(
    request: Request, what: Forget, _: Owns, dry_run: Annotated[bool, Query(description="Only show it.")] = False
) -> Response:
    """Delete a photo, a face or a person from the index for good. Image files stay."""
    if sum(one is not None for one in (what.photo, what.face, what.person)) != 1:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "give one of photo, face and person")

    def forgotten(index: Index) -> dict[str, Any]:
        path = None if what.photo is None else index.photos.path(what.photo)
        about: ForgetKeywords = {"face": what.face, "never_again": what.never_again}
        if what.person is not None:
            about |= {"person": what.person, "spare": what.spare, "reach": what.reach}
        act = index.to_forget if dry_run else index.forget
        record: dict[str, Any] = coarse(forgetting_record(act(path, **about)))
        return record

    return JSONResponse(await serving_of(request).write(forgotten))
