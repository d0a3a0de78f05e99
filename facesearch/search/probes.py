"""Photos to questions: the faces in a photo that is asked about, and one template for several photos of a person."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from facesearch.errors import NoFaceError, PhotoError
from facesearch.faces.extract import find_faces, unmarked
from facesearch.models.geometry import unit_length
from facesearch.models.protocol import FaceModel
from facesearch.photos.decode import DEFAULT_MAX_PIXELS, Photo
from facesearch.types import Face

__all__ = ["Probe", "odd_ones", "pick_by_others", "probe_faces", "template", "without_copies"]

_LEAST_WEIGHT = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A face to look for: the `number`th of its photo, from 1, the largest first. `content` is the file's SHA-256.

    A template, made of several photos of one person, has the `others` that it was made of beside its first. One that
    was expanded has `found` faces from the index in it as well.
    """

    path: str
    number: int
    of: int
    face: Face
    others: tuple[Probe, ...] = ()
    content: bytes = b""
    found: int = 0

    @property
    def paths(self) -> list[str]:
        """All photos that it was made of."""
        return [self.path, *(other.path for other in self.others)]

    @property
    def contents(self) -> list[bytes]:
        """What those photos are, byte for byte: their SHA-256."""
        return [probe.content for probe in (self, *self.others) if probe.content]

    @property
    def photos(self) -> int:
        """Of how many faces it is the mean."""
        return 1 + len(self.others) + self.found

    @property
    def quality(self) -> float | None:
        """That of its best photo; None where one is not known."""
        known = [probe.face.quality for probe in (self, *self.others)]
        return None if None in known else max(quality for quality in known if quality is not None)


def probe_faces(
    model: FaceModel,
    path: str,
    *,
    rotations: bool = True,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    mark: Callable[[str], None] = unmarked,
) -> list[Probe]:
    """The faces in a query photo, the largest first; `mark` is told what was done, step by step.

    Raises `PhotoError` when it cannot be read and `NoFaceError`, saying what was tried, when it shows none.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise PhotoError("not a file; give a photo")
        with open(path, "rb") as stream:
            data = stream.read()
        photo = Photo(data, max_pixels=max_pixels)
        faces = find_faces(model, photo, rotations=rotations, thorough=True, mark=mark)
    except OSError as error:
        raise PhotoError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:  # a NUL in the name
        raise PhotoError(f"{path!r}: no file can have this name; check the path") from error
    except PhotoError as error:
        raise error.about(path) from error
    if not faces:
        turned = ", turned by 90, 180 and 270 degrees," if rotations else ""
        width, height = photo.size
        raise NoFaceError(
            f"{path}: no face found ({width} x {height} pixels; looked upright{turned} and with a border); "
            "try a photo with a larger or clearer face"
        )
    faces.sort(key=lambda face: -face.detection.box.area)
    content = hashlib.sha256(data).digest()
    return [Probe(path, number, len(faces), face, content=content) for number, face in enumerate(faces, start=1)]


def without_copies(photos: Sequence[Sequence[Probe]]) -> list[Sequence[Probe]]:
    """The faces of each photo, of photos with the very same content once: twice the same says nothing new."""
    return list({faces[0].content or str(id(faces)): faces for faces in reversed(photos)}.values())[::-1]


def template(probes: Sequence[Probe]) -> Probe:
    """One probe for several photos of one person: the mean of their embeddings by quality, at unit length."""
    first, *others = probes
    mean = np.sum([_weight(probe) * probe.face.embedding for probe in probes], axis=0)
    return replace(first, face=replace(first.face, embedding=unit_length(mean)), others=tuple(others))


def pick_by_others(photos: Sequence[Sequence[Probe]]) -> list[Probe]:
    """Of each photo of one person the face that is theirs: its only one, or the one most like those of the others.

    Where every photo shows several faces, the largest of each say who is meant.
    """
    alone = [faces[0] for faces in photos if len(faces) == 1] or [faces[0] for faces in photos]
    picked = []
    for faces in photos:
        anchors = [probe for probe in alone if probe is not faces[0]]
        if len(faces) == 1 or not anchors:
            picked.append(faces[0])
            continue
        mean = unit_length(np.sum([_weight(probe) * probe.face.embedding for probe in anchors], axis=0))
        picked.append(max(faces, key=lambda probe: float(probe.face.embedding @ mean)))
    return picked


def odd_ones(probes: Sequence[Probe], *, similar_from: Callable[[int], float]) -> list[tuple[Probe, float]]:
    """Photos that show somebody else than most of the others, with their similarity to the mean of those.

    `similar_from` is the similarity from which a photo may show the person of a template of so many photos. The least
    similar goes first, and the others are looked at anew without it. Of two photos nobody can say which is wrong.
    """
    kept = list(probes)
    odd: list[tuple[Probe, float]] = []
    while len(kept) > 2:
        vectors = np.stack([_weight(probe) * probe.face.embedding for probe in kept])
        total = vectors.sum(axis=0)
        alike = [
            float(probe.face.embedding @ unit_length(total - row)) for probe, row in zip(kept, vectors, strict=True)
        ]
        least = int(np.argmin(alike))
        if alike[least] >= similar_from(len(kept) - 1):
            break
        odd.append((kept.pop(least), alike[least]))
    return odd


def _weight(probe: Probe) -> float:
    """A poor photo says less; one whose quality is not known counts fully."""
    quality = probe.face.quality
    return 1.0 if quality is None else max(_LEAST_WEIGHT, quality)
