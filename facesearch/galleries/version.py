"""What a shared gallery says about itself: the version of its tables, and the model of its embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from facesearch.errors import GalleryError
from facesearch.types import ModelInfo

if TYPE_CHECKING:
    from facesearch.galleries.address import Address

__all__ = ["as_told", "require_version", "told_model"]


def as_told(model: ModelInfo) -> dict[str, Any]:
    """Return a model as JSON."""
    return {
        "name": model.name, "dim": model.dim, "digests": dict(model.digests), "revision": model.revision,
        "threshold": model.threshold, "licence": model.licence,
    }  # fmt: skip


def told_model(address: Address, told: object) -> ModelInfo:
    """Return a model from JSON. Raises `GalleryError` if it is none."""
    try:
        if isinstance(told, Mapping):
            return ModelInfo(**told)
    except (TypeError, ValueError) as error:
        raise GalleryError(f"{address}: {_UNKNOWN}") from error
    raise GalleryError(f"{address}: {_UNKNOWN}")


def require_version(address: Address, version: object, supported: int) -> None:
    """Raise `GalleryError` if a gallery was made by another version."""
    if isinstance(version, int) and version != supported:
        newer = "a newer" if version > supported else "an older"
        raise GalleryError(
            f"{address}: made by {newer} facesearch (version {version}, this one supports {supported});"
            " use the same version everywhere"
        )


_UNKNOWN = "the gallery does not say which model it has; make it again"
