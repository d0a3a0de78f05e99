"""The packs that the user has registered and the default model for new indexes, kept as JSON in the user's data."""

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
    """Return `name` if it is a valid name for a pack: a plain word, not a path. Raises `UsageError` otherwise."""
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
    """The registered packs by name, and the default model for new indexes; None: facesearch chooses."""

    added: Mapping[str, AddedPack] = field(default_factory=dict)
    default: str | None = None


def registry_path() -> Path | None:
    """Return the path of the registry, which need not exist; None without a home folder."""
    folder = user_data()
    return None if folder is None else folder / "models.json"


def read_registry() -> Registry:
    """Read the registry; empty if there is none. Raises `ModelError` if the file is damaged."""
    path = registry_path()
    if path is None:
        return Registry()
    kept = kept_json(path, "delete it, and register your models again")
    if kept is None:
        return Registry()
    try:
        if kept["version"] > _VERSION:
            raise ModelError(f"{path}: written by a newer facesearch; use that version, or move the file away")
        added = {
            str(name): AddedPack(Path(entry["folder"]), checked_digests(entry["digests"]))
            for name, entry in kept["models"].items()
        }
        return Registry(added, None if kept["default"] is None else str(kept["default"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{path}: damaged; delete it, and register your models again") from error


def registered_name(folder: Path) -> str | None:
    """Return the name under which the user has registered a folder, the first of several; None if there is none.

    A damaged registry does not prevent the use of a folder: only `read_registry` reports it.
    """
    try:
        added = read_registry().added
    except ModelError:
        return None
    place = os.path.realpath(folder)
    return next((name for name in sorted(added) if os.path.realpath(added[name].folder) == place), None)


def change_registry(change: Callable[[Registry], Registry]) -> None:
    """Read, change and write the registry under a lock.

    Raises `ModelError` if it is damaged, `StorageError` if it cannot be written.
    """
    path = registry_path()
    if path is None:
        raise StorageError("no home folder found for the list of models; set XDG_DATA_HOME to a folder")
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
    """Hold the lock of the registry. The lock is on the folder, because the file itself is replaced."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            lock(descriptor, wait=math.inf)
        except OSError:
            pass  # a home on a network share may not support locks; concurrent changes are unlikely there
        yield
    finally:
        os.close(descriptor)
