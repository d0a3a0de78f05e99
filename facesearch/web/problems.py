"""Errors as answers: RFC 9457 problem details, one line each, without a traceback."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import HTTPException
from starlette.responses import JSONResponse

from facesearch.errors import (
    DiskFullError,
    FacesearchError,
    InputError,
    LockedError,
    NoFaceError,
    PhotoError,
    PhotoTooLargeError,
    StoreError,
    UsageError,
)
from facesearch.visible import visible

__all__ = ["ProblemError", "problem", "problem_of", "status_of"]

_STATUS: tuple[tuple[type[FacesearchError], HTTPStatus], ...] = (
    (NoFaceError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (PhotoTooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (PhotoError, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (InputError, HTTPStatus.NOT_FOUND),
    (UsageError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (LockedError, HTTPStatus.CONFLICT),
    (DiskFullError, HTTPStatus.INSUFFICIENT_STORAGE),
    (StoreError, HTTPStatus.SERVICE_UNAVAILABLE),
)
"""The status of an error; the first class that fits counts."""
_TITLES = {
    HTTPStatus.UNPROCESSABLE_ENTITY: "Cannot be processed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Too large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "Not a photo that can be read",
    HTTPStatus.TOO_MANY_REQUESTS: "Busy",
    HTTPStatus.REQUEST_TIMEOUT: "Too slow",
}
_SHORT_WAIT = 2


class ProblemError(HTTPException):
    """An error of a request, with its status; `retry_after` is in seconds.

    FastAPI passes on its own exceptions from the reading of a body, and turns all others into 400.
    """

    def __init__(self, status: HTTPStatus, problem: str, *, retry_after: int | None = None) -> None:
        super().__init__(int(status), problem)
        self.status = status
        self.problem = problem
        self.retry_after = retry_after


def problem(status: HTTPStatus, detail: str, *, retry_after: int | None = None) -> JSONResponse:
    """Return the answer for an error: status, title, and in `detail` one line: what is wrong and what to do."""
    record: dict[str, Any] = {
        "type": "about:blank", "title": _TITLES.get(status, status.phrase), "status": int(status),
        "detail": visible(detail),
    }  # fmt: skip
    headers = {"Cache-Control": "no-store"} | ({} if retry_after is None else {"Retry-After": str(retry_after)})
    return JSONResponse(record, int(status), headers, "application/problem+json")


def status_of(error: FacesearchError) -> HTTPStatus:
    """Return the status for an error of the library."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)


def problem_of(error: FacesearchError) -> JSONResponse:
    """Return the answer for an error of the library."""
    status = status_of(error)
    wait = _SHORT_WAIT if status in (HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE) else None
    return problem(status, str(error), retry_after=wait)
