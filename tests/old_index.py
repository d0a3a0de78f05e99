"""An index that facesearch made when the embedding revision was 2, and the photos it was made of.

`data/revision-2.sqlite.gz` is its backup, with `/photos` as the folder. It was made of two copies of `t1.jpg`, of
`astronaut.png` and of `coffee.png`. One of the six faces in `t1.jpg` was forgotten, and `coffee.png` for ever.
"""

from __future__ import annotations

import gzip
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from sample_library import shipped_file

__all__ = ["FORGOTTEN_FACE", "NAMES", "make_old_index"]

NAMES = ("again t1.jpg", "astronaut.png", "t1.jpg")
"""The photos in the index, in the order of their ids."""

FORGOTTEN_FACE = (465.4, 266.9, 102.7, 144.7)
"""The box of the forgotten face in `t1.jpg`: left, top, width and height in pixels."""


def make_old_index(folder: Path) -> tuple[Path, Path]:
    """Make the index and its photos in a folder; return both paths."""
    photos, index = folder / "photos", folder / "old"
    photos.mkdir(parents=True)
    for name in (*NAMES, "coffee.png"):
        shutil.copyfile(shipped_file(name.removeprefix("again ").partition(".")[0]), photos / name)
    index.mkdir(mode=0o700)
    catalog = index / "catalog.sqlite"
    catalog.write_bytes(gzip.decompress((Path(__file__).parent / "data/revision-2.sqlite.gz").read_bytes()))
    with closing(sqlite3.connect(catalog)) as known, known:
        known.execute("UPDATE roots SET path = ?", (os.fsencode(photos),))
    return index, photos
