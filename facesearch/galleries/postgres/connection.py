"""A connection to PostgreSQL, whose failures are told in one line and without a password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from facesearch.errors import GalleryError, Hint
from facesearch.galleries.address import Address

if TYPE_CHECKING:
    import psycopg

__all__ = ["connected", "telling"]

_CONNECT_SECONDS = 10


def connected(address: Address, schema: str) -> psycopg.Connection[Any]:
    """Return a connection on which names are looked up in a schema first.

    Raises `GalleryError` if the client is not installed or the server does not let us in.
    """
    try:
        import psycopg
        from pgvector.psycopg import register_vector
    except ImportError as error:
        raise GalleryError(
            f"{address}: the client for PostgreSQL is not installed", Hint.INSTALL_EXTRA, extra="postgres"
        ) from error
    with telling(address):
        connection = psycopg.connect(
            address.text,
            password=address.password(),
            autocommit=True,
            connect_timeout=_CONNECT_SECONDS,
            application_name="facesearch",
            keepalives_idle=30,
        )
        connection.execute(
            "SELECT set_config('search_path', quote_ident(%s) || ', ' || current_setting('search_path'), false)",
            (schema,),
        )
        if connection.execute("SELECT 1 FROM pg_type WHERE typname = 'vector'").fetchone():
            register_vector(connection)
    return connection


@contextmanager
def telling(address: Address) -> Iterator[None]:
    """Raise the errors of PostgreSQL as `GalleryError`."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise GalleryError(f"{address}: {address.without_password(_line_of(error))}", _hint_of(error)) from error


def _line_of(error: psycopg.Error) -> str:
    said = error.diag.message_primary or str(error)
    return " ".join(said.split()).partition(" Is the server running")[0] or type(error).__name__


def _hint_of(error: psycopg.Error) -> Hint | None:
    import psycopg

    if isinstance(error, psycopg.errors.DiskFull):
        return Hint.GALLERY_DISK
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return Hint.GALLERY_RIGHTS
    if isinstance(error, psycopg.OperationalError):
        return Hint.GALLERY_SERVER
    return None
