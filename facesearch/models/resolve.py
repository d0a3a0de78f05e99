"""List, choose and open models by name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from facesearch.errors import Hint, ModelError
from facesearch.models.framing import LATEST_REVISION, LOOKS
from facesearch.models.packs.known import KNOWN_PACKS, UNKNOWN_LICENCE, KnownPack, known_pack
from facesearch.models.packs.record import RECORD_NAME, faults_of, read_record
from facesearch.models.packs.registry import read_registry, registered_name
from facesearch.models.protocol import FaceModel
from facesearch.models.runtime import Runtime
from facesearch.types import ModelInfo

__all__ = [
    "EMBEDDED",
    "ListedModel",
    "ModelChoice",
    "VerifiedPack",
    "choose_model",
    "installed_packs",
    "listed_models",
    "model_info",
    "open_model",
    "pack_folder",
    "verified_packs",
]

EMBEDDED = "embedded"
"""The name of the model in the package."""

_PREFERRED_PACK = "buffalo_l"


class ListedModel(NamedTuple):
    """One model in the list of models.

    `state` is `in the package`, `installed`, `added` (registered by the user), `incomplete`, `gone` (registered, but
    its folder is missing) or `not installed`. `folder` is its folder; None if there is none, and for the embedded
    model. `dim` is the dimension of its embeddings; None if unknown. `pulled` is set if facesearch installed it.
    `known` is what its maker publishes about it.
    """

    name: str
    state: str
    licence: str
    folder: Path | None = None
    dim: int | None = None
    pulled: bool = False
    known: KnownPack | None = None

    @property
    def usable(self) -> bool:
        """Whether it can be used for an index now."""
        return self.state in ("in the package", "installed", "added")


class VerifiedPack(NamedTuple):
    """The result of verifying a pack against its record: one line per fault; `note` says why there is no record."""

    name: str
    faults: Sequence[str] = ()
    note: str | None = None


class ModelChoice(NamedTuple):
    """The model for a new index, and one line for the user with the reason; None if the user named the model."""

    name: str
    note: str | None


def choose_model(asked: str | None) -> ModelChoice:
    """Choose the model for a new index: the one asked for, else $FACESEARCH_MODEL, else the user's default.

    If none is set, it is an installed pack, or else the embedded model. Never uses the network. A pack counts as
    installed if it has a detection and a recognition graph. Raises `ModelError` if the default is missing.
    """
    asked = asked or os.environ.get("FACESEARCH_MODEL") or None
    if asked:
        return ModelChoice(asked, None)
    default = read_registry().default
    if default is not None:
        if default != EMBEDDED and pack_folder(default) is None:
            raise ModelError(f"the default model {default} is missing", Hint.DEFAULT_MODEL)
        return ModelChoice(default, f"using {default}, {Hint.SET_DEFAULT}")
    packs = installed_packs()
    if packs:
        name = _PREFERRED_PACK if _PREFERRED_PACK in packs else packs[0]
        return ModelChoice(
            name,
            f"using the installed InsightFace pack {name} (weights for non-commercial research; about 10 times slower "
            f"than the embedded model); {Hint.EMBEDDED}",
        )
    return ModelChoice(EMBEDDED, f"using the embedded model (YuNet + SFace); {Hint.PACK}")


def installed_packs() -> list[str]:
    """Return the names of the complete packs in insightface's models folder, sorted."""
    from facesearch.models.insightface_pack import is_complete, models_folder

    folder = models_folder()
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]  # hidden: still unpacking
        return sorted(entry.name for entry in entries if entry.is_dir() and is_complete(entry))
    except OSError:  # the folder is missing or unreadable
        return []


def listed_models() -> list[ListedModel]:
    """Return every model: the embedded one, known packs (installed or not), other installed packs, registered ones.

    Raises `ModelError` if the registry is unreadable.
    """
    from facesearch.models.insightface_pack import models_folder

    embedded = model_info(EMBEDDED)
    listed = [ListedModel(EMBEDDED, "in the package", embedded.licence, dim=embedded.dim)]
    installed = installed_packs()
    for known in KNOWN_PACKS:
        folder = models_folder() / known.name
        state = "installed" if known.name in installed else "incomplete" if folder.is_dir() else "not installed"
        there = folder if folder.is_dir() else None
        listed.append(ListedModel(known.name, state, known.licence, there, known.dim, _pulled(folder), known))
    for name in installed:
        folder = models_folder() / name
        if known_pack(name) is None:
            listed.append(ListedModel(name, "installed", UNKNOWN_LICENCE, folder, _dim(folder), _pulled(folder)))
    for name, pack in sorted(read_registry().added.items()):
        dim = _dim(pack.folder)
        state = "gone" if not pack.folder.is_dir() else "incomplete" if dim is None else "added"
        listed.append(ListedModel(name, state, UNKNOWN_LICENCE, pack.folder, dim))
    return listed


def verified_packs(name: str | None = None) -> list[VerifiedPack]:
    """Verify every pack, or the one called `name`, against its record. Raises `ModelError` for an unknown name."""
    names = [name] if name is not None else [*_names_in_models_folder(), *sorted(read_registry().added)]
    return [_verified(name) for name in names]


def _names_in_models_folder() -> list[str]:
    """Return the names of complete packs and of packs that facesearch installed, even if they are now incomplete."""
    from facesearch.models.insightface_pack import models_folder

    complete = installed_packs()
    pulled = [path.parent.name for path in models_folder().glob(f"*/{RECORD_NAME}")]
    return sorted({*complete, *pulled})


def _verified(name: str) -> VerifiedPack:
    added = read_registry().added.get(name)
    if added is not None:
        return VerifiedPack(name, faults_of(added.folder, added.digests))
    if name == EMBEDDED:
        from facesearch.models.bundled import built_faults

        return VerifiedPack(name, built_faults())
    folder = pack_folder(name)
    if folder is None:
        raise ModelError(f"no model {name!r} is installed or registered", Hint.LIST_MODELS)
    try:
        record = read_record(folder)
    except ModelError as error:
        return VerifiedPack(name, [str(error)])
    if record is not None:
        return VerifiedPack(name, faults_of(folder, record.digests))
    known = known_pack(name)
    if known is not None and known.sha256 is not None:
        return VerifiedPack(name, faults_of(folder, known.heads, others=True))
    return VerifiedPack(name, note="not installed by facesearch, so there is no record to compare it with")


def _dim(folder: Path) -> int | None:
    from facesearch.models.insightface_pack import pack_info

    try:
        return pack_info(folder).dim
    except ModelError:
        return None


def _pulled(folder: Path) -> bool:
    try:
        return read_record(folder) is not None
    except ModelError:  # damaged; `models verify` reports it
        return True


def model_info(name: str, revision: int = LATEST_REVISION) -> ModelInfo:
    """Return the identity of a model without loading it.

    `name` is `embedded`, the name of an installed or registered pack, or a folder. A plain word is a folder (`./word`)
    only if no model has that name. An embedding `revision` that this version does not have stands for the latest.
    Raises `ModelError` if there is no such model.
    """
    if name == EMBEDDED:
        from facesearch.models import bundled

        return bundled.model_info(_known(revision))
    from facesearch.models import insightface_pack

    return insightface_pack.pack_info(*_pack(name), _known(revision))


def open_model(name: str, runtime: Runtime, revision: int = LATEST_REVISION) -> FaceModel:
    """Load the model called `name` on `runtime`; see `model_info`. Raises `ModelError` or `DeviceError`."""
    model = _opened(name, runtime, _known(revision))
    if not runtime.gathers:
        return model
    from facesearch.models.batching import BatchingModel

    return BatchingModel(model)


def _opened(name: str, runtime: Runtime, revision: int) -> FaceModel:
    if name == EMBEDDED:
        from facesearch.models.bundled import BundledModel

        return BundledModel(runtime, revision)
    from facesearch.models.insightface_pack import InsightModel

    folder, called = _pack(name)
    return InsightModel(folder, runtime, called, revision)


def _known(revision: int) -> int:
    return revision if revision in LOOKS else LATEST_REVISION


def _name_of(folder: Path) -> str | None:
    """Return a folder's own name if it is in insightface's models folder, else the name it is registered under."""
    from facesearch.models.insightface_pack import models_folder

    place = Path(os.path.realpath(folder))
    return place.name if place.parent == Path(os.path.realpath(models_folder())) else registered_name(place)


def pack_folder(name: str) -> Path | None:
    """Return the folder of an installed or registered pack, complete or not; None if there is none."""
    from facesearch.models.insightface_pack import models_folder

    installed = models_folder() / name
    if os.sep not in name and not name.startswith(".") and os.path.isdir(installed):
        return installed
    added = read_registry().added.get(name)
    return None if added is None or not added.folder.is_dir() else added.folder


def _pack(name: str) -> tuple[Path, str | None]:
    """Return the folder of a pack and the name under which it is installed or registered; None if it is neither."""
    folder = pack_folder(name) if os.sep not in name else None  # a name means the same in every working directory
    if folder is not None:
        return folder, name
    direct = Path(os.path.expanduser(name))
    if os.path.isdir(direct):
        return direct.resolve(), _name_of(direct)
    registry = read_registry()
    known = name if name in registry.added else registered_name(direct)
    if known is not None:
        gone = registry.added[known].folder
        raise ModelError(f"no model {known!r}: {gone} is missing", Hint.REMOVE_GONE, name=known)
    have = ", ".join([EMBEDDED, *installed_packs(), *sorted(registry.added)])
    raise ModelError(
        f"no model {name!r}: neither installed nor a folder of .onnx files (available: {have})", Hint.MODEL_PATH
    )
