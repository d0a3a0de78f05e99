"""A gallery: the answers to a query as one self-contained HTML page.

The page is written card by card into a temporary file, so that memory does not grow with the number of hits. Pictures
are embedded as data: URIs; the content security policy forbids the browser to load anything else, or to run any script
but the page's own. Without scripts all hits are shown, best first. File names can be any bytes: they are text in the
page, percent-encoded in links, and escaped in the record for the script.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from facesearch.errors import PhotoError, StorageError, UsageError
from facesearch.machine import available_cores
from facesearch.photos.crop import face_picture
from facesearch.photos.known import read_known
from facesearch.photos.picture import Photo
from facesearch.render.answers import is_below, person_line, shown_expectation
from facesearch.render.pictures import check_may_be_written, scaled_corners, whole_picture
from facesearch.render.records import answers_record, shown_path
from facesearch.search.probes import Probe
from facesearch.search.result import Answer, Hit
from facesearch.settings import DEFAULT_MAX_PIXELS
from facesearch.types import FaceRecord, KnownFile
from facesearch.wording import counted

if TYPE_CHECKING:
    from PIL.Image import Image

    from facesearch.types import Box

__all__ = ["MAX_HITS", "VIEWER_STYLE", "check_gallery_name", "save_gallery"]

MAX_HITS = 2000
"""The maximum number of hits per page; browsers open larger files slowly."""

_SUFFIXES = (".html", ".htm")
VIEWER_STYLE = Path(__file__).with_name("viewer.css")
"""The style that galleries share with the pages of the server."""

_TEMPLATE = Path(__file__).with_name("gallery.html")
_JPEG_QUALITY = 80
_QUERY_FACES_SHOWN = 12
_LARGEST_PHOTO, _SMALLEST_PHOTO, _SMALLEST_FACE, _LINKING_FACE = 640, 200, 176, 64
_ALL_PHOTOS = 40e6
_MOST_THREADS, _AHEAD = 4, 16
_DATED_BY = {
    "exif": "from EXIF", "xmp": "from XMP", "iptc": "from IPTC", "name": "from its name", "file": "file time",
}  # fmt: skip
_NO_CONTROLS = dict.fromkeys((*range(32), 127), "\ufffd")
_NO_MARKUP = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&"})


def check_gallery_name(path: Path) -> None:
    """Raise `UsageError` unless the file name is that of a web page."""
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"{path}: a gallery is a web page; end its name in .html")


def save_gallery(
    answers: Sequence[Answer],
    threshold: float | None,
    index: dict[str, Any],
    path: Path,
    *,
    seconds: float | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> None:
    """Write the answers as one HTML file, each with its query and its best hits, at most `MAX_HITS` in all.

    `index` has the `path`, `model`, `faces` and `photos` of the index, `seconds` is the time the search took. A photo
    that can no longer be read is shown with the reason instead of its pictures. Raises `UsageError` unless the file
    name is that of a web page, `StorageError` if the file cannot be written; an earlier file is then left as it was.
    """
    check_gallery_name(path)
    check_may_be_written(path)
    path = path.resolve()  # a symbolic link stays, and leads to the new page
    unfinished = path.with_name(f".facesearch-{os.getpid()}.tmp")
    try:
        with unfinished.open("w", encoding="utf-8", newline="\n") as page:
            page.writelines(_page(answers, threshold, index, seconds, max_pixels))
        unfinished.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error}); check the folder") from error
    finally:
        if os.path.exists(unfinished):
            unfinished.unlink()


def _page(
    answers: Sequence[Answer], threshold: float | None, index: dict[str, Any], seconds: float | None, max_pixels: int
) -> Iterator[str]:
    template = _TEMPLATE.read_text(encoding="utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", template, re.DOTALL)
    shown = _best_of_each(answers)
    one = len(answers) == 1
    values: dict[str, Iterable[str]] = {
        "title": [_title(answers[0].probe) if one else f"{len(answers):,} queries"],
        "viewer": [VIEWER_STYLE.read_text(encoding="utf-8")],
        "script_hash": [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()],
        "heading": ["Photos of this person" if one else f"Results of {len(answers):,} queries"],
        "summary": [_summary(threshold, index, seconds)],
        "answers": _in_order(_answer_parts(answers, shown, threshold, max_pixels)),
        "record": [json.dumps(answers_record(shown, threshold, index)).translate(_NO_MARKUP)],
    }
    for number, part in enumerate(re.split(r"\{\{(\w+)\}\}", template)):
        yield from values[part] if number % 2 else [part]


def _title(probe: Probe) -> str:
    return (
        f"Photos of the person in {_name(probe.path)}"
        if probe.person is None
        else f"Photos of {_text(probe.name or '')}"
    )


def _best_of_each(answers: Sequence[Answer]) -> list[Answer]:
    """Limit the answers to `MAX_HITS` hits in all: an equal share each, and what short answers leave to the others."""
    room, limit = MAX_HITS, 0
    for place, count in enumerate(sorted(len(answer.hits) for answer in answers)):
        limit = max(1, room // (len(answers) - place))
        room -= min(count, limit)
    room, shown = MAX_HITS, []
    for answer in answers:
        shown.append(replace(answer, hits=answer.hits[: min(limit, room)]))
        room -= len(shown[-1].hits)
    return shown


def _in_order(parts: Iterable[Callable[[], str]]) -> Iterator[str]:
    """Yield the results of the parts in order, made by a few threads that never run far ahead of the writer."""
    waiting: deque[Future[str]] = deque()
    with ThreadPoolExecutor(min(_MOST_THREADS, available_cores())) as pool:
        for part in parts:
            waiting.append(pool.submit(part))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _answer_parts(
    answers: Sequence[Answer], shown: Sequence[Answer], threshold: float | None, max_pixels: int
) -> Iterator[Callable[[], str]]:
    # The more hits, the smaller their photos: a page stays below about forty megabytes.
    hits = max(1, sum(len(answer.hits) for answer in shown))
    side = round(min(_LARGEST_PHOTO, max(_SMALLEST_PHOTO, (_ALL_PHOTOS / hits) ** 0.5)))
    for number, (answer, kept) in enumerate(zip(answers, shown, strict=True)):
        yield partial(_query, number, answer, threshold, max_pixels)
        for place, hit in enumerate(kept.hits):
            yield partial(_card, f"hit-{number}-{place}", hit, threshold, side, max_pixels)
        yield partial(_end, len(answer.hits) - len(kept.hits))


def _query(number: int, answer: Answer, threshold: float | None, max_pixels: int) -> str:
    """Return the header of an answer: the query and the number of hits."""
    probe = answer.probe
    pictured = (probe, *probe.others)[:_QUERY_FACES_SHOWN]
    others = f" and {counted(len(probe.others), 'other photo')}" if probe.others else ""
    facts = [f"Face {probe.number} of {probe.of} in the photo"] if probe.of > 1 and not probe.others else []
    facts += [f"The first {len(pictured)} are shown"] if len(pictured) < len(probe.paths) else []
    facts += [f"Expanded with {counted(probe.found, 'strong hit')}"] if probe.found else []
    found = [hit for hit in answer.hits if not hit.is_query]
    below = sum(is_below(hit, threshold) for hit in found)
    facts += [f"{counted(len(found), 'hit')} among {counted(answer.searched, 'face')} searched"]
    facts[-1] += f", {below:,} below the threshold" if below else ""
    facts += [person_line(answer, threshold).capitalize()] if answer.person is not None and probe.person is None else []
    facts += [] if answer.hits else [_nothing(answer, threshold)]
    return (
        f'<section class="answer" aria-labelledby="query-{number}">\n<header class="query">\n<div class="asked">'
        + "".join(_query_face(one, max_pixels, named=len(pictured) > 1) for one in pictured)
        + f'</div>\n<div><h2 id="query-{number}">{_asked_for(probe)}{others}</h2>\n'
        + f'<p class="folder"><bdi>{_text(os.path.dirname(os.path.abspath(probe.path)))}</bdi></p>\n'
        + "".join(f"<p>{fact}</p>\n" for fact in facts)
        + f'</div>\n</header>\n<ol class="hits"{"" if answer.hits else " hidden"}>\n'
    )


def _asked_for(probe: Probe) -> str:
    return _link(os.fsencode(probe.path)) if probe.person is None else _text(probe.name or "")


def _nothing(answer: Answer, threshold: float | None) -> str:
    nearest = answer.nearest
    reached = " was found" if threshold is None else f" reaches a similarity of {threshold:g}"
    near = f"; the nearest has {nearest.similarity:.3f}: {_link(nearest.face.path)}" if nearest else ""
    return f"No photo{reached}{near}"


def _query_face(probe: Probe, max_pixels: int, *, named: bool) -> str:
    path, name = os.fsencode(probe.path), _name(probe.path)
    try:
        face = face_picture(Photo(_read(path), max_pixels=max_pixels), probe.face.detection.box, _LARGEST_PHOTO // 2)
        picture = _image(face, "face", f"The query face, in {name}")
    except (OSError, PhotoError) as error:
        picture = _lost(error)
    return f"<figure>{picture}{f'<figcaption>{_link(path)}</figcaption>' if named else ''}</figure>"


def _card(identity: str, hit: Hit, threshold: float | None, side: int, max_pixels: int) -> str:
    face = hit.face
    folder, name = os.path.split(os.fsdecode(face.path))
    rank = "query photo" if hit.is_query else f'<span class="rank">{hit.rank}</span>'
    return (
        f'<li class="hit" id="{identity}">\n'
        f'<a class="pictures" href="{_url(face.path)}" target="_blank" rel="noopener" tabindex="-1">'
        f"{_pictures(face.file, face.detection.box, _text(name), side, max_pixels)}</a>\n"
        f'<p class="score">{rank} <strong>{hit.similarity:.3f}</strong>{_remarks(hit, threshold)}</p>\n'
        f'<h3>{_link(face.path)}</h3>\n<p class="folder"><bdi>{_text(folder)}</bdi></p>\n'
        f"{_via(hit.via_face, max_pixels)}<dl>{_facts(hit)}</dl>\n{_folded(hit.folded)}</li>\n"
    )


def _via(face: FaceRecord | None, max_pixels: int) -> str:
    """Return the face that links a hit to the query, for a hit through the person."""
    if face is None:
        return ""
    name = _text(os.path.basename(os.fsdecode(face.path)))
    try:
        photo = Photo(read_known(face.file), max_pixels=max_pixels)
        picture = _image(face_picture(photo, face.detection.box, _LINKING_FACE), "linking", f"The face in {name}")
    except (OSError, PhotoError):
        picture = ""
    return f'<p class="via">{picture}<span>the person in {_link(face.path)}</span></p>\n'


def _remarks(hit: Hit, threshold: float | None) -> str:
    verdict = f' <span class="verdict" data-verdict="{hit.verdict}">{hit.verdict}</span>' if hit.verdict else ""
    remarks = {
        "through other photos": hit.via_face is not None,
        "somebody else": hit.somebody_else,
        "before birth": hit.before_birth,
        "below threshold": is_below(hit, threshold),
        "offline": hit.offline,
    }
    return verdict + "".join(f' <span class="note">{remark}</span>' for remark, true in remarks.items() if true)


def _facts(hit: Hit) -> str:
    quality, expected = hit.face.quality, hit.expected_false_hits
    facts = {"Date": _date(hit)}
    if quality is not None:
        facts["Quality"] = f"{quality:.2f}"
    if hit.person is not None:
        facts["Person"] = _text(hit.face.name or f"#{hit.person}")
    if hit.verdict is not None and hit.via == "face":
        facts["Expected false hits"] = _text(shown_expectation(expected))
    return _list(facts)


def _date(hit: Hit) -> str:
    face = hit.face
    whole = face.date_precision in ("minute", "second")
    machine, shown = (face.date, face.date[:16].replace("T", " ")) if whole else (face.day, face.day)
    return f'<time datetime="{_text(machine)}">{_text(shown)}</time> ({_DATED_BY[face.date_source]})'


def _pictures(file: KnownFile, box: Box, name: str, side: int, max_pixels: int) -> str:
    """Return the face and the whole photo with a frame over it, or the reason why the photo cannot be read."""
    try:
        photo = Photo(read_known(file), max_pixels=max_pixels)
        face = face_picture(photo, box, max(_SMALLEST_FACE, side // 2))
        whole = whole_picture(photo, (side, side), {})
    except (OSError, PhotoError) as error:
        return _lost(error)
    left, top, right, bottom = scaled_corners(box, 1.0, photo.size)
    wide, tall = (100 / side for side in photo.size)
    frame = f"left:{left * wide:.2f}%;top:{top * tall:.2f}%"
    frame += f";width:{(right - left) * wide:.2f}%;height:{(bottom - top) * tall:.2f}%"
    return (
        f"{_image(face, 'face', f'The face found in {name}')}"
        f'<span class="photo" style="--w:{whole.width};--h:{whole.height}">'
        f"{_image(whole, 'whole', f'The whole photo {name}, the face framed')}"
        f'<span class="frame" style="{frame}"></span></span>'
    )


def _folded(hits: Sequence[Hit]) -> str:
    if not hits:
        return ""
    others = "".join(f"<li>{_link(hit.face.path)} {hit.similarity:.3f}</li>" for hit in hits)
    return f"<details><summary>{counted(len(hits), 'near-identical photo')}</summary><ul>{others}</ul></details>\n"


def _end(left_out: int) -> str:
    more = f'<p class="left-out">{counted(left_out, "more hit")} not shown: the limit of a page is {MAX_HITS:,}.</p>\n'
    return f"</ol>\n{more if left_out else ''}</section>\n"


def _summary(threshold: float | None, index: dict[str, Any], seconds: float | None) -> str:
    facts = {
        "Threshold": "none" if threshold is None else f"{threshold:g}",
        "Index": f"<bdi>{_text(str(index.get('path', '')))}</bdi>",
        "Faces": f"{index.get('faces', 0):,} in {counted(index.get('photos', 0), 'photo')}",
        "Model": _text(str(index.get("model", ""))),
        "Searched": f"{datetime.now():%Y-%m-%d %H:%M}" + ("" if seconds is None else f", in {seconds:.1f} s"),
    }
    return _list(facts)


def _list(facts: dict[str, str]) -> str:
    """Return the content of a `dl` element; the values are HTML."""
    return "".join(f"<div><dt>{fact}</dt> <dd>{value}</dd></div>" for fact, value in facts.items())


def _read(path: bytes) -> bytes:
    """Read a query photo. Raises `OSError`, `PhotoError`."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # reading from a pipe would never end
        raise PhotoError("not a regular file")
    with open(path, "rb") as stream:
        return stream.read()


def _lost(error: OSError | PhotoError) -> str:
    reason = error.strerror if isinstance(error, OSError) else None
    return f'<span class="lost">The photo cannot be read now ({_text(reason or str(error))})</span>'


def _image(picture: Image, kind: str, alt: str) -> str:
    """Return an `img` element with the picture inside; `alt` must be escaped."""
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=_JPEG_QUALITY)
    data = base64.b64encode(encoded.getvalue()).decode()
    size = f'width="{picture.width}" height="{picture.height}"'
    return (
        f'<img class="{kind}" alt="{alt}" {size} loading="lazy" decoding="async" src="data:image/jpeg;base64,{data}">'
    )


def _link(path: bytes) -> str:
    name = f"<bdi>{_name(os.fsdecode(path))}</bdi>"
    return f'<a class="original" href="{_url(path)}" target="_blank" rel="noopener">{name}</a>'


def _url(path: bytes) -> str:
    return "file://" + quote(os.path.abspath(path))


def _name(path: str) -> str:
    return _text(os.path.basename(path))


def _text(text: str) -> str:
    """Escape text for HTML; control characters and bytes that are not UTF-8 become U+FFFD."""
    return html.escape(shown_path(text).translate(_NO_CONTROLS))
