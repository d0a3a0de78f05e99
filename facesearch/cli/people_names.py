"""`facesearch people name`, `unname`, `merge`, `not`, `ignore` and `notice`: what users say about people."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facesearch.cli.completion import complete_people
from facesearch.cli.console import Console
from facesearch.cli.messages import is_somebody_there, say
from facesearch.cli.options import IndexPath, People, Who
from facesearch.errors import UsageError
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.api.index import Index
    from facesearch.api.results import PersonSummary

__all__ = ["COMMANDS"]

_Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="The name.")]
_Alias = Annotated[
    list[str] | None, typer.Option("--alias", metavar="NAME", help="Another name of this person. May be repeated.")
]
_Born = Annotated[
    str | None,
    typer.Option(
        "--born", metavar="DATE", help="Date of birth, such as 2018 or 2018-05-31. Photos before it come last."
    ),
]
_Id = Annotated[str | None, typer.Option("--id", metavar="ID", help="The id of this person in another program.")]
_Same = Annotated[bool, typer.Option("--same", help="Who has this name already is the same person: merge them.")]
_Another = Annotated[bool, typer.Option("--another", help="Who has this name already is another person: keep both.")]
_NotPhotos = Annotated[list[Path] | None, typer.Argument(metavar="[PHOTO]...", readable=False, help="Photos.")]
_Face = Annotated[
    list[int] | None, typer.Option("--face", metavar="ID", help="A face, by its face_id. May be repeated.")
]
_AllUnder = Annotated[
    int | None, typer.Option("--all-under", metavar="N", min=1, help="Everybody unnamed in fewer than N photos.")
]
_Ignored = Annotated[
    list[str] | None,
    typer.Argument(metavar="[WHO]...", help="People, by name or by number.", autocompletion=complete_people),
]


def name(
    who: Who,
    new_name: _Name = None,
    aliases: _Alias = None,
    born: _Born = None,
    external_id: _Id = None,
    same: _Same = False,
    another: _Another = False,
    index_path: IndexPath = None,
) -> None:
    """Name a person. If somebody else has the name already, say whether that is the same person or another."""
    if same and another:
        raise UsageError("--same and --another contradict each other; omit one of them")
    with _opened(index_path) as index:
        if_taken: Literal["merge", "keep"] | None = "merge" if same else "keep" if another else None
        if new_name is not None and if_taken is None and is_somebody_there():
            if_taken = _ask_who(index, who, new_name)
        number = index.people.find(who).number
        action = index.people.name(
            who, new_name, aliases=aliases or (), born=born, external_id=external_id, if_taken=if_taken
        )
        found = index.people.find(number)
    _tell(f"{_described(found)}{_photos(found)}", action)


def _ask_who(index: Index, who: str, new_name: str) -> Literal["merge", "keep"] | None:
    """Ask whether somebody who has a name already is the same person; None if nobody has it."""
    own = index.people.find(who)
    others = [other for other in index.people.called(new_name) if other.number != own.number]
    if not others:
        return None
    listed = ", ".join(f"#{other.number} ({counted(other.photos, 'photo')})" for other in others)
    say(f"{new_name} is the name of {listed} already. [s]ame person, [a]nother, or [c]ancel? ", end="")
    answer = sys.stdin.readline().strip().lower()
    if answer in ("s", "same"):
        return "merge"
    if answer in ("a", "another"):
        return "keep"
    raise UsageError("nothing was changed")


def unname(who: Who, index_path: IndexPath = None) -> None:
    """Take the name, the aliases, the id and the date of birth off a person. The faces stay together."""
    with _opened(index_path) as index:
        number = index.people.find(who).number
        action = index.people.unname(who)
    _tell(f"#{number} has no name now", action)


def merge(people: People, index_path: IndexPath = None) -> None:
    """Make several people one: the first, whose name and number stay."""
    with _opened(index_path) as index:
        names = [index.people.find(who).called for who in people]
        action = index.people.merge(people)
        found = index.people.find(people[0])
    _tell(f"{', '.join(names[1:])} {'is' if len(names) == 2 else 'are'} {found.called} now{_photos(found)}", action)


def is_not(who: Who, photos: _NotPhotos = None, faces: _Face = None, index_path: IndexPath = None) -> None:
    """Say that the face of a person in a photo shows somebody else. A folder stands for all photos in it."""
    if bool(photos) == bool(faces):
        raise UsageError("give the photos in which it is somebody else, or --face ID")
    with _opened(index_path) as index:
        before = index.people.find(who)
        action = index.people.is_not(who, photos or (), faces=faces or ())
        found = index.people.find(before.number)
    gone = counted(before.faces - found.faces, "face")
    where = counted(before.photos - found.photos, "photo")
    _tell(f"{gone} in {where} taken from {found.called}, who has {counted(found.photos, 'photo')} left", action)


def ignore(who: _Ignored = None, all_under: _AllUnder = None, index_path: IndexPath = None) -> None:
    """Ignore strangers: they are kept and found, but not listed. With --all-under, everybody who is in few photos."""
    if bool(who) == (all_under is not None):
        raise UsageError("give the people to ignore, or --all-under N")
    with _opened(index_path) as index:
        before = index.people.count()
        action = index.people.ignore(who or (), all_under=all_under)
        gone = before - index.people.count()
    _tell(f"{counted(gone, 'person', 'people')} ignored; `facesearch people list --all` lists them", action)


def notice(people: People, index_path: IndexPath = None) -> None:
    """List people again who were ignored."""
    with _opened(index_path) as index:
        action = index.people.notice(people)
        names = [index.people.find(who).called for who in people]
    _tell(f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} listed again", action)


COMMANDS: dict[str, tuple[str, Callable[..., None]]] = {
    "name": ("Name a person.", name),
    "unname": ("Take the name off a person.", unname),
    "merge": ("Make several people one.", merge),
    "not": ("Say that a face is somebody else.", is_not),
    "ignore": ("Do not list strangers.", ignore),
    "notice": ("List ignored people again.", notice),
}
"""The commands, by name: the short help and the function."""


def _opened(index_path: Path | None) -> Index:
    from facesearch.api.index import Index

    return Index.open(index_path, observer=Console())


def _described(found: PersonSummary) -> str:
    more = [f"also called {alias}" for alias in found.aliases]
    more += [f"born {found.born}"] if found.born else []
    more += [f"id {found.external_id}"] if found.external_id else []
    who = f"#{found.number}" if found.name is None else f"#{found.number} is {found.name} now"
    return ", ".join([who, *more])


def _photos(found: PersonSummary) -> str:
    return f": {counted(found.photos, 'photo')}"


def _tell(done: str, action: int) -> None:
    say(f"{done}; `facesearch people undo {action}` takes it back")
