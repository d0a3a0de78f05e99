"""What pictures are drawn with: text that fits and shows any name, pills, frames, smooth corners."""

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
    # Pillow's own font shows ASCII alone. Those that look like it come next, then those of many scripts.
    _BUILT_IN, "LiberationSans-Regular.ttf", "arial.ttf", "Arial.ttf", "NotoSans-Regular.ttf", "DejaVuSans.ttf",
    "Arial Unicode.ttf", "NotoSansCJK-Regular.ttc", "Hiragino Sans GB.ttc", "PingFang.ttc", "msyh.ttc", "malgun.ttf",
    "YuGothM.ttc", "wqy-microhei.ttc", "DroidSansFallbackFull.ttf", "NotoEmoji-Regular.ttf", "Symbola.ttf",
    "seguiemj.ttf", "seguisym.ttf", "Apple Symbols.ttf", "unifont.ttf", "unifont_upper.ttf",
)  # fmt: skip
_NO_CHARACTER = "\u0378"
_SHORTEST = 2
_MOST_MARKS = 2
# Joiners, variation selectors, the keycap and skin tones say how the characters beside them look.
_SAY_HOW = {0x200C, 0x200D, 0x20E3, *range(0xFE00, 0xFE10), *range(0x1F3FB, 0x1F400)}
# Spaces of any width, and what Unicode knows nothing of: characters newer than Python, or of somebody's own font.
_INSTEAD = {"Zs": " ", "Cn": "\u25a1", "Co": "\u25a1"}
_BOX_WIDTH, _BOX_HEIGHT, _BOX_SPACE = 0.6, 0.72, 0.22
"""What stands for a character that no font shows, as shares of the text's size."""

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
    """One line of text of `size` pixels, its middle left out where it is wider than `width`; gives back its width.

    `at` is on its baseline, at its left end, or where Pillow's `anchor` says. A character that the first font lacks is
    drawn with the first that has it; what no font here shows is an empty box.
    """
    runs = _set(_plain(text) if width is None else fitted(text, size, width), size)
    length = sum(run.width for run in runs)
    x, y = at
    x -= {"l": 0.0, "m": length / 2, "r": length}[anchor[0]]
    if anchor[1] == "m" and len(runs) > 1:  # the middles of two fonts lie at two heights, their baselines at one
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
    """Of a line as `draw_text` would draw it, in pixels."""
    return sum(run.width for run in _set(_plain(text), size))


def fitted(text: str, size: int, width: float) -> str:
    """The text, its middle left out where it is wider than `width` pixels; what is unprintable as question marks."""
    text = _plain(text)
    if len(text) <= _SHORTEST or text_width(text, size) <= width:
        return text
    longer = range(_SHORTEST + 1, len(text))
    keep = _SHORTEST + bisect_right(longer, width, key=lambda keep: text_width(_shortened(text, keep), size))
    while keep > _SHORTEST and text_width(_shortened(text, keep), size) > width:
        keep -= 1  # where fewer characters are wider, because another font shows them
    return _shortened(text, keep)


def pill_size(text: str, size: int) -> tuple[int, int]:
    """Width and height of what `draw_pill` draws, in pixels."""
    return round(text_width(text, size) + 1.4 * size), round(1.6 * size)


def draw_pill(picture: Image, at: tuple[int, int], text: str, size: int, colour: Colour) -> None:
    """Dark text in a pill of a colour; `at` is its top left."""
    from PIL.ImageDraw import Draw

    width, height = pill_size(text, size)
    draw_rounded(picture, at, (width, height), height // 2, colour)
    draw_text(Draw(picture), (at[0] + width / 2, at[1] + round(1.15 * size)), text, size, _DARK, anchor="ms")


def draw_rounded(picture: Image, at: tuple[int, int], size: tuple[int, int], radius: int, fill: Colour | Image) -> None:
    """A rectangle with smooth corners, of a colour or of a picture that is just as large; `at` is its top left."""
    picture.paste(fill, (*at, at[0] + size[0], at[1] + size[1]), _rounded_mask(size, radius))


def draw_frame(draw: ImageDraw, corners: tuple[float, float, float, float], colour: Colour, width: int) -> None:
    """Lines of `width` pixels on the inside of a rectangle, with dark ones around them: seen on any photo."""
    left, top, right, bottom = corners
    edge = max(1, width // 2)
    draw.rectangle((left - edge, top - edge, right + edge, bottom + edge), outline=_DARK, width=edge)
    draw.rectangle(corners, outline=colour, width=width)


@lru_cache(64)
def _rounded_mask(size: tuple[int, int], radius: int) -> Image:
    """Drawn larger and shrunk, because Pillow draws corners without smoothing them."""
    from PIL import Image, ImageDraw

    width, height = size[0] * _SMOOTH, size[1] * _SMOOTH
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, width - 1, height - 1), radius * _SMOOTH, fill=255)
    return mask.reduce(_SMOOTH)


def _shortened(text: str, keep: int) -> str:
    return text[: keep // 2].rstrip() + "…" + text[-(keep - keep // 2) :].lstrip()


def _plain(text: str) -> str:
    """What can be drawn on one line; letters with their accents as one character, as fonts know them."""
    plain, marks = [], 0
    for character in unicodedata.normalize("NFC", text):
        if ord(character) in _SAY_HOW:
            continue
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > _MOST_MARKS:  # a pile of accents would climb over the lines above
            continue
        category = unicodedata.category(character)
        plain.append(_INSTEAD.get(category, character if character.isprintable() else "?"))
    return "".join(plain)


class _Run(NamedTuple):
    """Characters that one font shows, beside one another; `_NO_FONT`: as many boxes. `width` is in pixels."""

    font: str | None
    text: str
    width: float


def _set(text: str, size: int) -> list[_Run]:
    """A line in the first font that shows all of it, else in the one that shows most, with others for the rest."""
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
    """A character and a font for it: `best`, any other, or any for the letter that it is without its accents."""
    for likeness in (character, unicodedata.normalize("NFKD", character)[0]):
        for font in (best, *_FONTS):
            if _shows(font, likeness):
                return font, likeness
    return _NO_FONT, character


def _draw_boxes(draw: ImageDraw, at: tuple[float, float], number: int, size: int, colour: Colour) -> None:
    """Upright boxes on the baseline, from `at` to the right."""
    line = max(1, round(size / 14))
    for place in range(number):
        left = at[0] + (place * (_BOX_WIDTH + _BOX_SPACE) + _BOX_SPACE / 2) * size
        corners = (round(left), round(at[1] - _BOX_HEIGHT * size), round(left + _BOX_WIDTH * size), round(at[1]))
        draw.rectangle(corners, outline=colour, width=line)


@lru_cache(20_000)
def _shows(name: str, character: str) -> bool:
    """Whether a font has a character. Pillow cannot tell: it is so when it looks unlike one that does not exist."""
    return _font(name, 16) is not None and (character == " " or _look(name, character) != _look(name, _NO_CHARACTER))


def _look(name: str, character: str) -> tuple[tuple[int, int], bytes]:
    """Size and pixels of a character by itself, without the circle that an accent gets where it stands alone."""
    from PIL import ImageFont

    mask, _ = _any_font(name, 16).font_variant(layout_engine=ImageFont.Layout.BASIC).getmask2(character)
    return mask.size, bytes(mask)


def _any_font(name: str, size: int) -> FreeTypeFont:
    """One of which it is known that it is here."""
    font = _font(name, size)
    assert font is not None
    return font


@cache
def _font(name: str, size: int) -> FreeTypeFont | None:
    """A font of the system by its file's name, or the built-in one; None where there is no such font."""
    from PIL import ImageFont

    if name == _BUILT_IN:
        font = ImageFont.load_default(size)
        assert isinstance(font, ImageFont.FreeTypeFont)
        return font
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None
