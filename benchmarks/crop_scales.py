"""Compare how faces are shown to the networks: embedding revisions, looks, and the scale and place of the crop.

    python benchmarks/crop_scales.py FOLDER [FOLDER ...] [--photos 300] [--hard] [--json FILE]

Each FOLDER has one folder per person. Faces are detected once, as in an indexing run; each setting then refines their
landmarks, crops and embeds them. The script prints the true-match rate at false-match rates of 1e-3, 1e-4 and 1e-5,
with the same weight for every person and every pair of people: for people at even places (to choose on), for people at
odd places (to report on), and for all. The last column is the time for the landmarks, in milliseconds per face on all
cores. With --hard, each photo also comes tilted by 15 and by -25 degrees, and with the face shrunk to 60 and to 36
pixels; variants of one photo are not compared. Last, query photos are embedded several times and averaged, while the
library stays as it is.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from facesearch.errors import FacesearchError
from facesearch.evaluation.fit import well_labelled
from facesearch.faces.crops import face_view
from facesearch.faces.detect import detect_faces
from facesearch.faces.landmarks import with_refined_landmarks
from facesearch.models.align import CROP_SIDE, centred, similarity_to_template
from facesearch.models.bundled import BundledModel
from facesearch.models.framing import LOOKS, Framing, Looks
from facesearch.models.geometry import unit_length
from facesearch.models.runtime import choose_runtime
from facesearch.photos.picture import Photo
from facesearch.photos.scan import photos_in
from facesearch.types import Detection

RATES = (1e-3, 1e-4, 1e-5)
LEAST_RANKED = 0.2
"""Similarities of strangers below it are not ranked: far more than the highest of `RATES` reach it."""

TILTS, FACE_SIDES, CONTEXT = (0, 15, -25), (None, 60, 36), 1.8
NEW = LOOKS[3]
LOOKED = {
    "none": None,
    "revision 2": LOOKS[2],
    "revision 3": NEW,
    "revision 3, no second pass": replace(NEW, passes=1),
    "revision 3, moved > 2.5 px": replace(NEW, passes=2, moved=2.5, turned=np.inf, scaled=np.inf),
    "two zooms": replace(NEW, zooms=(0.7, 0.9)),
    "160 pixels, zoom 0.9": replace(NEW, side=160, zooms=(0.9,)),
}
SCALES = (1.04, 1.0, 0.98, 0.96, 0.94, 0.92)
OFFSETS = ((2.0, 0.0), (-2.0, 0.0), (0.0, 2.0), (0.0, -2.0))
ASKED = {"plain": ((0.96, False),), "mirrored": ((0.96, False), (0.96, True)),
         "three scales, mirrored": tuple(product((0.93, 0.96, 1.0), (False, True)))}  # fmt: skip

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Seen:
    """A detected face of a person; `source` is the number of the photo that it, or its variants, come from."""

    person: int
    source: int
    photo: Photo
    face: Detection


def detected(model: BundledModel, folders: Sequence[Path], most: int, *, hard: bool) -> list[Seen]:
    """Detect the largest face in each photo, with its own landmarks."""
    rng = np.random.default_rng(3)
    people = [person for folder in folders for person in sorted(folder.iterdir()) if person.is_dir()]
    sources: list[tuple[int, Path]] = []
    for number, person in enumerate(people):
        photos = photos_in(person)
        sources += [(number, photos[row]) for row in sorted(rng.permutation(len(photos))[:most])]

    def largest(photo: Photo) -> Detection | None:
        return max(detect_faces(model, photo, thorough=True), key=lambda face: face.box.area, default=None)

    def seen(task: tuple[int, tuple[int, Path]]) -> list[Seen]:
        source, (person, path) = task
        try:
            photo = Photo(path.read_bytes())
            face = largest(photo)
            photos = [photo] if not hard or face is None else variants(path, face)
            found = [(each, face if each is photo else largest(each)) for each in photos]
        except FacesearchError:
            return []
        return [Seen(person, source, each, face) for each, face in found if face is not None]

    model.framing = Framing(looks=None)
    with ThreadPoolExecutor(model.runtime.streams) as pool:
        return [face for faces in pool.map(seen, enumerate(sources)) for face in faces]


def variants(path: Path, face: Detection) -> list[Photo]:
    """Return the face with what surrounds it, as it is, tilted and shrunk, as JPEG files."""
    with Image.open(path) as stored:
        picture = ImageOps.exif_transpose(stored).convert("RGB")
    box, longer = face.box, max(face.box.width, face.box.height)
    x, y, reach = box.left + box.width / 2, box.top + box.height / 2, longer * CONTEXT
    around = picture.crop((int(x - reach), int(y - reach), int(x + reach), int(y + reach)))
    made = []
    for tilt, side in product(TILTS, FACE_SIDES):
        part = around.rotate(tilt, Image.Resampling.BICUBIC)
        if side is not None and side < longer:
            part = part.resize((round(part.width * side / longer),) * 2, Image.Resampling.LANCZOS)
        data = io.BytesIO()
        part.save(data, "JPEG", quality=88)
        made.append(Photo(data.getvalue()))
    return made


def refined(model: BundledModel, faces: Sequence[Seen], looks: Looks | None) -> tuple[list[Detection], float]:
    """Return the faces with refined landmarks, and the milliseconds per face."""
    model.framing = Framing(looks=looks)
    started = time.perf_counter()
    with ThreadPoolExecutor(model.runtime.streams) as pool:
        found = list(pool.map(lambda seen: with_refined_landmarks(model, seen.photo, [seen.face])[0], faces))
    return found, (time.perf_counter() - started) * 1000 / len(faces)


def embedded(
    model: BundledModel,
    faces: Sequence[Seen],
    placed: Sequence[Detection],
    scale: float,
    offset: tuple[float, float] = (0.0, 0.0),
    *,
    mirrored: bool = False,
) -> Vectors:
    """Crop the faces at a scale, moved by an offset in pixels of the crop, and embed them."""

    def crop(row: int) -> NDArray[np.uint8]:
        a, b = centred(similarity_to_template(placed[row].landmarks), scale, CROP_SIDE)
        view = face_view(faces[row].photo, (a, b + complex(*offset)), CROP_SIDE)
        return view[:, ::-1] if mirrored else view

    def part(start: int) -> Vectors:
        rows = range(start, min(start + 64, len(faces)))
        return model.embed(np.ascontiguousarray(np.stack([crop(row) for row in rows])))

    with ThreadPoolExecutor(model.runtime.streams) as pool:
        return np.concatenate(list(pool.map(part, range(0, len(faces), 64))))


def found_at(
    asked: Vectors, library: Vectors, people: NDArray[np.int64], sources: NDArray[np.int64], among: NDArray[np.bool_]
) -> list[float]:
    """Return the true-match rate at each of `RATES`, for the people `among`; nothing if there are no two of them."""
    if len(np.unique(people[among])) < 2:
        return []
    asked, library, people, sources = asked[among], library[among], people[among], sources[among]
    scores = asked @ library.T
    weight = 1 / np.bincount(people)[people]
    strangers = people[:, None] != people
    one, other = np.nonzero(strangers & (scores > LEAST_RANKED))
    ranked = np.append(scores[one, other], LEAST_RANKED)
    order = np.argsort(-ranked[:-1])
    pairs = len(np.unique(people)) * (len(np.unique(people)) - 1)
    rate = np.cumsum((weight[one] * weight[other])[order]) / pairs
    limits = ranked[np.append(order, len(order))[np.searchsorted(rate, RATES)]]
    same = ~strangers & (sources[:, None] != sources)
    own = [scores[people == person][same[people == person]] for person in np.unique(people)]
    return [float(np.mean([(part > limit).mean() for part in own if len(part)])) for limit in limits]


def main(folders: Sequence[Path], most: int, *, hard: bool) -> list[dict[str, Any]]:
    runtime = choose_runtime()
    model = BundledModel(runtime.shared_by(runtime.threads))
    faces = detected(model, folders, most, hard=hard)
    placed = {name: refined(model, faces, looks) for name, looks in LOOKED.items()}
    people = np.array([seen.person for seen in faces])
    sources = np.array([seen.source for seen in faces])
    usual = embedded(model, faces, placed["revision 3"][0], 0.96)
    good = well_labelled(usual, people) if not hard else np.ones(len(people), dtype=np.bool_)
    print(f"{len(faces):,} faces of {len(np.unique(people))} people; {(~good).sum()} omitted as wrongly labelled\n")
    print("| setting | even people | odd people | all people | ms per face |\n| --- | --- | --- | --- | ---: |")
    rows: list[dict[str, Any]] = []

    def tell(name: str, asked: Vectors, library: Vectors, ms: float | None = None) -> None:
        halves = (good & (people % 2 == 0), good & (people % 2 == 1), good)
        rates = [found_at(asked, library, people, sources, among) for among in halves]
        cells = " | ".join(" ".join(f"{rate:.3f}" for rate in part) or "too few" for part in rates)
        print(f"| {name} | {cells} | {'' if ms is None else f'{ms:.2f}'} |", flush=True)
        rows.append({"setting": name, "even": rates[0], "odd": rates[1], "all": rates[2], "ms": ms})

    for name, (landmarks, ms) in placed.items():
        for scale in (1.0, 0.96):
            vectors = embedded(model, faces, landmarks, scale)
            tell(f"looks: {name}; scale {scale}", vectors, vectors, ms)
    landmarks = placed["revision 3"][0]
    for scale, offset in [(scale, (0.0, 0.0)) for scale in SCALES] + [(0.96, offset) for offset in OFFSETS]:
        vectors = embedded(model, faces, landmarks, scale, offset)
        tell(f"scale {scale}, moved by {offset[0]:g}, {offset[1]:g}", vectors, vectors)
    for name, ways in ASKED.items():
        asked = sum(embedded(model, faces, landmarks, scale, mirrored=mirrored) for scale, mirrored in ways)
        tell(f"question {name}", unit_length(np.asarray(asked)), usual)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--photos", type=int, default=300, help="at most this many photos per person")
    parser.add_argument("--hard", action="store_true", help="also tilted and shrunk")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    told = main(arguments.folders, arguments.photos, hard=arguments.hard)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(told, indent=2))
