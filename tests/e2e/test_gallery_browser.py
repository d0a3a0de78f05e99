"""A gallery in a real browser, opened as a file: its controls work, and it loads nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import known_file, toy_face
from sample_library import FACES_IN_T1, shipped_photo
from served import open_chromium

from facesearch.render.gallery import save_gallery
from facesearch.search.probes import Probe
from facesearch.search.result import Answer, Hit
from facesearch.types import FaceRecord, Somebody, Verdict

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.thorough

INDEX = {"path": "/index", "model": "embedded", "faces": 1234, "photos": 560}
EVIL = b"<img src=x onerror=alert(1)> 'n' \"m\" & 50% #1?\n\xff.jpg"
NAMES = (b"bea.jpg", b"ada 2.jpg", b"ada 10.jpg", EVIL, b"gone.jpg", b"eli.jpg")
SIMILARITIES = (0.9, 0.7, 0.6, 0.5, 0.4, 0.2)
VERDICTS = (Verdict.strong, Verdict.strong, Verdict.likely, Verdict.possible, Verdict.possible, Verdict.unlikely)
QUALITIES = (0.5, 0.9, None, 0.7, 0.8, 0.1)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six hits of one query and two of another; one photo is missing. Names and similarities sort differently."""
    folder = tmp_path_factory.mktemp("gallery")
    photo = folder / "t1.jpg"
    shipped_photo("t1").save(photo, quality=85)
    for name in set(NAMES) - {b"gone.jpg"}:
        shutil.copy(bytes(photo), bytes(folder) + b"/" + name)
    hits = [hit(rank, bytes(folder) + b"/" + name) for rank, name in enumerate(NAMES, start=1)]
    probe = Probe(str(photo), 1, 6, toy_face([1.0, 0.0], FACES_IN_T1["bea"]))
    others = [replace(found, similarity=0.8, verdict=Verdict.strong) for found in hits[:2]]
    save_gallery([Answer(probe, hits, 1234), Answer(probe, others, 1234)], 0.47, INDEX, folder / "hits & more #1.html")
    return folder / "hits & more #1.html"


def hit(rank: int, path: bytes) -> Hit:
    face = toy_face([1.0, 0.0], FACES_IN_T1["bea"]).detection
    taken = f"20{10 + rank}-05-06T07:08:09" if rank != 3 else "1999-01-01T00:00:00"
    known = known_file(path)
    quality = QUALITIES[rank - 1]
    row = FaceRecord(rank, rank, rank, 1, path, face, taken, quality=quality, size=known.size, content=known.content)
    return Hit(rank, SIMILARITIES[rank - 1], row, fmr=1e-9, expected_false_hits=0.01, verdict=VERDICTS[rank - 1])


@pytest.fixture
def page(browser: Browser, gallery: Path) -> Iterator[Page]:
    """The open gallery; checks at the end that there were no errors and no request for another file."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    troubles: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(gallery.as_uri())
    yield page
    page.close()
    assert troubles == []
    assert set(requests) == {gallery.as_uri()}


def shown(page: Page, answer: int = 0) -> list[str]:
    """Return the ids of the visible hits, in their order on the page."""
    return [
        card.get_attribute("id") or ""
        for card in page.locator(".answer").nth(answer).locator(".hit").all()
        if card.is_visible()
    ]


def cards(*places: int, answer: int = 0) -> list[str]:
    return [f"hit-{answer}-{place}" for place in places]


def focused(page: Page) -> str:
    found: str = page.evaluate("document.activeElement.closest('.hit')?.id ?? ''")
    return found


def background(page: Page) -> str:
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour


def slide(page: Page, value: float) -> None:
    page.locator("#level").fill(f"{value:.2f}")


def test_everything_is_shown_at_first(page: Page) -> None:
    assert shown(page) == cards(0, 1, 2, 3, 4, 5)
    assert page.locator(".count").inner_text() == "8 of 8 hits shown"
    assert page.locator("#level").input_value() == "0.2"
    drawn = page.evaluate(
        "Promise.all([...document.images].map(image => image.decode().then(() => image.naturalWidth)))"
    )
    assert len(drawn) == 2 + 2 * 7
    assert min(drawn) >= 176
    assert page.get_by_text("cannot be read now (No such file or directory)").is_visible()
    assert page.title() == "2 queries · facesearch"


def test_a_frame_lies_on_the_face(page: Page) -> None:
    photo, frame = page.locator("#hit-0-0 .photo").bounding_box(), page.locator("#hit-0-0 .frame").bounding_box()
    assert photo is not None
    assert frame is not None
    left, top, width, _ = FACES_IN_T1["bea"]
    scale = photo["width"] / shipped_photo("t1").width
    assert frame["x"] - photo["x"] == pytest.approx(left * scale, abs=1)
    assert frame["y"] - photo["y"] == pytest.approx(top * scale, abs=1)
    assert frame["width"] == pytest.approx(width * scale, abs=1)


def test_the_slider_hides_and_shows(page: Page) -> None:
    slide(page, 0.6)
    assert shown(page) == cards(0, 1, 2)
    assert page.locator(".count").inner_text() == "5 of 8 hits shown"
    assert page.locator(".level output").inner_text() == "0.60"
    slide(page, 1)
    assert shown(page) == []
    assert "hidden by the settings" in page.evaluate("getComputedStyle(one('.hits'), '::after').content")
    slide(page, 0.2)
    assert shown(page) == cards(0, 1, 2, 3, 4, 5)


def test_verdicts_can_be_hidden(page: Page) -> None:
    assert page.locator(".verdicts").inner_text().split() == [
        "strong", "4", "likely", "1", "possible", "2", "unlikely", "1"
    ]  # fmt: skip
    page.get_by_label("possible").uncheck()
    page.get_by_label("strong").uncheck()
    assert shown(page) == cards(2, 5)
    page.get_by_label("possible").check()
    assert shown(page) == cards(2, 3, 4, 5)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("newest", (5, 4, 3, 1, 0, 2)),
        ("oldest", (2, 0, 1, 3, 4, 5)),
        ("name", (3, 1, 2, 0, 5, 4)),
        ("quality", (1, 4, 3, 0, 5, 2)),
    ],
)
def test_sorting(page: Page, order: str, expected: tuple[int, ...]) -> None:
    page.get_by_label("Sort by").select_option(order)
    assert shown(page) == cards(*expected)
    assert set(shown(page, 1)) == set(cards(0, 1, answer=1)), "hits stay with their query"
    slide(page, 0.6)
    page.get_by_label("Sort by").select_option("similarity")
    assert shown(page) == cards(0, 1, 2)
    slide(page, 0.2)
    assert shown(page) == cards(0, 1, 2, 3, 4, 5)


def test_arrows_go_from_hit_to_hit(page: Page) -> None:
    keys = page.keyboard
    keys.press("ArrowRight")
    assert focused(page) == "hit-0-0"
    keys.press("ArrowRight")
    keys.press("ArrowRight")
    assert focused(page) == "hit-0-2"
    keys.press("ArrowLeft")
    assert focused(page) == "hit-0-1"
    keys.press("ArrowDown")
    assert focused(page) == "hit-0-4", "a row has three cards"
    keys.press("ArrowDown")
    assert focused(page) == "hit-1-1", "the next query follows"
    keys.press("ArrowUp")
    keys.press("ArrowUp")
    keys.press("ArrowUp")
    assert focused(page) == "hit-0-1", "the first row has no row above it"
    outline = page.evaluate("getComputedStyle(document.activeElement.closest('.hit')).outlineStyle")
    assert outline == "solid"
    slide(page, 0.7)
    page.locator("#hit-0-0 h3 a").focus()
    keys.press("ArrowRight")
    keys.press("ArrowRight")
    assert focused(page) == "hit-1-0", "hidden hits are skipped"


def test_enter_opens_the_original(page: Page, gallery: Path) -> None:
    page.locator("#hit-0-1 h3 a").focus()
    with page.context.expect_page() as opened:
        page.keyboard.press("Enter")
    assert opened.value.url == (gallery.parent / "ada 2.jpg").as_uri()
    assert opened.value.evaluate("document.images[0].naturalWidth") == shipped_photo("t1").width
    opened.value.close()


def test_a_link_reaches_a_file_of_any_name(page: Page) -> None:
    assert page.locator("#hit-0-3 h3").inner_text() == "<img src=x onerror=alert(1)> 'n' \"m\" & 50% #1?��.jpg"
    with page.context.expect_page() as opened:
        page.locator("#hit-0-3 h3 a").click()
    opened.value.wait_for_load_state()
    assert opened.value.evaluate("document.images[0].naturalWidth") == shipped_photo("t1").width
    opened.value.close()


def test_the_large_view_opens_steps_and_closes(page: Page) -> None:
    large, keys = page.locator("#large"), page.keyboard
    page.locator("#hit-0-0 .whole").click()
    assert large.is_visible()
    assert large.locator("img").count() == 3, "the query face, the face found, and its photo"
    assert large.locator(".score").inner_text().split()[:2] == ["1", "0.900"]
    # The browser decodes the picture in parallel with the script: it has its size a moment later.
    page.wait_for_function(
        "document.querySelector('#large .photo').getBoundingClientRect().width > 600", timeout=10_000
    )
    keys.press("ArrowRight")
    assert "ada 2.jpg" in large.inner_text()
    page.get_by_role("button", name="Next").click()
    assert "ada 10.jpg" in large.inner_text()
    keys.press("Escape")
    assert large.is_hidden()
    assert focused(page) == "hit-0-2", "the focus is on the hit shown last"
    keys.press("Space")
    assert "ada 10.jpg" in large.inner_text()
    keys.press("Space")
    assert large.is_hidden()
    page.locator("#hit-0-4 h3 a").focus()
    keys.press("Space")
    assert "cannot be read now" in large.inner_text()
    page.get_by_role("button", name="Close").click()
    assert large.is_hidden()


def test_help(page: Page) -> None:
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    assert "Open the original photo." in page.locator("#help").inner_text()
    page.keyboard.press("?")
    assert page.locator("#help").is_hidden()
    page.get_by_role("button", name="Help").click()
    page.keyboard.press("Escape")
    assert page.locator("#help").is_hidden()


def test_light_and_dark(page: Page) -> None:
    light, toggle = background(page), page.get_by_role("button", name="Dark")
    assert toggle.get_attribute("aria-pressed") == "false"
    toggle.click()
    dark = background(page)
    assert dark != light
    assert toggle.get_attribute("aria-pressed") == "true"
    toggle.click()
    assert background(page) == light
    page.emulate_media(color_scheme="dark")
    assert background(page) == light, "the chosen theme is used"
    page.reload()
    assert background(page) == dark, "without a choice, the system's theme is used"


def test_nothing_is_wider_than_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("#hit-0-0 .whole").click()
    assert page.evaluate("one('.stage').scrollWidth <= one('.stage').clientWidth")


def test_without_scripts_all_hits_are_there(browser: Browser, gallery: Path) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(gallery.as_uri())
    assert shown(page) == cards(0, 1, 2, 3, 4, 5)
    assert page.locator(".whole:visible").count() == 7
    assert page.locator("form:visible, button:visible, .hint:visible").count() == 0, "no control that needs the script"
    page.close()


def test_the_policy_lets_no_other_script_run(browser: Browser, gallery: Path, tmp_path: Path) -> None:
    """An injected script does not run. This also shows that the tests for markup in names can fail."""
    source = gallery.read_text(encoding="utf-8")
    changed = tmp_path / "changed.html"
    changed.write_text(source.replace("<main>", '<main><script>document.title = "run"</script><img src="x.png">'))
    page = browser.new_page()
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.goto(changed.as_uri())
    assert page.title() == "2 queries · facesearch"
    assert len([text for text in troubles if "Content Security Policy" in text]) == 2
    page.close()


def test_photos_through_other_photos_can_be_hidden(browser: Browser, gallery: Path) -> None:
    folder = os.fsencode(gallery.parent)
    direct = [hit(rank, folder + b"/" + NAMES[rank - 1]) for rank in (1, 2)]
    linked = replace(hit(3, folder + b"/" + NAMES[2]), via="person", via_face=direct[0].face, similarity_to_person=0.7)
    probe = Probe(str(gallery.parent / "t1.jpg"), 1, 6, toy_face([1.0, 0.0], FACES_IN_T1["bea"]))
    save_gallery(
        [Answer(probe, [*direct, linked], 1234, people=(Somebody(4),))], 0.65, INDEX, gallery.parent / "through.html"
    )
    page = browser.new_page()
    page.goto((gallery.parent / "through.html").as_uri())
    assert page.get_by_text("Probably #4: 2 by face, 1 through other photos").is_visible()
    card = page.locator("#hit-0-2")
    assert card.locator(".linking").is_visible()
    assert card.get_by_text("the person in bea.jpg").is_visible()
    assert card.get_by_text("below threshold").count() == 0
    assert shown(page) == cards(0, 1, 2)
    page.get_by_label("through other photos 1").uncheck()
    assert shown(page) == cards(0, 1)
    page.close()


def test_a_person_asked_for_by_number_has_no_similarity(browser: Browser, gallery: Path) -> None:
    folder = os.fsencode(gallery.parent)
    found = [replace(hit(rank, folder + b"/" + NAMES[rank - 1]), via="person") for rank in (1, 2)]
    probe = Probe(str(gallery.parent / "t1.jpg"), 1, 1, toy_face([1.0, 0.0], FACES_IN_T1["bea"]), person=4, name="#4")
    save_gallery([Answer(probe, found, 1234, people=(Somebody(4),))], 0.65, INDEX, gallery.parent / "person.html")
    page = browser.new_page()
    page.goto((gallery.parent / "person.html").as_uri())
    assert page.locator("h2", has_text="#4").is_visible()
    assert not page.locator(".level").is_visible()
    assert shown(page) == cards(0, 1)
    page.close()
