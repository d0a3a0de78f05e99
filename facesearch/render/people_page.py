"""The people of an index as pictures: a contact sheet, and a page with the pictures inside that works offline."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.errors import PhotoError, UsageError
from facesearch.files import output_file
from facesearch.photos.crop import face_picture
from facesearch.photos.known import read_known
from facesearch.photos.picture import Photo
from facesearch.render.face_tiles import MOST_PANELS, FacePanel, FaceTile, check_tiles_name, save_face_tiles
from facesearch.render.pictures import check_may_be_written
from facesearch.settings import DEFAULT_MAX_PIXELS
from facesearch.visible import visible
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.api.results import FaceRecord, PersonPart, PersonSummary

__all__ = [
    "MOST_PANELS",
    "check_page_name",
    "check_tiles_name",
    "save_parts_sheet",
    "save_people_page",
    "save_people_sheet",
]

_SIDE, _QUALITY = 240, 85
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1d22; --soft: #5b616c; --ground: #f4f5f7; --card: #fff; --line: #dfe2e7; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #eef0f3; --soft: #a9b0bb; --ground: #181a1e; --card: #26292f; --line: #383c44; }
}
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.4 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
p { margin: 0; color: var(--soft); }
ul { list-style: none; margin: 1.5rem 0 0; padding: 0; display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); }
li { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: .75rem; }
img, .lost { display: block; width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: .5rem; }
.lost { display: grid; place-content: center; text-align: center; background: var(--ground); color: var(--soft); }
h2 { font-size: 1rem; margin: .6rem 0 0; overflow-wrap: anywhere; }
"""


def check_page_name(path: Path) -> None:
    """Raise `UsageError` unless the file name is that of a page, `StorageError` if it cannot be written."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{path}: a page is an .html file; choose such a name")
    check_may_be_written(path)


def save_people_sheet(people: Sequence[PersonSummary], covers: Mapping[int, FaceRecord], path: Path) -> None:
    """Draw a face of each person with name, number and photos; at most `MOST_PANELS` people.

    Raises what `save_face_tiles` raises.
    """
    panels = [
        FacePanel([FaceTile(covers[one.number].file, covers[one.number].detection.box, _lines(one))])
        for one in people
        if one.number in covers
    ]
    save_face_tiles(panels, path, title=counted(len(people), "person", "people"))


def save_parts_sheet(parts: Sequence[PersonPart], path: Path) -> None:
    """Draw faces of each part of a person. Raises what `save_face_tiles` raises."""
    panels = [
        FacePanel(
            [
                FaceTile(face.file, face.detection.box, (os.path.basename(os.fsdecode(face.path)),))
                for face in one.samples
            ],
            f"part {one.number}: {counted(one.photos, 'photo')}",
        )
        for one in parts
    ]
    save_face_tiles(panels, path)


def save_people_page(
    people: Sequence[PersonSummary], covers: Mapping[int, FaceRecord], path: Path, *, where: str,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> None:  # fmt: skip
    """Write a page with a face of each person; `where` names the index. Nothing on it is loaded from elsewhere.

    Raises `UsageError` for another file name, `StorageError` if it cannot be written.
    """
    check_page_name(path)
    with output_file(path) as stream:
        for part in _page(people, covers, where, max_pixels):
            stream.write(part.encode())


def _page(
    people: Sequence[PersonSummary], covers: Mapping[int, FaceRecord], where: str, max_pixels: int
) -> Iterator[str]:
    style = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{style}'"
    yield (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>People</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{_STYLE}</style>\n</head>\n'
        f"<body>\n<main>\n<h1>{counted(len(people), 'person', 'people')}</h1>\n<p>{_text(where)}</p>\n<ul>\n"
    )
    for one in people:
        name, *facts = _lines(one)
        told = "".join(f"<p>{_text(fact)}</p>" for fact in facts)
        yield f"<li>{_face(one, covers.get(one.number), max_pixels)}<h2>{_text(name)}</h2>{told}</li>\n"
    yield "</ul>\n</main>\n</body>\n</html>\n"


def _face(one: PersonSummary, face: FaceRecord | None, max_pixels: int) -> str:
    try:
        if face is None:
            raise PhotoError("no photo")
        photo = Photo(read_known(face.file), max_pixels=max_pixels)
        picture = face_picture(photo, face.detection.box, _SIDE)
    except (OSError, PhotoError):
        return '<span class="lost">no picture</span>'
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=_QUALITY)
    data = base64.b64encode(encoded.getvalue()).decode()
    return f'<img alt="{_text(one.called)}" loading="lazy" src="data:image/jpeg;base64,{data}">'


def _lines(one: PersonSummary) -> list[str]:
    """Return what is shown of a person: the name or number first."""
    number = [] if one.name is None else [f"#{one.number}"]
    first, last = (one.first[:4], one.last[:4]) if one.first[:4] != one.last[:4] else (one.first, one.last)
    return [one.called, *number, counted(one.photos, "photo"), first if first == last else f"{first} to {last}"]


def _text(text: str) -> str:
    return html.escape(visible(text))
