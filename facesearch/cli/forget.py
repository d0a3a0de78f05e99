"""`facesearch forget`: photos, faces, folders and people, for good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facesearch.cli import forget_person
from facesearch.cli.completion import complete_people
from facesearch.cli.console import Console
from facesearch.cli.messages import confirm, say
from facesearch.cli.options import DryRun, IndexPath, Wait, Yes, examples
from facesearch.errors import UsageError

if TYPE_CHECKING:
    from facesearch.api.results import Forgetting

__all__ = ["register"]

_LISTED = 5

_EXAMPLES = examples(
    ("facesearch forget photos/2019/ex.jpg --dry-run", "show what would be deleted"),
    ("facesearch forget photos/private --never-again", "delete a folder's faces and never index it again"),
    ("facesearch forget --face 1234", "delete a single face, by its face_id"),
    ("facesearch forget --person Anna --sheet look.png --dry-run", "show all faces that could be Anna"),
    ("facesearch forget --person Anna --spare 17 --receipt anna.json", "delete them, except face 17"),
)

_Path = Annotated[Path | None, typer.Argument(metavar="PATH", help="A photo, or a folder of photos.")]
_Face = Annotated[int | None, typer.Option("--face", metavar="ID", help="Delete one face, by its face_id.")]
_Folder = Annotated[
    list[Path] | None,
    typer.Option("--folder", metavar="DIR", help="Delete a folder of the index, as `folders remove` does."),
]
_NeverAgain = Annotated[
    bool,
    typer.Option(
        "--never-again",
        help="Delete identical copies too, and skip these photos in later runs. With --person, leave this person out.",
    ),
]
_Person = Annotated[
    str | None,
    typer.Option(
        "--person",
        metavar="WHO",
        help="Delete a person: all faces that could be this person, and all that was said.",
        autocompletion=complete_people,
    ),
]
_Spare = Annotated[
    list[int] | None,
    typer.Option("--spare", metavar="ID", help="With --person, keep this face. May be repeated."),
]
_OnlyGroup = Annotated[
    bool, typer.Option("--only-group", help="With --person, only faces that belong to the person, no similar ones.")
]
_Wide = Annotated[bool, typer.Option("--wide", help="With --person, also similar faces that fit somebody else better.")]
_Sheet = Annotated[
    Path | None,
    typer.Option("--sheet", metavar="FILE", help="With --person, draw the faces with their ids: a .png or .jpg file."),
]
_Receipt = Annotated[
    Path | None, typer.Option("--receipt", metavar="FILE", help="With --person, write what was removed as JSON.")
]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the receipt if it exists.")]
_For = Annotated[
    str | None,
    typer.Option("--for", metavar="TIME", help="With --never-again, for this time: 2y, 6m or 90d. [default: 2y]"),
]
_Until = Annotated[
    str | None, typer.Option("--until", metavar="DATE", help="With --never-again, until this date: 2028-12-31.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="forget", short_help="Delete face data for good.", epilog=_EXAMPLES)(forget)


def forget(
    path: _Path = None,
    face: _Face = None,
    folders: _Folder = None,
    person: _Person = None,
    spare: _Spare = None,
    only_group: _OnlyGroup = False,
    wide: _Wide = False,
    never_again: _NeverAgain = False,
    keep_for: _For = None,
    until: _Until = None,
    sheet: _Sheet = None,
    receipt: _Receipt = None,
    overwrite: _Overwrite = False,
    index_path: IndexPath = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    wait: Wait = 0,
) -> None:
    """Delete photos, faces and people from the index for good, with their vectors. The photo files are not touched."""
    if folders and len(folders) > 1:
        raise UsageError(f"--folder {folders[1]}: delete one folder at a time")
    what: dict[str, Any] = {
        "path": path, "face": face, "folder": folders[0] if folders else None, "never_again": never_again,
    }  # fmt: skip
    about = forget_person.AboutPerson(
        person=person, spare=spare or [], only_group=only_group, wide=wide, keep_for=keep_for, until=until,
        sheet=sheet, receipt=receipt, overwrite=overwrite,
    )  # fmt: skip
    if person is not None:
        forget_person.forget(what, about, index_path, dry_run=dry_run, yes=yes, wait=wait)
    else:
        about.require_none()
        _forget(what, index_path, dry_run=dry_run, yes=yes, wait=wait)


def _forget(what: dict[str, Any], index_path: Path | None, *, dry_run: bool, yes: bool, wait: float) -> None:
    from facesearch.api.index import Index

    def ask(going: Forgetting) -> None:
        confirm(f"{_what(going)} will be deleted from the index for good", yes=yes)

    with Index.open(index_path, wait=wait, observer=Console()) as index:
        if dry_run:
            going = index.to_forget(**what)
            say(f"{_what(going)} would be deleted from the index for good; nothing was changed")
            for name in going.copies:
                say(f"identical: {name}")
            return
        gone = index.forget(**what, confirm=ask)
    for line in _done(gone, whole=what["path"] is None, never_again=what["never_again"]):
        say(line)
    if gone.owed:
        raise typer.Exit(5)  # galleries that could not be reached still have the faces


def _done(gone: Forgetting, *, whole: bool, never_again: bool) -> Iterator[str]:
    if gone.owed:
        yield f"deleted from the index: {gone.what}; not yet from {', '.join(gone.owed)}"
    elif gone.takes_copies:
        yield f"deleted {_with_copies(gone.copies)}"
    elif never_again:
        yield "deleted; later runs skip these photos"
    elif whole:
        yield f"deleted: {gone.what}"
    else:
        yield "deleted; `facesearch index` adds the photos again if they still exist"
        if gone.copies:
            yield f"identical copies remain in the index: {_listed(gone.copies)}; --never-again deletes them too"


def _what(going: Forgetting) -> str:
    return f"{going.what}, {_with_copies(going.copies)}," if going.takes_copies else going.what


def _with_copies(copies: Sequence[str]) -> str:
    noun = "identical copy" if len(copies) == 1 else "identical copies"
    return f"with {len(copies):,} {noun}: {_listed(copies)}"


def _listed(copies: Sequence[str]) -> str:
    more = f" and {len(copies) - _LISTED:,} more" if len(copies) > _LISTED else ""
    return ", ".join(copies[:_LISTED]) + more
