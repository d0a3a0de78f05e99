"""The kinds of vector file, and the choice of kind by the size of an index. A new engine adds one line here."""

from __future__ import annotations

from collections.abc import Mapping

from facesearch.vectors.flat import Flat
from facesearch.vectors.ivf import Ivf
from facesearch.vectors.protocol import Kind

__all__ = ["INDEX_TYPES", "KINDS", "kind_for"]

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (Flat(), Ivf())}
"""By name, in order of preference. The first is exact and takes any vectors."""

INDEX_TYPES = ("auto", *KINDS)
"""The search methods; `auto` is exact while that is fast, and approximate for larger indexes."""

_EXACT_UP_TO = 512_000_000
"""Bytes of vectors, a million of 128 dimensions: two cores read them in 20 to 50 ms."""


def kind_for(chosen: str, count: int, dim: int) -> Kind:
    """Return the kind for one of `INDEX_TYPES` and `count` vectors; the exact kind if the chosen one does not fit."""
    exact, *_ = KINDS.values()
    if chosen == "auto":
        small = count * dim * 4 <= _EXACT_UP_TO
        wanted = next((kind for kind in KINDS.values() if kind.exact == small), exact)
    else:
        wanted = KINDS[chosen]
    return wanted if wanted.takes(count, dim) else exact
