"""The page in a real browser: people, a person, review, the library line and the page of the REST API."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from sample_library import shipped_photo

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page
    from served import Served, Visits

pytestmark = pytest.mark.thorough

MESSAGE = "#messages .message > span"


def people_of(served: Served) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = served.ask("people?ignored=true")["people"]
    return found


def faces_of(served: Served, person: int) -> list[int]:
    hits = served.ask(f"people/{person}/photos")["queries"][0]["hits"]
    return [hit["face_id"] for hit in hits]


def cell(page: Page, person: int) -> Locator:
    return page.locator(f'[data-person="{person}"]')


def wait(page: Page, condition: str, argument: object = None) -> None:
    """Wait until an expression in the page is true. The page may not evaluate text itself, so it is asked again."""
    for _ in range(200):
        if page.evaluate(condition, argument):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"never true: {condition} ({argument})")


def told(page: Page, text: str) -> None:
    """Wait until the page tells something."""
    page.locator(MESSAGE, has_text=text).wait_for()


def undo(page: Page) -> None:
    page.click("#messages >> text=Undo")
    told(page, "Taken back.")


def focused(page: Page) -> str:
    """Return what has the focus, as a screen reader would call it."""
    return str(
        page.evaluate(
            "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent).trim()"
        )
    )


def halve(served: Served, number: int) -> None:
    """Say of half of the faces of some people that they are somebody else, which is wrong, and leads to questions."""
    for person in people_of(served)[:number]:
        faces = faces_of(served, person["number"])
        served.say(say="call", name=f"Half of {person['number']}", faces=faces[: len(faces) // 2])


# People


def test_people_are_named_in_place_one_after_another(visit: Visits, served: Served) -> None:
    page = visit("#/people")
    page.locator(".someone .name").first.click()
    for name in ("Ada", "Bea", "Cal"):
        page.keyboard.type(name)
        page.keyboard.press("Enter")
        page.locator(".someone .name", has_text=name).wait_for()
        wait(page, "document.activeElement.matches('.naming input')")
    assert page.locator(".someone .name").all_inner_texts()[:3] == ["Ada", "Bea", "Cal"]
    assert [one["name"] for one in people_of(served)[:3]] == ["Ada", "Bea", "Cal"]
    page.keyboard.press("Escape")
    undo(page)
    page.locator(".someone .name", has_text="Cal").wait_for(state="detached")


def test_the_place_is_kept_while_naming_and_when_coming_back(visit: Visits, served: Served) -> None:
    page = visit("#/people", phone=True)
    page.set_viewport_size({"width": 390, "height": 460})
    last = people_of(served)[3]["number"]
    cell(page, last).wait_for()
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    wait(page, "scrollY > 100")
    cell(page, last).locator(".name").click()
    before = page.evaluate("scrollY")
    page.keyboard.type("Eve")
    page.keyboard.press("Enter")
    told(page, "Named Eve.")
    assert page.evaluate("scrollY") == before
    page.keyboard.press("Escape")
    cell(page, last).locator(".picture").press("Enter")
    page.locator("h1", has_text="Eve").wait_for()
    page.go_back()
    cell(page, last).wait_for()
    wait(page, "before => scrollY === before", before)
    wait(page, "last => document.activeElement.closest('[data-person]')?.dataset.person === String(last)", last)


def test_a_name_that_is_taken_is_asked_about_in_place(visit: Visits, served: Served) -> None:
    first, second, *_ = (one["number"] for one in people_of(served))
    everybody = len(people_of(served))
    served.say(say="name", person=first, name="Ada")
    page = visit("#/people")
    cell(page, second).locator(".name").click()
    page.keyboard.type("ada")
    page.keyboard.press("Enter")
    page.locator(".taken", has_text="Ada is there already").wait_for()
    assert focused(page) == "The same person"
    page.click(".taken >> text=Another person")
    told(page, "Named ada.")
    assert len(people_of(served)) == everybody
    undo(page)
    cell(page, second).locator(".name", has_text="Add a name").click()
    page.keyboard.type("Ada")
    page.keyboard.press("Enter")
    page.locator(".taken").wait_for()
    page.keyboard.press("Enter")
    told(page, "Now one person with Ada.")
    cell(page, second).wait_for(state="detached")
    assert len(people_of(served)) == everybody - 1
    undo(page)
    cell(page, second).wait_for()
    assert len(people_of(served)) == everybody


def test_many_are_merged_and_ignored_and_shown_again(visit: Visits, served: Served) -> None:
    first, second, third, fourth, *_ = (one["number"] for one in people_of(served))
    served.say(say="name", person=third, name="Cal")
    page = visit("#/people")
    cell(page, first).hover()
    cell(page, first).locator(".select input").check()
    cell(page, third).locator(".picture").click(modifiers=["Shift"])
    page.locator("text=3 people selected").wait_for()
    page.click(".actions >> text=Merge")
    told(page, "3 people are one now: Cal.")
    assert [cell(page, one).count() for one in (first, second, third)] == [0, 0, 1]
    undo(page)
    cell(page, second).wait_for()
    for one in (second, fourth):
        cell(page, one).hover()
        cell(page, one).locator(".select input").check()
    page.click(".actions >> text=Ignore")
    told(page, "2 people ignored.")
    assert cell(page, second).count() + cell(page, fourth).count() == 0
    page.check("#ignored")
    cell(page, second).wait_for()
    cell(page, second).hover()
    cell(page, second).locator(".select input").check()
    page.click(".actions >> text=Show again")
    told(page, "1 person shown again.")
    ignored = {one["number"] for one in people_of(served) if one["ignored"]}
    assert ignored == {fourth}


def test_one_name_for_many_is_taken_back_at_once(visit: Visits, served: Served) -> None:
    first, second, *_ = (one["number"] for one in people_of(served))
    page = visit("#/people")
    for one in (first, second):
        cell(page, one).hover()
        cell(page, one).locator(".select input").check()
    page.click(".actions >> text=Name")
    page.keyboard.type("Zoë")
    page.keyboard.press("Enter")
    told(page, "Named Zoë.")
    assert second not in {one["number"] for one in people_of(served)}
    undo(page)
    cell(page, second).wait_for()
    assert [one["name"] for one in people_of(served) if one["name"]] == []


def test_people_are_searched_without_accents_and_the_address_keeps_it(visit: Visits, served: Served) -> None:
    first, second, *_ = (one["number"] for one in people_of(served))
    served.say(say="name", person=first, name="Zoë <b>Müller</b>")
    served.say(say="name", person=second, name="Bea", aliases=["Trixie"])
    page = visit("#/people")
    page.fill("#who", "zoe")
    wait(page, "document.querySelectorAll('.someone').length === 1")
    assert page.locator(".someone .name").inner_text() == "Zoë <b>Müller</b>"
    page.fill("#who", "trix")
    cell(page, second).wait_for()
    assert page.url.endswith("#/people?search=trix")
    page.reload()
    cell(page, second).wait_for()
    assert page.locator(".someone").count() == 1
    page.fill("#who", "")
    page.select_option("#which", "unnamed")
    wait(page, "n => document.querySelectorAll('.someone').length === n", len(people_of(served)) - 2)


def test_people_by_keyboard_alone(visit: Visits, served: Served) -> None:
    first, *_ = (one["number"] for one in people_of(served))
    page = visit("#/people", rights="name", dark=True)
    cell(page, first).wait_for()
    page.locator("#who").focus()
    page.keyboard.press("ArrowDown")
    assert focused(page).startswith(f"Person {first}, without a name")
    page.keyboard.press("F2")
    page.keyboard.type("Ada")
    page.keyboard.press("Enter")
    told(page, "Named Ada.")
    page.keyboard.press("Escape")
    wait(page, "document.activeElement.matches('.name')")
    page.keyboard.press("ArrowLeft")
    assert focused(page).startswith("Ada, ")
    page.keyboard.press("Shift+ArrowRight")
    page.locator("text=2 people selected").wait_for()
    page.keyboard.press("Escape")
    page.locator(".actions").wait_for(state="hidden")
    page.keyboard.press(" ")
    page.locator("text=1 person selected").wait_for()
    page.keyboard.press("Control+a")
    page.locator(f"text={len(people_of(served))} people selected").wait_for()


def test_who_may_only_look_is_offered_nothing_else(visit: Visits, served: Served) -> None:
    page = visit("#/people", rights="look")
    page.locator(".someone img").first.wait_for()
    assert page.locator("button.name, .select, [data-needs=name]:visible").count() == 0
    page.locator(".someone .picture").first.click()
    page.locator(".person-head h1").wait_for()
    assert page.locator("[data-tool]").count() == 0
    page.click(".library-line")
    page.locator("text=End this session").wait_for()
    assert page.locator("text=Look for new photos").count() + page.locator("text=Invite somebody").count() == 0


# A person


def test_what_is_said_of_a_person_can_be_changed(visit: Visits, served: Served) -> None:
    first, second, *_ = (one["number"] for one in people_of(served))
    page = visit(f"#/person/{first}")
    page.click("[data-tool=edit]")
    page.fill("#fact-name", "Ada")
    page.fill("#fact-aliases", "Addie, A. L.")
    page.fill("#fact-born", "1815-12")
    page.fill("#fact-id", "x-1")
    page.press("#fact-id", "Enter")
    told(page, "Named Ada.")
    record = served.ask(f"people/{first}")
    assert (record["name"], record["aliases"], record["born"], record["external_id"]) == (
        "Ada", ["Addie", "A. L."], "1815-12", "x-1",
    )  # fmt: skip
    page.locator("text=Also called Addie, A. L.").wait_for()
    page.click("[data-tool=edit]")
    page.click("text=What was said before")
    page.locator(".history li", has_text="called Ada").first.wait_for()
    page.fill("#fact-born", "not a date")
    page.press("#fact-born", "Enter")
    page.locator("#messages .wrong").wait_for()
    visit.expect("status of 422")
    assert page.locator("#fact-born").input_value() == "not a date"
    page.goto(f"{served.address}#/person/{second}")
    page.locator("h1", has_text="No name yet").wait_for()
    page.click("[data-tool=ignore]")
    told(page, "Ignored")
    undo(page)
    assert not served.ask(f"people/{second}")["ignored"]


def test_a_person_is_split_with_the_parts_shown(visit: Visits, served: Served) -> None:
    _, first, second, *_ = people_of(served)
    number = first["number"]
    served.say(say="merge", people=[number, second["number"]])
    photos = served.ask(f"people/{number}")["photos"]
    page = visit(f"#/person/{number}")
    page.click("[data-tool=split]")
    page.locator(".part").nth(1).wait_for()
    assert page.locator(".part").count() == 2
    assert page.locator(".samples img").count() == 8
    page.locator(".part input").nth(1).check()
    page.click("text=Split off 4 photos")
    told(page, "Split off from")
    page.locator("text=4 photos").first.wait_for()
    other = int(page.url.rpartition("/")[2])
    assert other not in {number, second["number"]}
    assert served.ask(f"people/{other}")["photos"] == 4
    undo(page)
    wait(page, "number => location.hash === `#/person/${number}`", number)
    assert served.ask(f"people/{number}")["photos"] == photos


def test_photos_of_a_person_are_corrected_and_downloaded(visit: Visits, served: Served) -> None:
    person = people_of(served)[0]["number"]
    faces = faces_of(served, person)
    page = visit(f"#/person/{person}")
    chosen = page.locator("[data-face]").nth(1)
    face = int(chosen.get_attribute("data-face") or 0)
    chosen.hover()
    chosen.locator(".select input").check()
    with page.expect_download() as download:
        page.click(".actions >> text=Download")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert len(archive.namelist()) == 1
    page.click(".actions >> text=Use as cover")
    told(page, "This is the cover now.")
    assert served.ask(f"people/{person}")["cover"] == face
    chosen = page.locator(f'[data-face="{face}"]')
    chosen.hover()
    chosen.locator(".select input").check()
    page.click(".actions >> text=Not this person")
    told(page, "marked as not this person")
    chosen.wait_for(state="detached")
    assert sorted(faces_of(served, person)) == sorted(set(faces) - {face})
    undo(page)
    chosen.wait_for()


def test_a_photo_of_a_person_leads_back_to_the_same_place(visit: Visits, served: Served) -> None:
    person = people_of(served)[0]["number"]
    page = visit(f"#/person/{person}", phone=True, dark=True)
    page.set_viewport_size({"width": 390, "height": 460})
    last = page.locator("[data-face] .picture").last
    last.scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    assert before > 0
    last.press("Enter")
    page.locator(".stage .frame").first.wait_for()
    page.click("text=Back")
    page.locator("[data-face]").first.wait_for()
    wait(page, "before => Math.abs(scrollY - before) < 2", before)


# Review


def test_questions_are_answered_by_keys_and_every_answer_is_taken_back(visit: Visits, served: Served) -> None:
    halve(served, 3)
    questions = served.ask("review")["questions"]
    assert len(questions) >= 3
    everybody = {one["number"] for one in people_of(served)}
    page = visit("#/review")
    page.locator(".duel img").first.wait_for()
    keys = ("y", "2", "s")
    seen = []
    for key in keys:
        seen.append(page.locator(".duel figcaption").all_inner_texts())
        page.keyboard.press(key)
        wait(page, "before => document.querySelector('.duel')?.innerText !== before", "\n".join(seen[-1]))
    page.locator("text=Undo (3)").wait_for()
    wait(page, "!document.querySelector('[aria-busy]')")
    for before in reversed(seen):
        page.keyboard.press("u")
        wait(
            page,
            "said => [...document.querySelectorAll('.duel figcaption')].every((one, at) => one.innerText === said[at])",
            before,
        )
    page.locator("button:disabled", has_text="Undo").wait_for()
    assert focused(page) != ""
    page.locator("text=Taken back: same.").wait_for()
    for _ in range(200):  # what was taken back is sent in the background
        if {one["number"] for one in people_of(served)} == everybody:
            break
        page.wait_for_timeout(100)
    assert {one["number"] for one in people_of(served)} == everybody
    assert {one["id"] for one in served.ask("review")["questions"]} == {one["id"] for one in questions}


def test_no_question_is_shown_that_an_answer_has_settled(visit: Visits, served: Served) -> None:
    halve(served, 2)
    page = visit("#/review", phone=True)
    page.locator(".duel img").first.wait_for()
    ended = page.locator("h2", has_text="All questions are answered")
    for _ in range(60):
        page.locator(".duel, .done").first.wait_for()
        if ended.count():
            break
        page.keyboard.press("y")
    ended.wait_for()
    assert served.ask("review")["questions"] == []


def test_the_whole_photos_are_one_key_away_and_problems_stand_below(visit: Visits, served: Served) -> None:
    halve(served, 1)
    page = visit("#/review")
    page.locator(".duel .review-face img").first.wait_for()
    page.keyboard.press("w")
    page.locator(".duel .review-whole .frame").nth(1).wait_for()
    page.keyboard.press("w")
    page.locator(".duel .review-face img").first.wait_for()
    page.locator(".problems li", has_text="look like one person").wait_for()
    page.locator(".problems a", has_text="Half of").first.click()
    page.locator("h1", has_text="Half of").wait_for()


def test_what_was_skipped_is_asked_again_at_the_end(visit: Visits, served: Served) -> None:
    halve(served, 1)
    page = visit("#/review")
    page.locator(".duel").wait_for()
    while page.locator(".duel").count():
        page.keyboard.press(" ")
        page.locator(".duel, .done").first.wait_for()
        wait(page, "!document.querySelector('[aria-busy]')")
    page.click("text=Ask again what was skipped")
    page.locator(".duel").wait_for()


# The library line


def test_the_library_line_follows_a_run(visit: Visits, served: Served) -> None:
    page = visit("#/people")
    line = page.locator(".library-line")
    status = served.ask("status")
    line.locator(f"text={status['photos']} photos, {status['faces']} faces, {status['people']} people").wait_for()
    line.click()
    assert line.get_attribute("aria-expanded") == "true"
    page.locator(".paths li", has_text="photos").wait_for()
    page.click("text=Look for new photos")
    page.locator("text=Done: 0 new photos").wait_for(timeout=60_000)
    page.locator(".news a").first.wait_for()
    page.click("text=I have seen these")
    page.locator("text=Nobody new.").wait_for()
    line.click()
    assert page.locator("#library-panel").is_hidden()


def test_an_owner_invites_somebody_with_a_link_that_works_once(visit: Visits, served: Served) -> None:
    page = visit("#/find")
    page.click(".library-line")
    page.click("text=Invite somebody")
    page.fill("#invite-name", "Grandma")
    page.select_option("#invite-rights", "look")
    page.click("text=Make a link")
    link = page.locator("[aria-label='The link for Grandma']").input_value()
    assert link.startswith(f"{served.address}#key=")
    other = visit.browser.new_context()
    guest = other.new_page()
    guest.goto(link)
    guest.click(".library-line")
    guest.locator("text=You are Grandma, and may look.").wait_for()
    guest.click("text=End this session")
    guest.locator("#key").wait_for()
    other.close()


def test_added_photos_are_offered_and_shown_by_year(visit: Visits, served: Served, tmp_path: Path) -> None:
    person = next(one for one in people_of(served) if one["photos"] == 4)["number"]
    page = visit(f"#/person/{person}")
    page.locator("[data-face]").first.wait_for()
    photos = []
    group = shipped_photo("t1")
    for year in (2009, 2011):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = f"{year}:05-06 07:08:09".replace("-", ":")
        photos.append(tmp_path / f"{year} <i>.jpg")
        group.crop((year - 2009, 0, 1280, 886)).save(photos[-1], quality=90, exif=exif)
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    page.click(".library-line")
    page.set_input_files("#library-add", [*photos, tmp_path / "broken.jpg"])
    page.locator("text=2 photos added.").wait_for(timeout=60_000)
    assert page.locator(".added li", has_text="broken.jpg").count() == 1
    page.click(".library-line")
    page.click("text=New photos: show them")
    page.locator(".grid h2", has_text="2009").wait_for()
    page.locator(".years button", has_text="2011").click()
    label = page.locator(":focus").get_attribute("aria-label") or ""
    assert label.startswith("2011 <i>.jpg")
    page.click(".library-line")
    page.set_input_files("#library-add", photos[:1])
    page.locator(".added li", has_text="was there already").wait_for(timeout=60_000)


# The page of the REST API


def test_the_rest_api_has_a_page(visit: Visits, served: Served) -> None:
    page = visit("#/find", phone=True)
    page.click(".library-line")
    page.click("text=For programs: the REST API")
    page.locator("article.operation").first.wait_for()
    described = served.ask("openapi.json")["paths"]
    assert page.locator("article.operation").count() == sum(len(methods) for methods in described.values())
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    example = page.locator("#post-api-v1-search details.example")
    example.locator("summary").click()
    assert "-F photo=@me.jpg" in example.locator("pre").inner_text()


@pytest.mark.parametrize("screen", ["#/people", "#/person/1", "#/review"])
@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_and_fits_a_phone(visit: Visits, served: Served, screen: str, *, dark: bool) -> None:
    halve(served, 1)
    page = visit(screen, phone=True, dark=dark)
    page.locator("main img").first.wait_for()
    page.click(".library-line")
    page.locator("text=Folders").wait_for()
    if page.locator("text=Invite somebody").count():
        page.click("text=Invite somebody")
        page.fill("#invite-name", "Grandma")
        page.click("text=Make a link")
        page.locator(".copy").wait_for()
    for element in ("document.documentElement", "document.querySelector('.library-panel')"):
        assert page.evaluate(f"{element}.scrollWidth <= {element}.clientWidth")
    assert page.evaluate(FAINT) == []
    assert page.evaluate(NAMELESS) == []


FAINT = """() => {
  const parse = (colour) => { const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number); return { r, g, b, a }; };
  const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ({ r, g, b }) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const below = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.a === 1) return colour;
      if (colour.a > 0) return null;
    }
    return { r: 255, g: 255, b: 255 };
  };
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest(":disabled, .unseen, .skip, noscript")) continue;
    const [front, back] = [parse(getComputedStyle(element).color), below(element)];
    if (!back) continue;
    const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) faint.push(`${element.outerHTML.slice(0, 90)}: ${contrast.toFixed(2)}`);
  }
  return faint;
}"""
"""Return the elements whose text has less than 4.5 to 1 of contrast to what is below it."""
NAMELESS = """() => [...document.querySelectorAll("button, a, input, select")]
  .filter((one) => one.checkVisibility() && !(one.getAttribute("aria-label") ?? one.innerText ?? "").trim())
  .filter((one) => !one.labels?.length && !one.querySelector('img[alt]:not([alt=""])'))
  .map((one) => one.outerHTML.slice(0, 120))"""
"""Return controls without a name for a screen reader."""
