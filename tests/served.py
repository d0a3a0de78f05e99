"""The page of `facesearch serve` in a real browser: the server, the browser, and what every visit is checked for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

__all__ = ["BROWSERS", "TOKENS", "Served", "Visits", "open_chromium", "serving"]

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TOKENS = {"owner": "owner-owner-owner-1", "name": "name-name-name-name-1", "look": "look-look-look-look-1"}
"""A token for each right."""

_PHONE: ViewportSize = {"width": 390, "height": 844}
_DESKTOP: ViewportSize = {"width": 1280, "height": 900}
_PATIENCE = 20_000


@contextmanager
def open_chromium() -> Iterator[Browser]:
    """Open the browser of this machine without a window; skip the test if there is none, which fails it in CI.

    Only one may be open in a process, and no event loop runs beside it: fixtures that use it end with their module.
    """
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser found; tried {', '.join(BROWSERS)}")
    with api.sync_playwright() as playwright:
        # The sandbox refuses to run as root, but tests in containers run as root.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass(frozen=True, slots=True)
class Served:
    """A server of an index, at an address that ends in a slash; `uploads` is its folder for added photos."""

    address: str
    index: Path
    uploads: Path

    def ask(self, path: str, body: Any = None, *, method: str | None = None) -> Any:
        """Ask the REST API as the owner; a body is sent by POST."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {TOKENS['owner']}", "Content-Type": "application/json"}
        request = Request(f"{self.address}api/v1/{path}", data, headers, method=method)
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def say(self, **statement: Any) -> int:
        """Say something about people; return the number of the action."""
        action: int = self.ask("statements", statement)["action"]
        return action

    def take_all_back(self) -> None:
        """Take back everything that was said, the last first."""
        for action in self.ask("statements?limit=10000")["actions"]:
            if action["undoes"] is None and action["undone_by"] is None:
                self.say(say="undo", action=action["number"])


@contextmanager
def serving(index: Path, folder: Path, *options: str) -> Iterator[Served]:
    """Serve an index, which is written to, with the real command, which keeps its files in `folder`."""
    tokens, uploads = folder / "tokens", folder / "uploads"
    tokens.write_text("".join(f"{rights} {rights} {token}\n" for rights, token in TOKENS.items()), encoding="utf-8")
    tokens.chmod(0o600)
    uploads.mkdir()
    command: list[str | Path] = [sys.executable, "-m", "facesearch", "serve", "--index", index, "--port", "0"]
    server = subprocess.Popen(
        [*command, "--device", "cpu", "--token-file", tokens, "--uploads", uploads, *options],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stderr is not None
        told = server.stderr.readline()
        start = told.find("http://")
        assert start >= 0, told + server.stderr.read()
        yield Served(told[start:].split()[0].split("#")[0], index, uploads)
    finally:
        server.terminate()
        server.communicate(timeout=30)


@dataclass
class Visits:
    """Opens pages of a server, and keeps what goes wrong on them."""

    browser: Browser
    served: Served
    troubles: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    _contexts: list[BrowserContext] = field(default_factory=list)

    def __call__(
        self,
        screen: str = "#/find",
        *,
        rights: str = "owner",
        phone: bool = False,
        dark: bool = False,
        screens: bool = True,
    ) -> Page:
        """Open a screen as a new visitor, who enters the token in the form. A gallery has one of the `screens` only."""
        context = self.browser.new_context(
            viewport=_PHONE if phone else _DESKTOP, has_touch=phone, is_mobile=phone, reduced_motion="reduce",
            color_scheme="dark" if dark else "light", locale="en-GB",
        )  # fmt: skip
        context.set_default_timeout(_PATIENCE)
        self._contexts.append(context)
        page = context.new_page()
        page.on("console", lambda told: self._note(told.text) if told.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self._note(str(error)))
        page.on("request", lambda request: self._look_at(request.url))
        page.goto(self.served.address + screen)
        page.fill("#key", TOKENS[rights])
        page.press("#key", "Enter")
        page.wait_for_selector("#screens:not([hidden])" if screens else "main .drop")
        return page

    def expect(self, text: str) -> None:
        """Forget what the browser itself writes to the console when an answer is an error; it must be there."""
        found = [trouble for trouble in self.troubles if text in trouble]
        assert found, f"nothing was said of {text}"
        self.troubles = [trouble for trouble in self.troubles if text not in trouble]

    def end(self) -> None:
        """Close the pages; fail if a page wrote an error to the console, or asked another server for anything."""
        for context in self._contexts:
            context.close()
        assert self.elsewhere == []
        assert self.troubles == []

    def _note(self, trouble: str) -> None:
        self.troubles.append(trouble)

    def _look_at(self, url: str) -> None:
        if not url.startswith((self.served.address, f"blob:{self.served.address}")):
            self.elsewhere.append(url)
