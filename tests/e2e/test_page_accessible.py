"""The page for everybody: axe-core finds nothing on any screen, on a desktop and a phone, light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sample_library import shipped_file
from served import Served, Visits

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def axe() -> str:
    """The script of axe-core."""
    package = pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python: pip install it")
    return Path(package.__file__).with_name("axe.min.js").read_text(encoding="utf-8")


SCREENS = {
    "find": "#/find",
    "answer": "#/answer?person=1",
    "photo": "#/photo/1",
    "people": "#/people",
    "person": "#/person/1",
    "review": "#/review",
}


@pytest.mark.parametrize(("phone", "dark"), [(False, False), (True, True)], ids=["desktop, light", "phone, dark"])
def test_axe_finds_nothing(visit: Visits, served: Served, axe: str, phone: bool, dark: bool) -> None:
    served.say(say="name", person=1, name="Somebody")
    page = visit(phone=phone, dark=dark)
    found: dict[str, Any] = {}
    for name, screen in SCREENS.items():
        page.goto(served.address + screen)
        page.wait_for_selector("main h1, main h2")
        page.wait_for_load_state("networkidle")
        page.evaluate(axe)
        result = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        found[name] = [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in result["violations"]]
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_axe_finds_nothing_with_a_photo_of_a_group(visit: Visits, axe: str) -> None:
    page = visit()
    page.set_input_files("#choose", str(shipped_file("t1")))
    page.wait_for_selector(".frame")
    page.evaluate(axe)
    result = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    assert [(one["id"], one["nodes"][0]["html"]) for one in result["violations"]] == []
