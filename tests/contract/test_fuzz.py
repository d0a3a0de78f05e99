"""Photos damaged at random: each is decoded, or refused with a reason."""

from __future__ import annotations

import io
import random
import struct
from pathlib import Path

import pytest
from PIL import Image
from sample_library import heic, shipped_photo

from facesearch.errors import PhotoError
from facesearch.index.store import Store
from facesearch.indexing.options import Options
from facesearch.indexing.refresh import refresh
from facesearch.models.protocol import FaceModel
from facesearch.photos.picture import Photo

SEED = 20261122


def originals() -> dict[str, bytes]:
    """One small photo in every format, with EXIF where the format has it."""
    image = shipped_photo("astronaut").resize((160, 160))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x0132] = "2020:01:02 03:04:05"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 0.0), 3: "E", 4: (11.0, 34.0, 0.0)})
    files = {}
    for name in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "JPEG2000"):
        buffer = io.BytesIO()
        picture = image.quantize(64) if name == "GIF" else image
        picture.save(buffer, name, **({"exif": exif} if name in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF") else {}))
        files[name] = buffer.getvalue()
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", progressive=True, exif=exif)
    files["progressive JPEG"] = buffer.getvalue()
    buffer = io.BytesIO()
    image.save(buffer, "MPO", save_all=True, append_images=[image])
    files["MPO"] = buffer.getvalue()
    files["HEIF"] = heic(image)
    return files


def mutated(rng: random.Random, files: dict[str, bytes]) -> bytes:
    """Damage a file: flip bits, cut it, replace its header, write absurd sizes, or repeat a piece."""
    name = rng.choice(sorted(files))
    data = bytearray(files[name])
    kind = rng.choice(["bits", "bits", "header bits", "cut", "header", "sizes", "repeat"])
    if kind == "bits":
        for _ in range(rng.randint(1, 40)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "header bits":
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(min(400, len(data)))] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del data[rng.randrange(len(data)) :]
    elif kind == "header":
        other = files[rng.choice(sorted(files))]
        length = rng.randint(4, 200)
        data[:length] = other[:length]
    elif kind == "sizes":
        place = rng.randrange(max(1, min(600, len(data)) - 4))
        data[place : place + 4] = struct.pack(rng.choice("<>") + "I", rng.choice([0, 1, 0xFFFFFFFF, 0x7FFFFFFF, 65535]))
    else:
        place = rng.randrange(len(data))
        data[place:place] = data[place : place + rng.randint(1, 500)] * rng.randint(1, 20)
    return bytes(data)


def look_at(count: int, seed: int) -> tuple[int, int]:
    rng, files = random.Random(seed), originals()
    shown = refused = 0
    for _ in range(count):
        try:
            pixels = Photo(mutated(rng, files)).pixels(1280)
            assert pixels.ndim == 3
            assert pixels.shape[2] == 3
            shown += 1
        except PhotoError as error:
            refused += len(str(error).splitlines()) == 1
    assert shown + refused == count, "each reason is one line"
    return shown, refused


@pytest.mark.filterwarnings("ignore")  # Pillow warns about damage that it tolerates
def test_damaged_photos_are_shown_or_refused() -> None:
    shown, refused = look_at(4000, SEED)
    assert min(shown, refused) > 400, "both happen"


@pytest.mark.filterwarnings("ignore")
def test_a_folder_of_damaged_photos_is_indexed(model: FaceModel, tmp_path: Path) -> None:
    rng, files = random.Random(SEED + 2), originals()
    for number in range(80):
        (tmp_path / f"{number:03}.jpg").write_bytes(mutated(rng, files))
    with Store.memory(model.info) as store:
        report = refresh(store, model, [tmp_path], options=Options(workers=2))
        assert report.photos == report.new == 80
        reasons = dict(store.catalog.photos.failed())
        assert len(reasons) == report.failed > 10
        assert all(reasons.values())
