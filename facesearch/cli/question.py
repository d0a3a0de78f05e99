"""The options of a question, declared once: what is looked for, among what, and what becomes of the answer."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from facesearch.cli.options import (
    FORMATS,
    check_limits,
    parse_count_range,
    parse_face,
    parse_moment,
    suggestions,
)
from facesearch.errors import UsageError
from facesearch.types import Filter

if TYPE_CHECKING:
    from facesearch.calibration.table import Calibration

__all__ = ["Question", "asks"]

_FILTERS = (
    "together", "under", "not_under", "since", "until", "min_face", "min_quality", "alone", "faces",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was asked, as it was given on the command line; `check` comes before anything heavy is loaded."""

    top_k: Annotated[
        int | None,
        typer.Option("--top-k", "-k", min=1, help="The K most similar photos; those below the threshold are marked."),
    ] = None
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold", "-t", min=-1, max=1, help="Photos from this cosine similarity on. [default: the model's]"
        ),
    ] = None
    fmr: Annotated[
        float | None,
        typer.Option("--fmr", help="The threshold that this share of strangers reach: 1e-5 is one in 100,000."),
    ] = None
    no_threshold: Annotated[
        bool, typer.Option("--no-threshold", help="All photos, however unlike, most similar first.")
    ] = False
    face: Annotated[
        str | None, typer.Option("--face", help="Which face of the query photo: 1 is the largest; all: each in turn.")
    ] = None
    expand: Annotated[
        bool,
        typer.Option("--expand", help="Ask again with the mean of the question and its strong hits: finds more."),
    ] = False
    together: Annotated[
        list[Path] | None,
        typer.Option("--together", metavar="PHOTO", help="Only photos that show this person too; may be repeated."),
    ] = None
    under: Annotated[
        list[Path] | None,
        typer.Option("--under", metavar="PATH", help="Only photos in this folder; may be repeated."),
    ] = None
    not_under: Annotated[
        list[Path] | None,
        typer.Option("--not-under", metavar="PATH", help="No photos in this folder; may be repeated."),
    ] = None
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="DATE", help="Taken then or later: 2019, 2019-07 or 2019-07-31; else by the file's time."
        ),
    ] = None
    until: Annotated[
        str | None, typer.Option("--until", metavar="DATE", help="Taken then or earlier, that day or year included.")
    ] = None
    min_face: Annotated[
        float, typer.Option("--min-face", min=0, help="Only faces whose shorter side has this many pixels.")
    ] = 0
    min_quality: Annotated[
        float, typer.Option("--min-quality", min=0, max=1, help="Only faces of this quality: 0.2 is poor, 0.8 good.")
    ] = 0
    alone: Annotated[
        bool, typer.Option("--alone", help="Only photos that show nobody but those who were asked for.")
    ] = False
    faces: Annotated[
        str | None,
        typer.Option(
            "--faces", metavar="N..M", help="Only photos with so many faces: 2, 1..3 or 4.. for four and more."
        ),
    ] = None
    all_faces: Annotated[bool, typer.Option("--all-faces", help="Every matching face, not one hit a photo.")] = False
    fold: Annotated[
        bool, typer.Option("--fold", help="Near-identical shots (bursts, copies, other sizes) as one hit.")
    ] = False
    layout: Annotated[
        str,
        typer.Option("--format", "-f", help="table, json, jsonl, csv or paths.", autocompletion=suggestions(*FORMATS)),
    ] = "table"
    nul: Annotated[
        bool, typer.Option("--print0", "-0", help="Bare paths, each ended by NUL instead of a new line.")
    ] = False
    sheet: Annotated[
        Path | None,
        typer.Option("--sheet", metavar="FILE", help="Also draw the hits as contact sheets: a .png or .jpg file."),
    ] = None
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="FILE", help="Also write the hits as a gallery: one .html file, pictures inside."
        ),
    ] = None
    copy_to: Annotated[
        Path | None,
        typer.Option(
            "--copy-to", metavar="DIR", help="Copy the photos that reach the threshold; nothing is overwritten."
        ),
    ] = None
    link_to: Annotated[
        Path | None, typer.Option("--link-to", metavar="DIR", help="Make symbolic links to the photos found.")
    ] = None
    hard_links: Annotated[bool, typer.Option("--hard-links", help="With --link-to: hard links instead.")] = False
    crops_to: Annotated[
        Path | None, typer.Option("--crops-to", metavar="DIR", help="Save the faces found, cut out of their photos.")
    ] = None
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be copied, linked or saved; do not do it.")
    ] = False
    max_megapixels: Annotated[
        float,
        typer.Option("--max-megapixels", min=0.01, max=10_000, help="Refuse photos with more pixels: some are bombs."),
    ] = 200
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes, only errors.")] = False

    def check(self, *, each: bool = False) -> None:
        """Raises `UsageError` for options that make no sense or contradict each other."""
        if self.layout not in FORMATS:
            raise UsageError(f"--format {self.layout}: choose one of {', '.join(FORMATS)}")
        if self.nul and self.layout not in ("table", "paths"):
            raise UsageError(f"--print0 writes bare paths; it cannot be combined with --format {self.layout}")
        check_limits(self.threshold, self.fmr, no_threshold=self.no_threshold)
        if self.sheet is not None and (parse_face(self.face) == 0 or each):
            raise UsageError("--sheet draws the hits of one face; leave --each and --face all away, or take --html")
        if self.dry_run and not (self.copy_to or self.link_to or self.crops_to):
            raise UsageError("--dry-run tells what would be copied: give --copy-to, --link-to or --crops-to")
        if self.hard_links and self.link_to is None:
            raise UsageError("--hard-links tells how links are made: give --link-to DIR")
        if self.alone and self.faces is not None:
            raise UsageError("--alone says how many faces a photo shows; omit --faces, or --alone")
        self._check_files()
        self.filter()

    def _check_files(self) -> None:
        """What cannot be written later is better said before anything is searched."""
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

    @property
    def max_pixels(self) -> int:
        """Photos with more are refused."""
        return round(self.max_megapixels * 1e6)

    def filter(self) -> Filter:
        """Which faces are to be looked at. Raises `UsageError`."""

        def absolute(paths: list[Path] | None) -> tuple[bytes, ...]:
            return tuple(os.path.abspath(os.fsencode(path)) for path in paths or ())

        since = None if self.since is None else parse_moment("--since", self.since)[0]
        until = None if self.until is None else parse_moment("--until", self.until)[1]
        if since is not None and until is not None and since > until:
            raise UsageError(f"--since {self.since} lies after --until {self.until}; no photo is both")
        faces = None if self.faces is None else parse_count_range(self.faces)
        if self.alone:
            asked_for = 1 + len(self.together or ())
            faces = (asked_for, asked_for)
        return Filter(
            under=absolute(self.under),
            not_under=absolute(self.not_under),
            since=since,
            until=until,
            min_face=self.min_face,
            min_quality=self.min_quality,
            faces=faces,
        )

    @property
    def filters(self) -> list[str]:
        """The options that were given and limit what is searched, as they are typed."""
        return [f"--{name.replace('_', '-')}" for name in _FILTERS if getattr(self, name)]

    def limit(self, calibration: Calibration, default: float, photos: int) -> float | None:
        """The similarity from which a face is a hit, for a template of so many photos; None: however unlike."""
        if self.no_threshold:
            return None
        if self.fmr is not None:
            return calibration.similarity_at(self.fmr, photos)
        return default if self.threshold is None else self.threshold

    @property
    def names_a_limit(self) -> bool:
        """Whether the user has said from which similarity on: then `--top-k` stays above it."""
        return self.threshold is not None or self.fmr is not None


def asks(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command all options of a question beside its own parameters; it gets them as one, `question`."""
    hints = get_type_hints(Question, include_extras=True)
    names = [option.name for option in fields(Question)]
    own = inspect.signature(command, eval_str=True)
    options = [
        inspect.Parameter(
            option.name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=hints[option.name]
        )
        for option in fields(Question)
    ]
    kept = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in own.parameters.values()
        if parameter.name != "question"
    ]

    @wraps(command)
    def run(**values: Any) -> None:
        question = Question(**{name: values.pop(name) for name in names})
        command(**values, question=question)

    first = [parameter for parameter in kept if parameter.default is inspect.Parameter.empty]
    rest = [parameter for parameter in kept if parameter.default is not inspect.Parameter.empty]
    signature = inspect.Signature([*first, *rest[:1], *options, *rest[1:]])
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    return run
