"""`facesearch people split`: two people who were taken for one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli.console import Console
from facesearch.cli.messages import is_somebody_there, say
from facesearch.cli.options import IndexPath, TableOrJson, Who
from facesearch.cli.stdout import for_stdout, write, write_json
from facesearch.errors import UsageError
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.api.index import Index
    from facesearch.api.results import PersonPart, PersonSummary

__all__ = ["COMMANDS"]

_Parts = Annotated[
    str | None,
    typer.Option("--parts", metavar="N,N", help="The parts that are somebody else. [default: show them, and ask]"),
]
_Faces = Annotated[
    list[int] | None,
    typer.Option("--face", metavar="ID", help="A face that is somebody else, by its face_id. May be repeated."),
]
_Sheet = Annotated[
    Path | None, typer.Option("--sheet", metavar="FILE", help="Draw faces of each part: a .png or .jpg file.")
]


def split(
    who: Who,
    parts: _Parts = None,
    faces: _Faces = None,
    sheet: _Sheet = None,
    index_path: IndexPath = None,
    layout: TableOrJson = "table",
) -> None:
    """Make two people of one. The faces of a person are shown in parts; choose those that are somebody else."""
    from facesearch.api.index import Index
    from facesearch.render.people import split_record

    with Index.open(index_path, observer=Console()) as index:
        if parts is not None or faces:
            done = _split(index, who, _numbers(parts or ""), faces or ())
            if layout == "json":
                write_json(split_record(*done), ascii_only=True)
            return
        found = index.people.parts(who)
        _show(found, layout, sheet)
        if len(found) < 2:
            say(f"{who}: all faces are alike; --face splits off single faces")
        elif layout == "table" and is_somebody_there():
            say("which parts are somebody else? (numbers such as 2,3; nothing to cancel) ", end="")
            chosen = _numbers(sys.stdin.readline())
            if not chosen:
                raise UsageError("nothing was changed")
            _split(index, who, chosen, ())
        else:
            say("--parts 2 makes another person of part 2")


def _split(
    index: Index, who: str, parts: Sequence[int], faces: Sequence[int]
) -> tuple[int, PersonSummary, PersonSummary]:
    """Return the number of the action, the person who stays, and the new one."""
    before = index.people.find(who)
    action = index.people.split(who, parts, faces=faces)
    (said,) = [one for one in index.people.history() if one.number == action]
    new = next(told.person for told in said.statements if told.person is not None)
    moved, found = index.people.find(new.number), index.people.find(before.number)
    say(
        f"#{new.number} is a person now, with {counted(moved.photos, 'photo')}; {found.called} keeps "
        f"{counted(found.photos, 'photo')}; `facesearch people undo {action}` takes it back"
    )
    return action, found, moved


def _show(found: Sequence[PersonPart], layout: str, sheet: Path | None) -> None:
    from facesearch.render.people import part_records, render_parts
    from facesearch.render.people_page import save_parts_sheet

    if sheet is not None:
        save_parts_sheet(found, sheet)
        say(f"wrote {sheet}")

    if layout == "json":
        write_json(part_records(found), ascii_only=True)
    else:
        write([render_parts(found, for_stdout())])


def _numbers(text: str) -> list[int]:
    """Return the numbers in a text such as `2,3`. Raises `UsageError`."""
    try:
        return [int(part) for part in text.replace(",", " ").split()]
    except ValueError:
        raise UsageError(f"--parts {text.strip():.60}: give numbers, such as 2,3") from None


COMMANDS: dict[str, tuple[str, Callable[..., None]]] = {"split": ("Make two people of one.", split)}
"""The command, by name: the short help and the function."""
