"""Bounds on a request: the size of its body, the time to receive it, and the time to give a client its answer."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facesearch.web.problems import ProblemError, problem

__all__ = ["MOST_BYTES", "Limits"]

MOST_BYTES = 200 * 2**20
"""The largest body of a request, in bytes."""

_TO_RECEIVE = 120.0
_TO_SEND = 60.0
"""Seconds for a client to take one piece of an answer."""


class Limits:
    """ASGI middleware that refuses large and slow requests, and drops clients that do not read their answers."""

    def __init__(
        self, app: ASGIApp, *, most_bytes: int = MOST_BYTES, to_receive: float = _TO_RECEIVE, to_send: float = _TO_SEND
    ) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._to_receive = to_receive
        self._to_send = to_send

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, within the bounds."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, begun = False, time.monotonic()
        received, whole = 0, False

        async def bounded_receive() -> Message:
            nonlocal received, whole
            if whole:  # only the end of the connection can follow
                return await receive()
            left = begun + self._to_receive - time.monotonic()
            try:
                message = await asyncio.wait_for(receive(), max(left, 0.0))
            except TimeoutError:
                seconds = f"{self._to_receive:g} seconds"
                raise ProblemError(HTTPStatus.REQUEST_TIMEOUT, f"the request took longer than {seconds}") from None
            received += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if received > self._most_bytes:
                raise self._too_large()
            return message

        async def bounded_send(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await asyncio.wait_for(send(message), self._to_send)

        try:
            length = Headers(scope=scope).get("content-length", "0")
            if length.isdigit() and int(length) > self._most_bytes:
                raise self._too_large()
            await self._app(scope, bounded_receive, bounded_send)
        except ProblemError as refused:
            if started:
                raise
            answer = problem(refused.status, refused.detail, retry_after=refused.retry_after)
            answer.headers["Connection"] = "close"  # what is left of the body is not read
            await answer(scope, receive, send)
        except TimeoutError:  # the client does not read: the server closes the connection without a complete answer
            return

    def _too_large(self) -> ProblemError:
        return ProblemError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the request is larger than {self._most_bytes // 2**20} MB; send fewer or smaller photos",
        )
