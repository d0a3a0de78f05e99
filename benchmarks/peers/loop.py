"""Run a plain loop over photos and faces, as most scripts in this field do, in a separate virtual environment.

    python loop.py FOLDER YUNET.onnx SFACE.onnx CORES

For each photo: `cv2.imread` decodes all of it, `cv2.resize` shrinks the longer side to 1280 pixels (smaller photos stay
as they are), YuNet runs once. For each face: a similarity transform to the ArcFace template by least median of squares,
`cv2.warpAffine` from the full photo, SFace with a batch of one. ONNX Runtime and OpenCV may use all cores; their other
options are the defaults. The time is measured from reading the first photo to the last embedding, after one photo to
warm up.

Prints one line of JSON: photos, faces, seconds, and the seconds per stage.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

# Only this script's own environment has the package, so the project's type checker does not know it.
cv2: Any = import_module("cv2")

SIDE = 1280
SCORE, OVERLAP = 0.6, 0.3
STRIDES = (8, 16, 32)
HEADS = [f"{head}_{stride}" for stride in STRIDES for head in ("cls", "obj", "bbox", "kps")]
ARCFACE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    dtype=np.float32,
)
CROP = (112, 112)


def open_session(path: str, cores: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def detect(detector: Any, picture: Any) -> Any:
    """Return the landmarks, float32[n, 5, 2], of the faces in a BGR picture, padded to multiples of 32 pixels."""
    height, width = picture.shape[:2]
    padded = cv2.copyMakeBorder(picture, 0, -height % 32, 0, -width % 32, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    blob = padded.transpose(2, 0, 1)[np.newaxis].astype(np.float32)
    outputs = detector.run(HEADS, {detector.get_inputs()[0].name: blob})
    boxes, scores, landmarks = decode_heads([output[0] for output in outputs], padded.shape[1])
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), SCORE, OVERLAP)
    return landmarks[np.asarray(kept, dtype=np.int64).reshape(-1)]


def decode_heads(outputs: list[Any], width: int) -> tuple[Any, Any, Any]:
    """Return boxes (left, top, width, height), scores and landmarks of every cell with a score above `SCORE`."""
    boxes, scores, landmarks = [], [], []
    for level, stride in enumerate(STRIDES):
        face, thing, box, points = outputs[4 * level : 4 * level + 4]
        score = np.sqrt(face[:, 0].clip(0, 1) * thing[:, 0].clip(0, 1))
        cells = np.flatnonzero(score > SCORE)
        rows, columns = np.divmod(cells, width // stride)
        grid = np.stack([columns, rows], axis=1)
        centre, size = (grid + box[cells, :2]) * stride, np.exp(box[cells, 2:]) * stride
        boxes.append(np.hstack([centre - size / 2, size]))
        scores.append(score[cells])
        landmarks.append((points[cells].reshape(-1, 5, 2) + grid[:, np.newaxis]) * stride)
    return np.concatenate(boxes), np.concatenate(scores), np.concatenate(landmarks).astype(np.float32)


def embed(recogniser: Any, crop: Any) -> Any:
    blob = crop[:, :, ::-1].transpose(2, 0, 1)[np.newaxis].astype(np.float32)
    (embedding,) = recogniser.run(None, {recogniser.get_inputs()[0].name: blob})
    return embedding[0] / np.linalg.norm(embedding[0])


def look(path: Path, detector: Any, recogniser: Any, spent: dict[str, float]) -> int:
    """Return the number of faces in a photo; add the seconds of each stage to `spent`."""
    marks = [time.perf_counter()]

    def done(stage: str) -> None:
        marks.append(time.perf_counter())
        spent[stage] += marks[-1] - marks[-2]

    photo = cv2.imread(str(path))
    done("decode")
    scale = min(1.0, SIDE / max(photo.shape[:2]))
    small = cv2.resize(photo, (round(photo.shape[1] * scale), round(photo.shape[0] * scale))) if scale < 1 else photo
    found = detect(detector, small) / scale
    done("detect")
    embeddings = []
    for landmarks in found:
        matrix, _ = cv2.estimateAffinePartial2D(landmarks, ARCFACE, method=cv2.LMEDS)
        crop = cv2.warpAffine(photo, matrix, CROP)
        done("align")
        embeddings.append(embed(recogniser, crop))
        done("embed")
    return len(embeddings)


def main(folder: Path, yunet: str, sface: str, cores: int) -> None:
    photos = sorted(folder.glob("*.jpg"))
    # With a thread per core of the machine, they would compete in a container that may use only a few cores.
    cv2.setNumThreads(cores)
    detector, recogniser = open_session(yunet, cores), open_session(sface, cores)
    look(photos[0], detector, recogniser, defaultdict(float))
    spent: dict[str, float] = defaultdict(float)
    started = time.perf_counter()
    faces = sum(look(path, detector, recogniser, spent) for path in photos)
    seconds = time.perf_counter() - started
    print(json.dumps({"photos": len(photos), "faces": faces, "seconds": seconds, "stages": spent}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
