"""Data on stdout: byte for byte to files and pipes, with control characters escaped on terminals."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from facesearch.cli.signals import StopSignal
from facesearch.errors import StorageError
from facesearch.visible import visible, visible_in_json

__all__ = [
    "ReaderGone",
    "claim_stdout",
    "emptied_file",
    "for_stdout",
    "is_readable_by_others",
    "output_path",
    "write",
    "write_json",
]


class ReaderGone(Exception):  # noqa: N818 - no error: `head` has seen enough
    """The reader of stdout is gone. Not a `BrokenPipeError`: typer handles those itself, with exit code 1."""


class _Stdout:
    """Our own descriptor for data; None before `claim_stdout`."""

    descriptor: int | None = None


def claim_stdout() -> None:
    """Let only `write` reach stdout. What libraries print there, from C too, goes to stderr from now on."""
    if _Stdout.descriptor is not None:
        return
    try:
        shared = sys.stdout.fileno()
        own = os.dup(shared)
    except (AttributeError, OSError, ValueError):
        return  # it is closed or missing; `write` reports that
    try:
        os.dup2(2, shared)
    except OSError:  # stderr is closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), shared)
    _Stdout.descriptor = own


def write(pieces: Iterable[str], *, raw: bool = False) -> None:
    """Write text to stdout; file names keep their bytes, whatever the terminal's encoding.

    On a terminal, control characters are escaped unless the data is `raw`. Raises `StorageError` if stdout cannot be
    written to, `ReaderGone` if its reader is gone.
    """
    descriptor = _stdout()
    if descriptor is None:
        raise StorageError("cannot write to stdout: it is closed")
    shown = visible_in_json if os.isatty(descriptor) and not raw else str
    try:
        with open(descriptor, "wb", closefd=False) as stream:
            for piece in pieces:
                stream.write(shown(piece).encode("utf-8", "surrogateescape"))
    except BrokenPipeError as error:
        raise ReaderGone from error
    except OSError as error:
        if StopSignal.hung_up:
            return  # the terminal is gone, and the exit code says so
        raise StorageError(f"cannot write to stdout ({error.strerror}); check where it goes") from error


def for_stdout() -> Callable[[str], str]:
    """Return how file names are shown on stdout: escaped on a terminal, unchanged to files and pipes."""
    descriptor = _stdout()
    return visible if descriptor is not None and os.isatty(descriptor) else str


def _stdout() -> int | None:
    """Return the descriptor of stdout; None if it is closed or missing."""
    try:
        return sys.stdout.fileno() if _Stdout.descriptor is None else _Stdout.descriptor
    except (AttributeError, OSError, ValueError):
        return None


def write_json(value: object, *, indent: int | None = None, ascii_only: bool = False) -> None:
    """Write a value as JSON and a newline to stdout. Raises what `write` raises."""
    write([json.dumps(value, indent=indent, ensure_ascii=ascii_only) + "\n"])


def output_path(path: Path | None) -> Path | None:
    """Return where `--output` goes: None for `-`, and our own descriptor for `/dev/stdout`, which is stderr by now."""
    if path is None or str(path) == "-":
        return None
    descriptor = _stdout()
    if str(path) in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1") and descriptor is not None:
        return Path(f"/dev/fd/{descriptor}")
    return path


def is_readable_by_others() -> bool:
    """Return True if stdout goes to a regular file that other users may read."""
    descriptor = _stdout()
    found = None if descriptor is None else os.fstat(descriptor)
    return found is not None and stat.S_ISREG(found.st_mode) and bool(found.st_mode & 0o077)


def emptied_file() -> str | None:
    """Return the regular file that stdout goes to if it is empty, as after `> file`; else None."""
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
