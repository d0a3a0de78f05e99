"""Protocols: what `facesearch.index` needs from a vector index, and what an engine must provide for a new kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from facesearch.types import FloatArray, IdArray

__all__ = ["Base", "Blocks", "Candidates", "Kind", "Made", "Mask", "VectorIndex", "Write"]

Mask = NDArray[np.bool_]
"""bool[n]: True for the selected rows of n."""

Blocks = Callable[[], Iterable[tuple["IdArray", "FloatArray"]]]
"""Each call iterates over all vectors in blocks: ascending ids, int64[n], with float32[n, dim]."""

Write = Callable[[bytes], None]
"""Writes the next bytes of a file. Raises `OSError`."""


class VectorIndex(Protocol):
    """Finds the vectors nearest to a query by inner product, which for unit vectors is the cosine similarity."""

    @property
    def kind(self) -> str:
        """The name of the kind of vector file that is searched."""
        ...

    @property
    def recall(self) -> float:
        """The share of the true ten nearest that is found, measured when the file was written; 1 if exact."""
        ...

    @property
    def probes(self) -> int | None:
        """The number of clusters that a query visits; None for an exact index, which has no clusters."""
        ...

    @property
    def exact(self) -> bool:
        """Whether scores come from the vectors as they were added, with every bit verified."""
        ...

    def __len__(self) -> int:
        """The number of vectors that can be found."""
        ...

    def add(self, ids: IdArray, vectors: FloatArray) -> None:
        """Add float32[n, dim] vectors with int64[n] ids, which are ascending and larger than any added before."""
        ...

    def remove(self, ids: IdArray) -> None:
        """Remove ids for good; unknown ids are ignored."""
        ...

    def search(self, queries: FloatArray, k: int, allowed: IdArray | None = None) -> tuple[FloatArray, IdArray]:
        """Return the k best for each of float32[q, dim]: scores float32[q, m], ids int64[q, m], m = min(k, len(self)).

        Best first; equal scores by id. `allowed` limits the answer to those ids. If fewer than m remain, the rows end
        in id -1 with score -inf.
        """
        ...

    def vectors(self, ids: IdArray) -> FloatArray:
        """Return float32[n, dim] for ascending ids; zeros for unknown ids."""
        ...


class Candidates(NamedTuple):
    """Rows that may be among the best, and the approximate best score that any other row may have."""

    rows: IdArray
    left_behind: float


class Base(Protocol):
    """The vectors of a file, in rows. It never changes.

    It proposes candidates, fast and up to rounding. `LayeredIndex` scores them again and merges them with the vectors
    that were added and removed since.
    """

    @property
    def kind(self) -> str:
        """The name of its kind."""
        ...

    @property
    def exact(self) -> bool:
        """Whether `vectors` returns them as they were added."""
        ...

    @property
    def probes(self) -> int | None:
        """The number of clusters that a query visits; None if there are no clusters."""
        ...

    @property
    def ids(self) -> IdArray:
        """int64[n]: the id of each row, ascending."""
        ...

    def candidates(self, queries: FloatArray, wanted: int, mask: Mask | None) -> list[Candidates]:
        """Return about `wanted` of the best rows that `mask` allows for each of float32[q, dim], in any order."""
        ...

    def vectors(self, rows: IdArray) -> FloatArray:
        """Return float32[n, dim]; an approximate base returns them rounded."""
        ...


class Made(NamedTuple):
    """A new index with its recall at 10 (1 if exact) and the function that writes it to a file."""

    recall: float
    write_to: Callable[[Write], None]


class Kind(Protocol):
    """One kind of vector file."""

    @property
    def name(self) -> str:
        """Its name in the file and on the command line, at most 8 ASCII letters."""
        ...

    @property
    def exact(self) -> bool:
        """Whether a search never misses a vector."""
        ...

    def takes(self, count: int, dim: int) -> bool:
        """Return True if it works, and pays off, for `count` vectors of `dim` dimensions."""
        ...

    def make(self, dim: int, blocks: Blocks) -> Made:
        """Build an index of all vectors in `blocks`."""
        ...

    def read(self, path: Path, whole: bytes | None, dim: int) -> Base | None:
        """Load an index from its bytes `whole`, or map the file if `whole` is None; None if it is invalid."""
        ...
