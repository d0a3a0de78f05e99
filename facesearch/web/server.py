"""Run the server: take the port, print the address, serve until a signal comes."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from facesearch.errors import InputError

__all__ = ["listen", "own_address", "serve"]

_HEAD_WITHIN = 15.0
"""Seconds for the head of a request."""
_KEPT_ALIVE = 60
_TO_END = 5
_MOST_CONNECTIONS = 256


class _Protocol(H11Protocol):
    """HTTP/1.1 with a deadline for the head of a request; uvicorn has one for the time between requests only."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and (self.cycle is None or self.cycle.response_complete):
            self._expect_head()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        if self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(_HEAD_WITHIN, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Server(uvicorn.Server):
    """A server that tells the application that it ends, so that streams of events end first."""

    def __init__(self, config: uvicorn.Config, ending: asyncio.Event) -> None:
        super().__init__(config)
        self._ending = ending

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
    except OSError as error:
        raise InputError(f"{host}: not an address of this machine ({error.strerror}); check the host") from error
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
    app: ASGIApp, taken: socket.socket, ending: asyncio.Event, *, root_path: str, ready: Callable[[], object]
) -> None:
    """Serve until SIGINT or SIGTERM. `ending` is set then, and requests in hand are answered.

    `ready` is called before the first request; connections wait until then.
    """
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())
    logging.getLogger("uvicorn").propagate = False
    config = uvicorn.Config(
        app, http=_Protocol, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
        root_path=root_path, proxy_headers=True, forwarded_allow_ips="127.0.0.1", limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=_KEPT_ALIVE, timeout_graceful_shutdown=_TO_END, h11_max_incomplete_event_size=32 * 1024,
    )  # fmt: skip
    server = _Server(config, ending)
    ready()
    try:
        server.run(sockets=[taken])
    except KeyboardInterrupt:  # uvicorn has ended, and raises the signal again
        pass
