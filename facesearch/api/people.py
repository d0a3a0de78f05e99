"""`Index.people`: the people of an index, their names, and what users have said of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from facesearch.api import exchange, grouping, people_acts, rights, tagging
from facesearch.api.people_records import (
    PersonDetails,
    PersonSummary,
    covers_of,
    details_of,
    summaries,
    summary_of,
)
from facesearch.arguments import AnyPath, AnyPaths, require_whole_number
from facesearch.events import Observer
from facesearch.settings import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    from facesearch.api.measure import Calibrated
    from facesearch.api.opening import Models, Stores
    from facesearch.api.people_news import News
    from facesearch.api.people_parts import PersonPart
    from facesearch.care.person_folders import FolderExport
    from facesearch.care.person_report import PersonReport
    from facesearch.catalog.catalog import Catalog
    from facesearch.catalog.kept_out import Template
    from facesearch.people.exchange.exporting import Exported
    from facesearch.people.exchange.importing import Imported
    from facesearch.people.history import Action
    from facesearch.people.problems import Problem
    from facesearch.people.regroup import Grouping
    from facesearch.people.review import Question
    from facesearch.people.tagging import TaggedFace
    from facesearch.types import FaceRecord

__all__ = ["People", "current_user"]


class People:
    """The people of an index: groups of faces that show one person. A number stands for the same person for good.

    A person is given by number (12 or "#12"), by name, by alias or by external id; case does not count in names. Every
    method that says something about people returns the number of that action, with which `undo` takes it back.

    Methods raise what those of `Index` raise. `InputError` is raised for a person who is not known, `UsageError` for a
    name that several people have.
    """

    def __init__(self, stores: Stores, models: Models, observer: Observer) -> None:
        self._stores = stores
        self._models = models
        self._observer = observer

    # Reading

    def list(self, *, unnamed: bool = False, ignored: bool = False) -> list[PersonSummary]:
        """Return all people who have a name, or a photo that can be found; those with the most photos first.

        `unnamed` returns only those without a name; `ignored` also returns strangers.
        """
        return [
            one
            for one in summaries(self._stores.reading().catalog)
            if (ignored or not one.ignored) and not (unnamed and one.name is not None)
        ]

    def count(self, *, ignored: bool = False) -> int:
        """Return how many people `list` returns."""
        catalog = self._stores.reading().catalog
        strangers = [] if ignored else [who for who, said in catalog.people.profiles().items() if said.ignored]
        return catalog.people.count() - len(catalog.people.shown(strangers))

    def names(self, beginning: str = "") -> Sequence[str]:
        """Return the names and aliases that begin so, of people who have a photo that can be found; case is ignored."""
        from facesearch.people.names import names_beginning

        return names_beginning(self._stores.reading().catalog, beginning)

    def find(self, who: int | str) -> PersonSummary:
        """Return a person by number or name. Without a photo that can be found it has 0 photos, and no days."""
        catalog = self._stores.reading().catalog
        return summary_of(catalog, self._person(catalog, who))

    def show(self, who: int | str) -> PersonDetails:
        """Return more about a person."""
        catalog = self._stores.reading().catalog
        return details_of(catalog, self._person(catalog, who))

    def covers(self, people: Iterable[int]) -> dict[int, FaceRecord]:
        """Return the face that stands for each of these people, by number, as far as one can be found."""
        return covers_of(self._stores.reading().catalog, people)

    def called(self, name: str) -> Sequence[PersonSummary]:
        """Return the people who bear a name, as their name, an alias or an external id."""
        from facesearch.people.names import people_called

        catalog = self._stores.reading().catalog
        return [summary_of(catalog, number) for number in people_called(catalog.people.profiles(), name)]

    def knows(self, who: str) -> bool:
        """Whether this is the name, an alias, the external id or the number of somebody."""
        from facesearch.people.names import number_in

        return number_in(who) is not None or bool(self.called(who))

    def history(self) -> Sequence[Action]:
        """Return what was said about people, and by whom, the last first."""
        from facesearch.people.history import actions

        return actions(self._stores.reading().catalog)

    def seen(self, bookmark: str = "default", *, since: str | None = None, keep: bool = True) -> News:
        """Return who is in photos that were indexed since the last call with this bookmark; see `api.people_news`.

        With `since`, a year, month or day, only photos taken then or later count, and all of those. Otherwise the
        bookmark moves to what is there now, unless `keep` is false.
        """
        from facesearch.api.people_news import news_of

        return news_of(self._stores, bookmark, since, keep=keep)

    # Naming

    def name(
        self,
        who: int | str,
        name: str | None = None,
        *,
        aliases: str | Iterable[str] = (),
        born: str | None = None,
        external_id: str | None = None,
        if_taken: Literal["merge", "keep"] | None = None,
    ) -> int:
        """Name a person, and say more about them.

        `born` is a year, month or day: photos taken before it are marked, and come last. If somebody else bears the
        name, `if_taken` says whether both are one person ("merge") or two ("keep"); None raises `UsageError`.
        """
        return people_acts.name(self._stores, who, name, aliases, born, external_id, if_taken)

    def unname(self, who: int | str) -> int:
        """Take the name, the aliases, the external id and the date of birth off a person. The faces stay together."""
        return people_acts.unname(self._stores, who)

    def merge(self, people: Sequence[int | str]) -> int:
        """Say that several people are one: the first, whose name and number stay."""
        return people_acts.merge(self._stores, people)

    def parts(self, who: int | str) -> Sequence[PersonPart]:
        """Return the parts of a person's faces, the largest first: if two people were taken for one, they differ."""
        from facesearch.api.people_parts import part_records
        from facesearch.people.parts import parts_of

        store = self._stores.reading()
        return part_records(store.catalog, parts_of(store, self._person(store.catalog, who)))

    def split(self, who: int | str, parts: Iterable[int] = (), *, faces: Iterable[int] = ()) -> int:
        """Say that some of a person's faces, given as `parts` by number or by their ids, are another person.

        That person gets a number of its own, which `history` tells.
        """
        return people_acts.split(self._stores, who, parts, faces)

    def is_person(self, who: int | str, faces: Iterable[int]) -> int:
        """Say that faces, given by their ids, show a person."""
        return people_acts.is_person(self._stores, who, faces)

    def call(self, faces: Iterable[int], name: str) -> int:
        """Say that faces, given by their ids, show the person of this name, who may be new."""
        return people_acts.call(self._stores, faces, name)

    def cover(self, who: int | str, face: int) -> int:
        """Say that this face of a person stands for them, on sheets and pages."""
        return people_acts.cover(self._stores, who, face)

    def is_not(self, who: int | str, photos: AnyPaths = (), *, faces: Iterable[int] = ()) -> int:
        """Say that faces do not show a person: faces by their ids, or those of this person in photos."""
        return people_acts.is_not(self._stores, who, photos, faces)

    def ignore(self, people: Sequence[int | str] = (), *, all_under: int | None = None) -> int:
        """Say that people are strangers: they are kept, and not listed.

        `all_under` ignores everybody without a name who is in fewer photos than that.
        """
        return people_acts.ignore(self._stores, people, all_under)

    def notice(self, people: Sequence[int | str]) -> int:
        """Say that people are no strangers after all: they are listed again."""
        return people_acts.notice(self._stores, people)

    def undo(self, action: int | None = None) -> int:
        """Take back an action, by default the last one that was not taken back; return the number of the undoing.

        Taking back an undoing brings the action back. Raises `UsageError` if there is nothing to take back. A face that
        was said to be none comes back with the next refresh, and the observer is told so.
        """
        return tagging.undo(self._stores, self._observer, action)

    # Faces

    def tag(self, photo: AnyPath, box: Sequence[float], *, name: str | None = None) -> TaggedFace:
        """Give a face that the detector missed: `box` is left, top, width and height in pixels of the upright photo.

        The photo must be in the index. With `name` the face shows that person, who may be new. If a face is known in
        this place already, only that is named; without `name` it raises `UsageError`, as a box outside the photo does.
        Needs the lock, like an indexing run.
        """
        return tagging.tag(self._stores, self._models, photo, box, name)

    def not_a_face(self, face: int) -> int:
        """Say that this is not a face: it is deleted, and not found again in its photo. Needs the lock."""
        return tagging.not_a_face(self._stores, face)

    # Measuring

    def calibrate(self, *, keep: bool = True) -> Calibrated:
        """Measure the model on the people whom the user has named; verdicts in this index are then based on it.

        `keep` false only measures. Raises `InputError` with fewer than twelve people with four or more faces each.
        """
        from facesearch.api.measure import calibrate_from_people

        with self._stores.writing() as store:
            return calibrate_from_people(store, keep=keep)

    def forget_calibration(self) -> bool:
        """Use the calibration of the model again; return whether there was one of this index."""
        with self._stores.telling() as catalog:
            had = catalog.meta.calibration() is not None
            catalog.meta.set_calibration(None)
            return had

    # Review

    def questions(self, limit: int | None = 100) -> Sequence[Question]:
        """Return the questions about people whose answers help most, the best first; None for all of them.

        A question that was answered is not among them again; those that were skipped come last.
        """
        from facesearch.people.review import questions

        if limit is not None:
            require_whole_number("limit", limit, 1)
        return questions(self._stores.reading(), limit)

    def answer(self, question: Question | str, yes: bool) -> int:
        """Answer a question, given as such or by its id; return the number of the action.

        Raises `UsageError` if there is no such question, or if it was answered already.
        """
        return people_acts.answer(self._stores, question, yes=yes)

    def skip(self, question: Question | str, *, skipped: bool = True) -> None:
        """Ask a question after all others from now on; with `skipped` false in its turn again."""
        people_acts.skip(self._stores, question, skipped=skipped)

    def is_open(self, question: Question | str) -> bool:
        """Whether a question still waits for its answer; another answer may have settled it."""
        from facesearch.people.review import is_open

        return is_open(self._stores.reading().catalog, question if isinstance(question, str) else question.id)

    def problems(self) -> Sequence[Problem]:
        """Return what looks wrong with people: see `Problem`."""
        from facesearch.people.problems import problems

        return problems(self._stores.reading())

    # Exchange

    def export_to(
        self, *, json: AnyPath | None = None, csv: AnyPath | None = None, overwrite: bool = False
    ) -> Exported:
        """Write people to a file: to `json` all statements, for another index of the same photos; to `csv` a table.

        The table has the faces of named people. Raises `UsageError` for a file that is part of the index, or that
        exists unless `overwrite` is set, and `StorageError` if it cannot be written.
        """
        return exchange.export_people(self._stores, json=json, csv=csv, overwrite=overwrite)

    def export_folders(self, folder: AnyPath, *, sync: bool = False, hard_links: bool = False) -> FolderExport:
        """Put the photos of named people into one folder per person, as copies or as hard links.

        With `sync`, files of an earlier export that do not belong there any more are removed, unless they were changed
        since. Raises `UsageError` for a folder in the index or among its photos, `InputError` for one with the people
        of another index, `StorageError` if it cannot be written to.
        """
        return exchange.export_people_to_folders(self._stores, folder, sync=sync, hard_links=hard_links)

    def import_from(
        self,
        *,
        json: AnyPath | None = None,
        csv: AnyPath | None = None,
        folders: AnyPath | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        observer: Observer | None = None,
    ) -> Imported:
        """Say what a file of statements, a table, or one folder of photos per person holds, as one action.

        A table has the columns `name` and `path` or `content` (SHA-256), and may have `left`, `top`, `width`, `height`,
        `external_id` and `born`. Photos that are not in the index are embedded to find out who it is. What the user has
        said before is never contradicted by a table or by folders.

        Raises `InputError` if the file or folder cannot be used.
        """
        told = self._observer if observer is None else observer
        return exchange.import_people(
            self._stores, self._models, told, json=json, csv=csv, folders=folders, max_pixels=max_pixels
        )

    # Grouping

    def group(
        self,
        *,
        again: bool = False,
        confirm: Callable[[Grouping], object] | None = None,
        observer: Observer | None = None,
    ) -> Grouping | None:
        """Group new faces by person; with `again` group all faces from scratch.

        Faces that the user has placed stay where they are. With `again`, `confirm` is called with what would change.
        Returns None if the observer cancelled; then nothing is changed.
        """
        told = self._observer if observer is None else observer
        return grouping.group(self._stores, told, again=again, confirm=confirm)

    def preview(self, *, again: bool = False, observer: Observer | None = None) -> Grouping | None:
        """Return what `group` would change; nothing is written. None if the observer cancelled."""
        told = self._observer if observer is None else observer
        return grouping.group_within(self._stores.reading(keep=False), told, again=again, dry_run=True)

    # A person's rights

    def report(self, who: int | str) -> PersonReport:
        """Return all that is held about a person."""
        return rights.report_on(self._stores, who)

    def left_out(self) -> Sequence[Template]:
        """Return the forgotten people whom indexing runs leave out, by number; who they are is not kept."""
        return rights.left_out(self._stores)

    def end_left_out(self, number: int) -> None:
        """Index a forgotten person again from now on. Raises `UsageError` if nobody has this number."""
        rights.end_left_out(self._stores, number)

    # Inside

    def _person(self, catalog: Catalog, who: int | str) -> int:
        return people_acts.person_in(self._stores, catalog, who)


def current_user() -> str:
    """Return the name of the system's user, the author of what is said; empty if there is none."""
    from facesearch.people.saying import current_user as user

    return user()
