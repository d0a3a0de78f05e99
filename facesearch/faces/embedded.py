"""The model inside the package: the YuNet detector and the SFace recogniser, from OpenCV Zoo.

YuNet: Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023 (MIT). SFace: Zhong et al., "SFace:
Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition", 2021 (Apache-2.0). How the outputs are decoded
follows the papers and OpenCV Zoo's model cards.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facesearch.errors import ModelError
from facesearch.faces.geometry import scaled, unit_length, without_duplicates
from facesearch.faces.runtime import Runtime, open_session
from facesearch.types import Box, Detection, ModelInfo

if TYPE_CHECKING:
    from facesearch.types import FloatArray, Pixels

__all__ = ["EmbeddedModel", "model_info"]

PIPELINE = 1
DIM = 128
THRESHOLD = 0.47

_WEIGHTS = Path(__file__).parent / "weights"
_STRIDES = (8, 16, 32)
_MIN_SCORE = 0.6
_MAX_OVERLAP = 0.3
_NEAR_SIDE = 320
_EMBED_BATCH = 16


@cache
def _manifest() -> dict[str, dict[str, str]]:
    path = _WEIGHTS / "manifest.json"
    try:
        manifest: dict[str, dict[str, str]] = json.loads(path.read_text())
    except OSError as error:
        raise ModelError(
            f"{path}: the embedded model is not there; it is made when the package is built: pip install . (or -e .)"
        ) from error
    return manifest


def model_info() -> ModelInfo:
    """What the embedded model is, without loading it."""
    return ModelInfo(
        name="embedded",
        dim=DIM,
        digests=_manifest()["sources"],
        pipeline=PIPELINE,
        threshold=THRESHOLD,
        licence="MIT (YuNet), Apache-2.0 (SFace)",
    )


class EmbeddedModel:
    """YuNet and SFace on one runtime. Raises `ModelError` when the weights are missing or broken."""

    max_side: int | None = None
    sure_score = 0.88
    """Measured: turned the right way, faces score 0.89 to 0.95; at a wrong turn at most 0.87."""

    def __init__(self, runtime: Runtime) -> None:
        self.info = model_info()
        self.runtime = runtime
        built = _manifest()["built"]
        self._detector = open_session(_WEIGHTS / built["detector"], runtime)
        self._recogniser = open_session(_WEIGHTS / built["recogniser"], runtime)
        self._output_names = [f"{head}_{stride}" for stride in _STRIDES for head in ("cls", "obj", "bbox", "kps")]

    def detect(self, images: Sequence[Pixels]) -> list[list[Detection]]:
        """See `FaceModel.detect`. Each picture is also looked at shrunk to 320 pixels.

        YuNet was trained on faces of up to some 300 pixels: the small picture is where a face that fills the frame is
        found, for a sixteenth of the time of a picture of 1280 pixels.
        """
        found: list[list[Detection]] = self._detect_at_size(images)
        large = [index for index, image in enumerate(images) if max(image.shape[:2]) > _NEAR_SIDE]
        near = self._detect_at_size([_shrunk(images[index], _NEAR_SIDE) for index in large])
        for index, detections in zip(large, near, strict=True):
            factor = max(images[index].shape[:2]) / _NEAR_SIDE
            found[index] += [scaled(detection, factor) for detection in detections]
        return [without_duplicates(detections, _MAX_OVERLAP) for detections in found]

    def embed(self, crops: Pixels) -> FloatArray:
        """See `FaceModel.embed`."""
        embeddings = np.empty((len(crops), DIM), dtype=np.float32)
        for start in range(0, len(crops), _EMBED_BATCH):
            batch = crops[start : start + _EMBED_BATCH].transpose(0, 3, 1, 2).astype(np.float32)
            (output,) = self._recogniser.run(["fc1"], {"data": np.ascontiguousarray(batch)})
            embeddings[start : start + _EMBED_BATCH] = output
        return unit_length(embeddings)

    def _detect_at_size(self, images: Sequence[Pixels]) -> list[list[Detection]]:
        """Pictures of one padded size go through the network together."""
        by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, image in enumerate(images):
            by_size[_padded(image.shape[0]), _padded(image.shape[1])].append(index)
        found: list[list[Detection]] = [[] for _ in images]
        for (height, width), members in by_size.items():
            batch = np.zeros((len(members), 3, height, width), dtype=np.float32)
            for row, index in enumerate(members):
                image = images[index]
                batch[row, :, : image.shape[0], : image.shape[1]] = image[:, :, ::-1].transpose(2, 0, 1)
            outputs = dict(
                zip(self._output_names, self._detector.run(self._output_names, {"input": batch}), strict=True)
            )
            for row, index in enumerate(members):
                raw = {name: value[row] for name, value in outputs.items()}
                found[index] = without_duplicates(_decode(raw, width), _MAX_OVERLAP)
        return found


def _decode(outputs: dict[str, FloatArray], width: int) -> list[Detection]:
    """YuNet's heads to detections: each cell of each stride's grid may hold one face."""
    detections: list[Detection] = []
    for stride in _STRIDES:
        classes, objects = outputs[f"cls_{stride}"][:, 0], outputs[f"obj_{stride}"][:, 0]
        scores = np.sqrt(np.clip(classes, 0, 1) * np.clip(objects, 0, 1))
        cells = np.flatnonzero(scores >= _MIN_SCORE)
        rows, columns = np.divmod(cells, width // stride)
        boxes, points = outputs[f"bbox_{stride}"][cells], outputs[f"kps_{stride}"][cells].reshape(-1, 5, 2)
        centre_x, centre_y = (columns + boxes[:, 0]) * stride, (rows + boxes[:, 1]) * stride
        sides = np.exp(boxes[:, 2:4]) * stride
        landmarks = (points + np.stack([columns, rows], axis=1)[:, None, :]) * stride
        for x, y, (w, h), face_landmarks, score in zip(
            centre_x.tolist(), centre_y.tolist(), sides.tolist(), landmarks, scores[cells].tolist(), strict=True
        ):
            box = Box(x - w / 2, y - h / 2, w, h)
            detections.append(Detection(box, face_landmarks.astype(np.float32), score))
    return detections


def _padded(side: int) -> int:
    """The next multiple of 32, the coarsest stride."""
    return -(-side // 32) * 32


def _shrunk(image: Pixels, side: int) -> Pixels:
    from PIL import Image

    height, width = image.shape[:2]
    factor = side / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
