"""Extract the faces from one photo's content (decode, detect, align, embed), or report why that failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, Generic, NamedTuple

from facesearch.errors import PhotoError, PhotoTooLargeError
from facesearch.faces.extract import AlignedFaces, detect_and_align, embed_faces
from facesearch.indexing.contents import Content, Item, reopened
from facesearch.indexing.options import Options
from facesearch.machine import give_back_memory
from facesearch.models.protocol import FaceModel
from facesearch.photos.fingerprint import fingerprint
from facesearch.photos.sources import open_source
from facesearch.types import Face, PhotoFacts

__all__ = ["Detected", "Outcome", "detect", "detect_in_stream", "embed", "extract"]

_LARGE = 128 * 2**20


class Outcome(NamedTuple, Generic[Item]):
    """What was extracted from a photo: its faces, or why it failed; `lasting` if only a change of content can help.

    `deaths` is the number of processes that died while they processed this photo alone.

    No faces, no facts and no error means that the file no longer exists.
    """

    content: Content[Item]
    faces: Sequence[Face]
    facts: PhotoFacts | None
    error: str | None
    lasting: bool = True
    fingerprint: int | None = None
    deaths: int = 0


class Detected(NamedTuple, Generic[Item]):
    """A photo with its faces detected and aligned, not embedded; `faces` is None if there is nothing to embed."""

    faces: AlignedFaces | None
    outcome: Outcome[Item]


def extract(model: FaceModel, content: Content[Item], options: Options) -> Outcome[Item]:
    """Decode, detect, align and embed a single photo."""
    return embed(model, [detect(model, content, options)])[0]


def detect(model: FaceModel, content: Content[Item], options: Options) -> Detected[Item]:
    """Decode a photo, detect its faces and align them. Errors of the photo are in the outcome, not raised."""
    detected = _detected(model, content, options)
    if content.memory > _LARGE:
        give_back_memory()
    return detected


def _detected(model: FaceModel, content: Content[Item], options: Options) -> Detected[Item]:
    done = content.without_data()
    try:
        with reopened(content) as stream:
            return detect_in_stream(model, stream, done, options)
    except FileNotFoundError:
        return Detected(None, Outcome(done, [], None, None, lasting=False))
    except PhotoError as error:
        return Detected(None, Outcome(done, [], None, str(error), lasting=False))


def detect_in_stream(model: FaceModel, stream: BinaryIO, done: Content[Item], options: Options) -> Detected[Item]:
    """Do the same from a stream of the bytes of `done`. Only this function decodes photos for an index.

    Pictures that facesearch made are recognised by their headers; no faces are detected in them.
    """
    try:
        with open_source(stream, max_pixels=options.max_pixels) as source:
            if source.facts.ours:
                return Detected(None, Outcome(done, [], source.facts, None))
            corrections = options.corrections.get(done.hash or b"")
            faces = detect_and_align(model, source.moments(), rotations=options.rotations, corrections=corrections)
            return Detected(faces, Outcome(done, [], source.facts, None, fingerprint=fingerprint(source.cover)))
    except PhotoTooLargeError as error:
        # The content may be fine: without its hash, every run tries it again, with the limits of that run.
        return Detected(None, Outcome(done, [], None, str(error), lasting=False))
    except PhotoError as error:
        # A read error of the disk has an errno, unlike an error in the content.
        lasting = getattr(error.__cause__, "errno", None) is None
        return Detected(None, Outcome(done, [], None, str(error), lasting=lasting))
    except MemoryError:
        return Detected(None, Outcome(done, [], None, "not enough memory to process it", lasting=False))


def embed(model: FaceModel, photos: Sequence[Detected[Item]]) -> list[Outcome[Item]]:
    """Embed the faces of all photos in one batch; return the outcome of each photo."""
    faces = iter(embed_faces(model, [photo.faces for photo in photos if photo.faces is not None]))
    return [photo.outcome if photo.faces is None else photo.outcome._replace(faces=next(faces)) for photo in photos]
