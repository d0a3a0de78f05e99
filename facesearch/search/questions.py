"""From query photos to probes: which photos, which of their faces, and which of them show one person."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from facesearch.arguments import AnyPath, several_paths, text_of_path
from facesearch.calibration.table import Calibration
from facesearch.errors import FacesearchError, InputError, UsageError
from facesearch.events import SILENT, Observer
from facesearch.models.protocol import FaceModel
from facesearch.photos.scan import photos_in
from facesearch.query_options import AnyPerson, QueryOptions
from facesearch.search.probes import Probe, QueryPhoto, QuerySource, Said, nothing_said, probe_faces
from facesearch.search.remarks import (
    LeftOut,
    MaybeTwoPeople,
    NotMeasured,
    PickedByOthers,
    SeveralFaces,
    SomebodyElse,
    TableNotUsed,
)
from facesearch.search.template import odd_ones, pick_by_others, template, without_copies
from facesearch.types import PhotoBytes
from facesearch.wording import counted

__all__ = [
    "AnyPhoto",
    "AnyPhotos",
    "given_photos",
    "photos_of",
    "probe_each_person",
    "question_probes",
    "remark_on_calibration",
]

AnyPhoto = AnyPath | PhotoBytes | QueryPhoto
"""A query photo: a path, the content of a file, or its faces."""

AnyPhotos = AnyPhoto | Iterable[AnyPhoto]
"""One query photo, or several."""

_ODD_FMR = 1e-2
"""The FMR at which a query photo counts as somebody else's; it misjudges one in 200 of a person's own photos."""


def given_photos(photos: AnyPhotos) -> list[QuerySource]:
    """Return one query photo or several, with paths as text. Raises `UsageError` if one is none of `AnyPhoto`."""
    if isinstance(photos, PhotoBytes | QueryPhoto):
        return [photos]
    if isinstance(photos, str | bytes | os.PathLike) or not isinstance(photos, Iterable):
        return list(several_paths("photo", photos))
    return [one if isinstance(one, PhotoBytes | QueryPhoto) else text_of_path("photo", one) for one in photos]


def photos_of(given: AnyPhotos, observer: Observer = SILENT) -> list[QuerySource]:
    """Return the query photos: files and photos in memory as given, folders as all photos in them.

    Raises `InputError` for a folder without photos, `UsageError` if an argument is not a photo.
    """
    photos: list[QuerySource] = []
    for path in given_photos(given):
        if not isinstance(path, str) or not os.path.isdir(path):
            photos.append(path)
            continue

        def unreadable(inner: bytes, reason: str, folder: str = path) -> None:
            observer.warn(f"{Path(folder) / os.fsdecode(inner)}: cannot be read ({reason})")

        found = photos_in(Path(path), unreadable=unreadable)
        if not found:
            raise InputError(f"{path}: no photos in this folder; name photos of the person to search for")
        photos += map(str, found)
    return photos


def question_probes(
    model: FaceModel,
    calibration: Calibration,
    photos: Sequence[QuerySource],
    options: QueryOptions,
    observer: Observer = SILENT,
    *,
    of_company: bool = False,
    said: Said = nothing_said,
) -> list[Probe]:
    """Return the probes of a query: faces of one photo, one face per photo, or a template of all photos.

    If there are several photos, those that cannot be used, and those of another person than the rest, are reported and
    skipped. `of_company` says that they show somebody who must, or must not, be in a hit's photo too; remarks carry
    that. `said` is that of `probe_faces`, for a single photo. Raises `InputError` if none is left, `UsageError` for a
    face number that a photo does not have, and what `probe_faces` raises for a single photo.
    """
    if not photos:
        raise UsageError("no query photo; give a photo of the person to search for")
    if len(photos) == 1:
        faces = probe_faces(
            model, photos[0], rotations=options.rotations, max_pixels=options.max_pixels, said=said, mark=observer.lap
        )
        return _chosen(faces, options, observer, of_company=of_company)
    if options.face is not None and not options.each:
        raise UsageError(
            f"face {options.face} selects a face of a single photo; several photos make one query", option="face"
        )
    seen = _faces_of_many(model, photos, options, observer)
    observer.lap(f"faces of {len(photos)} photos")
    if options.each:
        probes = _each(seen, options, observer)
    else:
        probes = _one_person(seen, calibration, observer, of_company=of_company)
    if not probes:
        raise InputError(f"none of the {len(photos):,} query photos can be used")
    return probes


def probe_each_person(
    model: Callable[[], FaceModel],
    calibration: Calibration,
    people: Sequence[AnyPerson],
    options: QueryOptions,
    observer: Observer = SILENT,
    named: Callable[[str | int], Probe | None] = lambda _name: None,
) -> tuple[Probe, ...]:
    """Return one probe per person: given as a photo, as a folder of photos of that person, or in another way.

    `named` gets a number, or else what was given as text, and returns the probe of a person, or None for a path.
    `model` is called if there is a photo. Raises what `named`, `photos_of` and `question_probes` raise.
    """
    plain = QueryOptions(rotations=options.rotations, max_pixels=options.max_pixels)
    found = []
    for given in people:
        probe = named(given if isinstance(given, int) else os.fsdecode(given))
        if probe is None:
            if isinstance(given, int):
                raise UsageError(f"#{given}: people of a shared gallery are not known by number here")
            photos = photos_of([given], observer)
            probe = question_probes(model(), calibration, photos, plain, observer, of_company=True)[0]
        found.append(probe)
    return tuple(found)


def remark_on_calibration(calibration: Calibration, model: str, observer: Observer) -> None:
    """Report if the model was never calibrated, or if the user's calibration is not used."""
    if calibration.note:
        observer.remark(TableNotUsed(calibration.note))
    if not calibration.measured:
        observer.remark(NotMeasured(model, calibration.surest))


def _faces_of_many(
    model: FaceModel, photos: Sequence[QuerySource], options: QueryOptions, observer: Observer
) -> list[list[Probe]]:
    """Return the faces of every photo that can be used."""

    def faces_of(photo: QuerySource) -> list[Probe] | FacesearchError:
        try:
            return probe_faces(model, photo, rotations=options.rotations, max_pixels=options.max_pixels)
        except FacesearchError as error:
            return error

    seen: list[list[Probe]] = []
    with ThreadPoolExecutor(model.runtime.streams) as pool:
        for faces in pool.map(faces_of, photos):
            if isinstance(faces, FacesearchError):
                observer.remark(LeftOut(faces))
            else:
                seen.append(faces)
    return seen


def _each(seen: Sequence[list[Probe]], options: QueryOptions, observer: Observer) -> list[Probe]:
    """Return the probes of separate queries, one per photo."""
    probes: list[Probe] = []
    for faces in seen:
        try:
            probes += _chosen(faces, options, observer)
        except UsageError as error:  # a photo has no face of this number
            observer.remark(LeftOut(error))
    return probes


def _one_person(
    seen: Sequence[list[Probe]], calibration: Calibration, observer: Observer, *, of_company: bool
) -> list[Probe]:
    """Return one template of all photos of the person, without photos of somebody else."""
    if not seen:
        return []
    photos = without_copies(seen)
    picked = pick_by_others(photos)
    for faces, probe in zip(photos, picked, strict=True):
        if len(faces) > 1:
            observer.remark(PickedByOthers(probe, len(faces)))

    def similar_from(photos: int) -> float:
        return calibration.similarity_at(_ODD_FMR, photos)

    odd = odd_ones(picked, similar_from=similar_from)
    for probe, similarity in odd:
        observer.remark(SomebodyElse(probe, similarity))
    kept = [probe for probe in picked if all(probe is not other for other, _ in odd)]
    if len(kept) == 2:
        similarity = float(kept[0].face.embedding @ kept[1].face.embedding)
        if similarity < similar_from(1):
            observer.remark(MaybeTwoPeople(kept[0], kept[1], similarity, of_company))
    return [template(kept)]


def _chosen(probes: list[Probe], options: QueryOptions, observer: Observer, *, of_company: bool = False) -> list[Probe]:
    """Return the selected faces of a photo, by default the largest. Raises `UsageError` for a face it does not have."""
    photo, face = probes[0].path, options.face
    if face == "all":
        return probes
    if isinstance(face, int) and face > len(probes):
        choice = "1 (the largest)" if len(probes) == 1 else f"from 1 (the largest) to {len(probes)}"
        raise UsageError(f"face {face}: {photo} shows {counted(len(probes), 'face')}; choose {choice}", option="face")
    if face is None and len(probes) > 1:
        observer.remark(SeveralFaces(probes[0], probes[1:], of_company))
    return [probes[(face or 1) - 1]]
