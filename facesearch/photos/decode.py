"""Bytes to upright RGB pixels at the size that is needed; every format, every broken file.

A `Photo` is opened from the bytes of a file and decodes itself when pixels are asked for: a JPEG of twelve megapixels
is decoded at a half, a quarter or an eighth of its size when that is enough, and again, larger, when a small face
needs it. What is decoded is the base of a pyramid of halvings, so that whoever wants few pixels reads few. Turning the
picture the way its EXIF orientation says happens here and nowhere else.
"""

from __future__ import annotations

import io
import math
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from facesearch.errors import PhotoError, PhotoTooLargeError
from facesearch.types import PhotoFacts

if TYPE_CHECKING:
    from PIL.Image import Exif, Image

    from facesearch.types import Pixels

__all__ = ["DEFAULT_MAX_PIXELS", "SUFFIXES", "Level", "Photo", "memory_needed"]

SUFFIXES = frozenset(
    b".jpg .jpeg .jpe .jfif .png .webp .avif .avifs .heic .heif .hif .tif .tiff .bmp .dib .gif .mpo".split()
)
"""File name endings, in lower case, that are taken for photos."""

DEFAULT_MAX_PIXELS = 200_000_000
"""Photos with more pixels are refused: a small file may claim to be enormous and fill the memory."""

_HEAD = 16
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
_TURNED_BY_EXIF_ALONE = ("JPEG", "MPO", "PNG", "WEBP", "AVIF")
_QUARTER_TURNS = (5, 6, 7, 8)
_HALVED = ("L", "RGB", "CMYK", "YCbCr", "F", "I")
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_ORIENTATION = 0x0112
_DATE_TIME, _DATE_TIME_ORIGINAL, _OFFSET_TIME_ORIGINAL = 0x0132, 0x9003, 0x9011


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


def _format_of(data: bytes) -> str:
    """The format that the first bytes announce: names lie, a PNG may be called .jpg."""
    if data.startswith(b"\xff\xd8"):
        return "JPEG"
    if data.startswith(b"\x89PNG"):
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return "AVIF" if data[8:12] in (b"avif", b"avis") else "HEIF"
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if data.startswith(b"GIF8"):
        return "GIF"
    if data.startswith(b"BM"):
        return "BMP"
    raise PhotoError("not a photo in a format that can be read")


def memory_needed(stream: BinaryIO) -> int:
    """Bytes that looking at this photo may take at most, with its small faces cropped from the whole; 0 for no photo.

    Decoded pixels take four bytes each, and turning a picture upright makes another copy.
    """
    try:
        with _Reasons():
            image = _opened(stream)
            width, height = image.size
            kept = width * height * _finest(width, height) ** 2
            scaled = image.format in ("JPEG", "MPO")
    except PhotoError:
        return 0
    return round(4 * (2 * kept if scaled else width * height + 2 * kept))


def _finest(width: int, height: int) -> float:
    """The largest scale at which a photo of this size is decoded: 1, or a half, a quarter, ..."""
    halvings = 0.0
    while width * height > _MOST_DECODED * 4.0**halvings:
        halvings += 1.0
    return float(0.5**halvings)


def _opened(stream: BinaryIO) -> Image:
    format_name = _format_of(stream.read(_HEAD))
    stream.seek(0)
    _register(format_name)
    # Opened as JPEG, a file of several pictures comes back as MPO, showing its first.
    image: Image = _pillow().open(stream, formats=[format_name])
    return image


class Level(NamedTuple):
    """A photo at one size: `scale` pixels for each pixel of the whole photo."""

    image: Image
    scale: float


class Photo:
    """One photo, from the bytes of its file; decodes on demand and remembers its largest decode.

    Raises `PhotoError` with the reason when the bytes are not a photo, are cut short, or hold more than `max_pixels`
    pixels; the message does not name the file, because bytes have no name.
    """

    def __init__(self, data: bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        if not data:
            raise PhotoError("the file is empty")
        self._data = data
        self._levels: list[Level] = []
        self._opened: Image | None = None
        with _Reasons():
            image = self._opened = _opened(io.BytesIO(data))
            width, height = image.size
            if width * height > max_pixels:
                raise PhotoTooLargeError(
                    f"{width} x {height} pixels are over the limit of {max_pixels / 1e6:g} megapixels; "
                    "raise it with --max-megapixels"
                )
            exif = image.getexif()
            # TIFF and HEIF are turned by their decoders, and their size is that of the upright picture already.
            if image.format in _TURNED_BY_EXIF_ALONE and exif.get(_ORIENTATION) in _QUARTER_TURNS:
                width, height = height, width
            self.facts = PhotoFacts(width, height, _taken_at(exif), _position(exif))
            self._most = round(max(width, height) * _finest(width, height))

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
        from PIL import ImageOps

        # The first decode goes on from what was opened: reading a PNG's EXIF has decoded it already.
        opened, self._opened = self._opened or _opened(io.BytesIO(self._data)), None
        with opened as image:
            if image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB", "YCbCr"):
                # Decoding at an eighth, a quarter or a half costs far less than decoding all and shrinking. Pillow
                # picks the smallest of them that has at least the size asked for.
                scale = side / max(image.size)
                image.draft(None, (math.ceil(image.width * scale), math.ceil(image.height * scale)))
            image.load()
            too_large = image.mode in _HALVED and max(image.size) > self._most
            bounded = image.reduce(round(max(image.size) / self._most)) if too_large else image
            ImageOps.exif_transpose(bounded, in_place=True)  # which makes no copy of a picture that is upright
            return _rgb(bounded)


def _rgb(image: Image) -> Image:
    """Any mode to 8-bit RGB, the way a viewer would show it; see-through parts become white."""
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _eight_bits(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layered = image.convert("RGBA")
        white = _pillow().new("RGBA", layered.size, (255, 255, 255, 255))
        white.alpha_composite(layered)
        flat: Image = white.convert("RGB")
        return flat
    return image.convert("RGB")


def _eight_bits(image: Image) -> Image:
    """Grey of 16 or 32 bits, or of fractions, to 8 bits; `convert` would clip everything above 255 to white."""
    import numpy as np

    values = np.asarray(image).astype(np.float32)
    top = float(values.max(initial=0.0))
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


def _taken_at(exif: Exif) -> str | None:
    """EXIF's time of exposure, else its time of change, as ISO 8601 local time with its offset where there is one."""
    details = exif.get_ifd(_EXIF_IFD)
    for text in (details.get(_DATE_TIME_ORIGINAL), exif.get(_DATE_TIME)):
        moment = _iso(text)
        if moment:
            offset = details.get(_OFFSET_TIME_ORIGINAL)
            offset = offset.strip("\0 ") if isinstance(offset, str) else ""
            return moment + offset if len(offset) == 6 and offset[0] in "+-" and offset[3] == ":" else moment
    return None


def _iso(text: object) -> str | None:
    from datetime import datetime

    if not isinstance(text, str):
        return None
    try:
        return datetime.strptime(text.strip("\0 ")[:19], "%Y:%m:%d %H:%M:%S").isoformat()
    except ValueError:  # "0000:00:00 00:00:00" and the like: the camera's clock was not set
        return None


def _position(exif: Exif) -> tuple[float, float] | None:
    """Latitude and longitude in degrees, or None where EXIF has none or nonsense."""
    gps = exif.get_ifd(_GPS_IFD)
    try:
        latitude = _degrees(gps[2], negative=gps[1] == "S")
        longitude = _degrees(gps[4], negative=gps[3] == "W")
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):  # also false for NaN
        return None
    return latitude, longitude


def _degrees(parts: tuple[float, float, float], *, negative: bool) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    value = degrees + minutes / 60 + seconds / 3600
    return -value if negative else value
