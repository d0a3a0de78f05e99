"""The face models of this machine: list, install, register, verify and choose them; and a check of the set-up."""

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
    from facesearch.models.packs.record import PackRecord
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
    """A registered pack. `is_new` is false if it was registered before."""

    name: str
    folder: Path
    dim: int
    graphs: tuple[str, ...]
    is_new: bool = True


class Removal(NamedTuple):
    """The removal of a model: the number of `files` to delete, or None if only its registration is removed.

    `was_default` is true if it was the model for new indexes.
    """

    name: str
    folder: Path
    files: int | None
    was_default: bool


class Licence(NamedTuple):
    """The licence of a pack. `url` is the address of its text, None if the licence is unknown."""

    pack: str
    text: str
    url: str | None


class Pulled(NamedTuple):
    """The folder of an installed pack. `is_new` is false if it was installed before and is intact."""

    folder: Path
    is_new: bool


def list_models() -> list[ListedModel]:
    """Return every model that is installed, registered or can be pulled.

    Raises `ModelError` if the registry cannot be read.
    """
    from facesearch.models.resolve import listed_models

    return listed_models()


def default_model() -> str:
    """Return the name of the model for new indexes. Raises `ModelError` if it is no longer installed."""
    from facesearch.models.resolve import choose_model

    return choose_model(None).name


def models_folder() -> Path:
    """Return the folder in which packs are installed."""
    from facesearch.models.insightface_pack import models_folder

    return models_folder()


def add_pack(folder: Path, name: str | None = None, *, observer: Observer = SILENT) -> Added:
    """Register a folder of .onnx files in InsightFace's format under a name, by default the name of the folder.

    The networks are first tried on faces. The files stay where they are. Raises `InputError` if there is no such
    folder, `UsageError` if the name is taken or invalid, `ModelError` if the folder is not a pack or does not work.
    """
    from facesearch.faces.trial import tried
    from facesearch.models.insightface_pack import pack_info
    from facesearch.models.packs.known import known_pack
    from facesearch.models.packs.record import graph_digests
    from facesearch.models.packs.registry import AddedPack, Registry, change_registry, read_registry, require_name
    from facesearch.models.resolve import pack_folder

    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder with the .onnx files")
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
    """Return what `remove_pack` would remove; nothing is changed. Raises what `remove_pack` raises."""
    return _removal(name)[0]


def remove_pack(name: str, *, confirm: Callable[[Removal], object] | None = None) -> Removal:
    """Unregister a folder and keep its files, or delete a pack that `pull` installed.

    `confirm` is called before files are deleted; if it raises, the call ends and nothing is deleted. Raises
    `UsageError` for the embedded model, `ModelError` if there is no such model or facesearch did not install it.
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
    from facesearch.models.packs.record import read_record
    from facesearch.models.packs.registry import read_registry
    from facesearch.models.resolve import EMBEDDED, pack_folder

    if name == EMBEDDED:
        raise UsageError(f"{EMBEDDED} is part of facesearch and cannot be removed")
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
        raise ModelError(f"{folder}: not installed by facesearch; delete it yourself")
    return Removal(name, folder, len(record.digests), was_default), record


def _forget(name: str) -> None:
    """Remove a model from the registry, also as the default."""
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
    """Download a pack and install it where InsightFace looks for it. Only this function uses the network.

    `accept` is called with the licence; nothing is downloaded unless it returns True. `source` is another address, or
    an archive on this machine. `progress` is called with the bytes received and the total, None if that is unknown.

    Raises `UsageError` for an unknown name or a licence that is not accepted, `ModelError` if the archive cannot be
    downloaded or is not this pack, `StorageError`, and `LockedError` if another run is installing it.
    """
    from facesearch.models.packs import install
    from facesearch.models.packs.download import is_address
    from facesearch.models.packs.known import KNOWN_PACKS, UNKNOWN_LICENCE, known_pack
    from facesearch.models.packs.registry import require_name

    known = known_pack(require_name(name))
    if known is None and source is None:
        names = ", ".join(pack.name for pack in KNOWN_PACKS)
        raise UsageError(f"{name!r}: unknown pack (known: {names})", Hint.SOURCE)
    folder = install.sound_pack(name)
    if folder is not None:
        return Pulled(folder, is_new=False)
    origin = source or (known.url if known else "")
    licence = Licence(name, known.licence if known else UNKNOWN_LICENCE, known.licence_url if known else None)
    if not accept(licence):
        raise UsageError("licence not accepted; nothing was downloaded")
    if is_address(origin):
        observer.note(f"downloading {origin}")

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
    """Compare the files of one pack or all packs with the recorded checksums, and try them on faces.

    Raises `ModelError` if there is no such pack.
    """
    from facesearch.faces.trial import examined

    return examined(name)


def use(name: str | None) -> None:
    """Set the model for new indexes; None leaves the choice to facesearch. Raises `ModelError` if it is not found."""
    from facesearch.models.packs.registry import Registry, change_registry
    from facesearch.models.resolve import EMBEDDED, model_info, pack_folder

    if name is not None and name != EMBEDDED and pack_folder(name) is None:
        raise ModelError(f"no model {name!r} is installed or registered", Hint.BRING_MODEL)
    if name is not None:
        model_info(name)  # raises if it is incomplete

    def chosen(registry: Registry) -> Registry:
        return replace(registry, default=name)

    change_registry(chosen)


def doctor(index: Path | None = None) -> list[Finding]:
    """Check packages, processors, models, disks and an index, by default the default index. Nothing is changed.

    Raises `UsageError` if there is no default folder.
    """
    from facesearch.care.doctor import diagnose
    from facesearch.settings import default_index_path

    return diagnose(index or default_index_path())
