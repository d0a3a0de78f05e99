"""The model in the package: the YuNet detector and the SFace recogniser, from OpenCV Zoo.

YuNet: Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023 (MIT). SFace: Zhong et al., "SFace:
Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition", 2021 (Apache-2.0). The decoding of the outputs
follows the papers and OpenCV Zoo's model cards.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facesearch.errors import ModelError
from facesearch.files import sha256
from facesearch.models.framing import LATEST_REVISION, LOOKS, Framing
from facesearch.models.geometry import unit_length, without_duplicates
from facesearch.models.protocol import DetectorTraits
from facesearch.models.runtime import Runtime
from facesearch.models.sessions import open_session
from facesearch.settings import EMBEDDED_THRESHOLD
from facesearch.types import Box, Detection, ModelInfo

if TYPE_CHECKING:
    from facesearch.types import FloatArray, Pixels

__all__ = ["BundledModel", "built_faults", "model_info"]

DIM = 128
THRESHOLDS = {2: 0.47, 3: EMBEDDED_THRESHOLD}
"""The similarity at a false-match rate of 1e-4 in the calibration of each embedding revision."""

_CROP_SCALES = {2: 1.0, 3: 0.96}

_WEIGHTS = Path(__file__).parent / "weights"
_STRIDES = (8, 16, 32)
_HEADS = ("cls", "obj", "bbox", "kps")
_FAINT_SCORE = 0.3
_MAX_OVERLAP = 0.3
_BATCH_PIXELS = 4 * 160 * 160
_EMBED_BATCH = 4


@cache
def _manifest() -> dict[str, dict[str, str]]:
    path = _WEIGHTS / "manifest.json"
    try:
        manifest: dict[str, dict[str, str]] = json.loads(path.read_text())
    except OSError as error:
        raise ModelError(
            f"{path}: not found; the embedded model is made when the package is built: pip install . (or -e .)"
        ) from error
    return manifest


def model_info(revision: int = LATEST_REVISION) -> ModelInfo:
    """Return the identity of the embedded model, with an embedding revision of `framing.LOOKS`, without loading it."""
    return ModelInfo(
        name="embedded",
        dim=DIM,
        digests=_manifest()["sources"],
        revision=revision,
        threshold=THRESHOLDS[revision],
        licence="MIT (YuNet), Apache-2.0 (SFace)",
    )


def built_faults() -> list[str]:
    """Return one line for each damaged weight file in the package; empty if all are as built."""
    try:
        digests = _manifest().get("digests", {})
    except ModelError as error:
        return [str(error)]
    faults = []
    for name, digest in digests.items():
        try:
            found = sha256(_WEIGHTS / name).hex()
        except OSError as error:
            faults.append(f"{_WEIGHTS / name}: cannot be read ({error.strerror})")
            continue
        if found != digest:
            faults.append(f"{_WEIGHTS / name}: changed since the package was built")
    return faults


class BundledModel:
    """YuNet and SFace on one runtime. Raises `ModelError` if the weights are missing or damaged."""

    # Measured: upright faces score 0.89 to 0.95, wrongly rotated ones at most 0.87.
    detector = DetectorTraits(face_score=0.6, sure_score=0.88, finds_faces_of_any_size=False)

    def __reduce__(self) -> tuple[type[BundledModel], tuple[Runtime, int]]:
        """Pickle the arguments: another process opens the model for itself."""
        return BundledModel, (self.runtime, self.info.revision)

    def __init__(self, runtime: Runtime, revision: int = LATEST_REVISION) -> None:
        self.info = model_info(revision)
        self.framing = Framing(looks=LOOKS[revision], crop_scale=_CROP_SCALES[revision])
        self.runtime = runtime
        built = _manifest()["built"]
        # The recogniser takes ten times as long to load and is needed later: it loads while the first photo is decoded.
        loading = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._recogniser = loading.submit(open_session, _WEIGHTS / built["recogniser"], runtime)
        loading.shutdown(wait=False)
        self._detector = open_session(_WEIGHTS / built["detector"], runtime.precise)
        self._output_names = [f"{head}_{stride}" for stride in _STRIDES for head in _HEADS]

    def detect(self, images: Sequence[Pixels]) -> list[list[Detection]]:
        """See `FaceModel.detect`. Small images of the same padded size go through the network together.

        On a CPU only small images are batched: the data should fit into the cache. Four images of 640 x 480 pixels took
        6.3 ms each together, and 4.1 ms each alone.
        """
        by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, image in enumerate(images):
            by_size[_padded(image.shape[0]), _padded(image.shape[1])].append(index)
        found: list[list[Detection]] = [[] for _ in images]
        for (height, width), members in by_size.items():
            together = max(1, _BATCH_PIXELS // (height * width))
            for start in range(0, len(members), together):
                part = members[start : start + together]
                batch = np.zeros((len(part), 3, height, width), dtype=np.float32)
                for row, index in enumerate(part):
                    image = images[index]
                    batch[row, :, : image.shape[0], : image.shape[1]] = image[:, :, ::-1].transpose(2, 0, 1)
                outputs = self._detector.run(self._output_names, {"input": batch})
                heads = [outputs[first : first + len(_HEADS)] for first in range(0, len(outputs), len(_HEADS))]
                for index, detections in zip(part, _decoded(heads, width), strict=True):
                    found[index] = without_duplicates(detections, _MAX_OVERLAP)
        return found

    def detect_in_views(self, views: Pixels) -> list[list[Detection]]:
        """See `FaceModel.detect_in_views`."""
        return self.detect(list(views))

    def embed(self, crops: Pixels) -> FloatArray:
        """See `FaceModel.embed`."""
        embeddings = np.empty((len(crops), DIM), dtype=np.float32)
        for start in range(0, len(crops), _EMBED_BATCH):
            batch = crops[start : start + _EMBED_BATCH].transpose(0, 3, 1, 2).astype(np.float32)
            (output,) = self._recogniser.result().run(["fc1"], {"data": np.ascontiguousarray(batch)})
            embeddings[start : start + _EMBED_BATCH] = output
        return unit_length(embeddings)


def _decoded(heads: Sequence[Sequence[FloatArray]], width: int) -> list[list[Detection]]:
    """Decode YuNet's heads to detections for each image: each cell of each stride's grid may hold one face."""
    found: list[list[Detection]] = [[] for _ in heads[0][0]]
    for stride, (classes, objects, boxes, points) in zip(_STRIDES, heads, strict=True):
        squares = classes[..., 0] * objects[..., 0]  # both end in a sigmoid
        pictures, cells = np.nonzero(squares >= _FAINT_SCORE**2)
        if not len(cells):
            continue
        scores = np.sqrt(squares[pictures, cells])
        corners = np.stack([cells % (width // stride), cells // (width // stride)], axis=1).astype(np.float32)
        box = boxes[pictures, cells]
        centres = (corners + box[:, :2]) * stride
        sides = np.exp(box[:, 2:4]) * stride
        places = np.concatenate([centres - sides / 2, sides], axis=1)
        landmarks = (points[pictures, cells].reshape(-1, 5, 2) + corners[:, None, :]) * np.float32(stride)
        for picture, place, five, score in zip(
            pictures.tolist(), places.tolist(), landmarks, scores.tolist(), strict=True
        ):
            found[picture].append(Detection(Box(*place), five, score))
    return found


def _padded(side: int) -> int:
    """Round up to a multiple of 32, the coarsest stride."""
    return -(-side // 32) * 32
