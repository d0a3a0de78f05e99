"""Answer a query: detect the faces in the query photos, search the gallery, and add remarks for the user."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from facesearch.calibration.storage import calibration_of
from facesearch.calibration.table import Calibration
from facesearch.errors import Hint, InputError, UsageError
from facesearch.events import SILENT, Observer, Remark
from facesearch.filters import Filter
from facesearch.galleries.protocol import ALL, Gallery
from facesearch.models.protocol import FaceModel
from facesearch.query_options import ByModel, QueryOptions
from facesearch.search.engine import Want, find_all, find_person
from facesearch.search.probes import Probe, QuerySource, Said, nothing_said
from facesearch.search.questions import probe_each_person, question_probes, remark_on_calibration
from facesearch.search.remarks import (
    AskedAgain,
    CompanyIsThem,
    LookAlikes,
    Missed,
    NeverGrouped,
    NothingFor,
    NothingFound,
    NothingToExpand,
    PersonUnclear,
    SeveralFindMore,
    ThroughPerson,
    UnmeasuredLeftOut,
)
from facesearch.search.result import QueryResult
from facesearch.types import ModelInfo
from facesearch.wording import counted

__all__ = ["Asked", "answer", "answer_person", "ask", "ask_company", "filters_of", "require_filter", "require_measured"]

_FEW_HITS = 3
_MANY_LOOK_ALIKES = 5.0
_SEVERAL = 3


@dataclass(frozen=True, slots=True)
class Asked:
    """The people of a query: the probes, the people who must be in the photo too, and those who must not."""

    probes: Sequence[Probe]
    companions: tuple[Probe, ...]
    excluded: tuple[Probe, ...]
    calibration: Calibration


def require_filter(where: Filter, options: QueryOptions) -> Filter:
    """Return the filter of a query, with the limits in its options. Raises `UsageError` if the two contradict."""
    if not isinstance(where, Filter):
        raise UsageError(f"where {where!s:.60}: give a Filter")
    if not options.alone:
        return where
    if where.faces is not None:
        raise UsageError("alone and faces contradict each other; omit one of them", option=("alone", "faces"))
    return replace(where, faces=1 + len(options.companions))


def ask(
    model: FaceModel,
    photos: Sequence[QuerySource],
    options: QueryOptions,
    observer: Observer = SILENT,
    named: Callable[[str | int], Probe | None] = lambda _name: None,
    own_calibration: str | None = None,
    said: Said = nothing_said,
) -> Asked:
    """Detect the faces in the query photos. `named` is that of `probe_each_person`, `said` that of `probe_faces`.

    `own_calibration` is that of the gallery that is going to be searched.

    Raises what `question_probes`, `probe_each_person` and `require_measured` raise.
    """
    calibration, name = calibration_of(model.info, own_calibration), model.info.name
    require_measured(options.fmr, calibration, name)
    remark_on_calibration(calibration, name, observer)
    probes = question_probes(model, calibration, photos, options, observer, said=said)
    companions, excluded = (
        probe_each_person(lambda: model, calibration, people, options, observer, named)
        for people in (options.companions, options.excluded)
    )
    asked = Asked(probes, companions, excluded, calibration)
    for remark in _same_people(asked):
        observer.remark(remark)
    return asked


def _same_people(asked: Asked) -> Iterator[Remark]:
    """Yield a remark for each companion or excluded person who is as similar as the person searched for."""
    if len(asked.probes) != 1:
        return
    (probe,) = asked.probes
    company: list[tuple[Literal["together", "without"], tuple[Probe, ...]]] = [
        ("together", asked.companions), ("without", asked.excluded),
    ]  # fmt: skip
    for option, others in company:
        for other in (one for one in others if one.person is None):
            similarity = float(probe.face.embedding @ other.face.embedding)
            if similarity >= asked.calibration.threshold:
                yield CompanyIsThem(other, similarity, option)


def answer(
    gallery: Gallery, asked: Asked, options: QueryOptions, where: Filter = ALL, observer: Observer = SILENT
) -> QueryResult:
    """Search a gallery. Raises `InputError` for a filter by a folder without photos, and what the gallery raises."""
    limited = require_filter(where, options)
    _require_known_folders(gallery, limited)
    if limited.min_quality > 0 and gallery.size().unmeasured:
        observer.remark(UnmeasuredLeftOut(gallery.size().unmeasured))
    threshold = _limit(options, asked.calibration, max(probe.photos for probe in asked.probes))
    want = Want.of(
        options,
        threshold=threshold if options.top_k is None or options.names_a_limit else None,
        filter=limited,
        together=asked.companions,
        without=asked.excluded,
        company_threshold=asked.calibration.threshold if threshold is None else threshold,
        people=options.asks_people,
        counted=asked.calibration.threshold,
    )
    answers = find_all(gallery, asked.probes, want, asked.calibration)
    observer.lap("search")
    result = QueryResult(answers, threshold, gallery.name, gallery.size(), gallery.model.name, asked.calibration)
    return replace(result, remarks=tuple(_remarks(result, asked, options, filters_of(where, options))))


def answer_person(
    gallery: Gallery,
    asked: Asked,
    options: QueryOptions,
    where: Filter = ALL,
    observer: Observer = SILENT,
    called: str | None = None,
) -> QueryResult:
    """Return the photos of the person that `options` asks for; `called` is that person in messages.

    Raises `InputError` if the gallery has no such person, and what `answer` raises.
    """
    limited = require_filter(where, options)
    _require_known_folders(gallery, limited)
    number, size = options.person_number, gallery.size()
    person = gallery.current_person(number, limited.index)
    if person is None:
        if size.people is None:
            raise InputError(f"#{number}: the faces in {gallery.name} are not grouped by person yet", Hint.GROUP)
        known, hint = counted(size.people, "person", "people"), Hint.LIST_PEOPLE if size.people else Hint.GROUP
        raise InputError(f"#{number}: no such person in {gallery.name}, which has {known}", hint)
    if not gallery.count(Filter(person=person)):
        raise InputError(f"{called or f'#{number}'}: no photo of this person can be found now", Hint.LIST_PEOPLE)
    threshold = asked.calibration.threshold
    want = Want.of(
        options, threshold=None, filter=limited, together=asked.companions, without=asked.excluded,
        company_threshold=threshold, people=True, counted=threshold,
    )  # fmt: skip
    one = find_person(gallery, person, want, asked.calibration)
    observer.lap("search")
    remark = ThroughPerson(one.people, 0, len({hit.face.photo_id for hit in one.hits}), 0, wanted=True)
    return QueryResult([one], threshold, gallery.name, size, gallery.model.name, asked.calibration, remarks=(remark,))


def ask_company(
    model: Callable[[], FaceModel],
    info: ModelInfo,
    options: QueryOptions,
    observer: Observer,
    named: Callable[[str | int], Probe | None] = lambda _name: None,
    own_calibration: str | None = None,
) -> Asked:
    """Detect only the people who must, or must not, be in a photo too; `model` is opened if there are photos."""
    calibration = calibration_of(info, own_calibration)
    companions, excluded = (
        probe_each_person(model, calibration, people, options, observer, named)
        for people in (options.companions, options.excluded)
    )
    return Asked((), companions, excluded, calibration)


def _people_remarks(result: QueryResult, options: QueryOptions) -> Iterator[Remark]:
    """Yield which person the question was taken for."""
    if not options.asks_people:
        return
    if result.size.people is None:
        yield NeverGrouped()
    if not result.size.people or len(result.answers) > 1:
        return
    (one,) = result.answers
    hits = [hit for hit in one.hits if not hit.is_query]
    elsewhere = len({hit.face.photo_id for hit in hits if hit.somebody_else})
    found = [hit for hit in hits if hit.counts(result.threshold)]
    if one.person is not None:
        through = len({hit.face.photo_id for hit in found if hit.via == "person"})
        by_face = len({hit.face.photo_id for hit in found}) - through
        if by_face or through:
            yield ThroughPerson(one.people, by_face, through, elsewhere)
    elif found:
        yield PersonUnclear(elsewhere)


def _remarks(result: QueryResult, asked: Asked, options: QueryOptions, filters: Sequence[str]) -> Iterator[Remark]:
    """Yield what the user should know about the answers."""
    yield from _people_remarks(result, options)
    threshold, answers = result.threshold, result.answers
    without = [one.probe for one in answers if not one.found(threshold)]
    if len(without) == len(answers):
        yield NothingFound(
            answers, threshold, result.gallery, result.size.faces, filters, bool(options.top_k), bool(options.excluded)
        )
    if len(answers) > 1 and 0 < len(without) < len(answers):
        yield NothingFor(without, len(answers))
    if len(answers) > 1 or threshold is None:
        return
    (one,) = answers
    hits = [hit for hit in one.hits if not hit.is_query and hit.counts(threshold)]
    if one.excess >= _MANY_LOOK_ALIKES and hits:
        yield LookAlikes(one.excess)
    if options.expand and not one.probe.found:
        yield NothingToExpand()
    if one.probe.found:
        yield AskedAgain(one.probe.found)
    if hits and one.missed and len(hits) < (options.top_k or len(hits) + 1):
        limit: Literal["threshold", "fmr"] | None = None
        if options.names_a_limit:
            limit = "threshold" if options.fmr is None else "fmr"
        yield Missed(one.missed, limit)
    few = one.person is None and len(hits) < min(_FEW_HITS, options.top_k or _FEW_HITS)
    if few and one.probe.photos == 1 and one.searched and not (filters or options.excluded):
        alone, several = (asked.calibration.tmr(threshold, photos) for photos in (1, _SEVERAL))
        if asked.calibration.measured and alone < several:
            found = {} if options.names_a_limit else asked.calibration.found
            yield SeveralFindMore(found.get(1), found.get(_SEVERAL))


def require_measured(fmr: float | None, calibration: Calibration, model: str) -> None:
    """Raise `UsageError` if a false-match rate is given for a model that was never calibrated."""
    if fmr is not None and not calibration.measured:
        raise UsageError(
            f"fmr {fmr:g}: false-match rates were never measured for {model}", Hint.MEASURE_OR_THRESHOLD, option="fmr"
        )


def _limit(options: QueryOptions, calibration: Calibration, photos: int) -> float | None:
    """Return the threshold for a template of `photos` photos; None makes every face a hit."""
    if options.fmr is not None:
        return calibration.similarity_at(options.fmr, photos)
    return calibration.threshold if isinstance(options.threshold, ByModel) else options.threshold


def filters_of(where: Filter, options: QueryOptions) -> list[str]:
    """Return the names of the fields of `QueryOptions` and `Filter` that limit the search."""
    names = ["together"] if options.companions else []
    limits = ("index", "under", "not_under", "since", "until", "min_face", "min_quality")
    names += [name for name in limits if getattr(where, name) != getattr(ALL, name)]
    if options.alone:
        names.append("alone")
    if where.faces is not None:
        names.append("faces")
    return names


def _require_known_folders(gallery: Gallery, where: Filter) -> None:
    """Raise `InputError` for a folder without known photos, which is most likely a typing error."""
    for path in (*where.folders, *where.other_folders):
        if not gallery.covers(path):
            known = ", ".join(map(os.fsdecode, gallery.folders())) or "none"
            raise InputError(f"{os.fsdecode(path)}: not in a folder that is searched (folders: {known})")
        if not gallery.has_photos_at(path):
            raise InputError(f"{os.fsdecode(path)}: no known photos in it; check the path")
