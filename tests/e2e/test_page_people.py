"""The page in a real browser: people, a person, review and the library line, against the real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from served import Served, Visits

pytestmark = pytest.mark.thorough


def names(page: Page) -> list[str]:
    """Return what stands below the covers in sight."""
    return page.locator(".someone .name").all_inner_texts()


def wait_until(page: Page, condition: str) -> None:
    """Wait until an expression in the page is true."""
    page.wait_for_function(condition)


def message(page: Page) -> str:
    page.wait_for_selector("#messages .message")
    return page.locator("#messages .message > span").inner_text()


def focus(page: Page) -> str:
    """Return what has the focus, as a screen reader would say it."""
    found: str = page.evaluate(
        "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent).trim()"
    )
    return found


def test_people_are_named_in_place_one_after_another(visit: Visits, served: Served) -> None:
    page = visit("#/people")
    page.wait_for_selector(".someone img")
    page.locator(".someone .name").first.click()
    for name in ("Ada", "Bea", "Cal"):
        page.keyboard.type(name)
        page.keyboard.press("Enter")
        page.wait_for_function(
            "name => [...document.querySelectorAll('.name')].some(one => one.textContent === name)", arg=name
        )
        wait_until(page, "document.activeElement.matches('.naming input')")
    assert names(page)[:3] == ["Ada", "Bea", "Cal"]
    assert [one["name"] for one in served.ask("people")["people"][:3]] == ["Ada", "Bea", "Cal"]
