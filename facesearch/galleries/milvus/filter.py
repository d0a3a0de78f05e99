"""A filter as a condition on the collection of faces of a gallery in Milvus."""

from __future__ import annotations

import os
from collections.abc import Iterable

from facesearch.filters import Filter

__all__ = ["EVERYTHING", "both", "expression", "inside", "text_of"]

EVERYTHING = "key >= 0"
"""The condition that every face passes; an empty one is not allowed everywhere."""

_SEPARATOR = os.fsencode(os.sep)


def expression(wanted: Filter) -> str:
    """Return the condition for a filter, but for its index: the faces of each are a partition."""
    parts = []
    if wanted.folders:
        parts.append(inside(wanted.folders))
    if wanted.other_folders:
        parts.append(f"not {inside(wanted.other_folders)}")
    if wanted.since is not None:
        parts.append(f"last_moment >= {_quoted(wanted.since)}")
    if wanted.until is not None:
        parts.append(f"first_moment <= {_quoted(wanted.until)}")
    if wanted.min_face > 0:
        parts.append(f"shorter >= {wanted.min_face!r}")
    if wanted.min_quality > 0:
        parts.append(f"quality >= {wanted.min_quality!r}")
    if wanted.number_of_faces is not None:
        least, most = wanted.number_of_faces
        parts.append(f"faces_in_photo >= {least} and faces_in_photo <= {most}")
    if wanted.person is not None:
        parts.append(f"person == {wanted.person}")
    if wanted.photos is not None:
        parts.append(f"photo in {sorted(wanted.photos)}")
    return " and ".join(parts) or EVERYTHING


def inside(paths: Iterable[bytes]) -> str:
    """Return the condition that a photo is one of some absolute paths, or in one of these folders."""
    parts = []
    for path in paths:
        folder = path.rstrip(_SEPARATOR) + _SEPARATOR
        after = folder[:-1] + bytes([_SEPARATOR[0] + 1])
        itself, first, end = (_quoted(text_of(place)) for place in (path, folder, after))
        parts.append(f"path == {itself} or (path >= {first} and path < {end})")
    return f"({' or '.join(parts)})"


def both(one: str, other: str) -> str:
    """Return the condition that two conditions hold."""
    return f"({one}) and ({other})"


def text_of(path: bytes) -> str:
    """Return a path as text: one character per byte, so that text is ordered as bytes are."""
    return path.decode("latin-1")


def _quoted(text: str) -> str:
    """Return a literal. Milvus and Milvus Lite take no other escapes alike, and have no placeholders that work."""
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(plain, escaped)
    return f'"{text}"'
