"""Decoding every format, and refusing every kind of broken file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sample_library import heic, save_with_orientation

from facesearch.errors import PhotoError
from facesearch.photos.picture import Photo
from facesearch.photos.sources import open_source
from facesearch.types import TakenAt

COLOUR = (200, 60, 30)


def scene(width: int = 64, height: int = 48) -> Image.Image:
    """Return a red-brown picture with a white top left quarter, which shows the orientation."""
    image = Image.new("RGB", (width, height), COLOUR)
    image.paste((255, 255, 255), (0, 0, width // 2, height // 2))
    return image


def encoded(image: Image.Image, format_name: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def heif(image: Image.Image) -> bytes:
    return heic(image, quality=90)


def palette() -> Image.Image:
    return scene().quantize(8)


def animated(format_name: str) -> bytes:
    return encoded(scene(), format_name, save_all=True, append_images=[Image.new("RGB", (64, 48), (0, 0, 255))])


FILES = {
    "jpeg": lambda: encoded(scene(), "JPEG", quality=95),
    "progressive jpeg": lambda: encoded(scene(), "JPEG", quality=95, progressive=True),
    "cmyk jpeg": lambda: encoded(scene().convert("CMYK"), "JPEG", quality=95),
    "png": lambda: encoded(scene(), "PNG"),
    "palette png": lambda: encoded(palette(), "PNG"),
    "alpha png": lambda: encoded(scene().convert("RGBA"), "PNG"),
    "webp": lambda: encoded(scene(), "WEBP", lossless=True),
    "animated webp": lambda: animated("WEBP"),
    "avif": lambda: encoded(scene(), "AVIF", quality=95),
    "heif": lambda: heif(scene()),
    "tiff": lambda: encoded(scene(), "TIFF"),
    "bmp": lambda: encoded(scene(), "BMP"),
    "gif": lambda: encoded(palette(), "GIF"),
    "animated gif": lambda: animated("GIF"),
    "mpo": lambda: animated("MPO"),
}


@pytest.mark.parametrize("kind", FILES)
def test_every_format_shows_the_scene(kind: str) -> None:
    photo = Photo(FILES[kind]())
    pixels = photo.pixels(1280)
    assert photo.size == (64, 48)
    assert pixels.shape == (48, 64, 3)
    assert pixels.dtype == np.uint8
    assert np.allclose(pixels[8, 8], 255, atol=14)
    assert np.allclose(pixels[40, 50], COLOUR, atol=25)


@pytest.mark.parametrize("mode", ["L", "1", "LA", "I;16"])
def test_grey_of_every_depth_keeps_its_tones(mode: str) -> None:
    ramp = np.linspace(0, 255, 64).astype(np.uint8)[None, :].repeat(16, axis=0)
    if mode == "I;16":
        image = Image.fromarray(ramp.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(ramp).convert(mode, dither=Image.Dither.NONE)
    pixels = Photo(encoded(image, "PNG")).pixels(1280)
    assert (pixels[:, :, 0] == pixels[:, :, 2]).all()
    expected = (ramp >= 128) * 255.0 if mode == "1" else ramp.astype(float)
    error = abs(pixels[:, :, 0].mean(axis=1) - expected.mean(axis=1)).max()
    assert error < 3, "clipping 16 bits to 8 would be white"


def test_sixteen_bit_tiff_and_fractions() -> None:
    ramp = np.linspace(0, 1, 64, dtype=np.float32)[None, :].repeat(16, axis=0)
    for values in (ramp, (ramp * 65535).astype(np.uint16)):
        pixels = Photo(encoded(Image.fromarray(values), "TIFF")).pixels(1280)
        assert abs(pixels[0, :, 1].astype(float) - ramp[0] * 255).max() <= 1


def test_transparent_parts_are_white() -> None:
    hidden = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    assert (Photo(encoded(hidden, "PNG")).pixels(100) == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_exif_orientation(orientation: int, suffix: str, tmp_path: Any) -> None:
    path = tmp_path / f"photo.{suffix}"
    save_with_orientation(scene(), path, orientation)
    photo = Photo(path.read_bytes())
    assert photo.size == (64, 48)
    pixels = photo.pixels(1280)
    assert pixels.shape == (48, 64, 3)
    assert np.allclose(pixels[8, 8], 255, atol=14)
    assert np.allclose(pixels[40, 50], COLOUR, atol=25)


@pytest.mark.parametrize("orientation", [1, 6])
def test_large_jpegs_are_decoded_small_and_again_when_more_is_needed(orientation: int, tmp_path: Any) -> None:
    path = tmp_path / "large.jpg"
    save_with_orientation(scene(4000, 3000), path, orientation)
    photo = Photo(path.read_bytes())
    assert photo.size == (4000, 3000)
    assert photo.pixels(1280).shape == (960, 1280, 3)
    assert photo.level(1280).image.size == (1280, 960), "the shrunk picture is kept"
    assert photo.level(1281).image.size == (2000, 1500)
    assert photo.level(700).image.size == (1280, 960)
    assert photo.level(500).image.size == (640, 480), "halved from the decoded picture"
    assert photo.pixels(640).shape == (480, 640, 3)
    assert photo.level(2001).image.size == (4000, 3000)
    assert photo.level(99999).image.size == (4000, 3000)


@given(width=st.integers(1, 300), height=st.integers(1, 300), sides=st.lists(st.integers(1, 400), max_size=6))
def test_a_level_has_enough_pixels_and_not_twice_as_many(width: int, height: int, sides: list[int]) -> None:
    photo = Photo(encoded(scene(width, height), "PNG"))
    for side in sides:
        image, scale = photo.level(side)
        assert 0 < scale <= 1
        for length, whole in zip(image.size, photo.size, strict=True):
            assert whole * scale - 0.5 <= length < whole * scale + 1.5
        assert max(image.size) >= min(side, max(photo.size))
        assert max(width, height) * scale < 2 * side + 2 or min(image.size) == 1
        assert max(photo.pixels(side).shape) <= max(side, 3)


@pytest.mark.parametrize("where", [(8, 8), (1010, 8), (8, 741), (1010, 741), (517, 389)])
def test_a_point_stays_at_its_place_on_every_level(where: tuple[int, int]) -> None:
    """Sides that cannot be halved evenly; the centre of a spot is compared."""
    image = Image.new("RGB", (1019, 751))
    image.paste((255, 255, 255), (where[0] - 4, where[1] - 4, where[0] + 4, where[1] + 4))
    photo = Photo(encoded(image, "PNG"))
    photo.pixels(640)
    for side in (1019, 640, 400, 200, 100):
        level = photo.level(side)
        bright = np.asarray(level.image.convert("L")).astype(float)
        rows, columns = np.indices(bright.shape)
        middle = ((columns + 0.5) * bright).sum() / bright.sum(), ((rows + 0.5) * bright).sum() / bright.sum()
        assert np.allclose(np.array(middle) / level.scale, where, atol=0.5 + 0.2 / level.scale)


def test_small_photos_are_never_enlarged() -> None:
    assert Photo(encoded(scene(), "PNG")).pixels(1280).shape == (48, 64, 3)


BROKEN = {
    "empty": (b"", "empty"),
    "text": (b"just some text, no photo at all", "not a photo"),
    "truncated jpeg": (encoded(scene(640, 480), "JPEG", quality=95)[:3000], "truncated"),
    "truncated png": (encoded(scene(640, 480).effect_spread(9), "PNG")[:3000], "truncated"),
    "truncated webp": (encoded(scene(640, 480).effect_spread(9), "WEBP")[:3000], "."),
    "truncated avif": (encoded(scene(640, 480).effect_spread(9), "AVIF")[:1500], "."),
    "truncated heif": (heif(scene(640, 480).effect_spread(9))[:1500], "."),
    "truncated gif": (encoded(palette(), "GIF")[:60], "."),
    "jpeg header only": (b"\xff\xd8\xff\xe0", "."),
    "zip": (b"PK\x03\x04" + bytes(100), "not a photo"),
    "garbage after a png signature": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4, "."),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_has_a_reason(kind: str) -> None:
    data, reason = BROKEN[kind]
    with pytest.raises(PhotoError, match=reason) as caught:
        Photo(data).pixels(1280)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", FILES)
def test_no_prefix_of_a_file_escapes_as_another_error(kind: str) -> None:
    data = FILES[kind]()
    for length in range(0, len(data), max(1, len(data) // 40)):
        try:
            Photo(data[:length]).pixels(64)
        except PhotoError:
            pass


def test_the_name_does_not_matter_the_content_does(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded(scene(), "PNG"))
    with open_source(path) as source:
        pixels = source.cover.pixels(1280)
    assert np.array_equal(pixels, np.asarray(scene())), "decoded as PNG"


def test_decompression_bombs_are_refused_before_decoding() -> None:
    bomb = encoded(Image.new("1", (30000, 30000)), "PNG")
    assert len(bomb) < 200_000
    with pytest.raises(PhotoError, match=r"30000 x 30000 .* limit of 200 megapixels; raise max_pixels"):
        Photo(bomb)
    with pytest.raises(PhotoError, match=r"limit of 0\.001 megapixels"):
        Photo(encoded(scene(), "PNG"), max_pixels=1000)


def test_when_and_where(tmp_path: Any) -> None:
    exif = Image.Exif()
    exif[0x0132] = "2020:01:02 03:04:05"
    exif.get_ifd(0x8769)[0x9003] = "2019:07:06 21:22:23"
    exif.get_ifd(0x8769)[0x9011] = "+02:00"
    exif.get_ifd(0x8825).update({1: "S", 2: (33.0, 51.0, 30.0), 3: "E", 4: (151.0, 12.0, 0.0)})
    path = tmp_path / "dated.jpg"
    scene().save(path, exif=exif)
    facts = Photo(path.read_bytes()).facts
    assert facts.taken == TakenAt("2019-07-06T21:22:23", "exif", "second", "+02:00")
    assert facts.position == pytest.approx((-33.858333, 151.2), abs=1e-5)


@pytest.mark.parametrize("text", ["0000:00:00 00:00:00", "", "yesterday", "2020:13:45 99:99:99"])
def test_a_clock_that_was_not_set_gives_no_date(text: str, tmp_path: Any) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = text
    path = tmp_path / "undated.jpg"
    scene().save(path, exif=exif)
    assert Photo(path.read_bytes()).facts.taken is None
