"""The `face_recognition` package as its own examples use it; runs in an environment of its own.

    python face_recognition_hog.py FOLDER

Photo by photo: load it, find faces with the HOG detector (enlarging the photo twofold, the default), encode those
found. dlib works on one core. The clock runs from loading the first photo to the last encoding; one photo goes through
before that.

Prints one line of JSON: photos, faces, seconds, and how the seconds fall to the stages.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

# It belongs to this script's own environment: no type checker of the project's is asked to know it.
face_recognition: Any = import_module("face_recognition")

STAGES = ("decode", "detect", "embed")


def look(path: Path) -> tuple[int, list[float]]:
    """One photo: its faces' number and the seconds of each stage."""
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
