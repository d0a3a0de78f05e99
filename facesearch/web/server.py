"""Run the server: take the port, print the address, serve until a signal comes."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from http import HTTPStatus

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from facesearch.errors import InputError
from facesearch.web.guard import HEADERS
from facesearch.web.problems import problem

__all__ = ["listen", "own_address", "serve"]

_HEAD_WITHIN = 15.0
"""Seconds for the head of a request."""
_KEPT_ALIVE = 60
_TO_END = 5
_WITH_LOGS = ("uvicorn", "python_multipart")
_MOST_CONNECTIONS = 256
_TICKS_TO_DROP = 100
"""Tenths of a second for a client to take what is left, after the connection was closed."""


class _Protocol(H11Protocol):
    """HTTP/1.1 with a deadline for the client: for the head of a request, and for the rest of one that was answered.

    uvicorn has one for the time between requests only, and answers without the headers of all other answers.
    """

    head_within = _HEAD_WITHIN
    most_connections = _MOST_CONNECTIONS
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections; try again")
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        if not self.transport.is_closing():
            super().data_received(data)
            self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is not h11.IDLE or self.conn.trailing_data[0]:  # otherwise nothing was begun
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP; an answer that has begun is cut off."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._refuse(HTTPStatus.BAD_REQUEST, "this is not a request in HTTP/1.1")
        else:
            self.transport.close()

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer without the application, and close the connection."""
        answer = problem(status, detail)
        headers = {**dict(answer.headers), **HEADERS, "connection": "close"}
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
        self.transport.write("\r\n".join([*lines, "", ""]).encode("ascii") + bytes(answer.body))
        self.transport.close()

    def _watch(self) -> None:
        """Set the deadline while the server waits for the client alone."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.head_within, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Server(uvicorn.Server):
    """A server that tells the application that it ends, so that streams of events end first.

    It drops connections that it has closed while their clients do not read what is left to send.
    """

    def __init__(self, config: uvicorn.Config, ending: asyncio.Event) -> None:
        super().__init__(config)
        self._ending = ending
        self._closing = set[asyncio.Transport]()

    async def on_tick(self, counter: int) -> bool:
        """Do what is to be done every tenth of a second."""
        if counter % _TICKS_TO_DROP == 0:
            closing = {one.transport for one in self.server_state.connections if one.transport.is_closing()}
            for transport in closing & self._closing:
                transport.abort()
            self._closing = closing
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End, after the requests in hand."""
        self._ending.set()
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """Take a port; 0 takes a free one. Raises `InputError` if it is taken or the address is not of this machine."""
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:  # a name may be none that DNS can carry
        raise InputError(
            f"{host}: not an address of this machine ({getattr(error, 'strerror', 'not a name')}); check the host"
        ) from error
    taken = socket.socket(family, kind, protocol)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.listen(128)
    except OSError as error:
        taken.close()
        raise InputError(f"port {port} of {host} cannot be used ({error.strerror}); choose another port") from error
    return taken


def own_address(host: str) -> str:
    """Return the address under which other devices reach a server that listens on `host`; nothing is sent for that."""
    if host not in ("0.0.0.0", "::"):  # noqa: S104
        return host
    family, elsewhere = (socket.AF_INET, "192.0.2.1") if host == "0.0.0.0" else (socket.AF_INET6, "2001:db8::1")  # noqa: S104
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((elsewhere, 9))  # chooses a route; a datagram socket sends nothing yet
            found: str = probe.getsockname()[0]
        except OSError:
            return socket.gethostname()
    return found


def serve(
    app: ASGIApp,
    taken: socket.socket,
    ending: asyncio.Event,
    *,
    root_path: str,
    behind_proxy: bool,
    ready: Callable[[], object],
) -> None:
    """Serve until SIGINT or SIGTERM. `ending` is set then, and requests in hand are answered.

    `behind_proxy` believes the headers in which a proxy on this machine says that it was reached by TLS, which any
    other program here can send too. `ready` is called before the first request; connections wait until then.
    """
    for library in _WITH_LOGS:  # logs may tell what is asked for
        logging.getLogger(library).addHandler(logging.NullHandler())
        logging.getLogger(library).propagate = False
    server = _Server(_config(app, root_path=root_path, behind_proxy=behind_proxy), ending)
    ready()
    try:
        server.run(sockets=[taken])
    except KeyboardInterrupt:  # uvicorn has ended, and raises the signal again
        pass


def _config(app: ASGIApp, *, root_path: str = "", behind_proxy: bool = False) -> uvicorn.Config:
    return uvicorn.Config(
        app, http=_Protocol, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
        root_path=root_path, proxy_headers=behind_proxy, forwarded_allow_ips="127.0.0.1",
        timeout_keep_alive=_KEPT_ALIVE, timeout_graceful_shutdown=_TO_END, h11_max_incomplete_event_size=32 * 1024,
    )  # fmt: skip
