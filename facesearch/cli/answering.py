"""What `query` and `scan` share: the answers, what becomes of them, and their exit code."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import typer

from facesearch.api.compare import require_measured
from facesearch.cli.asking import companions, note_guess, probes_of
from facesearch.cli.messages import say
from facesearch.cli.question import Question
from facesearch.cli.stdout import ReaderGone, for_stdout, write
from facesearch.errors import FacesearchError, InputError, StorageError
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.calibration.table import Calibration
    from facesearch.care.copies import Export
    from facesearch.index.store import Store
    from facesearch.models.protocol import FaceModel
    from facesearch.search.engine import Answer, Hit, Want
    from facesearch.search.probes import Probe

__all__ = ["Asked", "answer", "ask"]

_FEW_HITS = 3
_MANY_LOOK_ALIKES = 5.0
_SEVERAL = 3
_ONE_OR_SEVERAL = (
    "one photo finds about two thirds of a person's photos, three about nine in ten: give several, if you have them"
)
"""Measured with the package's own model at its own threshold."""

_SEVERAL_FIND_MORE = "several photos of a person find more than one: give several, if you have them"
_INCOMPLETE = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked for: one or several probes, and who has to be beside them.

    `own_model` tells that the package's own model has seen them.
    """

    probes: list[Probe]
    beside: tuple[Probe, ...]
    calibration: Calibration
    own_model: bool


def ask(
    question: Question,
    model: FaceModel,
    photos: Sequence[str],
    *,
    each: bool = False,
    rotations: bool = True,
    mark: Callable[[str], None] = lambda _step: None,
) -> Asked:
    """Look at the photos that are asked about. Raises what `probes_of` raises."""
    from facesearch.calibration.table import calibration_of

    calibration = calibration_of(model.info)
    require_measured(question.fmr, calibration, model.info.name)
    note_guess(calibration, model.info.name, quiet=question.quiet)
    probes = probes_of(question, model, calibration, photos, each=each, rotations=rotations, mark=mark)
    beside = companions(question, model, calibration, rotations=rotations)
    return Asked(probes, beside, calibration, own_model=model.info.source is None)


def answer(
    question: Question,
    asked: Asked,
    store: Store,
    where: str,
    *,
    mark: Callable[[str], None] = lambda _step: None,
    seconds: Callable[[], float] = lambda: 0.0,
) -> None:
    """Search, write what was found, and end with exit code 1 when nothing reached the threshold.

    `seconds` tells how long the question has taken until now.
    """
    from facesearch.render.records import shown_path
    from facesearch.render.text import Format, render_answers
    from facesearch.search.engine import find_all

    _check_filter(question, store)
    photos = max(probe.photos for probe in asked.probes)
    default = asked.calibration.threshold
    threshold = question.limit(asked.calibration, default, photos)
    answers = find_all(store, asked.probes, _want(question, asked, threshold, default), asked.calibration)
    took = seconds()
    mark("search")
    counts = store.catalog.counts()
    index = {"path": shown_path(where), "model": store.model.name, "faces": counts.faces, "photos": counts.photos}
    layout = Format.paths if question.nul else Format(question.layout)
    gone: ReaderGone | StorageError | None = None
    try:
        pieces = render_answers(answers, threshold, index, layout, nul=question.nul, show=for_stdout())
        write(pieces, raw=question.nul)
    except (ReaderGone, StorageError) as error:  # what was asked for beside the answer is made all the same
        gone = error
    mark("write the answer")
    if not question.quiet:
        _tell(question, asked, answers, threshold, where, counts.faces)
    _warn_of_known_folders(question, store)
    complete = _hand_out(question, answers, threshold, index, took)
    if gone is not None:
        raise gone
    if not any(_reached(one, threshold) for one in answers):
        raise typer.Exit(1)
    if not complete:
        raise typer.Exit(_INCOMPLETE)


def _want(question: Question, asked: Asked, threshold: float | None, default: float) -> Want:
    from facesearch.search.engine import Want

    return Want(
        top_k=question.top_k,
        threshold=threshold if question.top_k is None or question.names_a_limit else None,
        filter=question.filter(),
        all_faces=question.all_faces,
        fold=question.fold,
        expand=question.expand,
        together=asked.beside,
        together_from=default if threshold is None else threshold,
    )


def _check_filter(question: Question, store: Store) -> None:
    """A folder that no photo can be in is a slip of the hand. Raises `InputError`."""
    from facesearch.catalog.filter import places

    roots = list(store.catalog.roots())
    wanted = question.filter()
    for path, given in zip(
        wanted.under + wanted.not_under, [*(question.under or ()), *(question.not_under or ())], strict=True
    ):
        if not places(path, roots):
            known = ", ".join(os.fsdecode(root.path) for root in roots) or "none"
            raise InputError(f"{given}: not in a folder that was searched; those are {known}")
        if not store.catalog.has_photos_at(path):
            raise InputError(f"{given}: no known photo is there; check the path")
    if wanted.min_quality > 0:
        unknown = store.catalog.count_unmeasured()
        if unknown:
            say(
                f"faces whose quality was never measured are left out by --min-quality: {unknown:,}; facesearch index "
                "--again measures them"
            )


def _tell(
    question: Question, asked: Asked, answers: Sequence[Answer], threshold: float | None, where: str, faces: int
) -> None:
    """What a person should know about the answer, in one line each."""
    found = sum(_reached(one, threshold) for one in answers)
    if not found:
        say(_nothing(question, answers, threshold, where, faces))
    first = answers[0]
    if len(answers) > 1 and 0 < found < len(answers):
        without = [_asked_about(one.probe) for one in answers if not _reached(one, threshold)]
        more = f" and {len(without) - _FEW_HITS:,} more" if len(without) > _FEW_HITS else ""
        say(f"nothing for {len(without):,} of {len(answers):,} questions: {', '.join(without[:_FEW_HITS])}{more}")
    if len(answers) > 1 or threshold is None:
        return
    hits = [hit for hit in first.hits if not hit.is_query and hit.similarity >= threshold]
    if first.excess >= _MANY_LOOK_ALIKES and hits:
        say(
            f"{first.excess:.0f} times more faces come near this one than strangers should; look-alikes may be among "
            "them: verdicts are less sure"
        )
    if question.expand and not first.probe.found:
        say("--expand had no hit to ask again with: none is strong")
    if first.probe.found:
        say(f"asked again with {counted(first.probe.found, 'strong hit')}; similarities are to the mean of all")
    if hits and first.missed and len(hits) < (question.top_k or len(hits) + 1):
        say(_missed(first.missed, question))
    one, several = (asked.calibration.tmr(threshold, photos) for photos in (1, _SEVERAL))
    few = len(hits) < min(_FEW_HITS, question.top_k or _FEW_HITS)
    unfiltered = question.filter().lets_all_through and not asked.beside and first.searched > 0
    if first.probe.photos == 1 and few and unfiltered and asked.calibration.measured and one < several:
        say(_ONE_OR_SEVERAL if asked.own_model and not question.names_a_limit else _SEVERAL_FIND_MORE)


def _missed(photos: int, question: Question) -> str:
    several = photos != 1
    how = "--top-k"
    if question.names_a_limit:
        how = "a lower --threshold" if question.fmr is None else "a higher --fmr"
    return f"{photos:,} more likely photo{'s' * several} below the threshold; {how} shows {'them' if several else 'it'}"


def _asked_about(probe: Probe) -> str:
    return probe.path if probe.of == 1 else f"{probe.path}, face {probe.number}"


def _nothing(question: Question, answers: Sequence[Answer], threshold: float | None, where: str, faces: int) -> str:
    number, filters = answers[0].searched, " and ".join(question.filters)
    searched = f"among {counted(number, 'face')} in {where}"
    if not number and faces:
        one = "it" if len(question.filters) == 1 else "one of them"
        none = f"none of the {faces:,} faces" if faces > 1 else "the only face"
        passes = "passes" if faces > 1 else "does not pass"
        another = "" if question.filters == ["--alone"] else ", or give another value"
        return f"{none} in {where} {passes} {filters}; omit {one}{another}"
    searched += f" that pass{'es' * (number == 1)} {filters}" * bool(filters)
    if threshold is None or not faces:
        alone = any(one.hits for one in answers)
        return f"{'nobody but the query photo itself, or a copy of it,' if alone else 'no face'} {searched}"
    advice = "" if question.top_k else "; --top-k 5 shows the nearest"
    nearest = _nearest(answers[0]) if len(answers) == 1 else ""
    if any(hit.is_query and hit.similarity >= threshold for one in answers for hit in one.hits):
        only = f"only the query photo itself, or a copy of it, reaches a similarity of {threshold:.3g}"
        return f"{only} {searched}{nearest}{advice}"
    return f"no face reaches a similarity of {threshold:.3g} {searched}{nearest}{advice}"


def _nearest(one: Answer) -> str:
    if one.nearest is None:
        return ""
    path = os.fsdecode(one.nearest.face.path)
    return f"; the nearest is {path} ({one.nearest.similarity:.2f}, {one.nearest.verdict})"


def _reached(one: Answer, threshold: float | None) -> bool:
    """Whether anything but the query photo itself is a hit."""
    return any(_is_found(hit, threshold) and not hit.is_query for hit in one.hits)


def _is_found(hit: Hit, threshold: float | None) -> bool:
    return threshold is None or hit.similarity >= threshold


def _hand_out(
    question: Question, answers: Sequence[Answer], threshold: float | None, index: dict[str, object], seconds: float
) -> bool:
    """Pictures and copies of what was found; whether all of it could be had. What fails stops none of the others."""
    failures: list[FacesearchError] = []
    complete = True
    pictures = _pictures(question, answers, threshold, index, seconds)
    for make in (*pictures, *_exports(question, answers, threshold)):
        try:
            complete = make() and complete
        except FacesearchError as error:
            failures.append(error)
    for failure in failures[:-1]:
        say(str(failure))
    if failures:
        raise failures[-1]
    return complete


def _pictures(
    question: Question, answers: Sequence[Answer], threshold: float | None, index: dict[str, object], seconds: float
) -> Iterator[Callable[[], bool]]:
    """What draws each picture that was asked for, and tells where it is."""
    if (sheet := question.sheet) is not None:
        from facesearch.render.sheet import save_sheet

        def draw() -> bool:
            if question.dry_run:
                _note(question, f"would draw a contact sheet in {sheet}")
                return True
            pages = save_sheet(answers[0], threshold, sheet, seconds=seconds, max_pixels=question.max_pixels)
            _note(question, f"contact sheet in {', '.join(str(page) for page in pages)}")
            return True

        yield draw
    if (html := question.html) is not None:
        from facesearch.render.gallery import save_gallery

        def write_page() -> bool:
            if question.dry_run:
                _note(question, f"would write a gallery to {html}")
                return True
            save_gallery(answers, threshold, index, html, seconds=seconds, max_pixels=question.max_pixels)
            _note(question, f"gallery in {html}")
            return True

        yield write_page


def _exports(question: Question, answers: Sequence[Answer], threshold: float | None) -> Iterator[Callable[[], bool]]:
    """What makes each of the copies, links and crops that were asked for, and tells what came of it."""
    copies, links, crops = question.copy_to, question.link_to, question.crops_to
    if not (copies or links or crops):
        return
    from facesearch.care.copies import copy_photos, link_photos, save_crops
    from facesearch.photos.known import read_known

    found = _found(answers, threshold)
    below = sum(len(one.hits) for one in answers) - len(found)
    if below:
        _note(question, f"hits below the threshold are not copied: {below:,}; --no-threshold copies them too")
    files, dry_run = [hit.face.file for hit in found], question.dry_run
    faces = {
        hit.face.face_id: (
            os.fsdecode(hit.face.path), hit.face.face_id, hit.face.detection.box, partial(read_known, hit.face.file)
        )
        for hit in found
    }  # fmt: skip
    limit = question.max_pixels
    if copies is not None:
        yield lambda: _told(question, "photo", f"copied to {copies}", copy_photos(files, copies, dry_run=dry_run))
    if links is not None:
        hard = question.hard_links
        linked = partial(link_photos, files, links, hard=hard, dry_run=dry_run)
        yield lambda: _told(question, "photo", f"linked in {links}", linked())
    if crops is not None:
        saved = partial(save_crops, faces.values(), crops, max_pixels=limit, dry_run=dry_run)
        yield lambda: _told(question, "face", f"saved in {crops}", saved())


def _found(answers: Sequence[Answer], threshold: float | None) -> list[Hit]:
    return [hit for one in answers for hit in one.hits if _is_found(hit, threshold)]


def _told(question: Question, noun: str, what: str, done: Export) -> bool:
    """Tell what was done, and whether all of it could be."""
    for target, source in done.planned.items():
        say(f"would make {target} from {source}")
    for trouble in done.failed:
        say(f"{trouble}; left out")
    kept = f", {done.kept:,} already there" if done.kept else ""
    if question.dry_run:
        _note(question, f"nothing was done; {counted(len(done.planned), noun)} would be {what}{kept}")
    else:
        _note(question, f"{counted(done.made, noun)} {what}{kept}")
    return not done.failed


def _warn_of_known_folders(question: Question, store: Store) -> None:
    """What is put into a folder of the index becomes photos of it, or is left out as facesearch's own."""
    if store.path is None or question.quiet:  # a scan keeps nothing
        return
    roots = [os.path.realpath(root.path) for root in store.catalog.roots()]
    for option, folder, what in (
        ("--copy-to", question.copy_to, "the next facesearch index takes the copies for photos"),
        ("--link-to", question.link_to, "the next facesearch index takes the links for photos"),
        ("--crops-to", question.crops_to, "the next facesearch index leaves the crops out"),
    ):
        place = None if folder is None else os.path.realpath(os.fsencode(folder))
        if place and any(place == root or place.startswith(os.path.join(root, b"")) for root in roots):
            say(f"{option} {folder}: inside a folder of the index, so {what}; a folder outside avoids that")


def _note(question: Question, message: str) -> None:
    if not question.quiet:
        say(message)
