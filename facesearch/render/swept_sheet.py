"""Contact sheets of the faces that would be deleted with a person, each with its id."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.errors import PhotoError
from facesearch.photos.crop import face_picture
from facesearch.photos.known import read_known
from facesearch.photos.picture import Photo
from facesearch.render.drawing import draw_pill, draw_rounded, draw_text
from facesearch.render.pictures import check_may_be_written, check_picture_name, save_picture
from facesearch.settings import DEFAULT_MAX_PIXELS
from facesearch.wording import counted

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    from facesearch.api.results import Forgetting, SweptFace
    from facesearch.render.drawing import Colour

__all__ = ["check_swept_sheet", "save_swept_sheet"]

_FACES_A_PAGE, _MOST_PAGES = 80, 25
_COLUMNS = 8
_MARGIN, _GAP, _PAD, _CORNER = 20, 12, 8, 8
_FACE = 130
_CELL = _FACE + 2 * _PAD
_ID_LINE, _WHO_LINE, _NAME_LINE = 22, 42, 60
_ROW = _FACE + 2 * _PAD + _NAME_LINE
_HEADER, _TITLE_LINE, _FACTS_LINE = 76, 32, 58
_BACKGROUND, _PANEL, _WELL = (24, 26, 30), (38, 41, 47), (28, 30, 35)
_INK, _SOFT, _FAINT = (238, 240, 243), (196, 201, 210), (150, 157, 168)
_OWN, _SIMILAR, _SPARED = (240, 120, 110), (246, 185, 73), (88, 214, 141)


def check_swept_sheet(path: Path) -> None:
    """Raise `UsageError` unless the name is that of a picture, `StorageError` if it cannot be written."""
    check_picture_name(path, "a contact sheet is a picture")
    check_may_be_written(path)


def save_swept_sheet(going: Forgetting, path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> list[Path]:
    """Draw all faces that could be a person: those that only resemble it first, since they need a look.

    Return the files written: `path`, and pages next to it, `name-2.jpg` and so on. Raises what `check_swept_sheet`
    raises.
    """
    similar = sorted((one for one in going.going if not one.own), key=_similarity)
    own = sorted((one for one in going.going if one.own), key=_similarity)
    faces = [(one, _SIMILAR, "similar") for one in similar]
    faces += [(one, _SPARED, "spared") for one in going.spared]
    faces += [(one, _OWN, "person") for one in own]
    starts = range(0, max(1, len(faces)), _FACES_A_PAGE)[:_MOST_PAGES]
    paths = [path, *(path.with_name(f"{path.stem}-{page}{path.suffix}") for page in range(2, len(starts) + 1))]
    for page_path in paths:
        check_swept_sheet(page_path)
    for number, start in enumerate(starts):
        facts = [
            counted(len(own), "face of this person", "faces of this person"),
            counted(len(similar), "face that is only similar", "faces that are only similar"),
        ]
        facts += [f"{counted(len(going.spared), 'face')} spared"] * bool(going.spared)
        facts += [f"page {number + 1} of {len(starts)}"] * (len(starts) > 1)
        facts += [f"the last {len(faces) - _FACES_A_PAGE * _MOST_PAGES:,} not shown"] * (
            len(faces) > _FACES_A_PAGE * _MOST_PAGES
        )
        page = _page(going, facts, faces[start : start + _FACES_A_PAGE], max_pixels)
        save_picture(page, paths[number])
    return paths


def _similarity(one: SweptFace) -> float:
    return -2.0 if one.similarity is None else one.similarity


def _page(
    going: Forgetting, facts: Sequence[str], faces: Sequence[tuple[SweptFace, Colour, str]], max_pixels: int
) -> Picture:
    from PIL import Image, ImageDraw

    rows = -(-len(faces) // _COLUMNS)
    width = _COLUMNS * (_CELL + _GAP) - _GAP
    picture = Image.new(
        "RGB", (width + 2 * _MARGIN, _HEADER + rows * (_ROW + _GAP) + _GAP + 2 * _MARGIN), _BACKGROUND
    )  # fmt: skip
    draw = ImageDraw.Draw(picture)
    assert going.sweep is not None
    called = going.sweep.names[0] if going.sweep.names else f"#{going.sweep.person}"
    title = f"To be forgotten: {called}"
    draw_text(draw, (_MARGIN, _MARGIN + _TITLE_LINE - 8), title, 24, _INK, width=width, bold=True)
    draw_text(draw, (_MARGIN, _MARGIN + _FACTS_LINE - 8), "  ·  ".join(facts), 16, _SOFT, width=width)
    for place, (one, colour, word) in enumerate(faces):
        row, column = divmod(place, _COLUMNS)
        left, top = _MARGIN + column * (_CELL + _GAP), _MARGIN + _HEADER + row * (_ROW + _GAP)
        draw_rounded(picture, (left, top), (_CELL, _ROW), _CORNER + 2, _PANEL)
        left, top = left + _PAD, top + _PAD
        shown = _face(one, max_pixels)
        draw_rounded(picture, (left, top), (_FACE, _FACE), _CORNER, _WELL if shown is None else shown)
        if shown is None:
            middle = (left + _FACE / 2, top + _FACE / 2)
            draw_text(draw, middle, "cannot be read", 13, _FAINT, width=_FACE - 8, anchor="mm")
        draw_text(draw, (left, top + _FACE + _ID_LINE), str(one.face.face_id), 19, _INK, bold=True, width=_FACE)
        draw_pill(picture, (left, top + _FACE + _WHO_LINE - 13), word, 12, colour)
        likeness = "" if one.similarity is None else f"{one.similarity:.3f}"
        draw_text(draw, (left + _FACE, top + _FACE + _WHO_LINE), likeness, 14, _SOFT, anchor="rs")
        name = os.path.basename(os.fsdecode(one.face.path))
        draw_text(draw, (left, top + _FACE + _NAME_LINE), name, 12, _FAINT, width=_FACE)
    return picture


def _face(one: SweptFace, max_pixels: int) -> Picture | None:
    try:
        photo = Photo(read_known(one.face.file), max_pixels=max_pixels)
        return face_picture(photo, one.face.detection.box, _FACE)
    except (OSError, PhotoError):
        return None
