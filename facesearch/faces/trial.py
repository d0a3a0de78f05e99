"""Test a model: its detector and its recogniser run on a photo of six people and must tell them apart.

The photo is `t1.jpg`, which the insightface package ships. The model's own detector finds the faces in it, and in a
copy at half its size, tilted. Its own recogniser then embeds each face in variants that do not change the identity:
from both pictures, mirrored, shifted and rotated a little, coarse, in grey, darker, brighter, lit from the left and
from the right. Every pair of one person must be more similar than every pair of two people, by `LEAST_GAP`.

SFace has a gap of 0.17 with its own detector, and 0.31 with SCRFD-500M. A network that does not know faces reacts to
the light first: of 42 networks with random weights (linear, convolutional, with and without pooling and biases) none
had a gap above -0.10, with any faces and pixel scales. A network with a constant output has 0.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facesearch.errors import FacesearchError
from facesearch.faces.extract import detect_and_align
from facesearch.models.align import CROP_SIDE
from facesearch.models.resolve import VerifiedPack, open_model, verified_packs
from facesearch.models.runtime import choose_runtime
from facesearch.photos.picture import Photo
from facesearch.photos.sources import Moment

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    from facesearch.models.protocol import FaceModel
    from facesearch.types import FloatArray, Pixels

__all__ = ["LEAST_GAP", "Trial", "examined", "gap", "sample_photo", "tried"]

LEAST_GAP = 0.02
"""How much more similar the least similar pair of one person must be than the most similar pair of two people."""

_SAMPLE = "data/images/t1.jpg"
_PEOPLE, _LEAST_PEOPLE = 6, 4
_TILT, _SHRUNK = -15.0, 0.5
_SAME_PLACE = 28.0
"""In pixels of the small picture, in which the faces are 50 pixels wide and at least 70 apart."""

_COARSE = 40


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial's result: `fault` says what is wrong, `note` what could not be tested; both None if all is well."""

    fault: str | None = None
    note: str | None = None


def tried(name: str) -> Trial:
    """Open the model `name` (or the pack in that folder) on the CPU and test it.

    Never raises: any error that a bad network causes in the libraries that run it is reported as the fault.
    """
    try:
        model = open_model(name, choose_runtime("cpu"))
        photo = sample_photo()
        if photo is None:
            _run_once(model)
            return Trial(note="not tested on faces: the installed insightface package lacks its sample photo")
        return Trial(_fault(model, photo))
    except FacesearchError as error:
        return Trial(str(error))
    except Exception as error:  # ONNX Runtime's and insightface's share no base class but this one
        return Trial(f"its networks cannot be run ({' '.join(str(error).split())[:200] or type(error).__name__})")


def examined(name: str | None = None) -> list[VerifiedPack]:
    """Return the result of `verified_packs`, with a trial of each pack whose files are intact. Raises `ModelError`."""
    packs = []
    for pack in verified_packs(name):
        trial = Trial() if pack.faults else tried(pack.name)
        faults = pack.faults or ([] if trial.fault is None else [trial.fault])
        packs.append(VerifiedPack(pack.name, faults, "; ".join(filter(None, (pack.note, trial.note))) or None))
    return packs


def sample_photo() -> Path | None:
    """Return the path of the photo of six people that the insightface package ships; None if it is missing."""
    spec = find_spec("insightface")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / _SAMPLE
    return path if path.is_file() else None


def gap(model: FaceModel, crops: Pixels, again: Pixels) -> float:
    """Return the least similarity of two pictures of one person, minus the greatest of two people.

    `crops` are aligned faces of different people, uint8[n, 112, 112, 3] RGB with n > 1; `again` are the same people in
    the same order, from another picture. NaN if the recogniser returns NaN.
    """
    seen = [view for crop in crops for view in _views(crop)] + list(again)
    people = len(crops)
    whose = np.concatenate([np.repeat(np.arange(people), len(seen) // people - 1), np.arange(people)])
    with np.errstate(all="ignore"):  # a network that knows no faces may give NaN
        vectors: FloatArray = model.embed(np.stack(seen))
        similarities = vectors @ vectors.T
    same = whose[:, None] == whose
    return float(similarities[same].min() - similarities[~same].max())


def _fault(model: FaceModel, path: Path) -> str | None:
    from PIL import Image

    with Image.open(path) as picture:
        whole = picture.convert("RGB")
    size = (round(whole.width * _SHRUNK), round(whole.height * _SHRUNK))
    tilted = whole.resize(size, Image.Resampling.LANCZOS).rotate(_TILT, Image.Resampling.BICUBIC)
    crops, places = _faces(model, whole)
    again, others = _faces(model, tilted)
    pairs = []
    for number, place in enumerate(places):
        distances = [math.dist(_tilted(place, whole.size), other) for other in others]
        if distances and min(distances) < _SAME_PLACE:
            pairs.append((number, int(np.argmin(distances))))
    if len(pairs) < _LEAST_PEOPLE:
        return (
            f"its detector finds {len(pairs)} of the {_PEOPLE} faces in {path} again when it is shrunk and tilted; "
            "it is not a usable face detector"
        )
    if gap(model, crops[[one for one, _ in pairs]], again[[other for _, other in pairs]]) >= LEAST_GAP:
        return None
    return (
        f"its recogniser does not tell people apart: of the {len(pairs)} in {path} two are more similar than two "
        "pictures of one; it is not a usable face recogniser"
    )


def _faces(model: FaceModel, picture: Picture) -> tuple[Pixels, list[tuple[float, float]]]:
    """Return aligned crops of the faces in a picture, and the centres of the faces."""
    encoded = io.BytesIO()
    picture.save(encoded, "PNG", compress_level=0)
    aligned = detect_and_align(model, [Moment(Photo(encoded.getvalue()))], rotations=False)
    boxes = [detection.box for detection in aligned.detections]
    return aligned.crops, [(box.left + box.width / 2, box.top + box.height / 2) for box in boxes]


def _tilted(place: tuple[float, float], size: tuple[int, int]) -> tuple[float, float]:
    """Map a place in the whole picture to the small, tilted one."""
    x, y = ((at - side / 2) * _SHRUNK for at, side in zip(place, size, strict=True))
    sine, cosine = math.sin(math.radians(_TILT)), math.cos(math.radians(_TILT))
    middle = (size[0] * _SHRUNK / 2, size[1] * _SHRUNK / 2)
    return middle[0] + x * cosine + y * sine, middle[1] + y * cosine - x * sine


def _views(crop: Pixels) -> list[Pixels]:
    """Return a face and variants of it that do not change the identity."""
    from PIL import Image, ImageOps

    picture = Image.fromarray(crop)
    coarse = picture.resize((_COARSE, _COARSE), Image.Resampling.LANCZOS)
    light = np.linspace(0.3, 1.3, CROP_SIDE)[None, :, None]
    changed = [
        crop, crop[:, ::-1], _moved(picture, 6, 1.05, 2), _moved(picture, -6, 0.95, -2),
        coarse.resize(picture.size, Image.Resampling.BICUBIC), ImageOps.grayscale(picture).convert("RGB"),
        255 * (crop / 255) ** 2, 255 * (crop / 255) ** 0.5, crop * light, crop * light[:, ::-1],
    ]  # fmt: skip
    return [np.clip(np.asarray(view), 0, 255).astype(np.uint8) for view in changed]


def _moved(picture: Picture, degrees: float, scale: float, shift: float) -> Picture:
    """Rotate and scale a picture about its centre, and shift it by `shift` pixels."""
    from PIL import Image

    x, y = math.cos(math.radians(degrees)) / scale, math.sin(math.radians(degrees)) / scale
    middle = CROP_SIDE / 2
    matrix = (x, y, middle - (x + y) * middle - shift, -y, x, middle - (x - y) * middle + shift)
    return picture.transform(picture.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)


def _run_once(model: FaceModel) -> None:
    """Run both networks on a plain grey picture."""
    model.detect([np.full((640, 640, 3), 127, dtype=np.uint8)])
    model.embed(np.full((1, CROP_SIDE, CROP_SIDE, 3), 127, dtype=np.uint8))
