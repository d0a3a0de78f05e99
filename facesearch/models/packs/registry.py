"""The packs that the user has registered, and the model that new indexes get: kept among the user's data as JSON."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from facesearch.errors import ModelError, StorageError, UsageError
from facesearch.files import lock
from facesearch.models.packs.record import checked_digests, kept_json
from facesearch.settings import user_data, write_json

__all__ = [
    "AddedPack",
    "Registry",
    "change_registry",
    "read_registry",
    "registered_name",
    "registry_path",
    "require_name",
]

_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def require_name(name: str) -> str:
    """`name`, when it can name a pack: a plain word that is no path. Raises `UsageError`."""
    if not _NAME.fullmatch(name) or name == "embedded":
        raise UsageError(f"{name!r} cannot name a pack; use letters, digits, . _ and -, and not embedded")
    return name


@dataclass(frozen=True, slots=True)
class AddedPack:
    """A folder that the user has registered under a name, with the SHA-256 of its graphs at that time."""

    folder: Path
    digests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Registry:
    """What the user has registered, and the model that new indexes get; None: facesearch chooses."""

    added: Mapping[str, AddedPack] = field(default_factory=dict)
    default: str | None = None


def registry_path() -> Path | None:
    """Where the registry is kept, whether or not there is one; None without a home."""
    folder = user_data()
    return None if folder is None else folder / "models.json"


def read_registry() -> Registry:
    """What the user has registered; nothing at first. Raises `ModelError` when the file is damaged."""
    path = registry_path()
    if path is None:
        return Registry()
    kept = kept_json(path, "delete it, and register your models again")
    if kept is None:
        return Registry()
    try:
        if kept["version"] > _VERSION:
            raise ModelError(f"{path}: written by a newer facesearch; use that one, or move the file away")
        added = {
            str(name): AddedPack(Path(entry["folder"]), checked_digests(entry["digests"]))
            for name, entry in kept["models"].items()
        }
        return Registry(added, None if kept["default"] is None else str(kept["default"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{path}: damaged; delete it, and register your models again") from error


def registered_name(folder: Path) -> str | None:
    """The name under which the user has registered a folder, the first of several; None where there is none.

    Whoever has registered nothing that can be read is not kept from using a folder: damage is told by `read_registry`.
    """
    try:
        added = read_registry().added
    except ModelError:
        return None
    place = os.path.realpath(folder)
    return next((name for name in sorted(added) if os.path.realpath(added[name].folder) == place), None)


def change_registry(change: Callable[[Registry], Registry]) -> None:
    """Read, change and write the registry while nobody else does. Raises `ModelError`, `StorageError`."""
    path = registry_path()
    if path is None:
        raise StorageError("there is no home folder to keep this in; set XDG_DATA_HOME to a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone_in(path.parent):
            registry = change(read_registry())
            models = {
                name: {"folder": str(pack.folder), "digests": dict(pack.digests)}
                for name, pack in registry.added.items()
            }
            write_json(path, {"version": _VERSION, "default": registry.default, "models": models})
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror}); check the folder") from error


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Nobody else changes the registry meanwhile. The lock is on the folder: the file itself is replaced."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            lock(descriptor, wait=math.inf)
        except OSError:
            pass  # a home on a network folder may know no locks; two people are not registering models there at once
        yield
    finally:
        os.close(descriptor)
