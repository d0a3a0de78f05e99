"""The `deepface` package with the same two networks, YuNet and SFace; runs in an environment of its own.

    python deepface_sface.py FOLDER YUNET.onnx SFACE.onnx

Photo by photo: `DeepFace.represent`, which decodes, detects, aligns and embeds; it looks for faces in 640 pixels. The
graphs are put where the package would put those that it takes from the network. The clock runs from the first photo to
the last embedding; one photo goes through before that.

Prints one line of JSON: photos, faces, seconds, and the seconds of the stages, of which only one shows here.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

GRAPHS = ("face_detection_yunet_2023mar.onnx", "face_recognition_sface_2021dec.onnx")
SCORE = 0.6


def prepared(home: Path, graphs: list[str]) -> Any:
    """The package with a home of its own, which it looks for in the environment when it is imported."""
    weights = home / ".deepface" / "weights"
    weights.mkdir(parents=True)
    for name, graph in zip(GRAPHS, graphs, strict=True):
        (weights / name).symlink_to(graph)
    os.environ.update(DEEPFACE_HOME=str(home), yunet_score_threshold=str(SCORE))
    # It belongs to this script's own environment: no type checker of the project's is asked to know it.
    return import_module("deepface.DeepFace")


def look(deepface: Any, path: Path) -> int:
    """One photo; where no face is found the package embeds the whole photo, with a confidence of nothing."""
    found = deepface.represent(str(path), model_name="SFace", detector_backend="yunet", enforce_detection=False)
    return sum(face["face_confidence"] > 0 for face in found)


def main(folder: Path, *graphs: str) -> None:
    photos = sorted(folder.glob("*.jpg"))
    with tempfile.TemporaryDirectory() as home:
        deepface = prepared(Path(home), list(graphs))
        look(deepface, photos[0])
        started = time.perf_counter()
        faces = sum(look(deepface, path) for path in photos)
        seconds = time.perf_counter() - started
    print(json.dumps({"photos": len(photos), "faces": faces, "seconds": seconds, "stages": {"all": seconds}}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
