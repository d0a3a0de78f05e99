"""Packs in InsightFace's format: any folder of .onnx files with a detection and a recognition head.

No other module uses the insightface package. Its classes decode the outputs of each family of graphs; `sessions`
creates their sessions, and `align` aligns faces. A manifest, as in the `raccoon` packs, names the heads; without one,
their shapes identify them. Heads for age, sex and dense landmarks are not used, and nothing is downloaded here.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from facesearch.errors import ModelError
from facesearch.files import sha256
from facesearch.models.align import CROP_SIDE
from facesearch.models.framing import LATEST_REVISION, LOOKS, Framing
from facesearch.models.geometry import shifted, unit_length, with_border, without_duplicates
from facesearch.models.protocol import DetectorTraits
from facesearch.models.runtime import Runtime
from facesearch.models.sessions import open_session
from facesearch.types import Box, Detection, ModelInfo

if TYPE_CHECKING:
    from facesearch.types import FloatArray, Pixels

__all__ = ["InsightModel", "is_complete", "models_folder", "pack_info"]

THRESHOLD = 0.40
"""A middle value for ArcFace-style networks, not measured for each pack."""

_MIN_SCORE = 0.5
_MAX_OVERLAP = 0.4
_EMBED_BATCH = 16
_COARSEST_INPUT = 128
_MOSAIC = (640, 640)
_SCALES = {"detection": {"mean": 127.5, "std": 128.0}, "recognition": {"mean": 127.5, "std": 127.5}}


class _Graph(NamedTuple):
    """One head: its shape from the .onnx file, and its pixel scaling from the manifest.

    Its input is (pixels - `mean`) / `deviation`; if they are None, insightface decides.
    """

    path: Path
    outputs: int
    side: int
    dim: int
    mean: float | None = None
    deviation: float | None = None


class _Heads(NamedTuple):
    detection: _Graph
    recognition: _Graph


def models_folder() -> Path:
    """Return insightface's models folder, which holds one folder per pack."""
    return Path(os.path.expanduser(os.environ.get("INSIGHTFACE_HOME", "~/.insightface"))) / "models"


def is_complete(folder: Path) -> bool:
    """Return True if a folder holds a usable detection and recognition head."""
    try:
        _heads(folder)
    except ModelError:
        return False
    return True


def pack_info(folder: Path, name: str | None = None, revision: int = LATEST_REVISION) -> ModelInfo:
    """Return the identity of the pack in `folder` without loading it on a runtime.

    `name` is the name under which it is installed or registered; None: the name of its folder. `revision` is an
    embedding revision of `framing.LOOKS`. Raises `ModelError` if the folder is not a valid pack.
    """
    return _info(folder, name, _heads(folder), revision)


def _info(folder: Path, name: str | None, heads: _Heads, revision: int) -> ModelInfo:
    return ModelInfo(
        name=name or folder.name,
        named=name is not None,
        dim=heads.recognition.dim,
        digests={graph.path.name: sha256(graph.path).hex() for graph in heads},
        revision=revision,
        threshold=THRESHOLD,
        licence="see the pack (InsightFace's own weights: non-commercial research)",
        source=str(folder),
    )


class InsightModel:
    """One pack on one runtime; `name` as in `pack_info`. Raises `ModelError` if a graph is damaged."""

    # Measured with SCRFD-500M: upright faces score 0.64 to 0.92, wrongly rotated ones mostly below 0.75.
    detector = DetectorTraits(face_score=_MIN_SCORE, sure_score=0.8, finds_faces_of_any_size=True)

    def __reduce__(self) -> tuple[type[InsightModel], tuple[Path, Runtime, str, int]]:
        """Pickle the arguments: another process opens the pack for itself."""
        return InsightModel, (self._folder, self.runtime, self.info.name, self.info.revision)

    def __init__(
        self, folder: Path, runtime: Runtime, name: str | None = None, revision: int = LATEST_REVISION
    ) -> None:
        from insightface.model_zoo.arcface_onnx import ArcFaceONNX
        from insightface.model_zoo.scrfd import SCRFD

        heads = _heads(folder)
        self._folder = folder
        self.info = _info(folder, name, heads, revision)
        # ArcFace networks are trained on crops at the scale of the template.
        self.framing = Framing(looks=LOOKS[revision])
        self.runtime = runtime
        detection, recognition = heads.detection.path, heads.recognition.path
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._detector: Any = SCRFD(
                str(detection), session=open_session(detection, runtime.precise), static_shape_sessions=False
            )
            self._recogniser: Any = ArcFaceONNX(str(recognition), session=open_session(recognition, runtime))
        for head, graph in ((self._detector, heads.detection), (self._recogniser, heads.recognition)):
            if graph.mean is not None:
                head.input_mean, head.input_std = graph.mean, graph.deviation
            if head.session.get_inputs()[0].type == "tensor(uint8)":
                head.input_dtype = np.uint8
        if not self._detector.use_kps:
            raise ModelError(f"{detection}: a detector without landmarks; facesearch needs five to align a face")
        self._detector.prepare(0, input_size=(0, 0), det_thresh=_MIN_SCORE)
        batch = self._recogniser.input_shape[0]
        self._batch = batch if isinstance(batch, int) and batch > 0 else _EMBED_BATCH

    def detect(self, images: Sequence[Pixels]) -> list[list[Detection]]:
        """See `FaceModel.detect`.

        A graph with a fixed input size misses a face that fills the image, so it runs again on the image with a border
        of half its size on every side. insightface itself runs a graph without a fixed size at two sizes.
        """
        return [
            without_duplicates(self._candidates(np.ascontiguousarray(image[:, :, ::-1])), _MAX_OVERLAP)
            for image in images
        ]

    def detect_in_views(self, views: Pixels) -> list[list[Detection]]:
        """See `FaceModel.detect_in_views`. The views that fit go through the network as one image of its input size.

        Runs 25 views of 128 pixels at a time. One at a time, enlarged to the network's 640 pixels, they are no more
        accurate: with views of 160 pixels, the true-match rate on 594 crops at a false-match rate of 1e-4 was 0.85
        instead of 0.84, and 0.81 without refinement.
        """
        width, height = self._detector.static_input_size or _MOSAIC
        side = views.shape[1]
        columns, rows = max(1, width // side), max(1, height // side)
        found: list[list[Detection]] = []
        for start in range(0, len(views), rows * columns):
            part = views[start : start + rows * columns, :, :, ::-1]
            mosaic = np.zeros((rows, columns, side, side, 3), dtype=np.uint8)
            mosaic.reshape(-1, side, side, 3)[: len(part)] = part
            picture = mosaic.transpose(0, 2, 1, 3, 4).reshape(rows * side, columns * side, 3)
            found += _by_view(self._run(picture, (width, height)), side, columns, len(part))
        return found

    def embed(self, crops: Pixels) -> FloatArray:
        """See `FaceModel.embed`."""
        embeddings = np.empty((len(crops), self.info.dim), dtype=np.float32)
        for start in range(0, len(crops), self._batch):
            batch = [np.ascontiguousarray(crop[:, :, ::-1]) for crop in crops[start : start + self._batch]]
            missing = self._batch - len(batch) if self._batch_is_fixed() else 0
            output = self._recogniser.get_feat(batch + batch[:1] * missing)
            embeddings[start : start + len(batch)] = output[: len(batch)]
        return unit_length(embeddings)

    def _batch_is_fixed(self) -> bool:
        return isinstance(self._recogniser.input_shape[0], int)

    def _candidates(self, image: Pixels) -> list[Detection]:
        found = self._run(image)
        if self._detector.static_input_size is not None:
            framed, left, top = with_border(image)
            found += [shifted(detection, -left, -top) for detection in self._run(framed)]
        return found

    def _run(self, image: Pixels, input_size: tuple[int, int] | None = None) -> list[Detection]:
        """Return the faces in a BGR image, scaled to `input_size`; None: to the size or sizes that suit the graph."""
        longer, shorter = max(image.shape[:2]), min(image.shape[:2])
        if shorter * _COARSEST_INPUT < longer:
            return []  # a strip: scaled to the graph's input size, its shorter side would vanish
        boxes, landmarks = self._detector.detect(image, input_size)
        return [
            Detection(Box(left, top, right - left, bottom - top), points.astype(np.float32), score)
            for (left, top, right, bottom, score), points in zip(boxes.tolist(), landmarks, strict=True)
        ]


def _by_view(detections: Sequence[Detection], side: int, columns: int, count: int) -> list[list[Detection]]:
    """Assign the faces in a mosaic to the views that contain their centres, best score first."""
    found: list[list[Detection]] = [[] for _ in range(count)]
    for detection in sorted(detections, key=lambda detection: -detection.score):
        box = detection.box
        column, row = int((box.left + box.width / 2) // side), int((box.top + box.height / 2) // side)
        view = row * columns + column
        if 0 <= column < columns and 0 <= view < count:
            found[view].append(shifted(detection, -column * side, -row * side))
    return found


def _heads(folder: Path) -> _Heads:
    """Return the detection and the recognition head, from the manifest or from the shapes of the graphs.

    Raises `ModelError` if one of them is missing or unusable.
    """
    detection, recognition = _named_heads(folder) or _heads_by_shape(folder)
    if recognition.side != CROP_SIDE:
        raise ModelError(
            f"{recognition.path}: takes crops of {recognition.side} pixels; facesearch aligns to {CROP_SIDE}"
        )
    if not recognition.dim:
        raise ModelError(f"{recognition.path}: does not state the length of its embeddings")
    return _Heads(detection, recognition)


def _named_heads(folder: Path) -> tuple[_Graph, _Graph] | None:
    """Return the heads that a manifest of version 2 names; None without one: other manifests do not name heads."""
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_bytes())
    except (OSError, ValueError):  # missing, or another program's
        return None
    if not isinstance(manifest, dict) or manifest.get("manifest_version") != 2:
        return None
    detection, recognition = (_named_head(folder, manifest, task) for task in ("detection", "recognition"))
    return detection, recognition


def _named_head(folder: Path, manifest: Mapping[str, Any], task: str) -> _Graph:
    """Return one head, and verify its file if the manifest has a digest.

    `preprocessing` is `embedded` if the graph takes pixels from 0 to 255 unscaled.
    """
    path = folder / "manifest.json"
    try:
        told = manifest["tasks"][task]
        name, digest = PurePosixPath(told["file"]), told.get("sha256")
        scale = told.get("preprocessing", _SCALES[task])
        mean, deviation = (0.0, 1.0) if scale == "embedded" else (float(scale["mean"]), float(scale["std"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{path}: names no usable {task} head; fetch the pack again") from error
    if name.is_absolute() or ".." in name.parts or not deviation > 0:
        raise ModelError(f"{path}: its {task} head is outside the folder or has no valid scale; fetch the pack again")
    graph = _read_graph(folder / name)
    if digest is not None and sha256(folder / name).hex() != digest:
        raise ModelError(f"{folder / name}: not the file that its manifest names; fetch the pack again")
    return graph._replace(mean=mean, deviation=deviation)


def _heads_by_shape(folder: Path) -> tuple[_Graph, _Graph]:
    """Identify the heads by their shapes, as insightface does.

    A graph with five outputs or more is a detector. A graph with one output and a square input from 112 pixels in steps
    of 16 (but not 192, which is for dense landmarks) is a recogniser. The first by name is used.
    """
    graphs = [_read_graph(path) for path in sorted(folder.glob("*.onnx"))]
    detection = next((graph for graph in graphs if graph.outputs >= 5), None)
    recognition = next(
        (
            graph
            for graph in graphs
            if graph.outputs == 1 and graph.side >= 112 and graph.side % 16 == 0 and graph.side != 192
        ),
        None,
    )
    if detection is None or recognition is None:
        missing = "detection" if detection is None else "recognition"
        raise ModelError(f"{folder}: no {missing} head among its {len(graphs)} .onnx files; not a complete pack")
    return detection, recognition


def _read_graph(path: Path) -> _Graph:
    import onnx

    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception as error:  # protobuf's DecodeError derives from Exception alone
        raise ModelError(f"{path}: not a model file ({' '.join(str(error).split())[:120]})") from error
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    sides = [dim.dim_value for dim in inputs[0].type.tensor_type.shape.dim][2:] if len(inputs) == 1 else []
    dims = [dim.dim_value for dim in graph.output[0].type.tensor_type.shape.dim] if graph.output else []
    side = sides[0] if len(sides) == 2 and sides[0] == sides[1] else 0
    return _Graph(path, len(graph.output), side, dims[-1] if dims else 0)
