"""Run the `face_recognition` package as its own examples use it, in a separate virtual environment.

    python face_recognition_hog.py FOLDER

For each photo: load it, find faces with the HOG detector (photo enlarged twofold, the default), encode them. dlib uses
one core. The time is measured from loading the first photo to the last encoding, after one photo to warm up.

Prints one line of JSON: photos, faces, seconds, and the seconds per stage.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

# Only this script's own environment has the package, so the project's type checker does not know it.
face_recognition: Any = import_module("face_recognition")

STAGES = ("decode", "detect", "embed")


def look(path: Path) -> tuple[int, list[float]]:
    """Return the number of faces in a photo and the seconds of each stage."""
    marks = [time.perf_counter()]
    photo = face_recognition.load_image_file(path)
    marks.append(time.perf_counter())
    places = face_recognition.face_locations(photo)
    marks.append(time.perf_counter())
    encodings = face_recognition.face_encodings(photo, places)
    marks.append(time.perf_counter())
    return len(encodings), [after - before for before, after in pairwise(marks)]


def main(folder: Path) -> None:
    photos = sorted(folder.glob("*.jpg"))
    look(photos[0])
    started = time.perf_counter()
    looks = [look(path) for path in photos]
    seconds = time.perf_counter() - started
    stages = {stage: sum(spent[number] for _, spent in looks) for number, stage in enumerate(STAGES)}
    faces = sum(found for found, _ in looks)
    print(json.dumps({"photos": len(photos), "faces": faces, "seconds": seconds, "stages": stages}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
