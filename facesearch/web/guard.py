"""What every request passes: the host and the origin it names, who asks, and the headers of every answer.

Browsers attach the cookie of a session to requests that other pages make, so a cookie alone proves nothing: a request
with one must come from a page of this server. `Origin` and `Sec-Fetch-Site` say so, and pages cannot set them.
"""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facesearch.web.names import HostNames, host_and_port
from facesearch.web.problems import ProblemError, problem
from facesearch.web.rights import Keyring, Tokens, Visitor

__all__ = ["COOKIE", "HEADERS", "Guard", "Slowdown", "is_open", "path_of"]

COOKIE = "facesearch"
"""The start of the cookie's name. Cookies do not know ports, so the port follows."""

_OPEN = ("/", "/healthz", "/api/v1/session")
_OPEN_FOLDER = "/static/"
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self';"
    " manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), microphone=(), payment=(), usb=()",
    "X-Robots-Tag": "noindex, nofollow",
}
"""The headers of every answer."""


def is_open(path: str) -> bool:
    """Whether a path is served without a token: the page itself, which holds no data, and the door."""
    return path in _OPEN or path.startswith(_OPEN_FOLDER)


class Slowdown:
    """Delays answers to wrong tokens: 0.1 s, then twice as long each time, at most 5 s. A right one is never delayed.

    A minute without a wrong one is a new start. All addresses count as one: whoever guesses may have many, or claim
    to. At most 32 answers wait at once; further ones are refused at once.
    """

    def __init__(self, *, first: float = 0.1, most: float = 5.0, forgiven: float = 60.0, waiting: int = 32) -> None:
        self._first, self._most, self._forgiven, self._places = first, most, forgiven, waiting
        self._count, self._last = 0, 0.0
        self._waiting = 0

    async def wait(self) -> None:
        """Wait for as long as the next wrong token costs. Raises `ProblemError` if too many wait."""
        now = time.monotonic()
        self._count = 1 if now - self._last > self._forgiven else self._count + 1
        self._last = now
        delay = min(self._most, self._first * 2.0 ** min(self._count - 1, 20))
        if self._waiting >= self._places:
            raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "too many wrong tokens; try again later", retry_after=5)
        self._waiting += 1
        try:
            await asyncio.sleep(delay)
        finally:
            self._waiting -= 1


class Guard:
    """ASGI middleware. It finds the visitor of a request and keeps it in the state of the scope as `visitor`."""

    def __init__(
        self, app: ASGIApp, *, names: HostNames, tokens: Tokens, keyring: Keyring, slowdown: Slowdown, cookie: str
    ) -> None:
        self._app = app
        self._names = names
        self._tokens = tokens
        self._keyring = keyring
        self._slowdown = slowdown
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _with_headers(send)
        try:
            self._require_meant_for_us(scope)
            scope.setdefault("state", {})["visitor"] = await self._visitor(scope)
        except ProblemError as refused:
            await problem(refused.status, refused.problem, retry_after=refused.retry_after)(scope, receive, answer)
            return
        await self._app(scope, receive, answer)

    def _require_meant_for_us(self, scope: Scope) -> None:
        """Raise `ProblemError` for a request to another host name, or from a page of another server."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._names.include(hosts[0]):
            raise ProblemError(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"this server is not called {', '.join(hosts)[:100] or 'nothing'}; add the name with --allow-host",
            )
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is not None and _authority(origin) != host_and_port(hosts[0]):
            raise ProblemError(HTTPStatus.FORBIDDEN, f"a page of {origin[:100]} may not use this server")
        is_look = scope["method"] in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
        is_visit = is_look and path_of(scope) == "/"
        if site not in (None, "same-origin", "none") and not is_visit:
            raise ProblemError(HTTPStatus.FORBIDDEN, "a page of another site may not use this server")

    async def _visitor(self, scope: Scope) -> Visitor | None:
        """Return who asks. Raises `ProblemError` if a token is needed and missing or wrong."""
        headers = Headers(scope=scope)
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind:
            visitor = self._tokens.visitor_of(token.strip()) if kind.lower() == "bearer" else None
        else:
            visitor = self._of_session(headers, scope["method"])
        if visitor is None and (kind or not is_open(path_of(scope))):
            if kind or self._session(headers) is not None:
                await self._slowdown.wait()
                raise ProblemError(HTTPStatus.UNAUTHORIZED, "the token is wrong, or its session has ended")
            raise ProblemError(HTTPStatus.UNAUTHORIZED, "a token is needed: open the address that facesearch printed")
        return visitor

    def _of_session(self, headers: Headers, method: str) -> Visitor | None:
        """Return the visitor of a session; what changes anything must name the page that it comes from."""
        session = self._session(headers)
        if session is None:
            return None
        if method not in _SAFE_METHODS and headers.get("origin") is None:
            raise ProblemError(HTTPStatus.FORBIDDEN, "a request with a cookie must come from a page of this server")
        return self._keyring.visitor_of(session)

    def _session(self, headers: Headers) -> str | None:
        return cookie_parser(headers.get("cookie", "")).get(self._cookie)  # also beside cookies of other servers


def path_of(scope: Scope) -> str:
    """Return the path within the application; a server behind a proxy puts the proxy's path before it."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) or "/"


def _authority(origin: str) -> tuple[str, str] | None:
    """Return the name and the port of an `Origin` header; None for `null` and what is no origin."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return host_and_port(parts.netloc) if parts.scheme in ("http", "https") and parts.netloc else None


def _with_headers(send: Send) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return answer
