"""Draw the contact sheet of the README from one photo in the public domain.

NASA's portrait of the astronaut Eileen Collins comes with scikit-image. It is cropped, turned, recoloured and shrunk to
make a small library, which facesearch then indexes and queries. Run it in the development environment:

    python docs/contact_sheet.py docs/images/contact-sheet.jpg /home/me

The sheet shows the paths of the photos. So the second argument is the folder to work in; it must not exist yet, and is
removed again.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from skimage import data

from facesearch import Index
from facesearch.render.sheet import save_sheet

_WIDTH = 1000


def main(target: Path, home: Path) -> None:
    """Make the library in the new folder `home`, query it, write the sheet to `target`, and remove `home`."""
    home.mkdir()
    try:
        photos = home / "Pictures"
        _make_library(photos)
        query = home / "me.jpg"
        face = ImageOps.mirror(Image.fromarray(data.astronaut()).crop((130, 20, 330, 250)))
        ImageEnhance.Color(face).enhance(0.6).save(query, quality=90)
        with Index.open(home / "index", create=True, model="embedded") as index:
            index.refresh([photos])
            answer = index.query(query, top_k=8)
            save_sheet(answer.answers[0], answer.threshold, home / "sheet.png")
        with Image.open(home / "sheet.png") as sheet:
            height = round(sheet.height * _WIDTH / sheet.width)
            sheet.convert("RGB").resize((_WIDTH, height), Image.Resampling.LANCZOS).save(target, quality=85)
    finally:
        shutil.rmtree(home)


def _make_library(photos: Path) -> None:
    portrait = Image.fromarray(data.astronaut())
    pictures = {
        "1992 NASA/portrait.jpg": portrait,
        "1992 NASA/portrait, cropped.jpg": portrait.crop((90, 0, 380, 330)),
        "scans/faded.jpg": ImageEnhance.Contrast(ImageOps.colorize(ImageOps.grayscale(portrait), "#402a18", "#f4e3c3"))
        .enhance(0.55),
        "scans/black and white.jpg": ImageOps.autocontrast(ImageOps.grayscale(portrait)).convert("RGB"),
        "phone/on its side.jpg": portrait.rotate(90, expand=True),
        "phone/dark.jpg": ImageEnhance.Brightness(portrait.rotate(12, fillcolor=(30, 30, 34))).enhance(0.35),
        "web/mirrored thumbnail.jpg": ImageOps.mirror(portrait).resize((160, 160)),
        "web/blurred.jpg": portrait.resize((128, 128)).filter(ImageFilter.GaussianBlur(1.1)).resize((512, 512)),
        "other/coffee.jpg": Image.fromarray(data.coffee()),
        "other/rocket.jpg": Image.fromarray(data.rocket()),
    }  # fmt: skip
    for name, picture in pictures.items():
        path = photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, quality=90)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
