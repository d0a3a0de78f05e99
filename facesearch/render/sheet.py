"""Contact sheets: the query and its hits as pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.errors import PhotoError
from facesearch.photos.crop import face_picture
from facesearch.photos.known import read_known
from facesearch.photos.picture import Photo
from facesearch.render.answers import is_below, person_line, remarks, shown_expectation
from facesearch.render.drawing import draw_pill, draw_rounded, draw_text, pill_size, text_width
from facesearch.render.pictures import check_may_be_written, check_picture_name, save_picture, whole_picture
from facesearch.settings import DEFAULT_MAX_PIXELS
from facesearch.types import Verdict
from facesearch.wording import counted

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    from facesearch.render.drawing import Colour
    from facesearch.search.result import Answer, Hit
    from facesearch.types import Box, FaceRecord

__all__ = ["MAX_HITS_A_PAGE", "MAX_PAGES", "check_sheet_name", "save_sheet"]

MAX_HITS_A_PAGE = 40
"""The maximum number of hits per page; more are hard to take in at a glance."""

MAX_PAGES = 25
"""The maximum number of pages; every photo on them has to be read."""

_COLUMNS, _FEWEST_COLUMNS = 4, 2
_MARGIN, _GAP, _PAD, _CORNER = 20, 14, 12, 8
_FACE, _PHOTO, _BESIDE = 150, (200, 150), 6
_LINKING = 60
_INNER = _FACE + _BESIDE + _PHOTO[0]
_CELL = _INNER + 2 * _PAD
_SCORE_LINE, _NAME_LINE, _REMARK_LINE, _LAST_LINE = 27, 50, 70, 4
_QUERY, _QUERY_PHOTO = 168, (224, 168)
_HEADER = _QUERY + 2 * _PAD
_OTHER = (_QUERY - _BESIDE) // 2
_MAX_QUERY_FACES = 6
_NO_HIT = 90

_BACKGROUND, _PANEL, _WELL = (24, 26, 30), (38, 41, 47), (28, 30, 35)
_INK, _SOFT, _FAINT = (238, 240, 243), (196, 201, 210), (150, 157, 168)
_QUERY_COLOUR = (104, 170, 255)
_VERDICT_COLOURS = {
    Verdict.strong: (88, 214, 141),
    Verdict.likely: (190, 214, 82),
    Verdict.possible: (246, 185, 73),
    Verdict.unlikely: (160, 167, 178),
}
_DATED_BY = {"file": "file date ", "name": "by name ", "xmp": "XMP ", "iptc": "IPTC "}
_LOW_QUALITY = 0.2
_LONGEST_NAME = 255


def check_sheet_name(path: Path) -> None:
    """Raise `UsageError` unless the file name is that of a picture."""
    check_picture_name(path, "a contact sheet is a picture")


def save_sheet(
    answer: Answer,
    threshold: float | None,
    path: Path,
    *,
    seconds: float | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> list[Path]:
    """Draw the query and its hits, each with its face and the photo with the face framed. Return the files written.

    Up to `MAX_HITS_A_PAGE` hits are on `path`, more on pages next to it: `name-2.jpg`, `name-3.jpg`, up to `MAX_PAGES`.
    Only earlier sheets of these names are replaced. `seconds` is the time the answer took. For a photo that can no
    longer be read, a text says so. Raises `UsageError` unless the file name is that of a picture, `StorageError` if a
    page cannot be written.
    """
    check_sheet_name(path)
    starts = range(0, max(1, len(answer.hits)), MAX_HITS_A_PAGE)[:MAX_PAGES]
    paths = [path, *(_page_path(path, page) for page in range(2, len(starts) + 1))]
    for page_path in paths:
        check_may_be_written(page_path)
    for number, start in enumerate(starts, start=1):
        facts = _facts(answer, threshold, seconds)
        facts += [f"page {number} of {len(starts)}"] * (len(starts) > 1)
        left_out = len(answer.hits) - MAX_PAGES * MAX_HITS_A_PAGE
        facts += [f"the last {counted(left_out, 'hit')} not shown"] * (left_out > 0)
        page = _Page(answer, threshold, answer.hits[start : start + MAX_HITS_A_PAGE], facts, max_pixels)
        save_picture(page.drawn(), paths[number - 1])
    return paths


def _page_path(path: Path, page: int) -> Path:
    """Return `name-2.png`, shortened if the name would be longer than a file system allows."""
    stem, ending = path.stem, f"-{page}{path.suffix}"
    while len(os.fsencode(stem + ending)) > _LONGEST_NAME:
        stem = stem[:-1]
    return path.with_name(stem + ending)


def _facts(answer: Answer, threshold: float | None, seconds: float | None) -> list[str]:
    """Return short facts on the query and its hits."""
    probe = answer.probe
    hits = [hit for hit in answer.hits if not hit.is_query]
    below = sum(is_below(hit, threshold) for hit in hits)
    facts = []
    if probe.others:
        facts.append(f"{1 + len(probe.others)} photos of one person")
    elif probe.of > 1:
        facts.append(f"face {probe.number} of {probe.of}")
    facts.append(counted(len(hits), "hit") + (f", {below:,} below the threshold" if below else ""))
    facts.append(f"{counted(answer.searched, 'face')} searched")
    if probe.found:
        facts.append(f"expanded with {counted(probe.found, 'strong hit')}")
    if answer.person is not None and probe.person is None:
        facts.append(person_line(answer, threshold))
    if seconds is not None:
        facts.append(f"answered in {seconds:.2f} s")
    facts.append("no threshold" if threshold is None else f"threshold {threshold:g}")
    if any(hit.verdict is not None and hit.expected_false_hits is None and hit.via == "face" for hit in hits):
        facts.append(f"false hits {shown_expectation(None)}")
    return facts


def _remarks(hit: Hit, threshold: float | None) -> str:
    quality, expected = hit.face.quality, hit.expected_false_hits
    poor = quality is not None and quality < _LOW_QUALITY
    unknown = expected is None or hit.is_query or hit.via == "person"
    strangers = [] if unknown else [f"{shown_expectation(expected)} false hits"]
    return "  ·  ".join(strangers + remarks(hit, threshold) + ["low quality"] * poor)


def _packed(facts: Sequence[str], size: int, width: float) -> list[str]:
    """Return the facts on as few lines as possible."""
    lines: list[str] = []
    for fact in facts:
        longer = f"{lines[-1]}  ·  {fact}" if lines else fact
        if lines and text_width(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(fact)
    return lines


def _read(path: str) -> bytes:
    """Read a query photo. Raises `OSError`."""
    if not os.path.isfile(path):  # reading from a pipe would never end
        raise FileNotFoundError(path)
    return Path(path).read_bytes()


class _Page:
    """The layout of one page of a sheet."""

    def __init__(
        self, answer: Answer, threshold: float | None, hits: Sequence[Hit], facts: list[str], max_pixels: int
    ) -> None:
        from PIL import Image, ImageDraw

        self._answer = answer
        self._threshold = threshold
        self._hits = hits
        self._facts = facts
        self._max_pixels = max_pixels
        self._columns = min(_COLUMNS, max(_FEWEST_COLUMNS, len(answer.hits)))
        remarks = any(_remarks(hit, threshold) for hit in hits)
        self._row = 2 * _PAD + _FACE + (_REMARK_LINE if remarks else _NAME_LINE) + _LAST_LINE
        self._width = self._columns * (_CELL + _GAP) - _GAP
        rows = -(-len(hits) // self._columns)
        below = rows * (self._row + _GAP) if hits else _NO_HIT + _GAP
        self._picture = Image.new("RGB", (self._width + 2 * _MARGIN, _HEADER + below + 2 * _MARGIN), _BACKGROUND)
        self._draw = ImageDraw.Draw(self._picture)

    def drawn(self) -> Picture:
        """Draw the page and return it."""
        self._header()
        top = _MARGIN + _HEADER + _GAP
        for number, hit in enumerate(self._hits):
            row, column = divmod(number, self._columns)
            self._cell(hit, _MARGIN + column * (_CELL + _GAP), top + row * (self._row + _GAP))
        if not self._hits:
            self._panel((_MARGIN, top), (self._width, _NO_HIT))
            middle = (_MARGIN + self._width / 2, top + _NO_HIT / 2)
            draw_text(self._draw, middle, self._nothing(), 18, _SOFT, width=self._width - 2 * _PAD, anchor="mm")
        return self._picture

    def _nothing(self) -> str:
        if self._threshold is None:
            return "no face was found"
        nearest = self._answer.nearest
        best = f"; the nearest has {nearest.similarity:.3f}" if nearest else ""
        return f"no face reached a similarity of {self._threshold:g}{best}"

    def _header(self) -> None:
        self._panel((_MARGIN, _MARGIN), (self._width, _HEADER))
        left, top = _MARGIN + _PAD, _MARGIN + _PAD
        left = self._query(left, top) + 20
        width = _MARGIN + self._width - _PAD - left
        probe = self._answer.probe
        first, *others = [os.path.basename(path) for path in probe.paths]
        first = first if probe.person is None else probe.name or ""
        baseline = top + 28
        draw_text(self._draw, (left, baseline), first, 24, _INK, width=width, bold=True)
        if others:
            baseline += 22
            draw_text(self._draw, (left, baseline), ", ".join(others), 15, _FAINT, width=width)
        for line in _packed(self._facts, 17, width):
            baseline += 24
            draw_text(self._draw, (left, baseline), line, 17, _SOFT, width=width)
        if baseline + 40 <= top + _QUERY:
            self._verdicts(left, baseline + 18)

    def _verdicts(self, left: int, top: int) -> None:
        """Draw the number of hits per verdict, of all pages together."""
        for verdict, colour in _VERDICT_COLOURS.items():
            number = sum(hit.verdict is verdict and not hit.is_query for hit in self._answer.hits)
            if number:
                text = f"{number:,} {verdict}"
                draw_pill(self._picture, (left, top), text, 14, colour)
                left += pill_size(text, 14)[0] + 8

    def _query(self, left: int, top: int) -> int:
        """Draw the query face, and its photo or the faces of its other photos; return their right edge."""
        probe = self._answer.probe
        read = partial(_read, probe.path)
        pictures = self._pictures(read, probe.face.detection.box, _QUERY_COLOUR, _QUERY, _QUERY_PHOTO)
        self._face(pictures and pictures[0], (left, top), _QUERY)
        left += _QUERY + _BESIDE
        if probe.others:
            return left + self._others(left, top)
        if pictures is None:
            return left - _BESIDE
        self._well((left, top), _QUERY_PHOTO, pictures[1])
        return left + _QUERY_PHOTO[0]

    def _others(self, left: int, top: int) -> int:
        """Draw the other faces of a template in two rows; return their width."""
        shown = self._answer.probe.others[: _MAX_QUERY_FACES - 1]
        for number, other in enumerate(shown):
            box, (column, row) = other.face.detection.box, divmod(number, 2)
            pictures = self._pictures(partial(_read, other.path), box, _QUERY_COLOUR, _OTHER, (_OTHER, _OTHER))
            at = left + column * (_OTHER + _BESIDE), top + row * (_OTHER + _BESIDE)
            self._face(pictures and pictures[0], at, _OTHER)
        return -(-len(shown) // 2) * (_OTHER + _BESIDE) - _BESIDE

    def _cell(self, hit: Hit, left: int, top: int) -> None:
        self._panel((left, top), (_CELL, self._row))
        left, top = left + _PAD, top + _PAD
        colour = _QUERY_COLOUR if hit.is_query else _VERDICT_COLOURS[hit.verdict] if hit.verdict else _INK
        read = partial(read_known, hit.face.file)
        size = _PHOTO if hit.via_face is None else (_PHOTO[0] - _LINKING - _BESIDE, _PHOTO[1])
        pictures = self._pictures(read, hit.face.detection.box, colour, _FACE, size)
        if pictures is None:
            self._lost((left, top), (_FACE + _BESIDE + size[0], _FACE))
        else:
            self._face(pictures[0], (left, top), _FACE)
            self._well((left + _FACE + _BESIDE, top), size, pictures[1])
        if hit.via_face is not None:
            self._linking(hit.via_face, left + _INNER - _LINKING, top)
        self._score(hit, left, top + _FACE + _SCORE_LINE, colour)
        self._name(hit, left, top + _FACE + _NAME_LINE)
        draw_text(
            self._draw, (left, top + _FACE + _REMARK_LINE), _remarks(hit, self._threshold), 13, _SOFT, width=_INNER
        )

    def _linking(self, face: FaceRecord, left: int, top: int) -> None:
        """Draw the face that links a hit to the query, with the name of its photo."""
        read = partial(read_known, face.file)
        pictures = self._pictures(read, face.detection.box, _QUERY_COLOUR, _LINKING, (_LINKING, _LINKING))
        draw_text(self._draw, (left, top + 12), "same as", 13, _SOFT, width=_LINKING)
        self._face(pictures and pictures[0], (left, top + 20), _LINKING)
        name = os.path.basename(os.fsdecode(face.path))
        draw_text(self._draw, (left, top + _LINKING + 36), name, 11, _FAINT, width=_LINKING)

    def _score(self, hit: Hit, left: int, baseline: int, colour: Colour) -> None:
        """Draw rank, similarity and verdict on the left, the date on the right."""
        x: float = left
        if not hit.is_query:
            x += draw_text(self._draw, (x, baseline), f"{hit.rank}", 17, _FAINT) + 12
        x += draw_text(self._draw, (x, baseline), f"{hit.similarity:.3f}", 20, _INK, bold=True) + 12
        word = "query photo" if hit.is_query else hit.verdict
        if word:
            draw_pill(self._picture, (round(x), baseline - 15), word, 13, colour)
        date = _DATED_BY.get(hit.face.date_source, "") + hit.face.day
        draw_text(self._draw, (left + _INNER, baseline), date, 13, _FAINT, anchor="rs")

    def _name(self, hit: Hit, left: int, baseline: int) -> None:
        """Draw the file name, and its folder if there is room."""
        folder, name = os.path.split(os.fsdecode(hit.face.path))
        used = draw_text(self._draw, (left, baseline), name, 15, _INK, width=_INNER) + 10
        if _INNER - used > 70:
            draw_text(self._draw, (left + used, baseline), folder, 13, _FAINT, width=_INNER - used)

    def _pictures(
        self, read: Callable[[], bytes], box: Box, colour: Colour, side: int, size: tuple[int, int]
    ) -> tuple[Picture, Picture] | None:
        """Return the face and the photo with the face framed, or None if the photo cannot be read now."""
        try:
            photo = Photo(read(), max_pixels=self._max_pixels)
            return face_picture(photo, box, side), whole_picture(photo, size, {box: colour})
        except (OSError, PhotoError):
            return None

    def _face(self, face: Picture | None, at: tuple[int, int], side: int) -> None:
        if face is None:
            self._lost(at, (side, side))
        else:
            draw_rounded(self._picture, at, face.size, _CORNER, face)

    def _panel(self, at: tuple[int, int], size: tuple[int, int]) -> None:
        draw_rounded(self._picture, at, size, _CORNER + 2, _PANEL)

    def _well(self, at: tuple[int, int], size: tuple[int, int], photo: Picture) -> None:
        """Draw a photo of any shape in the middle of an area of fixed size."""
        draw_rounded(self._picture, at, size, _CORNER, _WELL)
        middle = at[0] + (size[0] - photo.width) // 2, at[1] + (size[1] - photo.height) // 2
        draw_rounded(self._picture, middle, photo.size, 4, photo)

    def _lost(self, at: tuple[int, int], size: tuple[int, int]) -> None:
        draw_rounded(self._picture, at, size, _CORNER, _WELL)
        middle = at[0] + size[0] / 2, at[1] + size[1] / 2
        text = "this photo cannot be read now" if size[0] > 250 else "cannot be read"
        draw_text(self._draw, middle, text, 15 if size[0] > 150 else 11, _FAINT, width=size[0] - 8, anchor="mm")
