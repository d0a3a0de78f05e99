"""Measure the share of faces that facesearch's few detector passes find, of those found at all sizes, and the cost.

    python benchmarks/faces_found.py FOLDER... [--mosaics 30]

All sizes are 320, 640, 1280 and 2560 pixels, always of the whole photo. A detection there with a score of 0.75 or more
and at least 20 pixels in the photo counts as a face. `--mosaics` adds pictures of twelve megapixels, each made of eight
photos at sizes from 150 to 1300 pixels: far, near and middling faces in one picture. The cost is the number of pixels
that go through the detector.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from facesearch.errors import PhotoError
from facesearch.faces.detect import detect_faces
from facesearch.models.bundled import BundledModel
from facesearch.models.framing import LATEST_REVISION, LOOKS
from facesearch.models.geometry import scaled, without_duplicates
from facesearch.models.runtime import choose_runtime
from facesearch.photos.formats import SUFFIXES
from facesearch.photos.picture import Photo
from facesearch.types import Detection

if TYPE_CHECKING:
    from facesearch.types import Pixels

SIDES = (320, 640, 1280, 2560)
SURE, LEAST = 0.75, 20
SIZES = (150, 250, 400, 600, 900, 1300)


class CountingModel(BundledModel):
    """The real model; counts the pixels that it searches for faces, without those of the landmark pass."""

    searched = 0
    _view = (LOOKS[LATEST_REVISION].side,) * 2

    def detect(self, images: Sequence[Pixels]) -> list[list[Detection]]:
        """See `FaceModel.detect`."""
        self.searched += sum(image.shape[0] * image.shape[1] for image in images if image.shape[:2] != self._view)
        return super().detect(images)


class Tally(NamedTuple):
    """Sums over photos: faces at all sizes, faces found, pixels searched by facesearch, and pixels of all sizes."""

    photos: int
    there: int
    found: int
    pixels: int
    pixels_of_all: int


def everything(model: CountingModel, photo: Photo) -> list[Detection]:
    """Return the faces found by detecting at all sizes."""
    longer = max(photo.size)
    found: list[Detection] = []
    for side in SIDES:
        if side == SIDES[0] or longer > side // 2:
            (seen,) = model.detect([photo.pixels(side)])
            found += [scaled(face, longer / min(side, longer)) for face in seen if face.score >= SURE]
    return [face for face in without_duplicates(found, 0.3) if face.box.shorter >= LEAST]


def tally(model: CountingModel, photos: Iterable[Photo]) -> Tally:
    sums = np.zeros(5, dtype=np.int64)
    for photo in photos:
        try:
            model.searched = 0
            there = everything(model, photo)
            of_all, model.searched = model.searched, 0
            seen = detect_faces(model, photo, rotations=False)
        except PhotoError:
            continue
        found = sum(any(face.box.overlap(other.box) > 0.3 for other in seen) for face in there)
        sums += (1, len(there), found, model.searched, of_all)
    return Tally(*sums.tolist())


def photos_in(folder: Path) -> Iterator[Photo]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix.lower().encode() in SUFFIXES:
            try:
                yield Photo(path.read_bytes())
            except PhotoError:
                continue


def mosaics(folders: Sequence[Path], count: int) -> Iterator[Photo]:
    """Yield pictures of 4000 x 3000 pixels with eight photos in each, on a blurred photo or a plain background."""
    rng = np.random.default_rng(1)
    pictures = [photo.level(2560).image for folder in folders for photo in photos_in(folder)]
    for number in range(count):
        ground = pictures[rng.integers(len(pictures))] if number % 2 else Image.new("RGB", (8, 6), (128, 128, 128))
        canvas = ground.resize((40, 30)).resize((4000, 3000), Image.Resampling.BICUBIC)
        for _ in range(8):
            picture = pictures[rng.integers(len(pictures))].copy()
            picture.thumbnail((int(rng.choice(SIZES)),) * 2, Image.Resampling.LANCZOS)
            place = (int(rng.integers(4000 - picture.width)), int(rng.integers(3000 - picture.height)))
            canvas.paste(picture, place)
        data = io.BytesIO()
        canvas.save(data, "JPEG", quality=88)
        yield Photo(data.getvalue())


def main(folders: Sequence[Path], count: int) -> dict[str, Tally]:
    model = CountingModel(choose_runtime("cpu"))
    tallies = {folder.name: tally(model, photos_in(folder)) for folder in folders}
    if count:
        tallies["mosaics"] = tally(model, mosaics(folders, count))
    print("| photos | | faces at all sizes | found | megapixels per photo | at all sizes |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, (photos, there, found, pixels, of_all) in tallies.items():
        each = max(1, photos) * 1e6
        print(f"| {name} | {photos} | {there} | {found} | {pixels / each:.2f} | {of_all / each:.2f} |")
    return tallies


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--mosaics", type=int, default=0)
    arguments = parser.parse_args()
    main(arguments.folders, arguments.mosaics)
