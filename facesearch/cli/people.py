"""`facesearch people`: the people of an index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli import (
    people_exchange,
    people_history,
    people_names,
    people_review,
    people_rights,
    people_seen,
    people_split,
    people_tag,
)
from facesearch.cli.console import Console
from facesearch.cli.groups import listing_group
from facesearch.cli.messages import confirm, say
from facesearch.cli.options import IndexPath, Quiet, TableOrJson, Wait, Who, Yes, examples
from facesearch.cli.stdout import for_stdout, write, write_json

if TYPE_CHECKING:
    from facesearch.api.index import Index
    from facesearch.api.results import Grouping, PersonSummary

__all__ = ["register"]

_HELP = "List the people in the index, and name, merge or correct them."
_EXAMPLES = examples(
    ("facesearch people", "list the people"),
    ("facesearch people list --sheet people.png", "draw a face of each of them"),
    ("facesearch people name '#12' Anna", "name one of them"),
    ("facesearch query Anna", "find the photos of Anna"),
    ("facesearch people merge Anna '#31'", "#31 is Anna, too"),
    ("facesearch people not Anna party.jpg", "the face in that photo is not Anna"),
    ("facesearch people undo", "take the last of that back"),
)

_AgainOption = Annotated[
    bool,
    typer.Option("--again", help="Group all faces from scratch. Shows what would change, and asks first."),
]
_DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Report what would change; change nothing.")]
_Sheet = Annotated[
    Path | None, typer.Option("--sheet", metavar="FILE", help="Draw a face of each person: a .png or .jpg file.")
]
_Page = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write a page with a face of each person: one .html file."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    commands: dict[str, tuple[str, Callable[..., None]]] = {
        "list": ("List the people.", list_people),
        "show": ("Show more about a person.", show_person),
        **people_names.COMMANDS,
        **people_split.COMMANDS,
        **people_review.COMMANDS,
        **people_tag.COMMANDS,
        **people_history.COMMANDS,
        **people_seen.COMMANDS,
        **people_exchange.COMMANDS,
        "group": ("Group faces by person.", group_faces),
        **people_rights.COMMANDS,
    }
    group = listing_group("people", _HELP, list_people, commands, _EXAMPLES)
    app.add_typer(group, name="people", short_help="List, name and correct the people in the index.")


def list_people(
    index_path: IndexPath = None,
    unnamed: Annotated[bool, typer.Option("--unnamed", help="Only people without a name.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Also those whom you ignore.")] = False,
    sheet: _Sheet = None,
    page: _Page = None,
    layout: TableOrJson = "table",
) -> None:
    """List the people in the index, those with the most photos first.

    A person is a group of faces that resemble each other, or whom you named. A number stands for the same person for
    good.
    """
    from facesearch.api.index import Index
    from facesearch.render.people import people_records, render_people

    with Index.open(index_path, observer=Console()) as index:
        people = index.people.list(unnamed=unnamed, ignored=every)
        _draw(index, people, sheet, page)
        if layout == "json":
            write_json(people_records(people), ascii_only=True)
            return
        write([render_people(people, for_stdout())])
        if not people and not index.people.list(ignored=True):
            say(f"no people in {index.path} yet; `facesearch people group` groups faces by person")


def _draw(index: Index, people: Sequence[PersonSummary], sheet: Path | None, page: Path | None) -> None:
    """Draw a face of each person on a sheet, and on a page."""
    if sheet is None and page is None:
        return
    from facesearch.render import people_page as pages

    covers = index.people.covers([one.number for one in people])
    if sheet is not None:
        pages.save_people_sheet(people, covers, sheet)
        left_out = max(0, len(people) - pages.MOST_PANELS)
        say(f"wrote {sheet}" + f"; {left_out:,} people with fewer photos are not on it" * bool(left_out))
    if page is not None:
        pages.save_people_page(people, covers, page, where=str(index.path))
        say(f"wrote {page}")


def show_person(who: Who, index_path: IndexPath = None, layout: TableOrJson = "table") -> None:
    """Show more about a person: photos by year, and who else is in them."""
    from facesearch.api.index import Index
    from facesearch.render.people import details_record, render_details

    with Index.open(index_path, observer=Console()) as index:
        found = index.people.show(who)
    if layout == "json":
        write_json(details_record(found), ascii_only=True)
    else:
        write([render_details(found, for_stdout())])


def group_faces(
    again: _AgainOption = False,
    dry_run: _DryRunOption = False,
    index_path: IndexPath = None,
    yes: Yes = False,
    wait: Wait = 0,
    layout: TableOrJson = "table",
    quiet: Quiet = False,
) -> None:
    """Group new faces by person. `facesearch index` does this at the end of each run.

    Known people keep their faces and their numbers; a new face joins one of them, or stays alone. Whom you named keeps
    all faces, also with --again.
    """
    from facesearch.api.index import Index
    from facesearch.render.people import changes_line, grouping_line, grouping_record

    def ask(coming: Grouping) -> None:
        if coming.changed:
            confirm(f"grouping from scratch: {changes_line(coming)}", yes=False)

    console = Console(quiet=quiet, keeps=False)
    with console, Index.open(index_path, wait=wait, observer=console) as index:
        people = index.people
        done = people.preview(again=again) if dry_run else people.group(again=again, confirm=None if yes else ask)
    if done is not None:
        told = {**grouping_record(done), "dry_run": dry_run}
        if layout == "json":
            write_json(told, ascii_only=True)
        elif not quiet:
            write([f"{'dry run: ' * dry_run}{grouping_line(done)}\n"])
    console.end(complete=done is not None)
