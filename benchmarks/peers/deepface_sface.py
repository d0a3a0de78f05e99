"""Run the `deepface` package with the same two networks, YuNet and SFace, in a separate virtual environment.

    python deepface_sface.py FOLDER YUNET.onnx SFACE.onnx

For each photo, `DeepFace.represent` decodes, detects at 640 pixels, aligns and embeds. The graphs are put where the
package would put downloaded ones. The time is measured from the first photo to the last embedding, after one photo to
warm up.

Prints one line of JSON: photos, faces, seconds, and the seconds per stage, here of all stages together.
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
    """Import the package with a home folder of its own, which it reads from the environment on import."""
    weights = home / ".deepface" / "weights"
    weights.mkdir(parents=True)
    for name, graph in zip(GRAPHS, graphs, strict=True):
        (weights / name).symlink_to(graph)
    os.environ.update(DEEPFACE_HOME=str(home), yunet_score_threshold=str(SCORE))
    # Only this script's own environment has the package, so the project's type checker does not know it.
    return import_module("deepface.DeepFace")


def look(deepface: Any, path: Path) -> int:
    """Return the number of faces in a photo. If it has none, the package embeds the whole photo, at confidence 0."""
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
