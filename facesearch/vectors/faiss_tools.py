"""What the kinds that FAISS searches share: reading and writing its files, masks, its answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facesearch.vectors.protocol import Candidates, Mask, Write

if TYPE_CHECKING:
    from facesearch.types import FloatArray, IdArray

__all__ = ["found", "preload", "read_index", "selecting", "selector", "write_index"]


def preload() -> None:
    """Load FAISS, which takes a while, ahead of its first use: on another thread, say, while a photo is decoded."""
    try:
        import faiss  # noqa: F401
    except ImportError:
        pass  # whoever uses it is told


def read_index(path: Path, whole: bytes | None, dim: int) -> tuple[Any, Any] | None:
    """A FAISS index under an id map, and what is under it; None for anything else.

    It is read from the bytes or, without them, mapped from the file.
    """
    import faiss

    try:
        if whole is not None:
            index = faiss.deserialize_index(np.frombuffer(whole, dtype=np.uint8))
        else:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError:  # all its exceptions
        return None
    try:
        inner = faiss.downcast_index(index.index)
        return (index, inner) if inner.d == dim and inner.ntotal == index.id_map.size() else None
    except AttributeError:  # another type of index lacks the attributes
        return None


def write_index(index: Any, write: Write) -> None:
    """The bytes of a FAISS index. Raises the `OSError` that `write` raised."""
    import faiss

    failure: OSError | None = None

    def callback(data: bytes) -> int:
        nonlocal failure
        try:
            write(data)
        except OSError as error:
            failure = error
            raise
        return len(data)

    try:
        faiss.write_index(index, faiss.PyCallbackIOWriter(callback))
    except RuntimeError:
        if failure is not None:  # FAISS reports a callback's failure as one of its own
            raise failure from None
        raise


def found(rows: IdArray, scores: FloatArray, total: int) -> Candidates:
    """FAISS's answer to one question; it fills up with -1."""
    present = rows >= 0
    complete = len(rows) >= total or not present.all()
    return Candidates(rows[present], -np.inf if complete or not len(rows) else float(scores[-1]))


def selector(mask: Mask | None) -> Any:
    """Rows that may be found, for FAISS; None for all."""
    import faiss

    if mask is None:
        return None
    bits = np.packbits(mask, bitorder="little")
    selector = faiss.IDSelectorBitmap(len(mask), faiss.swig_ptr(bits))
    selector.bits_alive = bits  # it only points to them
    return selector


def selecting(mask: Mask | None) -> Any:
    """The same as parameters of a search."""
    import faiss

    return None if mask is None else faiss.SearchParameters(sel=selector(mask))
