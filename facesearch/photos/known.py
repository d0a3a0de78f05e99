"""Files that an index knows, read only while they are what it knows.

What a catalog says is data: it may be damaged, or be somebody else's, and name any file. So before a photo is copied,
drawn or served it has to be a regular file of the size and the content that were indexed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

from facesearch.errors import Hint, PhotoError
from facesearch.types import KnownFile

__all__ = ["digest_of", "is_known", "open_known", "pieces_of", "read_known"]

_PIECE = 1 << 20
_CHANGED = f"changed since it was indexed; {Hint.LOOK_FOR_CHANGES}"


def open_known(file: KnownFile) -> BinaryIO:
    """The file, open for reading: a regular one of the size that is known. Raises `PhotoError`, without the path."""
    try:
        # Without O_NONBLOCK opening a pipe would wait for a writer, for ever.
        descriptor = os.open(file.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise PhotoError(error.strerror or type(error).__name__) from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise PhotoError("not a file")
        if found.st_size != file.size or file.content is None:
            raise PhotoError(_CHANGED)
    except BaseException:
        os.close(descriptor)
        raise
    return open(descriptor, "rb")


def pieces_of(stream: BinaryIO, file: KnownFile) -> Iterator[bytes]:
    """The file's bytes, piece by piece. Raises `PhotoError` at the end when they are not the ones that are known."""
    digest = hashlib.sha256()
    try:
        while piece := stream.read(_PIECE):
            digest.update(piece)
            yield piece
    except OSError as error:
        raise PhotoError(error.strerror or type(error).__name__) from error
    if digest.digest() != file.content:
        raise PhotoError(_CHANGED)


def read_known(file: KnownFile) -> bytes:
    """All of it. Raises `PhotoError`, without the path, when it cannot be read or is not what is known."""
    with open_known(file) as stream:
        return b"".join(pieces_of(stream, file))


def is_known(file: KnownFile) -> bool:
    """Whether it can be read, and is what is known."""
    try:
        read_known(file)
    except PhotoError:
        return False
    return True


def digest_of(path: bytes) -> bytes | None:
    """The SHA-256 of a regular file; None where there is none, or it cannot be read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return None
