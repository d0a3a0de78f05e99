"""Decode photos of every format to upright RGB pixels at the size that is needed.

A `Photo` is opened from a file or its bytes and decodes when pixels are requested. A JPEG of twelve megapixels is
decoded at a half, a quarter or an eighth of its size if that is enough, and again, larger, if a small face needs it.
The decoded image is the base of a pyramid of halvings, so that a small request reads few pixels. This is the only place
that applies the EXIF orientation. Decoders are given images without metadata, and only images that fit into memory when
decoded.
"""

from __future__ import annotations

import io
import math
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from facesearch.errors import Hint, PhotoError, PhotoTooLargeError
from facesearch.photos.colour import to_rgb
from facesearch.photos.cost import cost_of, most_memory, pixels_for
from facesearch.photos.formats import Format, read_parts
from facesearch.photos.header import HEADER_VERSION, Header, header_of
from facesearch.photos.parts import MOST_PARTS, Parts, Pieces
from facesearch.settings import DEFAULT_MAX_PIXELS
from facesearch.types import PhotoFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

    from facesearch.types import Pixels

__all__ = ["Level", "Photo", "memory_needed"]

_MOST_DECODED = 64_000_000
"""Pixels. Larger photos, mostly panoramas, are halved until they fit: this bounds memory, and a face in them still has
enough pixels."""

_LEAST_DECODE = 1280
"""Decoding smaller saves little, and crops of faces may need more later: two decodes cost more than one."""

_MOST_TAKEN_WHOLE = 256_000_000
_MOST_SCANNED = 20_000_000_000
"""Pixels times scans of a JPEG; a billion takes one second. Programs write about ten scans."""

_QUARTER_TURNS = (5, 6, 7, 8)
_ORIENTATION = 0x0112


@cache
def _pillow() -> Any:
    from PIL import Image

    # Pillow's own limit only warns up to twice its value and applies to the whole process; ours is an argument.
    Image.MAX_IMAGE_PIXELS = None
    return Image


def memory_needed(stream: BinaryIO) -> int:
    """Return the peak memory in bytes for extracting the faces of a photo, without the file itself.

    Includes crops of small faces at full size. Returns 0 if the file is not a photo.
    """
    try:
        with _Reasons():
            form, parts = _read_parts(stream)
            image = _opened(stream, form, parts)
            return _cost(image, form, parts, _orientation(image, form, header_of(stream, parts)))
    except PhotoError:
        return 0


def _cost(image: Image, form: Format, parts: Parts, orientation: int) -> int:
    """Return the same as `memory_needed` for an image that is opened but not decoded."""
    return cost_of(image, form, parts, finest=_finest(*image.size), turned=orientation != 1)


def _finest(width: int, height: int) -> float:
    """Return the largest scale at which a photo of this size is decoded: 1, or a half, a quarter, ..."""
    halvings = 0.0
    while width * height > _MOST_DECODED * 4.0**halvings:
        halvings += 1.0
    return float(0.5**halvings)


def _read_parts(stream: BinaryIO) -> tuple[Format, Parts]:
    found = read_parts(stream)
    if found is None:
        raise PhotoError("not a photo in a format that can be read")
    if found[1].endless:
        raise PhotoError(f"damaged: more than {MOST_PARTS:,} parts")
    return found


def _opened(stream: BinaryIO, form: Format, parts: Parts) -> Image:
    form.load()
    source = cast("BinaryIO", Pieces(stream, parts.picture, parts.head)) if parts.picture else stream
    size = source.seek(0, io.SEEK_END)
    if form.taken_whole and size > _MOST_TAKEN_WHOLE:
        raise PhotoTooLargeError(
            f"{size / 1e6:,.0f} MB are over the limit of {_MOST_TAKEN_WHOLE / 1e6:,.0f} MB for {form.name}; "
            "save it in another format"
        )
    source.seek(0)
    image: Image = _pillow().open(source, formats=[form.name])
    return image


def _orientation(image: Image, form: Format, header: Header) -> int:
    """Return EXIF's number for the rotation that an opened image needs; 1 if it needs none."""
    if form.turned_by == "pillow":
        return int(image.getexif().get(_ORIENTATION, 1))
    return header.orientation if form.turned_by == "header" else 1


class Level(NamedTuple):
    """A photo at one size: `scale` is its side relative to the whole photo."""

    image: Image
    scale: float


class Photo:
    """One photo, from a file or its bytes. Decodes on demand and keeps its largest decode.

    A file must stay open while pixels are requested. Raises `PhotoError` with the reason if the file is not a photo, is
    truncated, has more than `max_pixels` pixels, or needs more memory than one photo may take (see
    `facesearch.photos.cost`). The message does not name the file, because bytes have no name.
    """

    def __init__(self, source: bytes | BinaryIO, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        self._stream = io.BytesIO(source) if isinstance(source, bytes) else source
        self._levels: list[Level] = []
        self._opened: Image | None = None
        with _Reasons():
            if not self._stream.seek(0, io.SEEK_END):
                raise PhotoError("the file is empty")
            self._format, self._parts = _read_parts(self._stream)
            image = self._opened = _opened(self._stream, self._format, self._parts)
            width, height = image.size
            if width * height > max_pixels:
                raise PhotoTooLargeError(
                    f"{width} x {height} pixels are over the limit of {max_pixels / 1e6:g} megapixels",
                    Hint.MORE_PIXELS,
                )
            header = header_of(self._stream, self._parts)
            self._orientation = _orientation(image, self._format, header)
            self._check_cost(image, max_pixels)
            if self._orientation in _QUARTER_TURNS:
                width, height = height, width
            self.facts = PhotoFacts(width, height, header.taken, header.position, header.ours, HEADER_VERSION)
            self._most = round(max(width, height) * _finest(width, height))

    def _check_cost(self, image: Image, max_pixels: int) -> None:
        scans = self._format.scans(self._stream, self._parts)
        if scans * image.width * image.height > _MOST_SCANNED * max(1.0, max_pixels / DEFAULT_MAX_PIXELS):
            raise PhotoError(
                f"damaged: {scans:,} scans of {image.width} x {image.height} pixels take too long to decode"
            )
        cost, limit = _cost(image, self._format, self._parts, self._orientation), most_memory(max_pixels)
        if cost > limit:
            width, height = image.size
            raise PhotoTooLargeError(
                f"{width} x {height} pixels of {self._format.name} take {cost / 1e9:.2f} GB to decode, over the limit "
                f"of {limit / 1e9:.2f} GB",
                Hint.MORE_PIXELS_TO,
                megapixels=pixels_for(cost) // 1_000_000,
            )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the whole upright photo in pixels."""
        return self.facts.width, self.facts.height

    def level(self, side: float) -> Level:
        """Return the smallest upright RGB image from the pyramid whose longer side has at least `side` pixels.

        Its longer side is less than twice `side`, unless the photo cannot be halved that often. If the photo is
        smaller, it is the whole photo. Photos of more than 64 megapixels are at most half their size.
        """
        longer = max(self.size)
        wanted = min(math.ceil(side), self._most)
        if not self._levels or round(self._levels[0].scale * longer) < wanted:
            with _Reasons():
                image = self._decode(min(max(wanted, _LEAST_DECODE), self._most))
            self._levels = [Level(image, 1 / max(1, round(longer / max(image.size))))]
        while min(self._levels[-1].image.size) > 1 and round(self._levels[-1].scale * longer / 2) >= wanted:
            image, scale = self._levels[-1]
            self._levels.append(Level(image.reduce(2), scale / 2))
        return next(level for level in reversed(self._levels) if round(level.scale * longer) >= wanted)

    def pixels(self, side: int) -> Pixels:
        """Return the upright photo as uint8[height, width, 3], RGB, its longer side at most `side`; never enlarged."""
        import numpy as np

        level = self.level(side)
        if max(self.size) > side and max(level.image.size) != side:
            level = self._shrunk(level, side / max(self.size))
        return np.asarray(level.image)

    def _shrunk(self, level: Level, scale: float) -> Level:
        """Add a level at this scale to the pyramid, so that smaller ones can be made from it."""
        image, of = level
        width, height = self.size
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        # The last row and column of a halved image may cover only half a pixel: the box omits the rest.
        box = (0, 0, min(image.width, width * of), min(image.height, height * of))
        shrunk = Level(image.resize(size, _pillow().Resampling.BILINEAR, box=box), scale)
        self._levels.insert(self._levels.index(level) + 1, shrunk)
        return shrunk

    def _decode(self, side: int) -> Image:
        # The first decode uses the image that is already open.
        opened, self._opened = self._opened or _opened(self._stream, self._format, self._parts), None
        if self._format.decodes_smaller:
            # Decoding at an eighth, a quarter or a half costs far less than decoding all and shrinking. Pillow picks
            # the smallest of them that has at least the requested size.
            scale = side / max(opened.size)
            opened.draft(None, (math.ceil(opened.width * scale), math.ceil(opened.height * scale)))
        opened.load()
        factor = max(1, round(max(opened.size) / self._most))
        upright = _turns().get(self._orientation)
        picture = to_rgb(opened, factor)
        del opened  # free its pixels before the image is copied
        return picture if upright is None else picture.transpose(upright)


@cache
def _turns() -> Mapping[int, Any]:
    """Map EXIF's orientation numbers to the transposition that turns an image upright."""
    to = _pillow().Transpose
    turns = (
        to.FLIP_LEFT_RIGHT,
        to.ROTATE_180,
        to.FLIP_TOP_BOTTOM,
        to.TRANSPOSE,
        to.ROTATE_270,
        to.TRANSVERSE,
        to.ROTATE_90,
    )
    return dict(enumerate(turns, start=2))


class _Reasons:
    """A context manager that turns any exception of a decoder into a `PhotoError` with a reason.

    Pillow's plug-ins read hostile bytes and raise nearly every exception (OSError, SyntaxError, struct.error,
    zlib.error, IndexError, OverflowError, ...). A file must never end a run, so this one place catches them all. Out of
    memory means that the file is too large, and is reported as such.
    """

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if error is None or isinstance(error, PhotoError) or not isinstance(error, Exception):
            return
        name = type(error).__name__
        if name == "UnidentifiedImageError":
            raise PhotoError("not a photo in a format that can be read") from error
        if isinstance(error, MemoryError):
            raise PhotoTooLargeError("not enough memory to decode it") from error
        reason = " ".join(str(error).split()) or name
        if "truncated" in reason.lower():
            raise PhotoError(f"the file is truncated ({reason})") from error
        raise PhotoError(f"damaged: {reason}") from error
