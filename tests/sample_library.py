"""Make a small photo library from the photos that two installed packages ship (insightface and scikit-image).

They show nine people, one photo each. All other photos of a person are made from that one: cropped, shrunk, rotated or
recoloured. That is enough to test the functions, but does not show how well a model distinguishes faces.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image, ImageEnhance, ImageOps

from facesearch.photos.picture import Photo

__all__ = ["FACES_IN_T1", "as_photo", "build", "save_with_orientation", "shipped_file", "shipped_photo"]

FACES_IN_T1: Mapping[str, tuple[int, int, int, int]] = {
    "ada": (61, 269, 106, 128),
    "bea": (267, 152, 105, 126),
    "cal": (466, 267, 102, 145),
    "dan": (748, 353, 98, 122),
    "eli": (906, 59, 100, 144),
    "fay": (1126, 273, 95, 124),
}
"""The faces of the six people in `t1.jpg`: left, top, width, height in pixels; the names are invented."""

_SHIPPED = {
    "t1": ("insightface", "data/images/t1.jpg"),
    "hanks": ("insightface", "data/images/Tom_Hanks_54745.png"),
    "astronaut": ("skimage", "data/astronaut.png"),
    "cameraman": ("skimage", "data/camera.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "rocket": ("skimage", "data/rocket.jpg"),
}
_ORIENTATION = 0x0112
_UNDO = {
    1: [],
    2: [Image.Transpose.FLIP_LEFT_RIGHT],
    3: [Image.Transpose.ROTATE_180],
    4: [Image.Transpose.FLIP_TOP_BOTTOM],
    5: [Image.Transpose.TRANSPOSE],
    6: [Image.Transpose.ROTATE_90],
    7: [Image.Transpose.TRANSVERSE],
    8: [Image.Transpose.ROTATE_270],
}


def shipped_file(name: str) -> Path:
    """Return the path of one of the photos that the packages ship."""
    package, path = _SHIPPED[name]
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / path


def shipped_photo(name: str) -> Image.Image:
    """Return one of the photos that the packages ship, as RGB."""
    with Image.open(shipped_file(name)) as image:
        return image.convert("RGB")


def as_photo(image: Image.Image) -> Photo:
    """Return a picture as a photo, without loss."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return Photo(buffer.getvalue())


def save_with_orientation(upright: Image.Image, path: Path, orientation: int) -> None:
    """Save the pixels rotated, with the EXIF tag that makes viewers rotate them back."""
    stored = upright
    for step in _UNDO[orientation]:
        stored = stored.transpose(step)
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    stored.save(path, exif=exif, quality=92)


def build(folder: Path) -> Path:
    """Make the library in `folder/photos`; return a query photo that is not part of it."""
    photos = folder / "photos"
    for name in ("party", "portraits", "phone", "scans"):
        (photos / name).mkdir(parents=True, exist_ok=True)
    group, astronaut = shipped_photo("t1"), shipped_photo("astronaut")

    group.save(photos / "party/everybody.jpg", quality=92)
    group.reduce(2).save(photos / "party/everybody small.webp", quality=90)
    group.crop((0, 100, 640, 886)).save(photos / "party/left half.png")
    group.crop((640, 0, 1280, 886)).save(photos / "party/right half.jpg", quality=85)
    for name, box in FACES_IN_T1.items():
        _portrait(group, box).save(photos / f"portraits/{name}.jpg", quality=90)
    shipped_photo("hanks").save(photos / "portraits/tight crop.png")

    for orientation in (3, 6, 8):
        save_with_orientation(astronaut, photos / f"phone/turned {orientation}.jpg", orientation)
    astronaut.rotate(90, expand=True).save(photos / "phone/on its side, no tag.jpg", quality=90)
    astronaut.resize((2048, 2048)).save(photos / "phone/large.jpg", quality=85)

    ImageOps.grayscale(astronaut).save(photos / "scans/grey.png")
    shipped_photo("cameraman").save(photos / "scans/cameraman.tif")
    shipped_photo("coffee").save(photos / "scans/coffee.png")
    shipped_photo("rocket").save(photos / "scans/rocket.jpg")

    query = folder / "query.jpg"
    face = ImageOps.mirror(_portrait(group, FACES_IN_T1["bea"]))
    ImageEnhance.Brightness(face).enhance(0.8).save(query, quality=80)
    return query


def _portrait(photo: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """Return the face with a margin of half its size on each side."""
    left, top, width, height = box
    return photo.crop(
        (max(0, left - width // 2), max(0, top - height // 2), left + width * 3 // 2, top + height * 3 // 2)
    )


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))  # noqa: T201


def heic(image: Image.Image, **options: Any) -> bytes:
    """Return a HEIC photo, as phones store it. It is encoded with a package that facesearch does not use."""
    import pi_heif
    import pillow_heif

    pillow_heif.register_heif_opener()
    pi_heif.register_heif_opener()  # it has no encoder, so the other package's encoder stays; it decodes from now on
    buffer = io.BytesIO()
    image.save(buffer, "HEIF", **options)
    return buffer.getvalue()
