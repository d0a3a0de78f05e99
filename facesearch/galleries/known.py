"""The galleries that a user has connected, by name, and how an address becomes an open gallery."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.errors import GalleryError, InputError, StorageError, UsageError
from facesearch.galleries.address import Address
from facesearch.settings import user_data, write_json

if TYPE_CHECKING:
    from facesearch.galleries.shared import Method, SharedGallery
    from facesearch.types import ModelInfo

__all__ = ["address_of", "creation", "forget_name", "known_galleries", "make", "open_gallery", "remember", "switch"]

_FILE = "galleries.json"


def known_galleries() -> dict[str, str]:
    """Return the addresses of the user's galleries, by name. Raises `StorageError` if the list cannot be read."""
    path = _path()
    if path is None:
        return {}
    try:
        kept = json.loads(path.read_bytes())
        return {str(name): str(address) for name, address in kept.items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror}); check its rights") from error
    except (ValueError, AttributeError) as error:
        raise StorageError(f"{path}: damaged; delete it, and connect the galleries again") from error


def remember(name: str, address: Address) -> None:
    """Store the address of a gallery, without its password. Raises `StorageError`."""
    _keep({**known_galleries(), name: address.text})


def forget_name(name: str) -> bool:
    """Delete the address of a gallery; return whether it was known. Raises `StorageError`."""
    known = known_galleries()
    if name not in known:
        return False
    _keep({other: address for other, address in known.items() if other != name})
    return True


def address_of(gallery: str) -> Address:
    """Return the address of a gallery, given by name or as the address itself. Raises `InputError`, `UsageError`."""
    if "://" in gallery:
        return Address.of(gallery)
    known = known_galleries()
    if gallery not in known:
        names = ", ".join(sorted(known)) or "none"
        raise InputError(f"{gallery}: no gallery of this name is connected (connected: {names})")
    return Address.of(known[gallery])


def open_gallery(address: Address, *, beside: bool = False) -> SharedGallery:
    """Open a gallery, or the one for another model beside it. Raises `GalleryError`."""
    if address.is_postgres:
        from facesearch.galleries.postgres.gallery import PostgresGallery

        return PostgresGallery(address, beside=beside)
    from facesearch.galleries.milvus.gallery import MilvusGallery

    return MilvusGallery(address, beside=beside)


def make(address: Address, model: ModelInfo, *, private: bool = False, beside: bool = False) -> None:
    """Make a gallery for embeddings of a model; in a private one, each index has its own readers.

    With `beside` it is made beside the gallery that there is, to be switched to. Raises `GalleryError`.
    """
    if address.is_postgres:
        from facesearch.galleries.postgres.gallery import make as made

        made(address, model, private=private, beside=beside)
        return
    if private:
        raise GalleryError(f"{address}: only PostgreSQL has private galleries; give each group of users a database")
    from facesearch.galleries.milvus.gallery import make as made_in_milvus

    made_in_milvus(address, model, beside=beside)


def switch(address: Address) -> None:
    """Let the gallery beside the current one take its place. Raises `GalleryError`."""
    if address.is_postgres:
        from facesearch.galleries.postgres.gallery import switch as switched
    else:
        from facesearch.galleries.milvus.gallery import switch as switched
    switched(address)


def creation(model: ModelInfo, method: Method = "exact", *, private: bool = False, beside: bool = False) -> str:
    """Return the SQL that makes a gallery for embeddings of a model in PostgreSQL, which searches by a method."""
    from facesearch.galleries.postgres.schema import creation as written

    return written(model, method, private=private, beside=beside)


def _path() -> Path | None:
    folder = user_data()
    return None if folder is None else folder / _FILE


def _keep(galleries: dict[str, str]) -> None:
    path = _path()
    if path is None:
        raise UsageError("no home folder found for the list of galleries; set HOME, or give the address each time")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_json(path, galleries)
        os.chmod(path, 0o600)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror}); check the folder") from error
