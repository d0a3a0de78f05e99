"""Drawing primitives: text that fits and shows any file name, pills, frames, rounded rectangles."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from functools import cache, lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

    Colour = tuple[int, int, int]

__all__ = ["draw_frame", "draw_pill", "draw_rounded", "draw_text", "fitted", "pill_size", "text_width"]

_BUILT_IN = ""
_NO_FONT = None
_FONTS = (
    # Pillow's own font has ASCII only. Fonts that look like it come next, then fonts of many scripts.
    _BUILT_IN, "LiberationSans-Regular.ttf", "arial.ttf", "Arial.ttf", "NotoSans-Regular.ttf", "DejaVuSans.ttf",
    "Arial Unicode.ttf", "NotoSansCJK-Regular.ttc", "Hiragino Sans GB.ttc", "PingFang.ttc", "msyh.ttc", "malgun.ttf",
    "YuGothM.ttc", "wqy-microhei.ttc", "DroidSansFallbackFull.ttf", "NotoEmoji-Regular.ttf", "Symbola.ttf",
    "seguiemj.ttf", "seguisym.ttf", "Apple Symbols.ttf", "unifont.ttf", "unifont_upper.ttf",
)  # fmt: skip
_NO_CHARACTER = "\u0378"
_SHORTEST = 2
_MOST_MARKS = 2
# Joiners, variation selectors, the keycap and skin tones change how the characters next to them look.
_SAY_HOW = {0x200C, 0x200D, 0x20E3, *range(0xFE00, 0xFE10), *range(0x1F3FB, 0x1F400)}
# Spaces of any width, and unassigned or private characters: newer than this Python's Unicode, or of a private font.
_INSTEAD = {"Zs": " ", "Cn": "\u25a1", "Co": "\u25a1"}
_BOX_WIDTH, _BOX_HEIGHT, _BOX_SPACE = 0.6, 0.72, 0.22
"""The box drawn for a character that no font has, as shares of the text size."""

_DARK: Colour = (16, 18, 22)
_SMOOTH = 4


def draw_text(
    draw: ImageDraw,
    at: tuple[float, float],
    text: str,
    size: int,
    colour: Colour,
    *,
    width: float | None = None,
    bold: bool = False,
    anchor: str = "ls",
) -> float:
    """Draw one line of text of `size` pixels, shortened in the middle to `width`. Return its width in pixels.

    `at` is the left end of the baseline, or the point of Pillow's `anchor`. A character that the first font lacks is
    drawn with the first font that has it; a character that no font has is drawn as an empty box.
    """
    runs = _set(_plain(text) if width is None else fitted(text, size, width), size)
    length = sum(run.width for run in runs)
    x, y = at
    x -= {"l": 0.0, "m": length / 2, "r": length}[anchor[0]]
    if anchor[1] == "m" and len(runs) > 1:  # two fonts differ in the height of their middle, not of their baseline
        ascent, descent = _any_font(_BUILT_IN, size).getmetrics()
        y += (ascent - descent) / 2
    height = "s" if len(runs) > 1 else anchor[1]
    for run in runs:
        if run.font is _NO_FONT:
            _draw_boxes(draw, (x, y), len(run.text), size, colour)
        else:
            font = _any_font(run.font, size)
            draw.text((x, y), run.text, colour, font, f"l{height}", stroke_width=size / 45 if bold else 0)
        x += run.width
    return length


def text_width(text: str, size: int) -> float:
    """Return the width of a line as `draw_text` would draw it, in pixels."""
    return sum(run.width for run in _set(_plain(text), size))


def fitted(text: str, size: int, width: float) -> str:
    """Return the text shortened in the middle to `width` pixels, with unprintable characters as question marks."""
    text = _plain(text)
    if len(text) <= _SHORTEST or text_width(text, size) <= width:
        return text
    longer = range(_SHORTEST + 1, len(text))
    keep = _SHORTEST + bisect_right(longer, width, key=lambda keep: text_width(_shortened(text, keep), size))
    while keep > _SHORTEST and text_width(_shortened(text, keep), size) > width:
        keep -= 1  # if fewer characters are wider, because another font has them
    return _shortened(text, keep)


def pill_size(text: str, size: int) -> tuple[int, int]:
    """Return the width and height of a pill that `draw_pill` draws, in pixels."""
    return round(text_width(text, size) + 1.4 * size), round(1.6 * size)


def draw_pill(picture: Image, at: tuple[int, int], text: str, size: int, colour: Colour) -> None:
    """Draw dark text in a pill of a colour; `at` is its top left corner."""
    from PIL.ImageDraw import Draw

    width, height = pill_size(text, size)
    draw_rounded(picture, at, (width, height), height // 2, colour)
    draw_text(Draw(picture), (at[0] + width / 2, at[1] + round(1.15 * size)), text, size, _DARK, anchor="ms")


def draw_rounded(picture: Image, at: tuple[int, int], size: tuple[int, int], radius: int, fill: Colour | Image) -> None:
    """Draw a rectangle with smooth corners, filled with a colour or a picture of its size; `at` is its top left."""
    picture.paste(fill, (*at, at[0] + size[0], at[1] + size[1]), _rounded_mask(size, radius))


def draw_frame(draw: ImageDraw, corners: tuple[float, float, float, float], colour: Colour, width: int) -> None:
    """Draw lines of `width` pixels inside a rectangle, with a dark outline, so that they are visible on any photo."""
    left, top, right, bottom = corners
    edge = max(1, width // 2)
    draw.rectangle((left - edge, top - edge, right + edge, bottom + edge), outline=_DARK, width=edge)
    draw.rectangle(corners, outline=colour, width=width)


@lru_cache(64)
def _rounded_mask(size: tuple[int, int], radius: int) -> Image:
    """Return a mask that is drawn larger and reduced, because Pillow does not smooth rounded corners."""
    from PIL import Image, ImageDraw

    width, height = size[0] * _SMOOTH, size[1] * _SMOOTH
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, width - 1, height - 1), radius * _SMOOTH, fill=255)
    return mask.reduce(_SMOOTH)


def _shortened(text: str, keep: int) -> str:
    return text[: keep // 2].rstrip() + "…" + text[-(keep - keep // 2) :].lstrip()


def _plain(text: str) -> str:
    """Return what can be drawn on one line; a letter and its accent become one character, as fonts have them."""
    plain, marks = [], 0
    for character in unicodedata.normalize("NFC", text):
        if ord(character) in _SAY_HOW:
            continue
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > _MOST_MARKS:  # a pile of accents would cover the lines above
            continue
        category = unicodedata.category(character)
        plain.append(_INSTEAD.get(category, character if character.isprintable() else "?"))
    return "".join(plain)


class _Run(NamedTuple):
    """Adjacent characters of one font, or of `_NO_FONT`, which are drawn as boxes. `width` is in pixels."""

    font: str | None
    text: str
    width: float


def _set(text: str, size: int) -> list[_Run]:
    """Set a line in the first font that has all characters, or in the one that has most, with others for the rest."""
    best, fewest = _BUILT_IN, len(text) + 1
    for name in _FONTS:
        lacking = sum(not _shows(name, character) for character in text)
        if lacking < fewest:
            best, fewest = name, lacking
        if not lacking:
            break
    shown = [_shown(best, character) for character in text]
    runs = []
    for font, characters in groupby(shown, key=lambda one: one[0]):
        part = "".join(character for _, character in characters)
        boxes = len(part) * (_BOX_WIDTH + _BOX_SPACE) * size
        runs.append(_Run(font, part, boxes if font is _NO_FONT else _any_font(font, size).getlength(part)))
    return runs


def _shown(best: str, character: str) -> tuple[str | None, str]:
    """Return a font and the character: `best`, another font, or another font for the letter without its accents."""
    for likeness in (character, unicodedata.normalize("NFKD", character)[0]):
        for font in (best, *_FONTS):
            if _shows(font, likeness):
                return font, likeness
    return _NO_FONT, character


def _draw_boxes(draw: ImageDraw, at: tuple[float, float], number: int, size: int, colour: Colour) -> None:
    """Draw upright boxes on the baseline, from `at` to the right."""
    line = max(1, round(size / 14))
    for place in range(number):
        left = at[0] + (place * (_BOX_WIDTH + _BOX_SPACE) + _BOX_SPACE / 2) * size
        corners = (round(left), round(at[1] - _BOX_HEIGHT * size), round(left + _BOX_WIDTH * size), round(at[1]))
        draw.rectangle(corners, outline=colour, width=line)


@lru_cache(20_000)
def _shows(name: str, character: str) -> bool:
    """Return True if a font has a character. Pillow cannot tell, so its look is compared with a missing character."""
    return _font(name, 16) is not None and (character == " " or _look(name, character) != _look(name, _NO_CHARACTER))


def _look(name: str, character: str) -> tuple[tuple[int, int], bytes]:
    """Return the size and pixels of a single character, without the circle that a lone accent gets."""
    from PIL import ImageFont

    mask, _ = _any_font(name, 16).font_variant(layout_engine=ImageFont.Layout.BASIC).getmask2(character)
    return mask.size, bytes(mask)


def _any_font(name: str, size: int) -> FreeTypeFont:
    """Return a font that is known to exist."""
    font = _font(name, size)
    assert font is not None
    return font


@cache
def _font(name: str, size: int) -> FreeTypeFont | None:
    """Return a font of the system by its file name, or the built-in one; None if there is no such font."""
    from PIL import ImageFont

    if name == _BUILT_IN:
        font = ImageFont.load_default(size)
        assert isinstance(font, ImageFont.FreeTypeFont)
        return font
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None
