"""Bounds on requests: their size, together and alone, the time to receive one, and the time to take its answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facesearch.web.problems import ProblemError, problem

__all__ = ["MOST_BYTES", "Limits"]

MOST_BYTES = 200 * 2**20
"""The largest body of a request, in bytes."""

_MOST_IN_HAND = 3 * MOST_BYTES
"""The bytes of all requests in hand, which are held in memory."""
_TO_RECEIVE = 120.0
_TO_SEND = 60.0
"""Seconds for a client to take one piece of an answer."""
_TRY_AGAIN = 5


class Limits:
    """ASGI middleware that refuses large and slow requests, and drops clients that do not read their answers.

    `most_bytes` returns the largest size of a request's body.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        most_bytes: Callable[[Scope], int] = lambda _: MOST_BYTES,
        most_in_hand: int = _MOST_IN_HAND,
        to_receive: float = _TO_RECEIVE,
        to_send: float = _TO_SEND,
    ) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._most_in_hand = most_in_hand
        self._to_receive = to_receive
        self._to_send = to_send
        self._in_hand = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, within the bounds."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, begun, most = False, time.monotonic(), self._most_bytes(scope)
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
            size = len(message.get("body", b""))
            received += size
            self._in_hand += size
            whole = not message.get("more_body", False)
            if received > most:
                raise _too_large(most)
            if self._in_hand > self._most_in_hand:
                raise ProblemError(
                    HTTPStatus.TOO_MANY_REQUESTS, "too many photos at once; try again", retry_after=_TRY_AGAIN
                )
            return message

        async def bounded_send(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await asyncio.wait_for(send(message), self._to_send)

        try:
            length = Headers(scope=scope).get("content-length", "0")
            if length.isdigit() and int(length) > most:
                raise _too_large(most)
            await self._app(scope, bounded_receive, bounded_send)
        except ProblemError as refused:
            if started:
                raise
            await problem(refused.status, refused.problem, retry_after=refused.retry_after)(scope, receive, send)
        except TimeoutError:  # the client does not read: the server closes the connection without a complete answer
            return
        finally:
            self._in_hand -= received


def _too_large(most: int) -> ProblemError:
    size = f"{most // 2**20} MB" if most >= 2**20 else f"{most:,} bytes"
    return ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the request is larger than {size}; send less at once")
