"""A contact sheet: the query and its hits as one picture, to be judged at a glance."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.errors import PhotoError, StorageError, UsageError
from facesearch.photos.decode import DEFAULT_MAX_PIXELS, Photo
from facesearch.render.pictures import face_picture, whole_picture

if TYPE_CHECKING:
    from PIL.Image import Image as Picture
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

    from facesearch.searching import Answer, Hit
    from facesearch.types import Box

__all__ = ["MAX_HITS", "check_sheet_name", "save_sheet"]

MAX_HITS = 60
"""More would not be taken in at a glance, and make a picture of tens of thousands of pixels."""

_COLUMNS = 4
_FACE, _PHOTO = 132, (176, 132)
_PAD, _TEXT = 12, 46
_CELL = (_FACE + 6 + _PHOTO[0] + 2 * _PAD, _FACE + _TEXT + 2 * _PAD)
_BACKGROUND, _PANEL, _INK, _FAINT = (24, 26, 30), (38, 41, 47), (236, 238, 241), (150, 156, 166)
_BOX, _QUERY_BOX = (88, 214, 141), (255, 196, 61)
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def check_sheet_name(path: Path) -> None:
    """Raises `UsageError` for a file name that is no picture's."""
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"{path}: a contact sheet is a picture; end its name in one of {', '.join(_SUFFIXES)}")


def save_sheet(answer: Answer, threshold: float | None, path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
    """Draw the query and up to `MAX_HITS` of its hits, each as its face and the photo with the face marked.

    A photo that cannot be read any more is shown as an empty frame with its name. Raises `UsageError` for a file name
    that is no picture's, `StorageError` when the file cannot be written.
    """
    from PIL import Image, ImageDraw, ImageFont

    check_sheet_name(path)
    hits = answer.hits[:MAX_HITS]
    cells = 1 + len(hits)
    columns = min(_COLUMNS, cells)
    rows = -(-cells // columns)
    sheet = Image.new("RGB", (columns * _CELL[0] + _PAD, rows * _CELL[1] + _PAD), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    title, small = ImageFont.load_default(15), ImageFont.load_default(12)
    assert isinstance(title, ImageFont.FreeTypeFont)
    assert isinstance(small, ImageFont.FreeTypeFont)
    probe = answer.probe
    _cell(
        sheet, draw, 0, columns, os.fsencode(probe.path), probe.face.detection.box, _QUERY_BOX,
        (title, "the query" if probe.of == 1 else f"the query, face {probe.number} of {probe.of}"),
        (small, os.path.basename(probe.path)), max_pixels,
    )  # fmt: skip
    for number, hit in enumerate(hits, start=1):
        _cell(
            sheet, draw, number, columns, hit.face.path, hit.face.detection.box, _BOX,
            (title, _caption(hit, threshold)),
            (small, os.fsdecode(os.path.basename(hit.face.path))), max_pixels,
        )  # fmt: skip
    encoded = io.BytesIO()
    sheet.save(encoded, Image.registered_extensions()[path.suffix.lower()], quality=90)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(encoded.getvalue())
        unfinished.replace(path)
    except OSError as error:
        if unfinished.exists():
            unfinished.unlink()
        raise StorageError(f"{path}: cannot be written ({error.strerror or error}); check the folder") from error


def _caption(hit: Hit, threshold: float | None) -> str:
    below = "  (below threshold)" if threshold is not None and hit.similarity < threshold else ""
    return f"{hit.rank}.  {hit.similarity:.3f}{below}"


def _cell(
    sheet: Picture,
    draw: ImageDraw,
    number: int,
    columns: int,
    path: bytes,
    box: Box,
    colour: tuple[int, int, int],
    heading: tuple[FreeTypeFont, str],
    name: tuple[FreeTypeFont, str],
    max_pixels: int,
) -> None:
    left, top = _PAD + number % columns * _CELL[0], _PAD + number // columns * _CELL[1]
    draw.rounded_rectangle((left, top, left + _CELL[0] - _PAD, top + _CELL[1] - _PAD), 8, fill=_PANEL)
    left, top = left + _PAD // 2, top + _PAD // 2
    from PIL import Image

    try:
        photo = Photo(Path(os.fsdecode(path)).read_bytes(), max_pixels=max_pixels)
        sheet.paste(face_picture(photo, box, _FACE), (left, top))
        frame = Image.new("RGB", _PHOTO, _PANEL)
        small = whole_picture(photo, _PHOTO, {box: colour})
        frame.paste(small, ((_PHOTO[0] - small.width) // 2, (_PHOTO[1] - small.height) // 2))
        sheet.paste(frame, (left + _FACE + 6, top))
    except (OSError, PhotoError):
        draw.text((left + 8, top + _FACE // 2), "the photo cannot be read now", font=name[0], fill=_FAINT)
    width = _FACE + 6 + _PHOTO[0]
    draw.text((left + 2, top + _FACE + 6), _fitted(*heading, width), font=heading[0], fill=_INK)
    draw.text((left + 2, top + _FACE + 27), _fitted(*name, width), font=name[0], fill=_FAINT)


def _fitted(font: FreeTypeFont, text: str, width: int) -> str:
    """The text, its middle left out where it is too wide; characters that cannot be shown become question marks."""
    text = "".join(character if character.isprintable() else "?" for character in text)
    if font.getlength(text) <= width:
        return text
    keep = len(text)
    while keep > 2 and font.getlength(text[: keep // 2] + "…" + text[-(keep - keep // 2) :]) > width:
        keep -= 1
    return text[: keep // 2] + "…" + text[-(keep - keep // 2) :]
