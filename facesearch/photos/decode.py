"""Bytes to upright RGB pixels at the size that is needed; every format, every broken file.

A `Photo` is opened from a file or its bytes and decodes itself when pixels are asked for: a JPEG of twelve megapixels
is decoded at a half, a quarter or an eighth of its size when that is enough, and again, larger, when a small face
needs it. What is decoded is the base of a pyramid of halvings, so that whoever wants few pixels reads few. Turning the
picture the way its EXIF orientation says happens here and nowhere else. Decoders are given pictures without their
metadata, and only pictures whose decoding fits into memory.
"""

from __future__ import annotations

import io
import math
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from facesearch.errors import Hint, PhotoError, PhotoTooLargeError
from facesearch.photos.cost import BAND, cost_of, most_memory, pixels_for
from facesearch.photos.header import HEADER_VERSION, header_of
from facesearch.photos.parts import MOST_PARTS, Parts, Pieces, read_parts, scans_of
from facesearch.types import PhotoFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

    from facesearch.types import Pixels

__all__ = ["DEFAULT_MAX_PIXELS", "SUFFIXES", "Level", "Photo", "memory_needed"]

SUFFIXES = frozenset(
    b".jpg .jpeg .jpe .jfif .png .webp .avif .avifs .heic .heif .hif .tif .tiff .bmp .dib .gif .mpo".split()
)
"""File name endings, in lower case, that are taken for photos."""

DEFAULT_MAX_PIXELS = 200_000_000
"""Photos with more pixels are refused: a small file may claim to be enormous and fill the memory.

So are those that would take more memory than one photo may: see `facesearch.photos.cost`.
"""

_MOST_DECODED = 64_000_000
"""Pixels. Of larger photos, panoramas mostly, the half is taken for the whole: memory stays within bounds, and a face
in them has pixels to spare."""

_LEAST_DECODE = 1280
"""Decoding less saves little, and crops of faces may ask for more later: two decodes cost more than one."""


_PLUGINS = {
    "JPEG": "JpegImagePlugin",
    "PNG": "PngImagePlugin",
    "WEBP": "WebPImagePlugin",
    "AVIF": "AvifImagePlugin",
    "TIFF": "TiffImagePlugin",
    "GIF": "GifImagePlugin",
    "BMP": "BmpImagePlugin",
}
# TIFF and HEIF are turned by their decoders. AVIF's own word on how it is turned reaches us as EXIF, from Pillow.
_TURNED_BY_EXIF = ("JPEG", "PNG", "WEBP")
# The decoders of these take the whole file into memory before they tell anything.
_TAKEN_WHOLE = ("WEBP", "AVIF", "HEIF")
_MOST_TAKEN_WHOLE = 256_000_000
_MOST_SCANNED = 20_000_000_000
"""Pixels times scans of a JPEG; a thousand million of them take a second. Programs write some ten scans."""

_QUARTER_TURNS = (5, 6, 7, 8)
_ORIENTATION = 0x0112


@cache
def _pillow() -> Any:
    from PIL import Image

    # Pillow's own limit only warns up to twice its value and is one for the whole process; ours is an argument.
    Image.MAX_IMAGE_PIXELS = None
    return Image


@cache
def _register(format_name: str) -> None:
    """Load one decoder. Pillow would load all of its fifty to find the right one, slowly, and some are dangerous."""
    if format_name == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    else:
        import_module(f"PIL.{_PLUGINS[format_name]}")


def memory_needed(stream: BinaryIO) -> int:
    """Bytes that looking at this photo may take at most, with its small faces cropped from the whole; 0 for no photo.

    The file itself does not count.
    """
    try:
        with _Reasons():
            parts = _parts(stream)
            image = _opened(stream, parts)
            return _cost(image, parts, _orientation(image, header_of(stream, parts).orientation))
    except PhotoError:
        return 0


def _cost(image: Image, parts: Parts, orientation: int) -> int:
    """As `memory_needed`, of a picture that has been opened and not decoded."""
    return cost_of(image, parts, finest=_finest(*image.size), turned=orientation != 1)


def _finest(width: int, height: int) -> float:
    """The largest scale at which a photo of this size is decoded: 1, or a half, a quarter, ..."""
    halvings = 0.0
    while width * height > _MOST_DECODED * 4.0**halvings:
        halvings += 1.0
    return float(0.5**halvings)


def _parts(stream: BinaryIO) -> Parts:
    parts = read_parts(stream)
    if parts is None:
        raise PhotoError("not a photo in a format that can be read")
    if parts.endless:
        raise PhotoError(f"broken: more than {MOST_PARTS:,} parts")
    return parts


def _opened(stream: BinaryIO, parts: Parts) -> Image:
    _register(parts.format)
    source = cast("BinaryIO", Pieces(stream, parts.picture, parts.head)) if parts.picture else stream
    size = source.seek(0, io.SEEK_END)
    if parts.format in _TAKEN_WHOLE and size > _MOST_TAKEN_WHOLE:
        raise PhotoTooLargeError(
            f"{size / 1e6:,.0f} MB are over the limit of {_MOST_TAKEN_WHOLE / 1e6:,.0f} MB for {parts.format}; "
            "save it in another format"
        )
    source.seek(0)
    image: Image = _pillow().open(source, formats=[parts.format])
    return image


def _orientation(image: Image, told: int) -> int:
    """EXIF's number for how an opened picture is to be turned; 1 where it need not be."""
    if image.format == "AVIF":
        return int(image.getexif().get(_ORIENTATION, 1))
    return told if image.format in _TURNED_BY_EXIF else 1


class Level(NamedTuple):
    """A photo at one size: `scale` pixels for each pixel of the whole photo."""

    image: Image
    scale: float


class Photo:
    """One photo, from a file or its bytes; decodes on demand and remembers its largest decode.

    A file has to stay open as long as pixels are asked for. Raises `PhotoError` with the reason when it is not a photo,
    is cut short, holds more than `max_pixels` pixels, or takes more memory than one photo may (see
    `facesearch.photos.cost`); the message does not name the file, because bytes have no name.
    """

    def __init__(self, source: bytes | BinaryIO, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        self._stream = io.BytesIO(source) if isinstance(source, bytes) else source
        self._levels: list[Level] = []
        self._opened: Image | None = None
        with _Reasons():
            if not self._stream.seek(0, io.SEEK_END):
                raise PhotoError("the file is empty")
            self._parts = _parts(self._stream)
            image = self._opened = _opened(self._stream, self._parts)
            width, height = image.size
            if width * height > max_pixels:
                raise PhotoTooLargeError(
                    f"{width} x {height} pixels are over the limit of {max_pixels / 1e6:g} megapixels",
                    Hint.MORE_PIXELS,
                )
            header = header_of(self._stream, self._parts)
            self._orientation = _orientation(image, header.orientation)
            self._check_cost(image, max_pixels)
            if self._orientation in _QUARTER_TURNS:
                width, height = height, width
            self.facts = PhotoFacts(width, height, header.taken, header.position, header.ours, HEADER_VERSION)
            self._most = round(max(width, height) * _finest(width, height))

    def _check_cost(self, image: Image, max_pixels: int) -> None:
        scans = scans_of(self._stream, self._parts)
        if scans * image.width * image.height > _MOST_SCANNED * max(1.0, max_pixels / DEFAULT_MAX_PIXELS):
            raise PhotoError(
                f"broken: {scans:,} scans of {image.width} x {image.height} pixels take too long to decode"
            )
        cost, limit = _cost(image, self._parts, self._orientation), most_memory(max_pixels)
        if cost > limit:
            width, height = image.size
            raise PhotoTooLargeError(
                f"{width} x {height} pixels of {self._parts.format} take {cost / 1e9:.2f} GB to decode, over the limit "
                f"of {limit / 1e9:.2f} GB",
                Hint.MORE_PIXELS_TO,
                megapixels=pixels_for(cost) // 1_000_000,
            )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the whole upright photo in pixels."""
        return self.facts.width, self.facts.height

    def level(self, side: float) -> Level:
        """The upright RGB picture from the pyramid: the smallest whose longer side has at least `side` pixels.

        It has fewer than twice as many where the photo could be halved so often. Where the photo has fewer, it is the
        whole photo; of one of more than 64 megapixels the largest is the half.
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
        """uint8[height, width, 3], RGB, upright, the longer side at most `side`; never enlarged."""
        import numpy as np

        level = self.level(side)
        if max(self.size) > side and max(level.image.size) != side:
            level = self._shrunk(level, side / max(self.size))
        return np.asarray(level.image)

    def _shrunk(self, level: Level, scale: float) -> Level:
        """A level of its own, so that what is smaller still can be made from it."""
        image, of = level
        width, height = self.size
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        # The last row and column of a halved picture may stand for half a pixel: the box leaves that away.
        box = (0, 0, min(image.width, width * of), min(image.height, height * of))
        shrunk = Level(image.resize(size, _pillow().Resampling.BILINEAR, box=box), scale)
        self._levels.insert(self._levels.index(level) + 1, shrunk)
        return shrunk

    def _decode(self, side: int) -> Image:
        # The first decode goes on from what was opened.
        opened, self._opened = self._opened or _opened(self._stream, self._parts), None
        if opened.format == "JPEG":
            # Decoding at an eighth, a quarter or a half costs far less than decoding all and shrinking. Pillow picks
            # the smallest of them that has at least the size asked for.
            scale = side / max(opened.size)
            opened.draft(None, (math.ceil(opened.width * scale), math.ceil(opened.height * scale)))
        opened.load()
        factor = max(1, round(max(opened.size) / self._most))
        upright = _turns().get(self._orientation)
        picture = _rgb(opened, factor)
        del opened  # its pixels go before the picture exists a second time
        return picture if upright is None else picture.transpose(upright)


@cache
def _turns() -> Mapping[int, Any]:
    """What turns a picture upright, by EXIF's number."""
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


def _rgb(image: Image, factor: int) -> Image:
    """Any mode to 8-bit RGB, the way a viewer would show it, see-through parts white; each side `factor` times smaller.

    Done band by band, so that what stands between the modes is small.
    """
    if image.mode == "RGB" and factor == 1:
        return image
    top = _brightest(image)
    width, height = image.size
    result: Image = _pillow().new("RGB", (-(-width // factor), -(-height // factor)))
    rows = max(1, BAND // max(1, width * factor)) * factor
    for start in range(0, height, rows):
        band = _converted(image.crop((0, start, width, min(height, start + rows))), top)
        result.paste(band.reduce(factor) if factor > 1 else band, (0, start // factor))
    return result


def _converted(image: Image, top: float) -> Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _eight_bits(image, top).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layered = image.convert("RGBA")
        white = _pillow().new("RGBA", layered.size, (255, 255, 255, 255))
        white.alpha_composite(layered)
        flat: Image = white.convert("RGB")
        return flat
    return image.convert("RGB")


def _brightest(image: Image) -> float:
    """The highest value in grey of more than 8 bits; nobody asks for that of the rest."""
    import numpy as np

    if not image.mode.startswith("I;16") and image.mode not in ("I", "F"):
        return 0.0
    rows = max(1, BAND // max(1, image.width))
    bands = (
        image.crop((0, start, image.width, min(image.height, start + rows))) for start in range(0, image.height, rows)
    )
    return max(float(np.nan_to_num(np.asarray(band)).max(initial=0)) for band in bands)


def _eight_bits(image: Image, top: float) -> Image:
    """Grey of 16 or 32 bits, or of fractions, to 8 bits; `convert` would clip everything above 255 to white."""
    import numpy as np

    values = np.asarray(image).astype(np.float32)
    full_scale = 1.0 if top <= 1.0 and image.mode == "F" else 255.0 if top <= 255.0 else max(65535.0, top)
    scaled = np.clip(np.nan_to_num(values) * (255.0 / full_scale), 0, 255).astype(np.uint8)
    reduced: Image = _pillow().fromarray(scaled)
    return reduced


class _Reasons:
    """Turns whatever a decoder raises into a `PhotoError` with a reason.

    Pillow's plug-ins meet hostile bytes and let through nearly every exception there is (OSError, SyntaxError,
    struct.error, zlib.error, IndexError, OverflowError, ...). A file is never a reason to end a run, so this one
    place catches them all; running out of memory is a file that is too big, and is told so.
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
            raise PhotoError(f"the file is cut short ({reason})") from error
        raise PhotoError(f"broken: {reason}") from error
