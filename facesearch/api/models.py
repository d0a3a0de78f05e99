"""The face models of this machine: list, install, register, verify and choose them; is all of it sound."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from facesearch.errors import Hint, InputError, ModelError, UsageError
from facesearch.events import SILENT, Observer
from facesearch.models.runtime import DEVICES

if TYPE_CHECKING:
    from facesearch.care.doctor import Finding
    from facesearch.models.packs.registry import PackRecord
    from facesearch.models.resolve import ListedModel, VerifiedPack

__all__ = [
    "DEVICES",
    "Added",
    "Licence",
    "Pulled",
    "Removal",
    "add_pack",
    "default_model",
    "doctor",
    "list_models",
    "models_folder",
    "pull",
    "remove_pack",
    "to_remove",
    "use",
    "verify",
]


class Added(NamedTuple):
    """A pack that is registered under a name. `is_new` is false where it was registered before."""

    name: str
    folder: Path
    dim: int
    graphs: tuple[str, ...]
    is_new: bool = True


class Removal(NamedTuple):
    """What the removal of a model takes away: all `files` in its folder, or, where there are None, its name alone.

    `was_default` tells that new indexes got it.
    """

    name: str
    folder: Path
    files: int | None
    was_default: bool


class Licence(NamedTuple):
    """The licence of a pack. `url` is where it can be read; None where nobody knows what it is."""

    pack: str
    text: str
    url: str | None


class Pulled(NamedTuple):
    """Where a pack is installed. `is_new` is false where it was before, and sound."""

    folder: Path
    is_new: bool


def list_models() -> list[ListedModel]:
    """Every model that there is or could be. Raises `ModelError` where what was registered cannot be read."""
    from facesearch.models.resolve import listed_models

    return listed_models()


def default_model() -> str:
    """The name of the model that new indexes get. Raises `ModelError` where it is not there any more."""
    from facesearch.models.resolve import choose_model

    return choose_model(None).name


def models_folder() -> Path:
    """Where packs are installed."""
    from facesearch.models.insightface_pack import models_folder

    return models_folder()


def add_pack(folder: Path, name: str | None = None, *, observer: Observer = SILENT) -> Added:
    """Register a folder of .onnx files in InsightFace's format under a name, by default the folder's own.

    Its networks are tried on faces first; the files stay where they are. Raises `InputError` where there is no such
    folder, `UsageError` where the name is taken or is none, `ModelError` where it is no pack or does not work.
    """
    from facesearch.faces.trial import tried
    from facesearch.models.insightface_pack import pack_info
    from facesearch.models.packs.registry import (
        AddedPack,
        Registry,
        change_registry,
        graph_digests,
        known_pack,
        read_registry,
        require_name,
    )
    from facesearch.models.resolve import pack_folder

    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the one that the .onnx files are in")
    folder = Path(os.path.abspath(folder))
    called = require_name(name if name is not None else folder.name)
    pack = AddedPack(folder, graph_digests(folder))
    if read_registry().added.get(called) == pack:
        info = pack_info(folder)
        return Added(called, folder, info.dim, tuple(info.digests), is_new=False)
    if known_pack(called) is not None or called in read_registry().added or pack_folder(called) is not None:
        raise UsageError(f"the name {called} is taken", Hint.ANOTHER_NAME, name=called)
    info = pack_info(folder)
    trial = tried(str(folder))
    if trial.fault is not None:
        raise ModelError(f"{folder}: {trial.fault}; not registered")
    if trial.note is not None:
        observer.warn(f"{called}: {trial.note}")

    def added(registry: Registry) -> Registry:
        return replace(registry, added={**registry.added, called: pack})

    change_registry(added)
    return Added(called, folder, info.dim, tuple(info.digests))


def to_remove(name: str) -> Removal:
    """What `remove_pack` would take away; nothing is done. Raises what `remove_pack` raises."""
    return _removal(name)[0]


def remove_pack(name: str, *, confirm: Callable[[Removal], object] | None = None) -> Removal:
    """Forget a registered folder, its files stay; or delete a pack that `pull` has installed.

    `confirm` is told first, where files are to be deleted; what it raises ends the call. Raises `UsageError` for the
    embedded model, `ModelError` where there is no such model, or facesearch has not installed it.
    """
    from facesearch.models.packs.install import remove_pack

    going, record = _removal(name)
    if record is not None:
        if confirm is not None:
            confirm(going)
        remove_pack(name, going.folder, record)
    _forget(name)
    return going


def _removal(name: str) -> tuple[Removal, PackRecord | None]:
    from facesearch.models.packs.registry import read_record, read_registry
    from facesearch.models.resolve import EMBEDDED, pack_folder

    if name == EMBEDDED:
        raise UsageError(f"{EMBEDDED} is a part of facesearch; it cannot be removed")
    registry = read_registry()
    was_default = registry.default == name
    registered = registry.added.get(name)
    if registered is not None:
        return Removal(name, registered.folder, None, was_default), None
    folder = pack_folder(name)
    if folder is None:
        raise ModelError(f"no model {name!r} is installed or registered", Hint.LIST_MODELS)
    record = read_record(folder)
    if record is None:
        raise ModelError(f"{folder} was not installed by facesearch, so it does not delete it; delete it yourself")
    return Removal(name, folder, len(record.digests), was_default), record


def _forget(name: str) -> None:
    """Take a model out of the registry, also as the default."""
    from facesearch.models.packs.registry import Registry, change_registry, read_registry

    known = read_registry()
    if known.default != name and name not in known.added:
        return

    def without(registry: Registry) -> Registry:
        added = {other: pack for other, pack in registry.added.items() if other != name}
        return Registry(added, None if registry.default == name else registry.default)

    change_registry(without)


def pull(
    name: str,
    *,
    accept: Callable[[Licence], bool],
    source: str | None = None,
    progress: Callable[[int, int | None], object] | None = None,
    observer: Observer = SILENT,
) -> Pulled:
    """Fetch a pack and install it where insightface looks for it; the only thing here that uses the network.

    `accept` is shown the licence, and nothing is fetched unless it says yes. `source` is another address, or an archive
    on this machine. `progress` is told how many bytes have come, of how many, None where nobody knows. Raises
    `UsageError` for a name that is not known or a licence that is not accepted, `ModelError` where the archive cannot
    be had or is not that pack, `StorageError`, and `LockedError` where another run is fetching it.
    """
    from facesearch.models.packs import install
    from facesearch.models.packs.download import is_address
    from facesearch.models.packs.registry import KNOWN_PACKS, UNKNOWN_LICENCE, known_pack, require_name

    known = known_pack(require_name(name))
    if known is None and source is None:
        names = ", ".join(pack.name for pack in KNOWN_PACKS)
        raise UsageError(f"no pack {name!r} is known (known: {names})", Hint.SOURCE)
    folder = install.sound_pack(name)
    if folder is not None:
        return Pulled(folder, is_new=False)
    origin = source or (known.url if known else "")
    licence = Licence(name, known.licence if known else UNKNOWN_LICENCE, known.licence_url if known else None)
    if not accept(licence):
        raise UsageError("not accepted; nothing was fetched")
    if is_address(origin):
        observer.note(f"fetching {origin}")

    def told(done: int, total: int | None) -> None:
        if progress is not None:
            progress(done, total)

    return Pulled(
        install.pull(
            name, origin, licence=licence.text, progress=told, notify=observer.note, fault_in=_fault_in
        ),
        is_new=True,
    )  # fmt: skip


def _fault_in(folder: Path) -> str | None:
    from facesearch.faces.trial import tried

    return tried(str(folder)).fault


def verify(name: str | None = None) -> list[VerifiedPack]:
    """Every pack, or one: its files compared with the digests on record, and tried on faces. Raises `ModelError`."""
    from facesearch.faces.trial import examined

    return examined(name)


def use(name: str | None) -> None:
    """Choose the model for new indexes; None leaves it to facesearch. Raises `ModelError` where it is not there."""
    from facesearch.models.packs.registry import Registry, change_registry
    from facesearch.models.resolve import EMBEDDED, model_info, pack_folder

    if name is not None and name != EMBEDDED and pack_folder(name) is None:
        raise ModelError(f"no model {name!r} is installed or registered", Hint.BRING_MODEL)
    if name is not None:
        model_info(name)  # complete

    def chosen(registry: Registry) -> Registry:
        return replace(registry, default=name)

    change_registry(chosen)


def doctor(index: Path | None = None) -> list[Finding]:
    """Look at packages, processors, models, disks and the index in a folder, by default the one that questions go to.

    Nothing is changed. Raises `UsageError` where no folder can be told.
    """
    from facesearch.care.doctor import checkup
    from facesearch.settings import default_index_path

    return checkup(index or default_index_path())
