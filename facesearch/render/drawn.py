"""Draw a photo with its faces framed and labelled."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.errors import PhotoError
from facesearch.photos.picture import Photo
from facesearch.render.drawing import draw_frame, draw_pill, fitted, pill_size
from facesearch.render.pictures import (
    check_may_be_written,
    check_picture_name,
    save_picture,
    scaled_corners,
    whole_picture,
)

if TYPE_CHECKING:
    from facesearch.search.naming import NamedFace
    from facesearch.types import Detection

    Corners = tuple[float, float, float, float]

__all__ = ["check_drawn_name", "check_may_be_drawn", "draw_found", "save_drawn"]

_LONGER_SIDE = 2560
_COLOURS = ((88, 214, 141), (104, 170, 255), (246, 185, 73), (240, 130, 170), (120, 220, 225), (190, 214, 82))
_DOT = (255, 240, 120)
_LEAST_TEXT, _TEXTS = 12, 60
_OWN_FACE, _ANYTHING_ELSE = 1, 5


def check_drawn_name(path: Path) -> None:
    """Raise `UsageError` unless the file name is that of a picture."""
    check_picture_name(path, "faces are drawn into a picture")


def check_may_be_drawn(path: Path) -> None:
    """Raise what `check_drawn_name` and `check_may_be_written` raise."""
    check_drawn_name(path)
    check_may_be_written(path)


def draw_found(faces: Sequence[NamedFace], path: Path, *, max_pixels: int) -> None:
    """Draw the photo of these faces, each framed, numbered and named. Raises what `save_drawn` raises."""
    source = faces[0].probe.path
    try:
        data = Path(source).read_bytes()
    except OSError as error:  # it was there a moment ago
        raise PhotoError(f"{source}: cannot be read ({error.strerror}); check the path") from error
    photo = Photo(data, max_pixels=max_pixels)
    save_drawn(photo, [(one.probe.face.detection, _label(one)) for one in faces], path)


def _label(one: NamedFace) -> str:
    return str(one.probe.number) if one.person is None else f"{one.probe.number} {one.person}"


def save_drawn(photo: Photo, faces: Sequence[tuple[Detection, str]], path: Path) -> None:
    """Draw a photo with a frame around each face, dots at its landmarks, and a label next to the frame.

    The picture has at most 2560 pixels on its longer side; lines and labels are in proportion to it. Labels stay inside
    the picture and off the faces as far as there is room; a label wider than the picture is shortened in the middle.
    Raises `UsageError` unless the file name is that of a picture, `PhotoError` if the photo cannot be decoded,
    `StorageError` if the file cannot be written.
    """
    from PIL.ImageDraw import Draw

    check_drawn_name(path)
    picture = whole_picture(photo, (_LONGER_SIDE, _LONGER_SIDE), {})
    draw = Draw(picture)
    scale = max(picture.size) / max(photo.size)
    side = math.sqrt(picture.width * picture.height)
    line, text_size = max(2, round(side / 500)), max(_LEAST_TEXT, round(side / _TEXTS))
    frames = [scaled_corners(detection.box, scale, picture.size) for detection, _ in faces]
    # Different colours show in a crowd which label belongs to which face.
    colours = [_COLOURS[number % len(_COLOURS)] for number in range(len(faces))]
    for (detection, _), frame, colour in zip(faces, frames, colours, strict=True):
        draw_frame(draw, frame, colour, line)
        for x, y in (detection.landmarks * scale).tolist():
            draw.circle((x, y), line * 0.8, _DOT)
    placed: list[Corners] = []
    for number, (_, text) in enumerate(faces):
        label = fitted(text, text_size, picture.width - 1.5 * text_size)
        others = frames[:number] + frames[number + 1 :] + placed
        place = _place(pill_size(label, text_size), frames[number], others, picture.size, gap=2 * line)
        draw_pill(picture, (round(place[0]), round(place[1])), label, text_size, colours[number])
        placed.append(place)
    save_picture(picture, path)


def _place(
    size: tuple[int, int], frame: Corners, others: Sequence[Corners], within: tuple[int, int], gap: int
) -> Corners:
    """Return the place where a label covers least; its own face counts less than another face or label."""

    def covered(place: Corners) -> float:
        return _OWN_FACE * _shared(place, frame) + _ANYTHING_ELSE * sum(_shared(place, other) for other in others)

    return min(_places(size, frame, within, gap), key=covered)


def _places(size: tuple[int, int], frame: Corners, within: tuple[int, int], gap: int) -> Iterator[Corners]:
    """Yield places around a frame, the preferred ones first, moved into the picture if needed."""
    (width, height), (left, top, right, bottom) = size, frame
    above, below, before, after = top - height - gap, bottom + gap, left - width - gap, right + gap
    centre, middle = (left + right - width) / 2, (top + bottom - height) / 2
    for x, y in (
        (centre, above), (left, above), (right - width, above),
        (centre, below), (left, below), (right - width, below),
        (after, top), (after, middle), (after, bottom - height),
        (before, top), (before, middle), (before, bottom - height),
    ):  # fmt: skip
        inside_x, inside_y = max(0.0, min(x, within[0] - width)), max(0.0, min(y, within[1] - height))
        yield inside_x, inside_y, inside_x + width, inside_y + height


def _shared(one: Corners, other: Corners) -> float:
    """Return the area that two rectangles share, in square pixels."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)
