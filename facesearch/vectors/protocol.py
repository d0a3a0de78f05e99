"""What the index room needs of a vector index, and what an engine has to give to be one kind of it."""

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
"""bool[n]: which of n rows are meant."""

Blocks = Callable[[], Iterable[tuple["IdArray", "FloatArray"]]]
"""All vectors, from the beginning each time: ascending ids, int64[n], with float32[n, dim], block by block."""

Write = Callable[[bytes], None]
"""Takes the bytes of a file, piece by piece. Raises `OSError`."""


class VectorIndex(Protocol):
    """Finds the vectors nearest to a question by inner product, which for unit vectors is the cosine similarity."""

    @property
    def kind(self) -> str:
        """The name of the kind that answers."""
        ...

    @property
    def recall(self) -> float:
        """The share of the true ten nearest that is found, measured when the file was written; 1 when exact."""
        ...

    @property
    def probes(self) -> int | None:
        """How many clusters a question visits; None for an exact index, which has none."""
        ...

    @property
    def exact(self) -> bool:
        """Whether scores are those of the vectors that were added, every bit of which was verified."""
        ...

    def __len__(self) -> int:
        """Vectors that can be found."""
        ...

    def add(self, ids: IdArray, vectors: FloatArray) -> None:
        """int64[n] ids, larger than any added before and ascending, for float32[n, dim] vectors."""
        ...

    def remove(self, ids: IdArray) -> None:
        """Ids never to be found again; those that are not there are ignored."""
        ...

    def search(self, queries: FloatArray, k: int, allowed: IdArray | None = None) -> tuple[FloatArray, IdArray]:
        """The k best for each of float32[q, dim]: scores float32[q, m] and ids int64[q, m], m = min(k, len(self)).

        Best first; equal scores by id. `allowed` limits the answer to those ids. Where fewer than m are left, the
        rows end in id -1 with score -inf.
        """
        ...

    def vectors(self, ids: IdArray) -> FloatArray:
        """float32[n, dim] for ids that are ascending; those that are not there give zeros."""
        ...


class Candidates(NamedTuple):
    """Rows that may be among the best, and the best score, about, that a row left behind may have."""

    rows: IdArray
    left_behind: float


class Base(Protocol):
    """Vectors in rows, as they were when the file was written. It never changes.

    It proposes candidates, fast and to within rounding; `LayeredIndex` scores them again, and puts them together with
    what has come and gone since.
    """

    @property
    def kind(self) -> str:
        """The name of its kind."""
        ...

    @property
    def exact(self) -> bool:
        """Whether `vectors` gives them as they were added."""
        ...

    @property
    def probes(self) -> int | None:
        """How many clusters a question visits; None where there are none."""
        ...

    @property
    def ids(self) -> IdArray:
        """int64[n]: the id of each row, ascending."""
        ...

    def candidates(self, queries: FloatArray, wanted: int, mask: Mask | None) -> list[Candidates]:
        """About the `wanted` best rows for each of float32[q, dim], in no order, of those that `mask` allows."""
        ...

    def vectors(self, rows: IdArray) -> FloatArray:
        """float32[n, dim]; of an approximate base to within its rounding."""
        ...


class Made(NamedTuple):
    """What is to be written as a file, and its recall at 10 (1 when exact)."""

    recall: float
    write_to: Callable[[Write], None]


class Kind(Protocol):
    """One kind of vector file. `name` is what the file and the command line call it, at most 8 letters of ASCII."""

    @property
    def name(self) -> str:
        """See above."""
        ...

    @property
    def exact(self) -> bool:
        """Whether nothing is ever missed."""
        ...

    def takes(self, count: int, dim: int) -> bool:
        """Whether it can be made of so many vectors of so many dimensions, with something to gain."""
        ...

    def make(self, dim: int, blocks: Blocks) -> Made:
        """One of all vectors."""
        ...

    def read(self, path: Path, whole: bytes | None, dim: int) -> Base | None:
        """What was written, from its bytes or, without them, mapped from the file; None when it makes no sense."""
        ...
