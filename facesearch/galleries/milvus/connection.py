"""A connection to Milvus, whose failures are told in one line and without a password."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

from facesearch.errors import GalleryError, Hint
from facesearch.galleries.address import Address

if TYPE_CHECKING:
    from pymilvus import MilvusClient
    from pymilvus.exceptions import MilvusException

__all__ = ["BUILD_SECONDS", "SECONDS", "closed", "connected", "telling"]

SECONDS = 120.0
"""How long a call may take; the client would wait for ever."""

BUILD_SECONDS = 24 * 3600.0
"""How long building an index may take."""

_CONNECT_SECONDS = 10.0
_UNREACHABLE = ("fail connecting", "deadline", "unavailable", "auth")
_LONGEST = 300
_OPEN: Counter[str] = Counter()
"""The number of connections of this process to each folder of Milvus Lite."""


def connected(address: Address, *, make: bool = False) -> MilvusClient:
    """Return a connection; with `make`, a folder of Milvus Lite need not exist yet.

    Raises `GalleryError` if the client is not installed or the server does not let us in.
    """
    try:
        from pymilvus import MilvusClient
    except ImportError as error:
        raise GalleryError(
            f"{address}: the client for Milvus is not installed", Hint.INSTALL_EXTRA, extra="milvus"
        ) from error
    for name in ("pymilvus", "milvus_lite", "grpc"):  # they log what they raise
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    if address.scheme == "milvus-lite":
        return _in_process(address, make=make)
    with telling(address):
        return MilvusClient(
            f"{address.scheme}://{address.host}",
            user=address.user,
            password=address.password() or "",
            db_name=address.path.strip("/"),
            timeout=_CONNECT_SECONDS,
            **address.parameters,
        )


def _in_process(address: Address, *, make: bool) -> MilvusClient:
    """Open a folder of Milvus Lite, which runs in this process and listens on loopback."""
    from pymilvus import MilvusClient

    path = address.path
    if find_spec("milvus_lite") is None:
        raise GalleryError(f"{address}: Milvus Lite is not installed", Hint.INSTALL_EXTRA, extra="milvus")
    if not os.path.lexists(path):
        if not make:
            raise GalleryError(f"{address}: there is no gallery yet", Hint.GALLERY_INIT)
        with suppress(OSError):  # which is told below
            os.mkdir(path, mode=0o700)  # embeddings are nobody else's business
    if not os.path.isdir(path) or not os.access(path, os.R_OK | os.W_OK):
        raise GalleryError(f"{address}: not a folder that can be written; Milvus Lite keeps its files in one")
    with telling(address):
        client = MilvusClient(path, timeout=_CONNECT_SECONDS)
    _OPEN[path] += 1
    return client


def closed(client: MilvusClient, address: Address) -> None:
    """Close a connection; with the last one to a folder of Milvus Lite, that is free for other processes."""
    with suppress(Exception):
        client.close()
    if address.scheme != "milvus-lite":
        return
    path = address.path
    _OPEN[path] -= 1
    if _OPEN[path] <= 0:
        from milvus_lite.server_manager import server_manager_instance

        server_manager_instance.release_server(path)


@contextmanager
def telling(address: Address) -> Iterator[None]:
    """Raise the errors of Milvus as `GalleryError`."""
    import grpc
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except MilvusException as error:
        raise GalleryError(f"{address}: {_line_of(address, str(error.message))}", _hint_of(error)) from error
    except grpc.RpcError as error:
        said = error.details() if isinstance(error, grpc.Call) else str(error)
        denied = isinstance(error, grpc.Call) and error.code() is grpc.StatusCode.PERMISSION_DENIED
        hint = Hint.GALLERY_RIGHTS if denied else Hint.GALLERY_SERVER
        raise GalleryError(f"{address}: {_line_of(address, said or 'no answer')}", hint) from error


def _line_of(address: Address, said: str) -> str:
    if "Open local milvus failed" in said:
        return "cannot be opened: another process uses it, or it is damaged (then delete it, make it again, and push)"
    if "not loaded" in said or "not fully loaded" in said:
        return "the server is still starting, or its index is being built; try again in a minute"
    if "Fail connecting" in said:
        return "cannot connect; the server is out of reach, or refuses the user or the password"
    return address.without_password(" ".join(said.split()))[:_LONGEST] or "no answer"


def _hint_of(error: MilvusException) -> Hint | None:
    from pymilvus.exceptions import ConnectError, ConnectionConfigException

    said = str(error.message).lower()
    if "no space" in said or "quota" in said:
        return Hint.GALLERY_DISK
    if "permission deny" in said or "privilege" in said:
        return Hint.GALLERY_RIGHTS
    if isinstance(error, ConnectionConfigException):
        return None
    if isinstance(error, ConnectError) or any(word in said for word in _UNREACHABLE):
        return Hint.GALLERY_SERVER
    return None
