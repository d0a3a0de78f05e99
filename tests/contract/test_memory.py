"""Memory: photos need what was estimated before decoding, and a run stays within its limit."""

from __future__ import annotations

import errno
import io
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run
from PIL import Image, TiffImagePlugin
from sample_library import heic

from facesearch.errors import PhotoTooLargeError
from facesearch.indexing.contents import Content
from facesearch.indexing.extraction import detect_in_stream
from facesearch.indexing.options import Options
from facesearch.models.protocol import FaceModel
from facesearch.photos.picture import Photo, memory_needed

MIB = 2**20
SIDE = 3500
TURNED = Image.Exif()
TURNED[0x0112] = 6

# Peaks are of the process's resident memory, since its start or the last reset.
MEASURE = """
import sys
import numpy
from facesearch.photos.picture import Photo, memory_needed

def told(key):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

small, path = sys.argv[1:]
with open(small, "rb") as stream:
    Photo(stream).level(9e9)  # the fixed cost of the decoder
with open(path, "rb") as stream:
    needed = memory_needed(stream)
    before = told("VmRSS")
    with open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")
    Photo(stream, max_pixels=10**10).level(9e9)
    print(needed, told("VmHWM") - before)
"""


def picture(mode: str) -> Image.Image:
    """Return a gradient: not quite flat, and quick to make."""
    ramp = Image.linear_gradient("L").resize((SIDE, SIDE))
    bands = len(Image.new(mode, (1, 1)).getbands()) if mode != "P" else 1
    return ramp if mode == "L" else ramp.quantize(16) if mode == "P" else Image.merge(mode, [ramp] * bands)


def saved(mode: str, suffix: str, **options: Any) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        path = folder / f"photo{suffix}"
        if suffix == ".heic":
            path.write_bytes(heic(picture(mode), **options))
        else:
            picture(mode).save(path, **options)
        return path

    return save


def grey_of_16_bits(suffix: str) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        path = folder / f"photo{suffix}"
        values = np.asarray(picture("L")).astype(np.uint16) * 257
        Image.fromarray(values).save(path, **({"compression": "tiff_lzw"} if suffix == ".tif" else {}))
        return path

    return save


def one_strip(folder: Path) -> Path:
    before, TiffImagePlugin.STRIP_SIZE = TiffImagePlugin.STRIP_SIZE, 1 << 30
    try:
        return saved("RGB", ".tif", compression="tiff_lzw")(folder)
    finally:
        TiffImagePlugin.STRIP_SIZE = before


KINDS = {
    "jpeg": saved("RGB", ".jpg"),
    "turned jpeg": saved("RGB", ".jpg", exif=TURNED),
    "progressive jpeg": saved("RGB", ".jpg", progressive=True),
    "progressive jpeg, all colours": saved("RGB", ".jpg", progressive=True, subsampling=0),
    "cmyk jpeg": saved("CMYK", ".jpg"),
    "mpo": saved("RGB", ".mpo", save_all=True, append_images=[Image.new("RGB", (8, 8))]),
    "png": saved("RGB", ".png", compress_level=1),
    "turned png": saved("RGB", ".png", compress_level=1, exif=TURNED),
    "see-through png": saved("RGBA", ".png", compress_level=1),
    "palette png": saved("P", ".png", compress_level=1),
    "16-bit png": grey_of_16_bits(".png"),
    "webp": saved("RGB", ".webp", method=0),
    "lossless webp": saved("RGB", ".webp", lossless=True, quality=0, method=0),
    "see-through webp": saved("RGBA", ".webp", method=0),
    "avif": saved("RGB", ".avif", speed=10),
    "avif, all colours": saved("RGB", ".avif", speed=10, subsampling="4:4:4"),
    "heic": saved("RGB", ".heic", quality=20),
    "tiff": saved("RGB", ".tif"),
    "lzw tiff": saved("RGB", ".tif", compression="tiff_lzw"),
    "tiff of one strip": one_strip,
    "jpeg in tiff": saved("RGB", ".tif", compression="jpeg"),
    "16-bit tiff": grey_of_16_bits(".tif"),
    "gif": saved("P", ".gif"),
    "gif of many frames": saved("P", ".gif", save_all=True, append_images=[Image.new("P", (SIDE, SIDE), 3)] * 5),
    "bmp": saved("RGB", ".bmp"),
    "jpeg 2000": saved("RGB", ".jp2", quality_mode="rates", quality_layers=[40]),
    "see-through jpeg 2000": saved("RGBA", ".jp2", quality_mode="rates", quality_layers=[40]),
    "grey jpeg 2000": saved("L", ".jp2", quality_mode="rates", quality_layers=[40]),
}


COMMON = {"jpeg", "progressive jpeg", "png"}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in COMMON else pytest.mark.thorough) for kind in KINDS]
)
def test_the_estimate_is_close_to_the_real_memory(kind: str, tmp_path: Path) -> None:
    path = KINDS[kind](tmp_path)
    small = tmp_path / f"small{path.suffix}"
    tiny = Image.new("RGB", (64, 64))
    if path.suffix == ".heic":
        small.write_bytes(heic(tiny))
    else:
        tiny.save(small)
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, small, path], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    told, taken = map(int, result.stdout.split())
    assert taken <= told + path.stat().st_size + 12 * MIB
    assert told <= 2.2 * taken, "a high estimate makes photos wait, or excludes them"


def flat(mode: str, megapixels: float) -> Image.Image:
    side = int((megapixels * 1e6) ** 0.5) // 16 * 16
    return Image.new(mode, (side, side), (9, 99, 200, 50)[: len(mode)])


@pytest.mark.thorough
def test_a_run_stays_within_its_memory_with_photos_near_the_limits(
    facesearch: Run, tmp_path: Path, environment: dict[str, str]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    flat("RGB", 144).save(photos / "progressive.jpg", progressive=True, quality=30)
    flat("RGBA", 118).save(photos / "see-through.png", compress_level=1)
    flat("RGB", 36).save(photos / "large.webp", quality=30, method=0)
    script = (
        "import sys; from facesearch.cli import _run\n"
        "try: _run()\n"
        "except SystemExit as end: assert not end.code\n"
        "peak = next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(peak, file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore::ResourceWarning", "-c", script, "index", photos, "--index", "ix", "--quiet",
         "--no-rotations"],
        capture_output=True, text=True, check=True, cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert not facesearch("status", "--index", "ix", "--failed").stdout
    assert int(result.stderr.split()[-1]) * 1024 <= 1024 * MIB


@pytest.mark.parametrize(
    ("save", "limit"),
    [
        (lambda stream: flat("RGB", 64).save(stream, "WEBP", quality=30, method=0), 336),
        (lambda stream: flat("RGB", 200).save(stream, "JPEG", quality=30, progressive=True), 276),
    ],
    ids=["webp", "progressive jpeg"],
)
def test_photos_that_need_too_much_memory_are_refused_with_figures(
    save: Callable[[io.BytesIO], None], limit: int
) -> None:
    stream = io.BytesIO()
    save(stream)
    with pytest.raises(PhotoTooLargeError) as caught:
        Photo(stream)
    side, needed = Image.open(stream).size[0], memory_needed(stream)
    kind = "WEBP" if limit == 336 else "JPEG"
    expected = f"{side} x {side} pixels of {kind} take {needed / 1e9:.2f} GB to decode, over the limit of 0.63 GB; "
    assert str(caught.value).startswith(f"{expected}raise max_pixels to ")
    enough = int(str(caught.value).split()[-2])
    assert abs(enough - limit) <= 20
    Photo(stream, max_pixels=enough * 1_000_000)


@pytest.mark.parametrize("kind", ["WEBP", "AVIF", "HEIF"])
def test_files_that_are_read_whole_into_memory_have_a_size_limit(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as stream:
        if kind == "WEBP":
            Image.new("RGB", (8, 8)).save(stream, kind)
        else:
            stream.write(b"\0\0\0\x18ftyp" + (b"avif" if kind == "AVIF" else b"heic") + bytes(12))
        if kind == "WEBP":
            stream.write(b"JUNK" + struct.pack("<I", 300_000_000))
        stream.truncate(300_000_000 + (stream.tell() if kind == "WEBP" else 0))
    with path.open("rb") as stream:
        assert memory_needed(stream) == 0
        with pytest.raises(PhotoTooLargeError, match=rf"300 MB are over the limit of 256 MB for {kind}; save it"):
            Photo(stream)


def test_a_tile_that_claims_to_be_enormous_is_counted() -> None:
    tags = {256: 64, 257: 64, 258: 8, 259: 5, 262: 1, 277: 1, 322: 60_000, 323: 60_000, 324: 8, 325: 8}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    data = b"II*\0\x10\0\0\0" + bytes(8) + struct.pack("<H", len(tags)) + entries + bytes(4)
    with pytest.raises(PhotoTooLargeError, match=r"64 x 64 pixels of TIFF take 3\.60 GB to decode"):
        Photo(data)


class FailingDisk(io.BytesIO):
    """A file whose first part can be read, and the rest cannot."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 2000:
            raise OSError(errno.EIO, "Input/output error")
        return super().read(size)


def test_read_errors_of_the_disk_are_retried(model: FaceModel) -> None:
    stream = io.BytesIO()
    flat("RGB", 1).effect_spread(9).save(stream, "PNG")
    done: Content[Any] = Content(None, b"", b"hash")
    assert not detect_in_stream(model, FailingDisk(stream.getvalue()), done, Options()).outcome.lasting
    assert detect_in_stream(model, io.BytesIO(stream.getvalue()[:5000]), done, Options()).outcome.lasting
