"""Fingerprints: those of near-identical pictures are close, others are not."""

from __future__ import annotations

import io

from PIL import Image, ImageEnhance
from sample_library import shipped_photo

from facesearch.photos.fingerprint import ALIKE_BITS, fingerprint
from facesearch.photos.picture import Photo

NAMES = ("t1", "hanks", "astronaut", "cameraman", "coffee", "rocket")


def look(image: Image.Image, layout: str = "PNG", **options: int) -> int:
    data = io.BytesIO()
    image.save(data, layout, **options)
    return fingerprint(Photo(data.getvalue()))


def bits_apart(one: int, other: int) -> int:
    return ((one ^ other) & (2**64 - 1)).bit_count()


def test_resized_and_saved_again_is_alike() -> None:
    for name in NAMES:
        photo = shipped_photo(name)
        first = look(photo)
        assert -(2**63) <= first < 2**63
        half = photo.resize((photo.width // 2, photo.height // 2))
        darker = ImageEnhance.Brightness(photo).enhance(0.85)
        for other in (look(half), look(photo, "JPEG", quality=40), look(darker, "WEBP", quality=60)):
            assert bits_apart(first, other) <= ALIKE_BITS, name


def test_another_picture_is_not() -> None:
    looks = [look(shipped_photo(name)) for name in NAMES]
    apart = [bits_apart(one, other) for number, one in enumerate(looks) for other in looks[:number]]
    assert min(apart) > ALIKE_BITS
    photo = shipped_photo("astronaut")
    assert bits_apart(look(photo), look(photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT))) > ALIKE_BITS


def test_a_picture_of_a_single_pixel_has_one() -> None:
    assert look(Image.new("RGB", (1, 1))) == look(Image.new("RGB", (1, 1), (255, 0, 0)))
