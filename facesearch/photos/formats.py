"""The photo formats, one entry each, with everything needed to find, recognise and decode a format and bound its cost.

A format that Pillow reads needs only an entry here: its name, file name endings, signature and plug-in. Measure its
memory cost (`tests/contract/test_memory.py` has a case for each). A container reader in `facesearch.photos.containers`
is optional: it finds dates and places, and keeps metadata away from the decoder. Without one, the date of a photo comes
from its name or its file.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, BinaryIO, Literal

from facesearch.photos.containers.gif import read_gif
from facesearch.photos.containers.heif import read_heif
from facesearch.photos.containers.jpeg import read_jpeg, scans_of
from facesearch.photos.containers.png import read_png
from facesearch.photos.containers.tiff import read_tiff, unpacked_at_once
from facesearch.photos.containers.webp import read_webp
from facesearch.photos.parts import Parts

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["FORMATS", "SUFFIXES", "Format", "format_of", "read_parts"]

_HEAD = 32


def _nothing(_image: Image) -> float:
    return 0.0


def _samples_of_32_bits(image: Image) -> float:
    """Return the bytes for all samples in 32 bits, plus one copy as is. A tiled image needs this per tile, so less."""
    samples = image.width * image.height * len(image.getbands())
    return samples * (6.0 if image.mode == "I;16" else 5.0)


def _once(_stream: BinaryIO, _parts: Parts) -> int:
    return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One photo format.

    `name` is Pillow's name for it. `suffixes` are its file name endings, in lower case. `announced_by` recognises it by
    the first 32 bytes of a file: a PNG may be called .jpg. `decoder` is the module that adds the format to Pillow,
    followed by a colon and the function to call if importing is not enough. Pillow itself would load all of its fifty
    plug-ins to find the right one, which is slow, and some are dangerous.

    `read_parts` takes a stream and its size in bytes and fills in the parts; None if nothing is read. `turned_by` names
    the source of the orientation: the `header` (see `facesearch.photos.header`), the EXIF that `pillow` reports, or the
    `decoder`, which has already turned the image upright.

    `decodes_smaller`: the decoder can decode at a half, a quarter or an eighth of the size at lower cost.
    `taken_whole`: it reads the whole file into memory first. `bytes_beside` are the bytes per pixel that it needs in
    addition to the image; `bytes_at_once` returns further bytes that depend on the opened image. `scans` returns the
    number of passes over the image.
    """

    name: str
    suffixes: str
    announced_by: Callable[[bytes], bool]
    decoder: str
    read_parts: Callable[[BinaryIO, int, Parts], None] | None = None
    turned_by: Literal["header", "pillow", "decoder"] = "header"
    decodes_smaller: bool = False
    taken_whole: bool = False
    bytes_beside: float = 0.0
    bytes_at_once: Callable[[Image], float] = _nothing
    scans: Callable[[BinaryIO, Parts], int] = _once

    def load(self) -> None:
        """Register the format with Pillow."""
        module, _, function = self.decoder.partition(":")
        loaded = import_module(module)
        if function:
            getattr(loaded, function)()


def _begins(*signatures: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(signatures)


# `bytes_beside` was measured on 24 megapixels with Pillow 13 and pi-heif 1.4: two canvases of an animation and the
# frame (WebP), planes and a copy of the image (AVIF, HEIF).
FORMATS = (
    Format(
        name="JPEG",
        suffixes=".jpg .jpeg .jpe .jfif .mpo",
        announced_by=_begins(b"\xff\xd8"),
        decoder="PIL.JpegImagePlugin",
        read_parts=read_jpeg,
        decodes_smaller=True,
        scans=scans_of,
    ),
    Format(
        name="PNG",
        suffixes=".png",
        announced_by=_begins(b"\x89PNG"),
        decoder="PIL.PngImagePlugin",
        read_parts=read_png,
    ),
    Format(
        name="WEBP",
        suffixes=".webp",
        announced_by=lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
        decoder="PIL.WebPImagePlugin",
        read_parts=read_webp,
        taken_whole=True,
        bytes_beside=13.0,
    ),
    Format(
        name="AVIF",
        suffixes=".avif .avifs",
        announced_by=lambda head: head[4:12] in (b"ftypavif", b"ftypavis"),
        decoder="PIL.AvifImagePlugin",
        read_parts=read_heif,
        turned_by="pillow",  # Pillow reports the file's own orientation as EXIF
        taken_whole=True,
        bytes_beside=10.0,
    ),
    Format(
        name="HEIF",
        suffixes=".heic .heif .hif",
        announced_by=lambda head: head[4:8] == b"ftyp" and head[8:12] not in (b"avif", b"avis"),
        decoder="pi_heif:register_heif_opener",
        read_parts=read_heif,
        turned_by="decoder",
        taken_whole=True,
        bytes_beside=8.0,
    ),
    Format(
        name="TIFF",
        suffixes=".tif .tiff",
        announced_by=_begins(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        decoder="PIL.TiffImagePlugin",
        read_parts=read_tiff,
        turned_by="decoder",
        bytes_at_once=unpacked_at_once,
    ),
    Format(
        name="GIF",
        suffixes=".gif",
        announced_by=_begins(b"GIF8"),
        decoder="PIL.GifImagePlugin",
        read_parts=read_gif,
    ),
    Format(
        name="JPEG2000",
        suffixes=".jp2 .j2k .jpx .jpf",
        announced_by=_begins(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
        decoder="PIL.Jpeg2KImagePlugin",
        bytes_at_once=_samples_of_32_bits,
    ),
    Format(name="BMP", suffixes=".bmp .dib", announced_by=_begins(b"BM"), decoder="PIL.BmpImagePlugin"),
)

SUFFIXES = frozenset(suffix.encode() for entry in FORMATS for suffix in entry.suffixes.split())
"""File name endings of photos, in lower case."""


def format_of(head: bytes) -> Format | None:
    """Return the format that the first 32 bytes of a file announce; None if they announce none."""
    return next((entry for entry in FORMATS if entry.announced_by(head)), None)


def read_parts(stream: BinaryIO) -> tuple[Format, Parts] | None:
    """Return the format of a file and its parts; None if the format is unknown.

    Stops reading at the first damage. Raises only `OSError`, from the file itself.
    """
    stream.seek(0)
    entry = format_of(stream.read(_HEAD))
    if entry is None:
        return None
    parts = Parts()
    if entry.read_parts is not None:
        size = stream.seek(0, io.SEEK_END)
        try:
            entry.read_parts(stream, size, parts)
        except (struct.error, IndexError, zlib.error, OverflowError):
            pass  # truncated: the parts found so far count
    return entry, parts
