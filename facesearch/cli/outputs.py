"""The outputs of an answer: text on stdout, contact sheets, galleries, copies, links and crops."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facesearch.cli.messages import say
from facesearch.cli.options import suggestions
from facesearch.cli.stdout import ReaderGone, for_stdout, write
from facesearch.errors import FacesearchError, StorageError, UsageError
from facesearch.locations import is_inside
from facesearch.render.answers import FORMATS
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.api.results import Export, QueryResult
    from facesearch.events import Observer

__all__ = ["OUTPUT_OPTIONS", "Outputs"]

_FORMATS = [name for name in FORMATS if name != "paths0"]
_FILE = {"metavar": "FILE"}
_DIR = {"metavar": "DIR"}


def _option(*names: str, help_text: str, **about: Any) -> Any:
    return typer.Option(*names, help=help_text, **about)


OUTPUT_OPTIONS: dict[str, tuple[Any, Any]] = {
    "layout": (
        Annotated[
            str,
            _option(
                "--format", "-f",
                metavar="FORMAT", help_text=f"Output {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}.",
                autocompletion=suggestions(*_FORMATS),
            ),
        ],
        "table",
    ),
    "nul": (
        Annotated[bool, _option("--print0", "-0", help_text="Output paths separated by NUL, for xargs -0.")],
        False,
    ),
    "sheet": (
        Annotated[
            Path | None,
            _option("--sheet", help_text="Draw the hits on contact sheets: a .png or .jpg file.", **_FILE),
        ],
        None,
    ),
    "html": (
        Annotated[
            Path | None,
            _option(
                "--html", help_text="Write the hits as a gallery: one .html file with the pictures inside.", **_FILE
            ),
        ],
        None,
    ),
    "copy_to": (
        Annotated[
            Path | None,
            _option(
                "--copy-to", help_text="Copy the photos found to a folder. Nothing is overwritten.", **_DIR
            ),
        ],
        None,
    ),
    "link_to": (
        Annotated[Path | None, _option("--link-to", help_text="Make symbolic links to the photos found.", **_DIR)],
        None,
    ),
    "hard_links": (Annotated[bool, _option("--hard-links", help_text="With --link-to, make hard links.")], False),
    "crops_to": (
        Annotated[
            Path | None,
            _option("--crops-to", help_text="Save the faces found as JPEG files in a folder.", **_DIR),
        ],
        None,
    ),
    "dry_run": (
        Annotated[
            bool, _option("--dry-run", help_text="Report what would be copied, linked or saved; write nothing.")
        ],
        False,
    ),
}  # fmt: skip
"""The annotation and the default of each option, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """The outputs given on the command line."""

    layout: str
    nul: bool
    sheet: Path | None
    html: Path | None
    copy_to: Path | None
    link_to: Path | None
    hard_links: bool
    crops_to: Path | None
    dry_run: bool

    def check(self, *, several_questions: bool) -> None:
        """Check the outputs before anything is searched. Raises `UsageError`, `StorageError`."""
        if self.layout not in _FORMATS:
            raise UsageError(f"--format {self.layout}: choose one of {', '.join(_FORMATS)}")
        if self.nul and self.layout not in ("table", "paths"):
            raise UsageError(f"--print0 outputs paths; it cannot be combined with --format {self.layout}")
        if self.sheet is not None and several_questions:
            raise UsageError("--sheet draws the hits of one query; omit --each and --face all, or use --html")
        if self.dry_run and not (self.copy_to or self.link_to or self.crops_to):
            raise UsageError("--dry-run needs --copy-to, --link-to or --crops-to")
        if self.hard_links and self.link_to is None:
            raise UsageError("--hard-links needs --link-to DIR")
        if self.sheet is not None:
            from facesearch.render.pictures import check_may_be_written
            from facesearch.render.sheet import check_sheet_name

            check_sheet_name(self.sheet)
            check_may_be_written(self.sheet)
        if self.html is not None:
            from facesearch.render.gallery import check_gallery_name
            from facesearch.render.pictures import check_may_be_written

            check_gallery_name(self.html)
            check_may_be_written(self.html)

    def hand_out(self, result: QueryResult, observer: Observer, *, seconds: float, max_pixels: int) -> bool:
        """Write the answer and its remarks, then make all other outputs. Return True if all of them are complete.

        A failed output does not stop the others; its error is raised at the end.
        """
        from facesearch.render.answers import render_answers

        gone: ReaderGone | StorageError | None = None
        try:
            write(render_answers(result, "paths0" if self.nul else self.layout, for_stdout()), raw=self.nul)
        except (ReaderGone, StorageError) as error:  # the other outputs are made anyway
            gone = error
        observer.lap("write the answer")
        for remark in result.remarks:
            observer.remark(remark)
        self._warn_of_known_folders(result, observer)
        failures: list[FacesearchError] = []
        complete = True
        for make in (
            *self._pictures(result, observer, seconds, max_pixels),
            *self._copies(result, observer, max_pixels),
        ):
            try:
                complete = make() and complete
            except FacesearchError as error:
                failures.append(error)
        for failure in failures[:-1]:
            observer.warn(str(failure))
        if failures:
            raise failures[-1]
        if gone is not None:
            raise gone
        return complete

    def _pictures(
        self, result: QueryResult, observer: Observer, seconds: float, max_pixels: int
    ) -> Iterator[Callable[[], bool]]:
        """Yield functions that draw the contact sheet and the gallery and report where they are."""
        if (sheet := self.sheet) is not None:
            from facesearch.render.sheet import save_sheet

            def draw() -> bool:
                if self.dry_run:
                    observer.note(f"would write contact sheet {sheet}")
                    return True
                (one,) = result.answers
                pages = save_sheet(one, result.threshold, sheet, seconds=seconds, max_pixels=max_pixels)
                observer.note(f"wrote contact sheet {', '.join(map(str, pages))}")
                return True

            yield draw
        if (html := self.html) is not None:
            from facesearch.render.gallery import save_gallery
            from facesearch.render.records import gallery_record

            def write_page() -> bool:
                if self.dry_run:
                    observer.note(f"would write gallery {html}")
                    return True
                index = gallery_record(result)
                save_gallery(result.answers, result.threshold, index, html, seconds=seconds, max_pixels=max_pixels)
                observer.note(f"wrote gallery {html}")
                return True

            yield write_page

    def _copies(self, result: QueryResult, observer: Observer, max_pixels: int) -> Iterator[Callable[[], bool]]:
        """Yield functions that make the copies, links and crops and report what was done."""
        if not (self.copy_to or self.link_to or self.crops_to):
            return
        from facesearch.api.copies import copy_found, crop_found, link_found

        left_out = [hit for hit in result if not hit.counts(result.threshold)]
        others = sum(hit.somebody_else for hit in left_out)
        if below := len(left_out) - others:
            observer.note(f"hits below the threshold, not copied: {below:,}; --no-threshold copies them too")
        if others:
            observer.note(f"hits of somebody else, not copied: {others:,}; --direct copies them too")
        if self.copy_to is not None:
            copied = partial(copy_found, result, self.copy_to, dry_run=self.dry_run)
            yield partial(self._report, observer, "photo", f"copied to {self.copy_to}", copied)
        if self.link_to is not None:
            linked = partial(link_found, result, self.link_to, hard=self.hard_links, dry_run=self.dry_run)
            yield partial(self._report, observer, "photo", f"linked in {self.link_to}", linked)
        if self.crops_to is not None:
            saved = partial(crop_found, result, self.crops_to, max_pixels=max_pixels, dry_run=self.dry_run)
            yield partial(self._report, observer, "face", f"saved in {self.crops_to}", saved)

    def _report(self, observer: Observer, noun: str, what: str, export: Callable[[], Export]) -> bool:
        """Export, report what was done, and return True if nothing failed."""
        done = export()
        for target, source in done.planned.items():
            say(f"would write {target} from {source}")
        for trouble in done.failed:
            say(f"{trouble}; skipped")
        kept = f", {done.kept:,} already existed" if done.kept else ""
        if self.dry_run:
            observer.note(f"nothing was written; {counted(len(done.planned), noun)} would be {what}{kept}")
        else:
            observer.note(f"{counted(done.made, noun)} {what}{kept}")
        return not done.failed

    def _warn_of_known_folders(self, result: QueryResult, observer: Observer) -> None:
        """Warn if the target is inside a folder of the index: the next run would index the copies."""
        folders = [os.path.realpath(folder) for folder in result.folders]
        for option, folder, what in (
            ("--copy-to", self.copy_to, "the next facesearch index adds the copies"),
            ("--link-to", self.link_to, "the next facesearch index adds the links"),
            ("--crops-to", self.crops_to, "the next facesearch index skips the crops"),
        ):
            place = None if folder is None else os.path.realpath(os.fsencode(folder))
            if place and any(is_inside(place, known) for known in folders):
                observer.note(
                    f"{option} {folder}: inside a folder of the index, so {what}; choose a folder outside to avoid that"
                )
