"""The ASGI application: the page, the REST API, and everything that each request passes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Scope

from facesearch.errors import FacesearchError
from facesearch.render.gallery import VIEWER_STYLE
from facesearch.web import door, gallery, library, openapi, people, photos, search
from facesearch.web.asked import PHOTO_PATHS, fault_of
from facesearch.web.door import MOST_KEY_BYTES
from facesearch.web.gallery import ServedGallery
from facesearch.web.guard import COOKIE, Guard, Slowdown, is_open, path_of
from facesearch.web.limits import MOST_BYTES, Limits
from facesearch.web.names import HostNames
from facesearch.web.problems import ProblemError, problem, problem_of
from facesearch.web.rights import Tokens, Visitor
from facesearch.web.serving import Serving

__all__ = ["Doors", "make_app"]

_STATIC = Path(__file__).with_name("static")
_MOST_JSON_BYTES = 4 * 2**20
"""Enough for 100,000 ids of faces."""


@dataclass(frozen=True, kw_only=True)
class Doors:
    """How the server is reached: its names, the tokens of services, and what is called when a session begins."""

    names: HostNames
    tokens: Tokens
    port: int
    root_path: str = ""
    on_session: Callable[[Visitor], None] = lambda _visitor: None
    slowdown: Slowdown = field(default_factory=Slowdown)


class _Files(StaticFiles):
    """The files of the page. A browser asks each time whether they have changed, so an update is seen at once."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        """Return a file."""
        answer = super().file_response(*arguments, **options)
        answer.headers["Cache-Control"] = "no-cache"
        return answer


def make_app(serving: Serving | ServedGallery, doors: Doors) -> ASGIApp:
    """Return the application for one index or gallery."""
    app = FastAPI(title="facesearch", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.serving = serving
    app.state.slowdown = doors.slowdown
    app.state.cookie = f"{COOKIE}-{doors.port}"
    app.state.on_session = doors.on_session
    for part in (door, gallery) if serving.kind == "gallery" else (door, search, people, photos, library):
        app.include_router(part.router)
    _add_pages(app)
    _add_handlers(app)
    return Guard(
        Limits(app, most_bytes=_most_bytes), names=doors.names, tokens=doors.tokens, keyring=serving.keyring,
        slowdown=doors.slowdown, cookie=app.state.cookie,
    )  # fmt: skip


def _most_bytes(scope: Scope) -> int:
    """Return the largest size of a request's body: everything but photos is held in memory and read at once."""
    path = path_of(scope)
    return MOST_BYTES if path in PHOTO_PATHS else MOST_KEY_BYTES if is_open(path) else _MOST_JSON_BYTES


def _add_pages(app: FastAPI) -> None:
    @app.get("/static/viewer.css", include_in_schema=False)
    async def viewer() -> Response:
        return FileResponse(VIEWER_STYLE, headers={"Cache-Control": "no-cache"})

    app.mount("/static", _Files(directory=_STATIC), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(_STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    @app.get("/api/v1/docs", include_in_schema=False)
    async def docs() -> Response:
        return FileResponse(_STATIC / "docs.html", headers={"Cache-Control": "no-cache"})

    @app.get("/api/v1/openapi.json", include_in_schema=False)
    async def description() -> JSONResponse:
        app.openapi_schema = app.openapi_schema or openapi.describe(app)
        return JSONResponse(app.openapi_schema)


def _add_handlers(app: FastAPI) -> None:
    """Turn every error into a problem in one line."""

    @app.exception_handler(ProblemError)
    async def refused(_request: Request, error: ProblemError) -> Response:
        return problem(error.status, error.problem, retry_after=error.retry_after)

    @app.exception_handler(FacesearchError)
    async def failed(_request: Request, error: FacesearchError) -> Response:
        return problem_of(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, fault_of(error.errors()[0]))

    @app.exception_handler(HTTPException)
    async def missing(request: Request, error: HTTPException) -> Response:
        details: Mapping[int, str] = {
            404: "there is nothing at this path; /api/v1/docs lists what there is",
            405: f"{request.method} is not possible here; /api/v1/docs lists what is",
        }
        answer = problem(HTTPStatus(error.status_code), details.get(error.status_code, str(error.detail)))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        route = getattr(request.scope.get("route"), "path", "")
        print(f"facesearch: unexpected error ({type(error).__name__}) in {request.method} {route}", file=sys.stderr)  # noqa: T201
        if os.environ.get("FACESEARCH_DEBUG"):
            import traceback

            traceback.print_exception(error)
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "unexpected error; this is a bug in facesearch")
