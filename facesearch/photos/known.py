"""Read indexed files only if they have not changed since.

A catalog may be damaged or come from elsewhere, and so may name any file. Before a photo is copied, drawn or served, it
must be a regular file with the size and the content that were indexed.
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
    """Open a file for reading.

    Raises `PhotoError`, without the path, if it is unreadable, not a regular file or not of the indexed size.
    """
    try:
        # Without O_NONBLOCK, opening a pipe would wait for a writer for ever.
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
    """Yield the file's bytes in pieces. Raises `PhotoError` at the end if they are not the indexed content."""
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
    """Return the whole content. Raises `PhotoError`, without the path, if it is unreadable or has changed."""
    with open_known(file) as stream:
        return b"".join(pieces_of(stream, file))


def is_known(file: KnownFile) -> bool:
    """Return True if the file is readable and unchanged."""
    try:
        read_known(file)
    except PhotoError:
        return False
    return True


def digest_of(path: bytes) -> bytes | None:
    """Return the SHA-256 digest of a regular file; None if it is missing, unreadable or not a regular file."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return None
