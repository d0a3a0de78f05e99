"""The way in: a one-time key begins a session, and an owner makes keys for others."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from facesearch.web.asked import Asked, validated
from facesearch.web.guard import Slowdown
from facesearch.web.problems import ProblemError
from facesearch.web.rights import Rights, Visitor, is_name
from facesearch.web.serving import needs, serving_of, visitor_of

__all__ = ["MOST_KEY_BYTES", "Invitation", "Key", "router"]

router = APIRouter(tags=["session"])

MOST_KEY_BYTES = 2000
"""The largest body of a request without a token."""


class Key(Asked):
    """A one-time key."""

    key: str = Field(min_length=1, max_length=200)


class Invitation(Asked):
    """For whom a key is."""

    name: str = Field(min_length=1, max_length=100, description="Who is to have it; what they say carries this name.")
    rights: Literal["look", "name", "owner"]


@router.get("/api/v1/session", summary="Who is asking")
async def session(request: Request) -> dict[str, str | None]:
    """Return the visitor's name and rights, and what is served, an index or a gallery; null without a session."""
    visitor = visitor_of(request)
    if visitor is None:
        return {"name": None, "rights": None, "serves": None}
    return {"name": visitor.name, "rights": str(visitor.rights), "serves": serving_of(request).kind}


@router.post("/api/v1/session", status_code=204, summary="Begin a session")
async def begin(request: Request) -> Response:
    """Begin a session with a one-time key. Its token is kept in a cookie that scripts cannot read."""
    if request.headers.get("origin") is None:
        raise ProblemError(HTTPStatus.FORBIDDEN, "a session begins on a page of this server; services have tokens")
    begun = serving_of(request).keyring.begin(validated(Key, await request.body()).key)
    if begun is None:
        slowdown: Slowdown = request.app.state.slowdown
        await slowdown.wait()
        raise ProblemError(HTTPStatus.UNAUTHORIZED, "this key is wrong or was used; facesearch prints a new one")
    token, visitor = begun
    request.app.state.on_session(visitor)
    answer = Response(status_code=204)
    answer.set_cookie(
        request.app.state.cookie, token, httponly=True, samesite="strict", path=request.scope.get("root_path") or "/",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return answer


@router.delete("/api/v1/session", status_code=204, summary="End a session")
async def end(request: Request) -> Response:
    """End the session of the visitor."""
    token = request.cookies.get(request.app.state.cookie)
    if token:
        serving_of(request).keyring.end(token)
    answer = Response(status_code=204)
    answer.delete_cookie(request.app.state.cookie, path=request.scope.get("root_path") or "/")
    return answer


@router.post("/api/v1/keys", status_code=201, summary="Make a key for somebody else")
async def invite(
    request: Request, invitation: Invitation, _: Annotated[Visitor, Depends(needs(Rights.OWNER))]
) -> dict[str, str]:
    """Make a one-time key, with which somebody else begins a session on a device of theirs."""
    if not is_name(invitation.name):
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "name: is empty or has invisible characters")
    visitor = Visitor(invitation.name.strip(), Rights.called(invitation.rights))
    return {"key": serving_of(request).keyring.new_key(visitor)}


@router.get("/healthz", summary="Whether the server is up")
async def healthz() -> dict[str, str]:
    """Return that the server is up."""
    return {"status": "ok"}
