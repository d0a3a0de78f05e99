"""Shared helpers for FAISS: read and write its files, convert masks and answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facesearch.vectors.protocol import Candidates, Mask, Write

if TYPE_CHECKING:
    from facesearch.types import FloatArray, IdArray

__all__ = ["found", "preload", "read_index", "selecting", "selector", "write_index"]


def preload() -> None:
    """Load FAISS, which is slow, ahead of its first use: for example on another thread while a photo is decoded."""
    try:
        import faiss  # noqa: F401
    except ImportError:
        pass  # the first real use raises it


def read_index(path: Path, whole: bytes | None, dim: int) -> tuple[Any, Any] | None:
    """Load a FAISS index with an id map: return both it and its inner index; None for anything else.

    It is read from the bytes `whole`, or mapped from the file if `whole` is None.
    """
    import faiss

    try:
        if whole is not None:
            index = faiss.deserialize_index(np.frombuffer(whole, dtype=np.uint8))
        else:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError:  # FAISS raises nothing else
        return None
    try:
        inner = faiss.downcast_index(index.index)
        return (index, inner) if inner.d == dim and inner.ntotal == index.id_map.size() else None
    except AttributeError:  # another type of index lacks the attributes
        return None


def write_index(index: Any, write: Write) -> None:
    """Write the bytes of a FAISS index. Raises the `OSError` that `write` raised."""
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
        if failure is not None:  # FAISS reports a callback's failure as its own
            raise failure from None
        raise


def found(rows: IdArray, scores: FloatArray, total: int) -> Candidates:
    """Convert FAISS's answer to one query, which is padded with -1."""
    present = rows >= 0
    complete = len(rows) >= total or not present.all()
    return Candidates(rows[present], -np.inf if complete or not len(rows) else float(scores[-1]))


def selector(mask: Mask | None) -> Any:
    """Convert a mask of rows to a FAISS selector; None for all rows."""
    import faiss

    if mask is None:
        return None
    bits = np.packbits(mask, bitorder="little")
    selector = faiss.IDSelectorBitmap(len(mask), faiss.swig_ptr(bits))
    selector.bits_alive = bits  # keeps them alive: the selector holds only a pointer
    return selector


def selecting(mask: Mask | None) -> Any:
    """Convert a mask of rows to FAISS search parameters; None for all rows."""
    import faiss

    return None if mask is None else faiss.SearchParameters(sel=selector(mask))
