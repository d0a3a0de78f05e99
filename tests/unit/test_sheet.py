"""Contact sheets and drawn photos: their contents, not exact pixels."""

from __future__ import annotations

import errno
import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import known_file, toy_face
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from sample_library import FACES_IN_T1, shipped_photo
from skimage.measure import label, regionprops

from facesearch.errors import StorageError, UsageError
from facesearch.photos.picture import Photo
from facesearch.render import drawing, sheet
from facesearch.render.drawing import fitted, text_width
from facesearch.render.drawn import save_drawn
from facesearch.render.pictures import whole_picture
from facesearch.render.sheet import MAX_HITS_A_PAGE, save_sheet
from facesearch.search.probes import Probe
from facesearch.search.result import Answer, Hit
from facesearch.types import Box, Detection, FaceRecord, Somebody, Verdict

Rectangle = tuple[int, int, int, int]
Colour = tuple[int, int, int]

STRONG, LIKELY, QUERY = (88, 214, 141), (190, 214, 82), (104, 170, 255)
FACE = (100.0, 50.0, 60.0, 80.0)
GREY = (120, 120, 120)
SURE: dict[str, Any] = {"fmr": 1e-9, "expected_false_hits": 1e-8, "verdict": Verdict.strong}


def hit(rank: int, path: Path | bytes, similarity: float = 0.8, **more: Any) -> Hit:
    of_face: dict[str, Any] = {name: more.pop(name) for name in ("quality", "mtime_ns") if name in more}
    detection, taken_at = toy_face([1.0, 0.0], FACE).detection, more.pop("taken_at", "2019-07-14T10:11:12")
    file = known_file(path)
    of_face |= {"size": file.size, "content": file.content}
    row = FaceRecord(rank, rank, rank, 1, file.path, detection, taken_at, **of_face)
    return Hit(rank, similarity, row, **{**SURE, **more})


def probe(path: Path | str) -> Probe:
    return Probe(str(path), 1, 1, toy_face([1.0, 0.0], FACE))


def plain_photo(path: Path, colour: Colour = GREY, size: tuple[int, int] = (320, 240)) -> Path:
    Image.new("RGB", size, colour).save(path)
    return path


def pixels(path: Path) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def areas(mask: Any) -> list[Any]:
    """Return the connected regions of a mask."""
    return list(regionprops(label(mask, connectivity=1)))


def frames(shown: Any, colour: Colour) -> list[Rectangle]:
    """Return the hollow rectangles of a colour: top, left, bottom, right."""
    found = areas((shown == colour).all(axis=2))
    return [region.bbox for region in found if 100 < region.area < region.area_bbox * 0.45]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All drawn texts, in order."""
    texts: list[str] = []
    draw = ImageDraw.ImageDraw.text

    def noting(self: Any, xy: Any, text: str, *arguments: Any, **options: Any) -> None:
        texts.append(text)
        draw(self, xy, text, *arguments, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", noting)
    return texts


def test_a_sheet_shows_every_hit_framed_and_a_place_for_a_lost_photo(tmp_path: Path, written: list[str]) -> None:
    photo = plain_photo(tmp_path / "photo.png")
    found = [hit(1, photo), hit(2, b"/gone.jpg"), hit(3, photo)]
    assert save_sheet(Answer(probe(photo), found), 0.47, tmp_path / "sheet.png") == [tmp_path / "sheet.png"]
    shown = pixels(tmp_path / "sheet.png")
    assert len(frames(shown, STRONG)) == 2
    assert len(frames(shown, QUERY)) == 1
    assert written.count("this photo cannot be read now") == 1
    assert "gone.jpg" in written


def test_a_frame_is_where_the_face_is(tmp_path: Path) -> None:
    photo = plain_photo(tmp_path / "photo.png", (200, 30, 30))
    save_sheet(Answer(probe("/gone.jpg"), [hit(1, photo)]), 0.47, tmp_path / "sheet.png")
    shown = pixels(tmp_path / "sheet.png")
    ((top, left, bottom, right),) = frames(shown, STRONG)
    red = abs(shown - (200, 30, 30)).sum(axis=2) < 30
    thumbnail = next(region.bbox for region in areas(red) if region.bbox[1] < left and region.bbox[3] > right)
    scale = (thumbnail[3] - thumbnail[1]) / 320
    assert (left - thumbnail[1]) / scale == pytest.approx(FACE[0], abs=4)
    assert (top - thumbnail[0]) / scale == pytest.approx(FACE[1], abs=4)
    assert (right - left) / scale == pytest.approx(FACE[2], abs=6)
    assert (bottom - top) / scale == pytest.approx(FACE[3], abs=6)


def test_hits_stand_in_the_order_of_their_ranks(tmp_path: Path) -> None:
    colours = [(250, 0, 0), (0, 0, 250), (250, 0, 250), (0, 250, 250), (250, 250, 0), (0, 250, 0)]
    photos = [plain_photo(tmp_path / f"{number}.png", colour) for number, colour in enumerate(colours)]
    found = [hit(rank, photo) for rank, photo in enumerate(photos, start=1)]
    save_sheet(Answer(probe("/gone.jpg"), found), 0.47, tmp_path / "sheet.png")
    shown = pixels(tmp_path / "sheet.png")
    firsts = [np.argwhere((shown == colour).all(axis=2)).min(axis=0) for colour in colours]
    places = [(top // 50, left) for top, left in firsts]
    assert places == sorted(places)
    assert len({row for row, _ in places}) == 2, "hits wrap into a second row"


def test_the_header_shows_the_query(tmp_path: Path, written: list[str]) -> None:
    photo = plain_photo(tmp_path / "photo.png")
    answer = Answer(
        replace(probe(photo), number=2, of=3), [hit(1, photo), hit(2, photo, 0.25, verdict=Verdict.possible)], 1234
    )
    save_sheet(answer, 0.47, tmp_path / "sheet.png", seconds=0.384)
    header = " ".join(written)
    for fact in (
        "photo.png", "face 2 of 3", "2 hits, 1 below the threshold", "1,234 faces searched", "answered in 0.38 s",
        "threshold 0.47", "1 strong", "1 possible",
    ):  # fmt: skip
        assert fact in header
    assert "page" not in header
    written.clear()
    save_sheet(Answer(probe(photo), [hit(1, photo)], 1), None, tmp_path / "sheet.png")
    assert "1 hit  ·  1 face searched" in " ".join(written)
    assert "no threshold" in " ".join(written)
    assert "answered" not in " ".join(written)


def test_a_hit_shows_its_special_properties(tmp_path: Path, written: list[str]) -> None:
    photo = plain_photo(tmp_path / "photo.png")
    plain = hit(1, photo, 0.81234)
    found = [
        replace(plain, rank=0, is_query=True), plain,
        hit(2, b"/summer/x.jpg", 0.2, verdict=Verdict.unlikely, offline=True, expected_false_hits=340.4),
        hit(3, photo, quality=0.1, folded=(plain, plain, plain), taken_at=None, mtime_ns=10**18),
    ]  # fmt: skip
    save_sheet(Answer(probe(photo), found), 0.47, tmp_path / "sheet.png")
    for text in (
        "query photo", "0.812", "strong", "2019-07-14", "340 false hits  ·  below threshold  ·  offline",
        "unlikely", "<0.001 false hits  ·  +3 near-identical  ·  low quality", "file date 2001-09-09", "x.jpg",
        "/summer",
    ):  # fmt: skip
        assert text in written, text
    assert not any("not measured" in text for text in written)
    assert "0" not in written, "the query photo has no rank"


def test_a_hit_through_the_person_shows_the_face_that_links_it(tmp_path: Path, written: list[str]) -> None:
    photo, other = plain_photo(tmp_path / "photo.png"), plain_photo(tmp_path / "known.png", colour=(200, 40, 40))
    direct = hit(1, other)
    linked = replace(hit(2, photo, 0.2), via="person", via_face=direct.face, similarity_to_person=0.7)
    elsewhere = replace(hit(3, photo, 0.5, verdict=Verdict.unlikely), somebody_else=True)
    save_sheet(Answer(probe(photo), [direct, linked, elsewhere], people=(Somebody(12),)), 0.47, tmp_path / "sheet.png")
    assert "probably #12: 1 by face, 1 through other photos" in " ".join(written)
    assert {"same as", "known.png", "through other photos"} <= set(written)
    assert any("somebody else" in text for text in written)
    assert not any("below threshold" in text for text in written)
    red = (abs(pixels(tmp_path / "sheet.png").astype(int) - (200, 40, 40)).sum(axis=2) < 30).any(axis=1)
    assert red.sum() > 60, "the linking face is beside the hit"


def test_a_sheet_of_a_person_by_number_says_so(tmp_path: Path, written: list[str]) -> None:
    photo = plain_photo(tmp_path / "photo.png")
    asked = replace(probe(photo), person=12, name="#12")
    save_sheet(
        Answer(asked, [replace(hit(1, photo), via="person")], people=(Somebody(12),)), 0.47, tmp_path / "sheet.png"
    )
    assert "#12" in written


def test_a_sheet_shows_that_nothing_was_measured(tmp_path: Path, written: list[str]) -> None:
    found = [hit(1, b"/gone.jpg", verdict=Verdict.possible, fmr=None, expected_false_hits=None)]
    save_sheet(Answer(probe("/me.jpg"), found), 0.4, tmp_path / "sheet.png")
    assert any("false hits not measured" in text for text in written)


def test_a_template_shows_up_to_six_of_its_photos(tmp_path: Path, written: list[str]) -> None:
    colours = [(30 * number, 250 - 30 * number, 200) for number in range(8)]
    probes = [probe(plain_photo(tmp_path / f"{number}.png", colour)) for number, colour in enumerate(colours)]
    asked = replace(probes[0], others=tuple(probes[1:]), found=2)
    save_sheet(Answer(asked, [hit(1, b"/gone.jpg")]), 0.47, tmp_path / "sheet.png")
    shown = pixels(tmp_path / "sheet.png")
    sizes = [np.count_nonzero((shown == colour).all(axis=2)) for colour in colours]
    assert [size > 0 for size in sizes] == [True] * 6 + [False] * 2
    assert sizes[0] > 3 * sizes[1], "the first photo is large"
    assert "0.png" in written
    assert any(text.startswith("1.png, 2.png") for text in written)
    assert "8 photos of one person" in " ".join(written)
    assert "expanded with 2 strong hits" in " ".join(written)


def test_without_a_hit_the_query_and_a_word_about_it(tmp_path: Path, written: list[str]) -> None:
    photo = plain_photo(tmp_path / "photo.png")
    save_sheet(Answer(probe(photo), [], 10, hit(0, photo, 0.4123)), 0.47, tmp_path / "sheet.png")
    assert len(frames(pixels(tmp_path / "sheet.png"), QUERY)) == 1
    assert "no face reached a similarity of 0.47; the nearest has 0.412" in written
    save_sheet(Answer(probe(photo), []), None, tmp_path / "sheet.png")
    assert "no face was found" in written


@pytest.mark.parametrize(("hits", "width"), [(1, 900), (3, 1300), (12, 1700)])
def test_a_sheet_is_no_wider_than_it_needs_to_be(tmp_path: Path, hits: int, width: int) -> None:
    found = [hit(rank, b"/gone.jpg") for rank in range(1, hits + 1)]
    save_sheet(Answer(probe("/gone.jpg"), found), 0.47, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as shown:
        assert width - 300 < shown.width <= width


def test_many_hits_take_pages(tmp_path: Path, written: list[str]) -> None:
    photo = plain_photo(tmp_path / "photo.png")
    found = [hit(rank, photo, verdict=Verdict.likely) for rank in range(1, 84)]
    pages = save_sheet(Answer(probe(photo), found), 0.47, tmp_path / "hits.png")
    assert [page.name for page in pages] == ["hits.png", "hits-2.png", "hits-3.png"]
    assert [len(frames(pixels(page), LIKELY)) for page in pages] == [40, 40, 3]
    assert [f"page {number} of 3" in " ".join(written) for number in range(1, 5)] == [True, True, True, False]
    assert [text for text in written if text.isdigit()] == [str(rank) for rank in range(1, 84)]


def test_the_number_of_pages_is_limited(tmp_path: Path, written: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "MAX_HITS_A_PAGE", 2)
    monkeypatch.setattr(sheet, "MAX_PAGES", 3)
    found = [hit(rank, b"/gone.jpg") for rank in range(1, 10)]
    pages = save_sheet(Answer(probe("/gone.jpg"), found), 0.47, tmp_path / "hits.jpg")
    assert [page.name for page in pages] == ["hits.jpg", "hits-2.jpg", "hits-3.jpg"]
    assert all(page.exists() for page in pages)
    assert sum("the last 3 hits not shown" in text for text in written) == 3
    assert [text for text in written if text.isdigit()] == ["1", "2", "3", "4", "5", "6"]


@pytest.mark.parametrize(("suffix", "kind"), [(".png", "PNG"), (".JPG", "JPEG"), (".jpeg", "JPEG"), (".webp", "WEBP")])
def test_the_format_is_that_of_the_name(tmp_path: Path, suffix: str, kind: str) -> None:
    (path,) = save_sheet(Answer(probe("/gone.jpg"), []), None, tmp_path / f"sheet{suffix}")
    with Image.open(path) as shown:
        assert shown.format == kind


def test_names_of_any_bytes(tmp_path: Path, written: list[str]) -> None:
    names = [
        b"\xff\xfe\n\t.png", "生日 🎉.png".encode(), "صورة.png".encode(), b"x" * 255, b" ",
        b"a" + "\u0301".encode() * 100, "Zoe\u0308.png".encode(),
    ]  # fmt: skip
    save_sheet(
        Answer(probe("/\udcff\udcfe.jpg"), [hit(rank, b"/" + name) for rank, name in enumerate(names, start=1)]),
        0.47, tmp_path / "sheet.png",
    )  # fmt: skip
    assert {"??.jpg", "????.png"} <= set(written)
    assert all(text.isprintable() for text in written)
    assert any("x…x" in text for text in written), "the middle of a long name is omitted"
    assert any(text in written for text in ("Zoë.png", "Zoe.png"))


def test_a_pipe_is_no_photo(tmp_path: Path, written: list[str]) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    save_sheet(Answer(probe("/gone.jpg"), [hit(1, tmp_path / "pipe.jpg")]), 0.47, tmp_path / "sheet.png")
    assert "this photo cannot be read now" in written


def test_errors_of_a_sheet(tmp_path: Path) -> None:
    answer = Answer(probe("/gone.jpg"), [hit(1, b"/gone.jpg")])
    with pytest.raises(UsageError, match=r"hits\.txt.*\.png"):
        save_sheet(answer, None, tmp_path / "hits.txt")
    with pytest.raises(StorageError, match=r"folder\.png: cannot be written \(No such file .*\); check the folder$"):
        save_sheet(answer, None, tmp_path / "no/such/folder.png")
    (tmp_path / "album.png").mkdir()
    (tmp_path / "album.png/kept.jpg").write_bytes(b"x")
    for below in ("album.png", "album.png/kept.jpg/sheet.png"):
        with pytest.raises(StorageError, match="cannot be written"):
            save_sheet(answer, None, tmp_path / below)
    assert [path.name for path in tmp_path.rglob("*")] == ["album.png", "kept.jpg"], "no file is lost or left behind"


def test_a_full_disk_leaves_the_sheet_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_sheet(Answer(probe("/gone.jpg"), []), 0.5, tmp_path / "sheet.png")
    before = (tmp_path / "sheet.png").read_bytes()
    write = Path.write_bytes

    def half(self: Path, data: bytes) -> int:
        write(self, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(StorageError, match="No space left"):
        save_sheet(Answer(probe("/gone.jpg"), []), None, tmp_path / "sheet.png")
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
    assert (tmp_path / "sheet.png").read_bytes() == before


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_sheet_replaces_sheets_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    sheet, second = tmp_path / f"hits{suffix}", tmp_path / f"hits-2{suffix}"
    many = Answer(probe("/gone.jpg"), [hit(rank, b"/gone.jpg") for rank in range(1, MAX_HITS_A_PAGE + 2)])
    Image.new("RGB", (9, 9)).save(second)
    mine = second.read_bytes()
    with pytest.raises(StorageError, match=r"hits-2\..*: already exists and was not made by facesearch"):
        save_sheet(many, None, sheet)
    assert not sheet.exists(), "refused before anything is written"
    assert second.read_bytes() == mine
    second.unlink()
    first = save_sheet(many, None, sheet)
    assert save_sheet(many, 0.4, sheet) == first == [sheet, second]
    commented = Image.new("RGB", (9, 9))
    commented.save(second, comment=b"not made by facesearch")
    with pytest.raises(StorageError, match="not made by facesearch; choose"):
        save_sheet(many, None, sheet)


def test_a_pipe_is_refused_and_a_link_stays_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(StorageError, match="not a regular file"):
        save_sheet(Answer(probe("/gone.jpg"), []), None, tmp_path / "pipe.png")
    save_sheet(Answer(probe("/gone.jpg"), []), None, tmp_path / "real.png")
    (tmp_path / "link.png").symlink_to("real.png")
    before = (tmp_path / "real.png").read_bytes()
    save_sheet(Answer(probe("/gone.jpg"), []), 0.9, tmp_path / "link.png")
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "real.png").read_bytes() != before


def test_pages_of_a_long_name_are_shortened(tmp_path: Path) -> None:
    many = Answer(probe("/gone.jpg"), [hit(rank, b"/gone.jpg") for rank in range(1, MAX_HITS_A_PAGE + 2)])
    pages = save_sheet(many, None, tmp_path / ("é" * 125 + "n.png"))
    assert len(pages) == 2
    assert all(page.exists() and len(os.fsencode(page.name)) <= 255 for page in pages)


def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path: Path) -> None:
    assert save_sheet(Answer(probe("/gone.jpg"), []), None, tmp_path / ("x" * 251 + ".png"))[0].exists()


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(codec=None), min_size=3, max_size=60), st.sampled_from([80, 200, 400]))
def test_any_text_fits(text: str, width: int) -> None:
    shown = fitted(text, 15, width)
    assert shown.isprintable()
    assert text_width(shown, 15) <= width


def test_fitting_keeps_both_ends() -> None:
    shown = fitted("the beginning " + "and so on " * 400 + "the end.jpg", 15, 200)
    assert shown.startswith("the b")
    assert shown.endswith("end.jpg")
    assert text_width(shown, 15) > 160, "no more than necessary is omitted"
    assert fitted("short.jpg", 15, 200) == "short.jpg"


def boxes_in(picture: Image.Image) -> list[Any]:
    """Return hollow shapes as high as a letter."""
    return [region for region in areas(np.asarray(picture).any(axis=2)) if region.area_filled > 1.5 * region.area > 30]


def test_a_character_without_a_font_becomes_a_similar_one_or_a_box(
    written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "_FONTS", ("", "no such font.ttf"))
    picture = Image.new("RGB", (300, 40))
    width = drawing.draw_text(ImageDraw.Draw(picture), (0, 30), "Zië Ł 生日 kk", 15, GREY)
    assert written == ["Zie ", " ", " kk"]
    assert width == pytest.approx(text_width("Zië Ł 生日 kk", 15))
    assert len(boxes_in(picture)) == 3


@pytest.mark.parametrize("anchor", ["ls", "ms", "rs", "mm"])
def test_a_name_with_emoji_is_drawn_as_one_line(
    written: list[str], monkeypatch: pytest.MonkeyPatch, anchor: str
) -> None:
    """A family is a sequence of seven characters: three people, joined and coloured."""
    monkeypatch.setattr(drawing, "_FONTS", ("",))
    picture = Image.new("RGB", (300, 80))
    name = "hi \U0001f468\U0001f3fd\u200d\U0001f469\u200d\U0001f467\ufe0f hi"
    drawing.draw_text(ImageDraw.Draw(picture), (150, 40), name, 20, GREY, anchor=anchor)
    assert written == ["hi ", " hi"]
    assert "?" not in fitted(name, 20, 300)
    columns = np.flatnonzero(np.asarray(picture).any(axis=(0, 2)))
    rows = np.flatnonzero(np.asarray(picture).any(axis=(1, 2)))
    assert len(boxes_in(picture)) == 3
    lefts = {"ls": 150, "ms": 150 - text_width(name, 20) / 2, "rs": 150 - text_width(name, 20)}
    assert columns[0] == pytest.approx(lefts.get(anchor, lefts["ms"]), abs=3)
    assert rows[-1] == pytest.approx(48 if anchor == "mm" else 40, abs=3)


@pytest.mark.parametrize(
    "name", ["plain.jpg", "Zoë 生日 \U0001f389.jpg", "\U0001f600 \u2602 ok.jpg", "مرحبا.jpg", "\u25a1"]
)
def test_a_box_stands_only_for_what_no_font_here_shows(name: str) -> None:
    runs = drawing._set(name, 15)
    for run in runs:
        for character in run.text:
            fonts = [font for font in drawing._FONTS if drawing._shows(font, character)]
            assert run.font in fonts if fonts else run.font is None, f"{character!r} in {run.font}"
    assert sum(len(run.text) for run in runs) == len(name)
    assert sum(run.width for run in runs) == pytest.approx(text_width(name, 15))


def test_a_tiny_face_in_a_wide_photo_has_a_frame_that_is_seen() -> None:
    photo = Photo(encoded((4000, 500)))
    shown = np.asarray(whole_picture(photo, (200, 150), {Box(2000, 200, 20, 25): STRONG, Box(-9, -9, 90, 90): QUERY}))
    inside = np.argwhere((shown == STRONG).all(axis=2))
    (top, left), (bottom, right) = inside.min(axis=0), inside.max(axis=0)
    assert min(bottom - top, right - left) >= 8
    assert (top + bottom) / 2 == pytest.approx(10.6, abs=2)
    assert (left + right) / 2 == pytest.approx(100.5, abs=2)
    assert (shown[0, 0] == QUERY).all(), "a frame that begins outside is moved inside"


def encoded(size: tuple[int, int], colour: Colour = GREY) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", size, colour).save(data, "PNG")
    return data.getvalue()


def detection(box: Rectangle) -> Detection:
    """Return a face with its landmarks in the middle."""
    left, top, width, height = box
    middle = np.array([[left + width / 2, top + height / 2]] * 5, dtype=np.float32)
    return Detection(Box(*box), middle, 0.9)


def changed(path: Path) -> Any:
    """Return a mask of the pixels of a grey photo that are no longer grey."""
    return abs(pixels(path) - GREY).sum(axis=2) > 30


@pytest.mark.parametrize(("size", "scale"), [((900, 600), 1.0), ((5120, 2880), 0.5)])
def test_drawn_frames_lie_where_the_faces_are(tmp_path: Path, size: tuple[int, int], scale: float) -> None:
    unit = size[0] // 18
    boxes = [(2 * unit, 3 * unit, 3 * unit, 4 * unit), (8 * unit, 4 * unit, 2 * unit, 3 * unit)]
    save_drawn(Photo(encoded(size)), [(detection(box), "name") for box in boxes], tmp_path / "drawn.png")
    mask = changed(tmp_path / "drawn.png")
    assert mask.shape == (size[1] * scale, size[0] * scale)
    for left, top, width, height in (tuple(round(edge * scale) for edge in box) for box in boxes):
        for line in (top, top + height):
            assert mask[line - 3 : line + 3, left : left + width].any(axis=0).mean() > 0.98
        for line in (left, left + width):
            assert mask[top : top + height, line - 3 : line + 3].any(axis=1).mean() > 0.98
        assert mask[top + height // 2, left + width // 2], "a dot marks the landmarks"
        assert mask[top + height // 10 : top + height // 3, left + width // 8 : left + width * 7 // 8].mean() < 0.02


def test_labels_stay_inside_and_do_not_cover_faces(tmp_path: Path) -> None:
    boxes = [(0, 0, 80, 90), (90, 0, 80, 90), (820, 500, 80, 100), (400, 250, 100, 120), (505, 250, 100, 120)]
    save_drawn(
        Photo(encoded((900, 600))), [(detection(box), f"{box[0]} is the name") for box in boxes], tmp_path / "drawn.png"
    )
    mask = changed(tmp_path / "drawn.png")
    for left, top, width, height in boxes:
        inner = mask[top + 8 : top + height - 8, left + 8 : left + width - 8]
        assert inner.mean() < 0.01, "a label covers a face"
    labels = [region for region in areas(mask) if region.area_bbox < 9000 and region.bbox[2] - region.bbox[0] < 40]
    assert len([region for region in labels if region.bbox[3] - region.bbox[1] > 60]) == 5


def test_a_label_of_a_face_that_fills_the_photo(tmp_path: Path, written: list[str]) -> None:
    save_drawn(Photo(encoded((90, 60))), [(detection((0, 0, 90, 60)), "much too long for it")], tmp_path / "drawn.jpg")
    assert "…" in written[0]
    save_drawn(Photo(encoded((4, 1))), [(detection((0, 0, 4, 1)), "one")], tmp_path / "small.webp")


def test_a_real_group_drawn(tmp_path: Path) -> None:
    data = io.BytesIO()
    group = shipped_photo("t1")
    group.save(data, "PNG")
    faces = [(detection(box), name) for name, box in FACES_IN_T1.items()]
    save_drawn(Photo(data.getvalue()), faces, tmp_path / "drawn.png")
    difference = abs(pixels(tmp_path / "drawn.png") - np.asarray(group).astype(int)).sum(axis=2) > 60
    assert len([region for region in areas(difference) if region.area_bbox > 90 * 90]) == len(faces)


def test_errors_of_drawing(tmp_path: Path) -> None:
    photo = Photo(encoded((90, 60)))
    with pytest.raises(UsageError, match=r"faces\.pdf: faces are drawn into a picture; end its name in one of \.png"):
        save_drawn(photo, [], tmp_path / "faces.pdf")
    with pytest.raises(StorageError, match="cannot be written"):
        save_drawn(photo, [], tmp_path / "no/such/folder.png")
    assert list(tmp_path.iterdir()) == []
