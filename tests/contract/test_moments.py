"""A source with several moments (here an animation): faces have the time of their moment and are embedded together."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
import pytest
from PIL import Image, ImageSequence
from sample_library import as_photo, shipped_photo

from facesearch.errors import PhotoError
from facesearch.faces.extract import detect_and_align, embed_faces, extract_faces
from facesearch.models.protocol import FaceModel
from facesearch.photos.picture import Photo
from facesearch.photos.sources import Moment, Source, open_source
from facesearch.types import PhotoFacts

FRAME_MS = 400


class Animation:
    """A source that yields each frame of a GIF as a moment."""

    def __init__(self, data: bytes) -> None:
        self._image = Image.open(io.BytesIO(data))
        self.cover = as_photo(self._image.convert("RGB"))

    @property
    def facts(self) -> PhotoFacts:
        return self.cover.facts

    def moments(self) -> Iterator[Moment]:
        at_ms = 0
        for frame in ImageSequence.Iterator(self._image):
            yield Moment(as_photo(frame.convert("RGB")), at_ms)
            at_ms += int(frame.info["duration"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._image.close()


def animation(*names: str) -> bytes:
    """Return a GIF of the shipped photos, one per frame."""
    frames = [shipped_photo(name).resize((512, 512)).quantize(256) for name in names]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=FRAME_MS, disposal=2)
    return buffer.getvalue()


def test_every_moment_gives_its_faces_with_their_time(model: FaceModel) -> None:
    source: Source
    with Animation(animation("astronaut", "rocket", "hanks")) as source:
        aligned = detect_and_align(model, source.moments())
    assert aligned.crops.shape == (2, 112, 112, 3)
    still = detect_and_align(model, [Moment(as_photo(shipped_photo("astronaut")))])
    moving, alone = embed_faces(model, [aligned, still])
    assert [face.at_ms for face in moving] == [0, 2 * FRAME_MS]
    assert [face.at_ms for face in alone] == [None]
    similarities = [float(face.embedding @ alone[0].embedding) for face in moving]
    assert similarities[0] > 0.8, "a GIF has few colours"
    assert similarities[1] < 0.4


def test_a_source_without_a_face_and_one_without_a_moment(model: FaceModel) -> None:
    for moments in ([Moment(as_photo(shipped_photo("rocket")), 0)], []):
        aligned = detect_and_align(model, moments)
        assert aligned.crops.shape == (0, 112, 112, 3)
        assert embed_faces(model, [aligned]) == [[]]


@pytest.mark.parametrize("opened_from", ["bytes", "stream", "path", "text"])
def test_a_still_photo_is_one_moment_without_a_time(model: FaceModel, tmp_path: Path, opened_from: str) -> None:
    path = tmp_path / "photo.png"
    shipped_photo("astronaut").save(path)
    data = path.read_bytes()
    stream = io.BytesIO(data)
    ways: dict[str, bytes | BinaryIO | str | Path] = {"bytes": data, "stream": stream, "path": path, "text": str(path)}
    with open_source(ways[opened_from]) as source:
        assert (source.facts.width, source.facts.height) == (512, 512)
        ((picture, at_ms),) = source.moments()
        assert at_ms is None
        assert picture is source.cover
        (face,) = extract_faces(model, picture)
    (expected,) = extract_faces(model, Photo(data))
    assert np.array_equal(face.embedding, expected.embedding)
    assert not stream.closed


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("no photo at all")
    with pytest.raises(PhotoError, match="not a photo"):
        open_source(tmp_path / "notes.jpg")
    with pytest.raises(FileNotFoundError):
        open_source(tmp_path / "missing.jpg")
    with pytest.raises(PhotoError, match=r"limit of 0\.001 megapixels"):
        open_source(as_bytes(), max_pixels=1000)


def as_bytes() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "PNG")
    return buffer.getvalue()
