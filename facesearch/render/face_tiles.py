"""Faces with captions on one picture: panels of one or several faces side by side, in rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.errors import PhotoError
from facesearch.photos.crop import face_picture
from facesearch.photos.known import read_known
from facesearch.photos.picture import Photo
from facesearch.render.drawing import draw_rounded, draw_text
from facesearch.render.pictures import check_may_be_written, check_picture_name, save_picture
from facesearch.settings import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    from facesearch.types import Box, KnownFile

__all__ = ["MOST_PANELS", "FacePanel", "FaceTile", "check_tiles_name", "save_face_tiles"]

MOST_PANELS = 200
"""The maximum number of panels; every photo on them has to be read."""

_SIDE, _PAD, _GAP, _MARGIN, _CORNER = 150, 12, 14, 20, 8
_TITLE, _HEADING, _LINE, _AFTER_FACE = 44, 30, 19, 22
_WIDTH = 1400

_BACKGROUND, _PANEL, _WELL = (24, 26, 30), (38, 41, 47), (28, 30, 35)
_INK, _SOFT, _FAINT = (238, 240, 243), (196, 201, 210), (150, 157, 168)


@dataclass(frozen=True, slots=True)
class FaceTile:
    """A face of an indexed photo, with lines of text below it; the first is the most visible."""

    file: KnownFile
    box: Box
    caption: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class FacePanel:
    """Faces that belong together, side by side, with a line of text above them."""

    tiles: Sequence[FaceTile]
    heading: str = ""


def check_tiles_name(path: Path) -> None:
    """Raise `UsageError` unless the file name is that of a picture, `StorageError` if it cannot be written."""
    check_picture_name(path, "a sheet is a picture")
    check_may_be_written(path)


def save_face_tiles(
    panels: Sequence[FacePanel], path: Path, *, title: str = "", max_pixels: int = DEFAULT_MAX_PIXELS
) -> None:
    """Draw panels of faces in rows, from left to right, in the format of the file name; at most `MOST_PANELS`.

    All panels are as wide as the one with most faces. For a photo that can no longer be read, a text says so. Raises
    `UsageError` unless the file name is that of a picture, `StorageError` if it cannot be written.
    """
    check_tiles_name(path)
    save_picture(_Sheet(panels[:MOST_PANELS], title, max_pixels).drawn(), path)


class _Sheet:
    """The layout of one picture."""

    def __init__(self, panels: Sequence[FacePanel], title: str, max_pixels: int) -> None:
        from PIL import Image, ImageDraw

        self._panels, self._title, self._max_pixels = panels, title, max_pixels
        most = max((len(panel.tiles) for panel in panels), default=1)
        lines = max((len(tile.caption) for panel in panels for tile in panel.tiles), default=0)
        self._heading = _HEADING * any(panel.heading for panel in panels)
        self._size = (
            most * (_SIDE + _PAD) + _PAD,
            2 * _PAD + self._heading + _SIDE + (_AFTER_FACE + (lines - 1) * _LINE if lines else 0),
        )
        fitting = max(1, (_WIDTH - 2 * _MARGIN + _GAP) // (self._size[0] + _GAP))
        self._columns = max(1, min(fitting, len(panels)))
        rows = -(-len(panels) // self._columns)
        self._top = _MARGIN + _TITLE * bool(title)
        self._width = self._columns * (self._size[0] + _GAP) - _GAP
        height = self._top + max(0, rows * (self._size[1] + _GAP) - _GAP) + _MARGIN
        self._picture = Image.new("RGB", (self._width + 2 * _MARGIN, height), _BACKGROUND)
        self._draw = ImageDraw.Draw(self._picture)

    def drawn(self) -> Picture:
        """Draw the picture and return it."""
        draw_text(self._draw, (_MARGIN, _MARGIN + 24), self._title, 22, _INK, width=self._width, bold=True)
        for number, panel in enumerate(self._panels):
            row, column = divmod(number, self._columns)
            self._drawn_panel(
                panel, _MARGIN + column * (self._size[0] + _GAP), self._top + row * (self._size[1] + _GAP)
            )
        return self._picture

    def _drawn_panel(self, panel: FacePanel, left: int, top: int) -> None:
        draw_rounded(self._picture, (left, top), self._size, _CORNER + 2, _PANEL)
        left, top = left + _PAD, top + _PAD
        draw_text(self._draw, (left, top + 16), panel.heading, 15, _SOFT, width=self._size[0] - 2 * _PAD)
        for tile in panel.tiles:
            self._tile(tile, left, top + self._heading)
            left += _SIDE + _PAD

    def _tile(self, tile: FaceTile, left: int, top: int) -> None:
        try:
            face = face_picture(Photo(read_known(tile.file), max_pixels=self._max_pixels), tile.box, _SIDE)
            draw_rounded(self._picture, (left, top), face.size, _CORNER, face)
        except (OSError, PhotoError):
            draw_rounded(self._picture, (left, top), (_SIDE, _SIDE), _CORNER, _WELL)
            middle = (left + _SIDE / 2, top + _SIDE / 2)
            draw_text(self._draw, middle, "photo not readable", 14, _FAINT, width=_SIDE - 8, anchor="mm")
        baseline = top + _SIDE + _AFTER_FACE - 3
        for number, line in enumerate(tile.caption):
            size, colour = (16, _INK) if number == 0 else (13, _FAINT)
            draw_text(self._draw, (left, baseline), line, size, colour, width=_SIDE, bold=number == 0)
            baseline += _LINE
