"""Data to stdout: byte for byte to files and pipes, and nothing that a terminal would obey instead of showing it."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable, Iterable

from facesearch.cli.signals import StopSignal
from facesearch.errors import StorageError
from facesearch.visible import visible, visible_in_json

__all__ = ["ReaderGone", "claim_stdout", "emptied_file", "for_stdout", "write", "write_json"]


class ReaderGone(Exception):  # noqa: N818 - no error: `head` has seen enough
    """Whoever read our stdout does so no more. Not a `BrokenPipeError`: typer takes those for its own, with code 1."""


class _Stdout:
    """Where our own data goes; None as long as it is the stdout that everybody has."""

    descriptor: int | None = None


def claim_stdout() -> None:
    """From now on `write` alone reaches stdout; whatever a library prints there, also from C, goes to stderr."""
    if _Stdout.descriptor is not None:
        return
    try:
        shared = sys.stdout.fileno()
        own = os.dup(shared)
    except (AttributeError, OSError, ValueError):
        return  # closed, or taken away at the start: `write` tells
    try:
        os.dup2(2, shared)
    except OSError:  # stderr is closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), shared)
    _Stdout.descriptor = own


def write(pieces: Iterable[str], *, raw: bool = False) -> None:
    """Text to stdout; file names keep their bytes, whatever the terminal's encoding.

    On a terminal what cannot be seen is shown as an escape, unless `raw` data is asked for. Raises `StorageError` when
    it cannot be written, and `ReaderGone` when whoever read it has gone away.
    """
    descriptor = _stdout()
    if descriptor is None:
        raise StorageError("the answer cannot be written: stdout is closed")
    shown = visible_in_json if os.isatty(descriptor) and not raw else str
    try:
        with open(descriptor, "wb", closefd=False) as stream:
            for piece in pieces:
                stream.write(shown(piece).encode("utf-8", "surrogateescape"))
    except BrokenPipeError as error:
        raise ReaderGone from error
    except OSError as error:
        if StopSignal.hung_up:
            return  # nobody is left to read it, and the exit code tells that
        raise StorageError(f"the answer cannot be written: {error.strerror}; check where stdout goes") from error


def for_stdout() -> Callable[[str], str]:
    """How a file name is to be shown on stdout: made visible on a terminal, as it is to files and pipes."""
    descriptor = _stdout()
    return visible if descriptor is not None and os.isatty(descriptor) else str


def _stdout() -> int | None:
    """None where it is closed, or was taken away at the start."""
    try:
        return sys.stdout.fileno() if _Stdout.descriptor is None else _Stdout.descriptor
    except (AttributeError, OSError, ValueError):
        return None


def write_json(value: object, *, indent: int | None = None, ascii_only: bool = False) -> None:
    """A value as one JSON text to stdout, ended by a new line. Raises what `write` raises."""
    write([json.dumps(value, indent=indent, ensure_ascii=ascii_only) + "\n"])


def emptied_file() -> str | None:
    """The regular file that stdout goes to, where it is empty, as after `> file`; None: it goes elsewhere."""
    descriptor = _stdout()
    if descriptor is None:
        return None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size:
        return None
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:  # not on Linux
        return "the file that stdout goes to"
