"""Names to models: which there are, which one is chosen, and how one is opened."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from facesearch.errors import Hint, ModelError
from facesearch.models.packs.registry import (
    KNOWN_PACKS,
    RECORD_NAME,
    UNKNOWN_LICENCE,
    KnownPack,
    faults_of,
    known_pack,
    read_record,
    read_registry,
    registered_name,
)
from facesearch.models.protocol import FaceModel
from facesearch.models.runtime import Runtime
from facesearch.types import ModelInfo

if TYPE_CHECKING:
    pass

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
"""The name of the model inside the package."""

_PREFERRED_PACK = "buffalo_l"


class ListedModel(NamedTuple):
    """One of the models that there are.

    `state` is `in the package`, `installed`, `added` (registered by the user), `incomplete`, `gone` (registered, and
    its folder is not there) or `not installed`. `folder` is where it is; None for what is not, and for the embedded
    model. `dim` is the length of its embeddings, None where that would take reading it. `pulled`: facesearch installed
    it. `known` is what its maker publishes about it.
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
        """Whether an index can be made with it now."""
        return self.state in ("in the package", "installed", "added")


class VerifiedPack(NamedTuple):
    """How a pack compares with what is on record: `faults` are one line each; `note` says why there is no record."""

    name: str
    faults: Sequence[str] = ()
    note: str | None = None


class ModelChoice(NamedTuple):
    """The model for a new index, and one line that tells the user why, or None when it was asked for by name."""

    name: str
    note: str | None


def choose_model(asked: str | None) -> ModelChoice:
    """The model for a new index: the one asked for, else $FACESEARCH_MODEL, else the default that the user has set.

    Else an installed pack, else the embedded one. Never looks at the network. A pack counts as installed when it has a
    detection and a recognition graph. Raises `ModelError` when the default is not there any more.
    """
    asked = asked or os.environ.get("FACESEARCH_MODEL") or None
    if asked:
        return ModelChoice(asked, None)
    default = read_registry().default
    if default is not None:
        if default != EMBEDDED and pack_folder(default) is None:
            raise ModelError(f"the default model {default} is not there any more", Hint.DEFAULT_MODEL)
        return ModelChoice(default, f"using {default}, {Hint.SET_DEFAULT}")
    packs = installed_packs()
    if packs:
        name = _PREFERRED_PACK if _PREFERRED_PACK in packs else packs[0]
        return ModelChoice(
            name,
            f"using the installed InsightFace pack {name} (weights for non-commercial research; expect some 10 times "
            f"the time of the embedded model); {Hint.EMBEDDED}",
        )
    return ModelChoice(EMBEDDED, f"using the embedded model (YuNet + SFace); {Hint.PACK}")


def installed_packs() -> list[str]:
    """Names of the complete packs in insightface's models folder, in order."""
    from facesearch.models.insightface_pack import is_complete, models_folder

    folder = models_folder()
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]  # hidden: not yet unpacked
        return sorted(entry.name for entry in entries if entry.is_dir() and is_complete(entry))
    except OSError:  # none were ever installed, or they are somebody else's
        return []


def listed_models() -> list[ListedModel]:
    """Every model that there is or could be: the embedded one, known packs, other installed ones, registered ones.

    Raises `ModelError` when what the user has registered cannot be read.
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
    """Every pack, or the one called `name`, compared with what is on record. Raises `ModelError` for no such pack."""
    names = [name] if name is not None else [*_names_in_models_folder(), *sorted(read_registry().added)]
    return [_verified(name) for name in names]


def _names_in_models_folder() -> list[str]:
    """Complete packs, and those that facesearch has installed, whatever is left of them."""
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
    return VerifiedPack(name, note="not installed by facesearch: there is nothing to compare it with")


def _dim(folder: Path) -> int | None:
    from facesearch.models.insightface_pack import pack_info

    try:
        return pack_info(folder).dim
    except ModelError:
        return None


def _pulled(folder: Path) -> bool:
    try:
        return read_record(folder) is not None
    except ModelError:  # damaged; `models verify` tells
        return True


def model_info(name: str) -> ModelInfo:
    """Which model `name` is, without loading it: `embedded`, the name of an installed or registered pack, or a folder.

    A plain word is a name first and a folder (`./word`) only where there is no such model. Raises `ModelError` when
    there is none.
    """
    if name == EMBEDDED:
        from facesearch.models import bundled

        return bundled.model_info()
    from facesearch.models import insightface_pack

    return insightface_pack.pack_info(*_pack(name))


def open_model(name: str, runtime: Runtime) -> FaceModel:
    """Load the model called `name` (see `model_info`) on `runtime`. Raises `ModelError`, `DeviceError`."""
    model = _opened(name, runtime)
    if not runtime.gathers:
        return model
    from facesearch.models.batching import GatheringModel

    return GatheringModel(model)


def _opened(name: str, runtime: Runtime) -> FaceModel:
    if name == EMBEDDED:
        from facesearch.models.bundled import EmbeddedModel

        return EmbeddedModel(runtime)
    from facesearch.models.insightface_pack import InsightModel

    folder, called = _pack(name)
    return InsightModel(folder, runtime, called)


def _name_of(folder: Path) -> str | None:
    """The name by which a folder is known: in insightface's models folder its own, else the one it is registered by."""
    from facesearch.models.insightface_pack import models_folder

    place = Path(os.path.realpath(folder))
    return place.name if place.parent == Path(os.path.realpath(models_folder())) else registered_name(place)


def pack_folder(name: str) -> Path | None:
    """Where the pack of that name is, installed or registered, whatever is in it; None: there is none."""
    from facesearch.models.insightface_pack import models_folder

    installed = models_folder() / name
    if os.sep not in name and not name.startswith(".") and os.path.isdir(installed):
        return installed
    added = read_registry().added.get(name)
    return None if added is None or not added.folder.is_dir() else added.folder


def _pack(name: str) -> tuple[Path, str | None]:
    """The folder of a pack, and the name under which it is installed or registered; None where it is neither."""
    folder = pack_folder(name) if os.sep not in name else None  # what a name means does not depend on where one stands
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
        f"no model {name!r}: not a folder of .onnx files, and not installed (have: {have})", Hint.MODEL_PATH
    )
