"""`facesearch forget --person`: show what could be a person, ask, delete it, and hand out a receipt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from facesearch.cli.console import Console
from facesearch.cli.messages import confirm, say
from facesearch.cli.stdout import write_json
from facesearch.errors import FacesearchError, UsageError
from facesearch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from facesearch.api.results import Forgetting

__all__ = ["AboutPerson", "forget"]

_DAYS = {"d": 1.0, "w": 7.0, "m": 365.25 / 12, "y": 365.25}


@dataclass(frozen=True, slots=True, kw_only=True)
class AboutPerson:
    """The options of `facesearch forget` that are about a person."""

    person: str | None
    spare: Sequence[int]
    only_group: bool
    wide: bool
    keep_for: str | None
    until: str | None
    sheet: Path | None
    receipt: Path | None
    overwrite: bool

    def require_none(self) -> None:
        """Raise `UsageError` if one of them is given without a person."""
        given = {
            "--spare": self.spare, "--only-group": self.only_group, "--wide": self.wide, "--for": self.keep_for,
            "--until": self.until, "--sheet": self.sheet, "--receipt": self.receipt, "--overwrite": self.overwrite,
        }  # fmt: skip
        for name, value in given.items():
            if value:
                raise UsageError(f"{name} is about a person; give --person WHO")

    def keywords(self) -> dict[str, Any]:
        """Return what the library is asked for. Raises `UsageError` for options that contradict each other."""
        if self.only_group and self.wide:
            raise UsageError("--only-group and --wide contradict each other; omit one of them")
        if self.keep_for is not None and self.until is not None:
            raise UsageError("--for and --until contradict each other; omit one of them")
        until = self.until if self.keep_for is None else _in(self.keep_for)
        reach = "group" if self.only_group else "everything" if self.wide else "similar"
        return {"person": self.person, "spare": self.spare, "reach": reach, "until": until}


def forget(
    what: dict[str, Any], about: AboutPerson, index_path: Path | None, *, dry_run: bool, yes: bool, wait: float
) -> None:
    """Forget a person, or with `dry_run` show what that would delete."""
    from facesearch.api.index import Index

    asked = {**what, **about.keywords()}
    if (about.keep_for or about.until) and not what["never_again"]:
        raise UsageError(f"{'--for' if about.keep_for else '--until'} needs --never-again")
    if about.sheet is not None:
        from facesearch.render.swept_sheet import check_swept_sheet

        check_swept_sheet(about.sheet)
    with Index.open(index_path, wait=wait, observer=Console()) as index:
        if about.receipt is not None:
            index.check_output(about.receipt, overwrite=about.overwrite)

        def ask(going: Forgetting) -> None:
            _show(going, about.sheet)
            confirm(f"{going.what} will be deleted from the index for good", yes=yes)

        if dry_run:
            going = index.to_forget(**asked)
            _show(going, about.sheet)
            say(f"{going.what} would be deleted from the index for good; nothing was changed")
            return
        gone = index.forget(**asked, confirm=ask)
        _tell(gone)
    _hand_out(gone.receipt, about.receipt)
    if gone.owed or (gone.receipt["searched_again"]["undecided_faces_left"] and not about.only_group):
        raise typer.Exit(5)


def _show(going: Forgetting, sheet: Path | None) -> None:
    from facesearch.render.forgetting import sweep_lines

    for line in sweep_lines(going):
        say(line)
    if sheet is not None:
        from facesearch.render.swept_sheet import save_swept_sheet

        say(f"wrote {', '.join(map(str, save_swept_sheet(going, sheet)))}; --spare ID keeps a face")


def _tell(gone: Forgetting) -> None:
    """Say what was removed, what a search found afterwards, and what is out of reach."""
    receipt = gone.receipt
    removed, again = receipt["removed"], receipt["searched_again"]
    elsewhere = f"; not yet from {', '.join(gone.owed)}" if gone.owed else ""
    say(
        f"deleted: {counted(removed['faces'], 'face')} and {counted(removed['statements'], 'statement')}; "
        f"`index --again` does not bring them back{elsewhere}"
    )
    undecided = again["undecided_faces_left"]
    if undecided:
        listed = ", ".join(str(face["face_id"]) for face in undecided[:5])
        say(f"searched again: faces that could still be this person: {len(undecided):,} ({listed}); forget --face ID")
    else:
        say(f"searched again: nothing left; similar faces that stay: {again['similar_faces_left']:,}")
    for face in receipt["may_come_back"]:
        say(f"{face['path']}: changed since it was indexed, so this face may come back")
    template = receipt["stays"]["template"]
    if template is not None:
        say(
            f"later runs leave this person out until {template['until'][:10]}: one embedding is kept for that; "
            f"`facesearch people left-out --end {template['number']}` deletes it"
        )
    say("out of reach: backups, exports, sidecar files, crops and reports written earlier, snapshots of the disk")


def _hand_out(receipt: Mapping[str, Any], file: Path | None) -> None:
    """Write the receipt to a file; if that fails, to stdout, since what it tells is gone."""
    from facesearch.render.forgetting import save_receipt

    if file is None:
        say("no receipt was kept; --receipt FILE writes one")
        return
    try:
        save_receipt(receipt, file)
    except FacesearchError:
        write_json(receipt)
        raise
    say(f"wrote {file}")


def _in(time: str) -> str:
    """Return the date after a time such as 2y, 6m, 8w or 90d. Raises `UsageError`."""
    found = re.fullmatch(r"(\d{1,6})\s*([dwmy])", time.strip().lower())
    if found is None or not int(found[1]):
        raise UsageError(f"--for {time}: write it as 2y, 6m or 90d")
    try:
        return (date.today() + timedelta(days=round(int(found[1]) * _DAYS[found[2]]))).isoformat()
    except OverflowError:
        raise UsageError(f"--for {time}: too long; give up to 10y") from None
