"""Read files: their bytes and SHA-256. A large file is only hashed at first, and read again when it is decoded."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Generic, NamedTuple, Protocol, TypeVar

from facesearch.errors import PhotoError
from facesearch.photos.picture import memory_needed

__all__ = ["KEPT_BYTES", "MAX_FILE_BYTES", "Content", "Item", "Readable", "read", "reopened"]

MAX_FILE_BYTES = 1 << 30
"""Larger files are rejected: files are read as a whole, several at a time."""

KEPT_BYTES = 32 * 2**20
"""Larger files are not kept in memory until the next stage, but read again then."""


class Readable(Protocol):
    """A file to read: its absolute path in the system's bytes, and its size in bytes."""

    @property
    def path(self) -> bytes:
        """The absolute path, in the system's bytes."""
        ...

    @property
    def size(self) -> int:
        """The size in bytes."""
        ...


Item = TypeVar("Item", bound=Readable)


class Content(NamedTuple, Generic[Item]):
    """A file's bytes and their SHA-256, or why it could not be read (no hash and no error: it no longer exists).

    `memory` is the number of bytes that decoding it may take. `data` is empty for a large file.
    """

    item: Item
    data: bytes
    hash: bytes | None
    error: str | None = None
    memory: int = 0

    def without_data(self) -> Content[Item]:
        """Return a copy without the bytes."""
        return self._replace(data=b"")


def read(item: Item) -> Content[Item]:
    """Read a file's bytes and hash them; for a large file return only the hash."""
    size = item.size
    if size > MAX_FILE_BYTES:
        return Content(item, b"", None, f"{size / 1e6:,.0f} MB are over the limit of 1,074 MB for a photo")
    try:
        with open(item.path, "rb") as stream:
            if size > KEPT_BYTES:
                digest = hashlib.file_digest(stream, "sha256").digest()
                stream.seek(0)
                return Content(item, b"", digest, memory=size + memory_needed(stream))
            data = stream.read()
    except FileNotFoundError:
        return Content(item, b"", None)
    except MemoryError:
        return Content(item, b"", None, "not enough memory to read it")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        return Content(item, b"", None, f"cannot be read: {getattr(error, 'strerror', error)}")
    return Content(item, data, hashlib.sha256(data).digest(), memory=len(data) + memory_needed(io.BytesIO(data)))


@contextmanager
def reopened(content: Content[Item]) -> Iterator[BinaryIO]:
    """Open a stream of a content's bytes: from memory, or from the file if it is large.

    Raises `FileNotFoundError`, and `PhotoError` if the file cannot be read or its content has changed.
    """
    if content.data:
        yield io.BytesIO(content.data)
        return
    try:
        stream = open(content.item.path, "rb")  # noqa: SIM115 - its use raises errors of its own
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PhotoError(f"cannot be read: {error.strerror}") from error
    with stream:
        if hashlib.file_digest(stream, "sha256").digest() != content.hash:
            raise PhotoError("changed while it was read")
        yield stream
