"""What a face model is, and how one is opened by name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from facesearch.errors import ModelError
from facesearch.faces.runtime import Runtime
from facesearch.types import Detection, ModelInfo

if TYPE_CHECKING:
    from facesearch.types import FloatArray, Pixels

__all__ = [
    "EMBEDDED",
    "FaceModel",
    "ModelChoice",
    "choose_model",
    "installed_packs",
    "model_info",
    "open_model",
]

EMBEDDED = "embedded"
"""The name of the model inside the package."""

_PREFERRED_PACK = "buffalo_l"


class FaceModel(Protocol):
    """A detector and a recogniser that belong together. Batches in, batches out."""

    @property
    def info(self) -> ModelInfo:
        """What its embeddings can be compared with."""
        ...

    @property
    def runtime(self) -> Runtime:
        """What its graphs run on."""
        ...

    @property
    def max_side(self) -> int | None:
        """The longer side in pixels to which the detector brings every picture; None: it takes pictures as they are.

        A detector with one looks for faces that fill the frame by itself.
        """
        ...

    @property
    def face_score(self) -> float:
        """The detector score from which a detection counts as a face; fainter ones tell where to look closer."""
        ...

    @property
    def sure_score(self) -> float:
        """The detector score that upright faces reach and faces seen at a wrong turn do not."""
        ...

    def detect(self, images: Sequence[Pixels]) -> list[list[Detection]]:
        """The upright faces in each picture, best score first, in pixels of that picture.

        `images` are uint8[height, width, 3] RGB of any sizes. Faces from 20 to some 300 pixels are found; larger ones
        in a smaller picture of the same. What scores less than `face_score` may be no face.
        """
        ...

    def embed(self, crops: Pixels) -> FloatArray:
        """float32[n, dim] of unit length for aligned crops, uint8[n, 112, 112, 3] RGB; n may be 0."""
        ...


class ModelChoice(NamedTuple):
    """The model for a new index, and one line that tells the user why, or None when it was asked for by name."""

    name: str
    note: str | None


def choose_model(asked: str | None) -> ModelChoice:
    """The model for a new index: the one asked for, else $FACESEARCH_MODEL, else an installed pack, else the embedded.

    Never looks at the network. A pack counts as installed when it has a detection and a recognition graph.
    """
    asked = asked or os.environ.get("FACESEARCH_MODEL") or None
    if asked:
        return ModelChoice(asked, None)
    packs = installed_packs()
    if packs:
        name = _PREFERRED_PACK if _PREFERRED_PACK in packs else packs[0]
        return ModelChoice(
            name,
            f"using the installed InsightFace pack {name} (weights for non-commercial research; expect some 10 times "
            "the time of the embedded model); --model embedded takes the small free one",
        )
    return ModelChoice(EMBEDDED, "using the embedded model (YuNet + SFace); --model takes an InsightFace pack")


def installed_packs() -> list[str]:
    """Names of the complete packs in insightface's models folder, in order."""
    from facesearch.faces.insight import is_complete, models_folder

    folder = models_folder()
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and is_complete(entry))
    except OSError:  # none were ever installed, or they are somebody else's
        return []


def model_info(name: str) -> ModelInfo:
    """Which model `name` is, without loading it: `embedded`, the name of an installed pack, or a folder.

    Raises `ModelError` when there is no such model.
    """
    if name == EMBEDDED:
        from facesearch.faces import embedded

        return embedded.model_info()
    from facesearch.faces import insight

    return insight.pack_info(_pack_folder(name))


def open_model(name: str, runtime: Runtime) -> FaceModel:
    """Load the model called `name` (see `model_info`) on `runtime`. Raises `ModelError`, `DeviceError`."""
    model = _opened(name, runtime)
    if not runtime.gathers:
        return model
    from facesearch.faces.gathering import GatheringModel

    return GatheringModel(model)


def _opened(name: str, runtime: Runtime) -> FaceModel:
    if name == EMBEDDED:
        from facesearch.faces.embedded import EmbeddedModel

        return EmbeddedModel(runtime)
    from facesearch.faces.insight import InsightModel

    return InsightModel(_pack_folder(name), runtime)


def _pack_folder(name: str) -> Path:
    from facesearch.faces.insight import models_folder

    direct = Path(os.path.expanduser(name))
    if os.path.isdir(direct):
        return direct.resolve()
    installed = models_folder() / name
    if os.sep not in name and installed.is_dir():
        return installed
    have = ", ".join([EMBEDDED, *installed_packs()])
    raise ModelError(f"no model {name!r}: not a folder of .onnx files, and not installed (have: {have})")
