"""Files as contents: their bytes and the SHA-256 of these. A large file is hashed first, and read again in its turn."""

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
"""Larger files are refused: each is read whole, several at once."""

KEPT_BYTES = 32 * 2**20
"""Larger files are not kept in memory while they wait for the next stage, but read again then."""


class Readable(Protocol):
    """A file to read: its absolute path in the system's bytes, and its size in bytes."""

    @property
    def path(self) -> bytes:
        """Absolute, in the system's bytes."""
        ...

    @property
    def size(self) -> int:
        """In bytes."""
        ...


Item = TypeVar("Item", bound=Readable)


class Content(NamedTuple, Generic[Item]):
    """A file's bytes and their SHA-256, or why it could not be read (no hash and no error: it is gone).

    `memory` is how many bytes decoding it may take. `data` is empty for a large file.
    """

    item: Item
    data: bytes
    hash: bytes | None
    error: str | None = None
    memory: int = 0

    def without_data(self) -> Content[Item]:
        """The same, with the bytes let go."""
        return self._replace(data=b"")


def read(item: Item) -> Content[Item]:
    """A file's bytes and their hash; for a large file the hash alone."""
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
    """A stream of a content's bytes: the kept ones, or a large file itself, which is never in memory as a whole.

    Raises `FileNotFoundError`, and `PhotoError` where the file cannot be read or has another content now.
    """
    if content.data:
        yield io.BytesIO(content.data)
        return
    try:
        stream = open(content.item.path, "rb")  # noqa: SIM115 - what is done with it has errors of its own
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PhotoError(f"cannot be read: {error.strerror}") from error
    with stream:
        if hashlib.file_digest(stream, "sha256").digest() != content.hash:
            raise PhotoError("changed while it was read")
        yield stream
