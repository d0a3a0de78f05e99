"""HTML galleries, read with a parser: the contents are complete, and file names cannot inject markup."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import stat
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
from conftest import known_file, toy_face
from PIL import Image
from sample_library import FACES_IN_T1, shipped_photo

from facesearch.errors import StorageError, UsageError
from facesearch.render import gallery
from facesearch.render.gallery import check_gallery_name, save_gallery
from facesearch.search.probes import Probe
from facesearch.search.result import Answer, Hit
from facesearch.types import FaceRecord, Verdict

INDEX = {"path": "/index", "model": "embedded", "faces": 1234, "photos": 560}
HOSTILE = (
    b"</script><script>alert(1)</script>.jpg",
    b"\"><img src=x onerror=alert(1)>'.jpg",
    b"new\nline\tand \x1b[31m\x7f.jpg",
    b"&lt;100%?a=b#c &amp; d;.jpg",
    b"latin \xff\xe9.jpg",
    "line\u2028 separators\u2029, \u202egpj.exe, 写真 {{record}} {{title}}.jpg".encode(),
    b"<!--.jpg",
)
VOID = {"meta", "link", "img", "input", "br", "hr"}


class Page(HTMLParser):
    """A parsed page: every element with its attributes, and every text with the elements around it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self.cards: list[list[str]] = []
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self._open == [], "every open element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.elements.append((tag, values))
        if values.get("class") == "hit":
            self.cards.append([])
        if tag not in VOID:
            self._open.append(" ".join([tag, *("." + name for name in values.get("class", "").split())]))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().split()[0] == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((tuple(self._open), data))
        if "li .hit" in self._open:
            self.cards[-1] += data.split()

    def having(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [found for name, found in self.elements if name == tag and wanted.items() <= found.items()]

    def text(self, kind: str) -> list[str]:
        """Return the non-empty texts inside elements with a name (`h2`) or class (`.folder`)."""
        inside = [text for path, text in self.texts if any(kind in opened.split() for opened in path)]
        return [text for text in inside if text.strip()]

    def words(self, kind: str) -> str:
        """Return the same as one line."""
        return " ".join(" ".join(self.text(kind)).split())

    @property
    def record(self) -> Any:
        (data,) = [text for path, text in self.texts if path[-1:] == ("script",) and text.startswith('{"contract"')]
        return json.loads(data)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "party.jpg"
    shipped_photo("t1").save(path, quality=90)
    return path


def hit(rank: int, similarity: float, path: bytes, name: str = "bea", **more: Any) -> Hit:
    face = toy_face([1.0, 0.0], FACES_IN_T1[name]).detection
    taken = more.pop("taken_at", "2020-05-06T07:08:09+02:00")
    known = known_file(path)
    row = FaceRecord(
        rank, rank + 100, rank + 200, 1, path, face, taken, 10**18, 0.8769, size=known.size, content=known.content
    )  # fmt: skip
    values = {"fmr": 1e-9, "expected_false_hits": 0.0123, "verdict": Verdict.strong, **more}
    return Hit(rank, similarity, row, **values)


def probe(path: Path, name: str = "bea", **more: Any) -> Probe:
    return Probe(str(path), 1, 6, toy_face([1.0, 0.0], FACES_IN_T1[name]), **more)


def written(answers: list[Answer], path: Path, threshold: float | None = 0.47, **more: Any) -> Page:
    save_gallery(answers, threshold, INDEX, path, **more)
    return Page(path)


def pixels(source: str) -> np.ndarray[Any, Any]:
    prefix, data = source.split(",")
    assert prefix == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_hits_are_all_there_in_their_order_with_what_is_known(photo: Path, tmp_path: Path) -> None:
    folded = (hit(0, 0.8, b"/copies/a.jpg"), hit(0, 0.7, b"/copies/b.jpg"))
    found = [
        hit(0, 1.0, bytes(photo), is_query=True),
        hit(1, 0.91234, bytes(photo), "ada", folded=folded),
        hit(2, 0.5, bytes(photo), "cal", verdict=Verdict.likely, taken_at=None),
        hit(3, 0.2, bytes(photo), "dan", verdict=Verdict.unlikely, offline=True, expected_false_hits=1e-7),
    ]
    page = written([Answer(probe(photo), found, 1234)], tmp_path / "hits.html", seconds=0.42)
    assert [card["id"] for card in page.having("li", class_="hit")] == [f"hit-0-{place}" for place in range(4)]
    assert page.text("strong") == ["1.000", "0.912", "0.500", "0.200"]
    first, second, third, fourth = (" ".join(words) for words in page.cards)
    assert first.startswith("query photo 1.000 strong party.jpg")
    assert second.startswith("1 0.912 strong party.jpg")
    assert str(photo.parent) in second
    assert "Date 2020-05-06 07:08 (from EXIF) Quality 0.88 Expected false hits 0.012" in second
    assert second.endswith("2 near-identical photos a.jpg 0.800 b.jpg 0.700")
    assert third.startswith("2 0.500 likely party.jpg")
    assert "Date 2001-09-09" in third
    assert "(file time)" in third
    assert fourth.startswith("3 0.200 unlikely below threshold offline party.jpg")
    assert fourth.endswith("Expected false hits <0.001")
    header = page.words(".query")
    assert header.startswith("party.jpg")
    assert "Face 1 of 6 in the photo 3 hits among 1,234 faces searched, 1 below the threshold" in header
    summary = page.words(".summary")
    assert all(fact in summary for fact in ("0.47", "/index", "1,234 in 560 photos", "embedded", ", in 0.4 s"))
    assert [found["similarity"] for found in page.record["queries"][0]["hits"]] == [1.0, 0.91234, 0.5, 0.2]


def test_pictures_show_the_face_and_the_frame_is_where_it_is(photo: Path, tmp_path: Path) -> None:
    page = written([Answer(probe(photo), [hit(1, 0.9, bytes(photo), "fay")], 9)], tmp_path / "hits.html")
    (face,) = page.having("img", class_="face", alt="The face found in party.jpg")
    (whole,) = page.having("img", class_="whole")
    assert whole["alt"] == "The whole photo party.jpg, the face framed"
    assert (whole["width"], whole["height"]) == ("640", "443")
    original = np.asarray(shipped_photo("t1"))
    left, top, width, height = FACES_IN_T1["fay"]
    inside = original[top : top + height, left : left + width].reshape(-1, 3).mean(axis=0)
    shown = pixels(face["src"])
    assert shown.shape == (320, 320, 3)
    assert abs(shown[55:-55, 55:-55].reshape(-1, 3).mean(axis=0) - inside).max() < 25
    (frame,) = page.having("span", class_="frame")
    places = dict(pair.split(":") for pair in frame["style"].split(";"))
    height_of_photo, width_of_photo, _ = original.shape
    expected = {"left": left / width_of_photo, "top": top / height_of_photo, "width": width / width_of_photo}
    for side, share in expected.items():
        assert float(places[side].rstrip("%")) == pytest.approx(100 * share, abs=0.02)
    assert all(image["alt"] for image in page.having("img"))


def test_a_frame_stays_inside_its_photo(photo: Path, tmp_path: Path) -> None:
    beyond = toy_face([1.0, 0.0], (-50, -20, 3000, 4000)).detection
    found = hit(1, 0.9, bytes(photo))
    found = replace(found, face=replace(found.face, detection=beyond))
    page = written([Answer(probe(photo), [found], 9)], tmp_path / "hits.html")
    places = [float(share) for share in re.findall(r"[\d.]+(?=%)", page.having("span", class_="frame")[0]["style"])]
    assert places == pytest.approx([0, 0, 100, 100], abs=0.2)


def test_names_are_text_and_nothing_else(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path / "a & <b>")
    paths = [os.path.join(folder, name) for name in HOSTILE]
    shipped_photo("t1").save(tmp_path / "t1.jpg", quality=80)
    for path in paths:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # a slash within the markup makes folders
        os.link(tmp_path / "t1.jpg", path)
    found = [hit(rank, 0.9, path, folded=(hit(0, 0.8, path),)) for rank, path in enumerate(paths, start=1)]
    asked = Probe(os.fsdecode(paths[0]), 1, 1, toy_face([1.0, 0.0], FACES_IN_T1["bea"]))
    others = tuple(replace(asked, path=os.fsdecode(path)) for path in paths[1:])
    page = written([Answer(replace(asked, others=others), found, 9)], tmp_path / "hits.html")

    plain = written([Answer(probe(tmp_path / "t1.jpg"), [], 9)], tmp_path / "plain.html")
    assert len(page.having("script")) == len(plain.having("script")) == 2
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert len(page.having("img", class_="face")) == 2 * len(HOSTILE)
    links = page.having("a", class_="pictures")
    assert [unquote_to_bytes(link["href"].removeprefix("file://")) for link in links] == paths
    assert all(re.fullmatch(r"file:///[A-Za-z0-9/%._~-]+", link["href"]) for link in page.having("a"))
    shown = "\n".join(page.text("h3"))
    assert "a & <b>/</script><script>alert(1)<" in "\n".join(page.text(".folder"))
    assert "\"><img src=x onerror=alert(1)>'.jpg" in shown
    assert "new�line�and �[31m�.jpg" in shown
    assert "&lt;100%?a=b#c &amp; d;.jpg" in shown
    assert "latin ��.jpg" in shown
    assert "写真 {{record}} {{title}}.jpg" in shown
    assert next(found["path"] for found in page.record["queries"][0]["hits"]) == os.fsdecode(paths[0])


def test_the_record_for_the_script_has_nothing_that_ends_it(photo: Path, tmp_path: Path) -> None:
    names = [b"/" + name for name in HOSTILE]
    written([Answer(probe(photo), [hit(1, 0.9, name) for name in names], 9)], tmp_path / "hits.html")
    (record,) = re.findall(r'id="record">(.*?)</script>', (tmp_path / "hits.html").read_text(encoding="utf-8"))
    assert not set(record) & set("<>&\u2028\u2029")
    assert record.isascii()


def test_nothing_is_loaded_and_only_this_script_runs(photo: Path, tmp_path: Path) -> None:
    page = written([Answer(probe(photo), [hit(1, 0.9, bytes(photo))], 9)], tmp_path / "hits.html")
    source = (tmp_path / "hits.html").read_text(encoding="utf-8")
    assert set(re.findall(r"\w+://", source)) == {"file://"}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|@import|url\(", source)
    (policy,) = [meta["content"] for meta in page.having("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    script = source.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert rules["script-src"] == f"'sha256-{digest}'"
    sources = {values["src"].split(",")[0] for _, values in page.elements if "src" in values}
    assert sources == {"data:image/jpeg;base64"}


def test_a_missing_photo_is_shown_as_missing(photo: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 no photo")
    os.mkfifo(tmp_path / "pipe.jpg")
    lost = [b"/gone/away.jpg", bytes(broken), bytes(tmp_path / "pipe.jpg"), bytes(tmp_path)]
    found = [hit(rank, 0.9, path) for rank, path in enumerate([*lost, bytes(photo)], start=1)]
    page = written([Answer(probe(tmp_path / "gone.jpg"), found, 9)], tmp_path / "hits.html")
    said = page.text(".lost")
    assert len(said) == 1 + len(lost)
    assert all(text.startswith("The photo cannot be read now (") for text in said)
    assert "No such file or directory" in said[0]
    assert "No such file or directory" in said[1]
    assert "not a file" in said[3]
    assert len(page.having("img", class_="whole")) == 1
    assert len(page.having("li", class_="hit")) == len(found)


def test_photos_over_the_limit_are_not_opened(photo: Path, tmp_path: Path) -> None:
    page = written([Answer(probe(photo), [hit(1, 0.9, bytes(photo))], 9)], tmp_path / "hits.html", max_pixels=1000)
    assert ["over the limit" in text for text in page.text(".lost")] == [True, True]


def test_several_answers_share_the_page_limit(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "MAX_HITS", 10)
    answers = [
        Answer(probe(photo, name), [hit(rank, 0.9, bytes(photo)) for rank in range(1, count + 1)], 99)
        for name, count in (("ada", 1), ("bea", 40), ("cal", 0), ("dan", 7))
    ]
    page = written(answers, tmp_path / "hits.html")
    cards = [card["id"].split("-")[1] for card in page.having("li", class_="hit")]
    assert [cards.count(str(number)) for number in range(4)] == [1, 5, 0, 4]
    assert page.text(".left-out") == [
        "35 more hits not shown: the limit of a page is 10.", "3 more hits not shown: the limit of a page is 10."
    ]  # fmt: skip
    assert [len(query["hits"]) for query in page.record["queries"]] == [1, 5, 0, 4]
    assert "Results of 4 queries" in page.text("h1")


def test_more_answers_than_the_page_limit(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "MAX_HITS", 2)
    answers = [Answer(probe(photo), [hit(1, 0.9, bytes(photo)), hit(2, 0.8, bytes(photo))], 9)] * 4
    page = written(answers, tmp_path / "hits.html")
    assert [card["id"] for card in page.having("li", class_="hit")] == ["hit-0-0", "hit-1-0"]
    assert len(page.text(".left-out")) == 4


def test_an_answer_without_hits_names_the_nearest(photo: Path, tmp_path: Path) -> None:
    nearest = hit(1, 0.4321, b"/photos/near.jpg")
    page = written([Answer(probe(photo), [], 9, nearest)], tmp_path / "hits.html")
    assert "No photo reaches a similarity of 0.47; the nearest has 0.432: near.jpg" in page.words(".query")
    page = written([Answer(probe(photo), [], 0)], tmp_path / "hits.html", threshold=None)
    assert "No photo was found" in page.words(".query")
    assert page.having("li", class_="hit") == []


def test_a_template_shows_the_faces_that_it_is_made_of(photo: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jpg"
    other.symlink_to(photo)
    asked = probe(photo, others=(probe(other, "ada"), *[probe(other, "cal")] * 20), found=3)
    page = written([Answer(asked, [hit(1, 0.9, bytes(photo))], 9)], tmp_path / "hits.html")
    header = page.words(".query")
    assert "party.jpg and 21 other photos" in header
    assert "The first 12 are shown" in header
    assert "Expanded with 3 strong hits" in header
    assert len(page.text("figcaption")) == 12


def test_hits_without_known_facts(photo: Path, tmp_path: Path) -> None:
    found = hit(1, 0.2, bytes(photo), verdict=None, expected_false_hits=None, fmr=None)
    found = replace(found, face=replace(found.face, quality=None))
    page = written([Answer(probe(photo), [found], 9)], tmp_path / "hits.html", threshold=None)
    cards = page.words(".hits")
    assert "below threshold" not in cards
    assert "Quality" not in cards
    assert "false hits" not in cards
    page = written([Answer(probe(photo), [found], 9)], tmp_path / "hits.html", threshold=0.0)
    assert "below threshold" not in page.words(".hits")
    unmeasured = replace(found, verdict=Verdict.possible)
    page = written([Answer(probe(photo), [unmeasured], 9)], tmp_path / "hits.html")
    assert "Expected false hits not measured" in page.words(".hits")


@pytest.mark.parametrize("name", ["hits.png", "hits", "hits.html.jpg"])
def test_a_gallery_is_a_web_page(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"hits.*\.html"):
        check_gallery_name(Path(name))
    with pytest.raises(UsageError, match=r"hits.*\.html"):
        save_gallery([], None, INDEX, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_names_of_web_pages(tmp_path: Path) -> None:
    names = ["hits.html", "hits.HTM", "a b.Html"]
    for name in names:
        check_gallery_name(Path(name))
        save_gallery([], None, INDEX, tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_gallery_is_written_atomically(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [Answer(probe(photo), [hit(1, 0.9, bytes(photo))], 9)]
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "album.html").mkdir()
    for path in (
        folder / "no/such/hits.html",
        folder / "album.html",
        photo / "hits.html",
        folder / f"{'x' * 300}.html",
    ):
        with pytest.raises(StorageError, match=r"cannot be written \(.+\); (check|choose) ") as raised:
            save_gallery(answers, None, INDEX, path)
        assert "\n" not in str(raised.value)
    assert [path.name for path in folder.iterdir()] == ["album.html"], "no file is lost or left behind"

    (folder / "hits.html").write_text("mine")
    with pytest.raises(StorageError, match="not made by facesearch"):
        save_gallery(answers, None, INDEX, folder / "hits.html")
    assert (folder / "hits.html").read_text() == "mine"
    (folder / "hits.html").unlink()
    save_gallery(answers, None, INDEX, folder / "hits.html")
    before = (folder / "hits.html").read_text()
    monkeypatch.setattr(gallery, "_card", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_gallery(answers, None, INDEX, folder / "hits.html")
    assert sorted(path.name for path in folder.iterdir()) == ["album.html", "hits.html"]
    assert (folder / "hits.html").read_text() == before


def interrupt(*_: object) -> str:
    raise KeyboardInterrupt


def test_its_mode_follows_the_umask(photo: Path, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        save_gallery([Answer(probe(photo), [], 9)], None, INDEX, tmp_path / "hits.html")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "hits.html").stat().st_mode) == 0o640
