"""The faces in query photos."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass

from facesearch.errors import ModelSwitchedError, NoFaceError, PhotoError
from facesearch.faces.extract import extract_faces, ignore_step
from facesearch.models.protocol import FaceModel
from facesearch.photos.picture import Photo
from facesearch.settings import DEFAULT_MAX_PIXELS
from facesearch.types import Corrections, Face, ModelInfo, PhotoBytes

__all__ = ["Probe", "QueryPhoto", "QuerySource", "Said", "nothing_said", "probe_faces"]

Said = Callable[[bytes], Corrections | None]
"""Returns what the user said about the faces in a content, by SHA-256; None for nothing."""


def nothing_said(_content: bytes) -> None:
    """The default `Said`."""


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A face to search for: face `number` of the `of` faces in its photo; 1 is the largest.

    A template of several photos of one person has the probes after the first in `others`. An expanded probe includes
    `found` faces of the index. `content` is the SHA-256 of the file. If `person` is the id of a person, the probe
    stands for that person of a gallery, called `name`: the embedding is the mean of all faces, the rest that of the
    most typical one.
    """

    path: str
    number: int
    of: int
    face: Face
    others: tuple[Probe, ...] = ()
    content: bytes = b""
    found: int = 0
    person: int | None = None
    name: str | None = None

    @property
    def paths(self) -> list[str]:
        """All query photos that the probe was made from."""
        return [self.path, *(other.path for other in self.others)]

    @property
    def contents(self) -> list[bytes]:
        """The SHA-256 of these photos."""
        return [probe.content for probe in (self, *self.others) if probe.content]

    @property
    def photos(self) -> int:
        """The number of faces in the mean."""
        return 1 + len(self.others) + self.found

    @property
    def quality(self) -> float | None:
        """The quality of the best photo; None if that of any photo is unknown."""
        known = [probe.face.quality for probe in (self, *self.others)]
        return None if None in known else max(quality for quality in known if quality is not None)


@dataclass(frozen=True, slots=True, eq=False)
class QueryPhoto:
    """A query photo whose faces are known already, with the model that made their embeddings; the largest is first."""

    faces: tuple[Probe, ...]
    model: ModelInfo


QuerySource = str | PhotoBytes | QueryPhoto
"""A query photo: the path of a file, its content, or its faces."""


def probe_faces(
    model: FaceModel,
    source: QuerySource,
    *,
    rotations: bool = True,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    said: Said = nothing_said,
    mark: Callable[[str], None] = ignore_step,
) -> list[Probe]:
    """Return the faces in a query photo, the largest first; detect them unless they are known.

    `said` is called with the SHA-256 of the photo, and returns what the user said about its faces. `mark` is called
    with the name of each finished step.

    Raises `PhotoError` if the photo cannot be read, `NoFaceError`, which says what was tried, if it shows no face, and
    `ModelSwitchedError` if its faces are known from another model.
    """
    if isinstance(source, QueryPhoto):
        if source.model.identity != model.info.identity:
            raise ModelSwitchedError(f"the faces of {source.faces[0].path} were embedded with another model")
        return list(source.faces)
    path = source if isinstance(source, str) else source.name
    try:
        data = _content(path) if isinstance(source, str) else source.data
        photo = Photo(data, max_pixels=max_pixels)
        content = hashlib.sha256(data).digest()
        faces = extract_faces(model, photo, rotations=rotations, thorough=True, corrections=said(content), mark=mark)
    except OSError as error:
        raise PhotoError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:  # a NUL in the name
        raise PhotoError(f"{path!r}: not a valid file name; check the path") from error
    except PhotoError as error:
        raise error.about(path) from error
    if not faces:
        turned = ", turned by 90, 180 and 270 degrees," if rotations else ""
        width, height = photo.size
        raise NoFaceError(
            f"{path}: no face found ({width} x {height} pixels; tried upright{turned} and with a border); "
            "choose a photo with a larger or clearer face"
        )
    faces.sort(key=lambda face: -face.detection.box.area)
    return [Probe(path, number, len(faces), face, content=content) for number, face in enumerate(faces, start=1)]


def _content(path: str) -> bytes:
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise PhotoError("not a regular file; give a photo")
    with open(path, "rb") as stream:
        return stream.read()
