"""The page in a real browser: Find, Answer and Photo."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageOps
from sample_library import FACES_IN_T1, shipped_file, shipped_photo
from served import Served, Visits

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.thorough


@pytest.fixture
def portraits(tmp_path: Path) -> dict[str, Path]:
    """A portrait of each of the six in the group photo, which the library does not have."""
    group, made = shipped_photo("t1"), {}
    for name, (left, top, width, height) in FACES_IN_T1.items():
        made[name] = tmp_path / f"{name}.png"
        group.crop((left - 40, max(0, top - 60), left + width + 40, top + height + 60)).save(made[name])
    return made


def choose(page: Page, *photos: Path) -> None:
    page.set_input_files("#choose", [str(photo) for photo in photos])


def answered(page: Page) -> str:
    """Wait for an answer, and return its sentence."""
    page.wait_for_selector(".results:not([aria-busy]) .cell")
    return page.inner_text("h1")


def cells(page: Page, name: str) -> Locator:
    return page.locator(".cell", has=page.locator(f'a[aria-label*="{name}"]'))


def names_on(page: Page) -> list[str]:
    return [label.split(",")[0] for label in page.locator(".cell a.picture").evaluate_all(
        "links => links.map(link => link.getAttribute('aria-label'))"
    )]  # fmt: skip


def has_cells(page: Page, number: int) -> None:
    """Wait until the grid has this many cells in sight."""
    from playwright.sync_api import expect

    expect(page.locator(".cell")).to_have_count(number)


def person_of(served: Served, name: str) -> int:
    """Return the person whose portrait is called so."""
    for one in served.ask("people")["people"]:
        for hit in served.ask(f"people/{one['number']}/photos")["queries"][0]["hits"]:
            if hit["path"].endswith(f"portraits/{name}.jpg"):
                return int(one["number"])
    raise AssertionError(name)


def portrait_of(served: Served, name: str) -> dict[str, Any]:
    """Return the hit in a portrait."""
    hits = served.ask(f"people/{person_of(served, name)}/photos")["queries"][0]["hits"]
    return next(hit for hit in hits if hit["path"].endswith(f"portraits/{name}.jpg"))


# Find


def test_from_a_group_photo_to_the_right_face_in_one_tap(visit: Visits) -> None:
    page = visit()
    choose(page, shipped_file("t1"))
    page.wait_for_selector(".frame")
    assert page.inner_text("h2 >> nth=0") == "Whom do you want to find?"
    assert page.locator(".frame").count() == 6
    page.locator(".frame").nth(1).click()  # bea, the second from the left
    assert answered(page).startswith("Probably somebody without a name: ")
    assert "bea.jpg" in names_on(page)
    assert not {"ada.jpg", "cal.jpg", "dan.jpg", "eli.jpg", "fay.jpg"} & set(names_on(page))


def test_a_portrait_is_answered_at_once(visit: Visits, portraits: dict[str, Path]) -> None:
    page = visit()
    choose(page, portraits["fay"])
    answered(page)
    assert names_on(page)[0] in ("fay.jpg", "everybody.jpg", "right half.jpg")


def test_several_photos_make_one_question(visit: Visits, portraits: dict[str, Path]) -> None:
    with Image.open(portraits["dan"]) as portrait:
        ImageOps.mirror(portrait).save(portraits["dan"].with_name("mirrored.png"))
    page = visit()
    choose(page, portraits["dan"])
    answered(page)
    page.click("text=Add or change photos")
    page.wait_for_selector(".drop.small")
    choose(page, portraits["dan"].with_name("mirrored.png"))
    page.wait_for_selector("text=2 photos of one person")
    with page.expect_response("**/search") as answer:
        page.click("text=Find this person")
    answered(page)
    assert answer.value.json()["queries"][0]["paths"] == ["dan.png", "mirrored.png"]
    page.click("text=Add or change photos")
    page.locator("[aria-label='Leave out dan.png']").first.click()
    page.click("text=Start over")
    assert page.locator(".chosen").inner_text() == ""


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_photos_can_be_pasted_and_dropped(visit: Visits, portraits: dict[str, Path], way: str) -> None:
    page = visit()
    page.wait_for_selector(".drop")
    page.evaluate(
        """([way, data]) => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "photo.png", { type: "image/png" }));
            const event = way === "paste" ? new ClipboardEvent("paste", { clipboardData: transfer })
                : new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
            window.dispatchEvent(event);
        }""",
        [way, base64.b64encode(portraits["eli"].read_bytes()).decode()],
    )
    answered(page)
    assert "eli.jpg" in names_on(page)


def test_a_phone_takes_a_photo(visit: Visits) -> None:
    page = visit(phone=True)
    assert page.locator("text=Take a photo").is_visible()
    with page.expect_file_chooser():
        page.click("text=Take a photo")
    assert page.get_attribute("input[capture]", "accept") == "image/*"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"


def test_what_is_no_photo_is_told_in_one_line(visit: Visits, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("no photo")
    page = visit()
    choose(page, tmp_path / "text.txt")
    page.wait_for_selector(".message.wrong")
    assert page.inner_text(".message.wrong span") == "That is not a photo."


def test_people_are_one_tap_away(visit: Visits, served: Served) -> None:
    served.say(say="name", person=person_of(served, "cal"), name="Cal <b>& Co</b>")
    page = visit()
    page.click("text=Cal <b>& Co</b>")
    assert answered(page).startswith("Cal <b>& Co</b>: ")
    assert page.locator("h1 b").count() == 0, "a name is text"


# Answer


def test_the_sentence_counts_photos_by_face_and_through_other_photos(
    visit: Visits, served: Served, portraits: dict[str, Path]
) -> None:
    served.say(say="name", person=person_of(served, "bea"), name="Bea")
    page = visit()
    choose(page, portraits["bea"])
    sentence = answered(page)
    data = base64.b64encode(portraits["bea"].read_bytes()).decode()
    hits = served.ask("search", {"photos": [{"name": "b", "data": data}]})["queries"][0]["hits"]
    photos = len({hit["photo_id"] for hit in hits if not hit.get("is_query")})
    assert sentence.startswith(f"Probably Bea: {photos} photos")
    through = len({hit["photo_id"] for hit in hits if hit["via"] == "person"})
    assert ("through other photos" in sentence) == bool(through)


def test_numbers_are_shown_under_details_alone(visit: Visits, portraits: dict[str, Path]) -> None:
    page = visit()
    choose(page, portraits["ada"])
    answered(page)
    assert page.locator(".number").count() == 0
    assert page.locator("#threshold").is_hidden()
    assert page.locator(".verdict").first.inner_text() in ("strong", "likely", "possible")
    page.click("text=Details")
    assert float(page.locator(".number").first.inner_text()) > 0.4
    before = page.locator(".cell").count()
    page.locator("#threshold").fill("0.9")
    page.wait_for_selector("text=Back to the usual answer")
    assert page.locator(".cell").count() < before
    page.click("text=Back to the usual answer")
    has_cells(page, before)


def test_filters_narrow_the_answer(visit: Visits, served: Served) -> None:
    bea, cal = person_of(served, "bea"), person_of(served, "cal")
    served.say(say="name", person=cal, name="Cal")
    page = visit(f"#/answer?person={bea}")
    answered(page)
    every = set(names_on(page))
    page.click("text=Filters")
    page.get_by_label("Also shows").fill("Ca")
    page.wait_for_selector(".suggestions li")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Filters (1)")
    page.wait_for_selector("a[aria-label^='bea.jpg']", state="detached")
    assert "everybody.jpg" in names_on(page)
    page.locator(".chips button").click()
    has_cells(page, len(every))
    page.get_by_label("Nobody else in the photo").check()
    has_cells(page, 1)
    assert names_on(page) == ["bea.jpg"]
    page.click("text=Remove all filters")
    page.get_by_label("In the folder").fill("/nowhere")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_selector(".message.wrong")
    visit.troubles.clear()  # the browser notes the 404


def test_actions_come_with_a_selection(visit: Visits, served: Served) -> None:
    page = visit(f"#/answer?person={person_of(served, 'dan')}")
    answered(page)
    assert page.locator(".actions").is_hidden()
    page.get_by_label("Select dan.jpg").check(force=True)
    page.get_by_label("Select everybody.jpg").check(force=True)
    assert page.inner_text(".actions strong") == "2 photos selected"
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    archive = zipfile.ZipFile(io.BytesIO(Path(str(download.value.path())).read_bytes()))
    assert sorted(archive.namelist()) == ["dan.jpg", "everybody.jpg"]
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy paths").click()
    page.wait_for_selector("text=2 paths copied.")
    assert page.evaluate("navigator.clipboard.readText()").count("\n") == 1
    page.get_by_role("button", name="Clear").click()
    assert page.locator(".actions").is_hidden()


def test_more_like_this(visit: Visits, served: Served) -> None:
    page = visit(f"#/answer?person={person_of(served, 'eli')}")
    answered(page)
    page.get_by_label("Select eli.jpg").check(force=True)
    page.get_by_role("link", name="More like this").click()
    page.wait_for_selector("text=The photo you asked with")
    assert "eli.jpg" in names_on(page)


def test_not_this_person_and_undo(visit: Visits, served: Served) -> None:
    fay = person_of(served, "fay")
    served.say(say="name", person=fay, name="Fay")
    page = visit(f"#/answer?person={fay}")
    answered(page)
    every = page.locator(".cell").count()
    page.get_by_label("Select right half.jpg").check(force=True)
    page.get_by_role("button", name="Not Fay").click()
    page.wait_for_selector("text=1 photo marked as not Fay.")
    assert "right half.jpg" not in names_on(page)
    page.get_by_role("button", name="Undo").click()
    page.wait_for_selector("text=Taken back.")
    has_cells(page, every)


def test_selected_photos_are_named(visit: Visits, served: Served) -> None:
    page = visit(f"#/answer?person={person_of(served, 'ada')}")
    answered(page)
    page.get_by_label("Select ada.jpg").check(force=True)
    page.get_by_role("button", name="Name", exact=True).click()
    page.get_by_label("Who is it?").fill("Somebody new")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=1 photo named Somebody new.")
    assert [one["name"] for one in served.ask("people?search=Somebody")["people"]] == ["Somebody new"]


def test_a_grid_of_5000_hits_has_only_those_in_sight(visit: Visits, served: Served) -> None:
    """The answer is a real one, made long: its hits are repeated."""
    person = person_of(served, "bea")
    record = served.ask("search", {"person": person})
    hits = record["queries"][0]["hits"]
    record["queries"][0]["hits"] = [hits[number % len(hits)] for number in range(5000)]
    page = visit()
    page.route("**/api/v1/search", lambda route: route.fulfill(json=record))
    page.goto(f"{served.address}#/answer?person={person}")
    answered(page)
    assert page.locator(".cell").count() < 100
    for _ in range(20):
        page.mouse.wheel(0, 5000)
    page.wait_for_timeout(300)
    assert 0 < page.locator(".cell").count() < 100
    page.locator(".cell a").first.focus()
    page.keyboard.press("End")
    page.wait_for_selector("[aria-posinset='5000'] a:focus")
    assert page.get_attribute("[aria-posinset='5000']", "aria-setsize") == "5000"
    assert page.locator(".cell").count() < 100
    page.keyboard.press("Home")
    page.wait_for_selector("[aria-posinset='1'] a:focus")


# Photo


def test_tap_a_face_type_enter_and_undo(visit: Visits, served: Served) -> None:
    hit = portrait_of(served, "cal")
    page = visit(f"#/photo/{hit['photo_id']}")
    page.locator(".frame").click()
    page.get_by_label("Who is this?").fill("Cal")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=All photos of this person are named Cal.")
    assert page.locator(".frame .tag").inner_text() == "Cal"
    page.wait_for_timeout(7000)  # longer than a passing message
    page.get_by_role("button", name="Undo").click()
    page.wait_for_selector("text=Taken back.")
    assert page.locator(".frame .tag").inner_text() == "?"


def test_a_name_that_is_taken_is_asked_about(visit: Visits, served: Served) -> None:
    served.say(say="name", person=person_of(served, "ada"), name="Kim")
    hit = portrait_of(served, "bea")
    page = visit(f"#/photo/{hit['photo_id']}?face={hit['face_id']}")
    page.get_by_label("Who is this?").fill("Kim")
    page.wait_for_selector(".suggestions li")
    page.keyboard.press("Escape")  # closes the suggestions: the name is typed, not chosen
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Kim is there already")
    page.click("text=Another person")
    page.wait_for_selector(".message")
    assert len(served.ask("people?search=Kim")["people"]) == 2
    visit.troubles.clear()  # the browser notes that the name was refused at first


def test_next_and_previous_by_keys(visit: Visits, served: Served) -> None:
    page = visit(f"#/answer?person={person_of(served, 'bea')}")
    answered(page)
    shown = names_on(page)
    page.locator(".cell a.picture").first.click()
    page.wait_for_selector("text=1 of")
    for name in (shown[1], shown[2]):
        page.keyboard.press("ArrowRight")
        page.wait_for_selector(f"h1:has-text('{name}')")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector(f"h1:has-text('{shown[1]}')")
    page.keyboard.press("Escape")
    answered(page)


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_a_missed_face_is_drawn_and_named(visit: Visits, served: Served, by: str) -> None:
    coffee = next(photo for photo in range(1, 40) if served_path(served, photo).endswith("scans/coffee.png"))
    page = visit(f"#/photo/{coffee}")
    page.click("text=Tag a missed face")
    if by == "mouse":
        place = page.locator(".boxes").bounding_box()
        assert place is not None
        page.mouse.move(place["x"] + 60, place["y"] + 60)
        page.mouse.down()
        page.mouse.move(place["x"] + 220, place["y"] + 240, steps=4)
        page.mouse.up()
    else:
        page.get_by_role("button", name="Put a box in the middle").press("Enter")
        for key in ("ArrowLeft", "ArrowUp", "Shift+ArrowRight"):
            page.keyboard.press(key)
    page.get_by_label("Who is it?").fill("Cup")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Tagged Cup.")
    assert page.locator(".frame .tag").inner_text() == "Cup"
    (face,) = served.ask(f"photos/{coffee}")["faces"]
    assert (face["name"], face["det_score"]) == ("Cup", None)


def served_path(served: Served, photo: int) -> str:
    from urllib.error import HTTPError

    try:
        return str(served.ask(f"photos/{photo}")["path"])
    except HTTPError:
        return ""


def test_not_a_face(visit: Visits, served: Served) -> None:
    hit = portrait_of(served, "dan")
    page = visit(f"#/photo/{hit['photo_id']}?face={hit['face_id']}")
    page.get_by_role("button", name="Not a face").click()
    page.wait_for_selector("text=Marked as not a face.")
    assert page.locator(".frame").count() == 0


def test_who_may_only_look_is_not_offered_to_name(visit: Visits, served: Served) -> None:
    hit = portrait_of(served, "ada")
    page = visit(f"#/photo/{hit['photo_id']}?face={hit['face_id']}", rights="look")
    page.wait_for_selector(".frame")
    assert page.locator(".namer").count() == 0
    assert page.locator("text=Tag a missed face").count() == 0
    assert page.locator("nav >> text=Review").is_hidden()


# Everywhere


def test_by_keyboard_alone(visit: Visits, served: Served) -> None:
    """From the first screen to a name, without a mouse."""
    page = visit()
    page.wait_for_selector(".person")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('person')"):
            break
    page.keyboard.press("Enter")
    answered(page)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('picture')"):
            break
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.closest('[data-place]').dataset.place") == "1"
    page.keyboard.press("Enter")
    page.wait_for_selector(".namer input")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('.namer') !== null"):
            break
    page.keyboard.type("By keys")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=are named By keys")
    assert len(served.ask("people?search=By%20keys")["people"]) == 1


def test_a_photo_that_is_gone_says_so(visit: Visits, served: Served) -> None:
    hit = portrait_of(served, "eli")
    page = visit()
    page.route(f"**/photos/{hit['photo_id']}/picture*", lambda route: route.fulfill(status=415, json={"detail": "x"}))
    page.goto(f"{served.address}#/photo/{hit['photo_id']}")
    page.wait_for_selector("text=This photo is not readable now")
    visit.troubles.clear()


def test_the_session_ends(visit: Visits, served: Served) -> None:
    page = visit()
    page.context.clear_cookies()
    page.goto(f"{served.address}#/answer?person=1")
    page.wait_for_selector("#key")
    visit.troubles.clear()
    assert json.loads(page.evaluate("fetch('api/v1/session').then(answer => answer.text())"))["rights"] is None
