"""Validate arguments where they enter the library, so that a mistake is a one-line error before any work is done."""

from __future__ import annotations

import os
from collections.abc import Iterable
from numbers import Integral, Real

from facesearch.errors import UsageError

__all__ = [
    "AnyPath",
    "AnyPaths",
    "require_number",
    "require_whole_number",
    "several_paths",
    "text_of_path",
]

AnyPath = str | bytes | os.PathLike[str]
"""A path as text, as bytes in the system's encoding, or as a path object."""

AnyPaths = AnyPath | Iterable[AnyPath]
"""One path, or several."""


def text_of_path(name: str, path: AnyPath) -> str:
    """Return the path given for the argument `name` as text. In a str, a leading `~` means the home folder.

    Raises `UsageError` if it is not a path; an empty path is invalid, because it would mean the working directory.
    """
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise UsageError(f"{name} {path!r:.60}: give a path, as text or as a Path", option=name) from None
    if not text or "\0" in text:
        raise UsageError(f"{name} {text!r:.60}: no file can have this name; check the path", option=name)
    return os.path.expanduser(text) if isinstance(path, str) else text


def several_paths(name: str, paths: AnyPaths) -> list[str]:
    """Return one path or several as text (see `text_of_path`). Raises `UsageError` if one is not a path."""
    try:
        given = (paths,) if isinstance(paths, str | bytes | os.PathLike) else tuple(paths)
    except TypeError:
        raise UsageError(f"{name} {paths!r:.60}: give a path, or a list of them", option=name) from None
    return [text_of_path(name, path) for path in given]


def require_number(name: str, value: object, least: float, most: float = float("inf")) -> None:
    """Raise `UsageError` if `value` is not a number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, Real) or not least <= float(value) <= most:
        bounds = f"{least:g} or more" if most == float("inf") else f"from {least:g} to {most:g}"
        raise UsageError(f"{name} {_shown(value)}: must be {bounds}", option=name)


def require_whole_number(name: str, value: object, least: int) -> None:
    """Raise `UsageError` if `value` is not a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise UsageError(f"{name} {_shown(value)}: must be a whole number", option=name)
    if int(value) < least:
        raise UsageError(f"{name} {_shown(value)}: must be {least} or more", option=name)


def _shown(value: object) -> str:
    return f"{value!r:.60}" if isinstance(value, str | bytes) else f"{value!s:.60}"
