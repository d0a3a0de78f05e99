"""What a caller hands over, checked where it comes in: a mistake is told in one line, before anything is done."""

from __future__ import annotations

import os
from collections.abc import Iterable
from numbers import Integral, Real

from facesearch.errors import UsageError

__all__ = [
    "AnyPath",
    "AnyPaths",
    "checked_paths",
    "require_number",
    "require_whole_number",
    "several_paths",
    "text_of_path",
]

AnyPath = str | bytes | os.PathLike[str]
"""A path as text, in the system's bytes, or as an object."""

AnyPaths = AnyPath | Iterable[AnyPath]
"""One path, or several."""


def text_of_path(name: str, path: AnyPath) -> str:
    """A path that was given as `name`. Text may begin with `~`, the home folder; all else stands for itself.

    Raises `UsageError` for what is no path: an empty one would mean the folder in which the program happens to run.
    """
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise UsageError(f"{name} {path!r:.60}: give a path, as text or as a Path", option=name) from None
    if not text or "\0" in text:
        raise UsageError(f"{name} {text!r:.60}: no file can have this name; check the path", option=name)
    return os.path.expanduser(text) if isinstance(path, str) else text


def several_paths(name: str, paths: AnyPaths) -> list[str]:
    """One path or several, each as `text_of_path`. Raises `UsageError`."""
    return [text_of_path(name, path) for path in checked_paths(name, paths)]


def checked_paths(name: str, paths: AnyPaths) -> tuple[AnyPath, ...]:
    """One path or several, as they were given. Raises `UsageError` where one of them is none."""
    try:
        given = (paths,) if isinstance(paths, str | bytes | os.PathLike) else tuple(paths)
    except TypeError:
        raise UsageError(f"{name} {paths!r:.60}: give a path, or a list of them", option=name) from None
    for path in given:
        text_of_path(name, path)
    return given


def require_number(name: str, value: object, least: float, most: float = float("inf")) -> None:
    """Raises `UsageError` for what is no number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, Real) or not least <= float(value) <= most:
        bounds = f"{least:g} or more" if most == float("inf") else f"from {least:g} to {most:g}"
        raise UsageError(f"{name} {_shown(value)}: has to be {bounds}", option=name)


def require_whole_number(name: str, value: object, least: int) -> None:
    """Raises `UsageError` for what is no whole number from `least` on."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise UsageError(f"{name} {_shown(value)}: has to be a whole number", option=name)
    if int(value) < least:
        raise UsageError(f"{name} {_shown(value)}: has to be {least} or more", option=name)


def _shown(value: object) -> str:
    return f"{value!r:.60}" if isinstance(value, str | bytes) else f"{value!s:.60}"
