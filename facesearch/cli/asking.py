"""From the photos on the command line to what is looked for: faces, and templates of several photos."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.cli.messages import say
from facesearch.cli.options import parse_face
from facesearch.cli.question import Question
from facesearch.cli.reports import tell_guess
from facesearch.errors import FacesearchError, InputError, UsageError
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.calibration.table import Calibration
    from facesearch.models.protocol import FaceModel
    from facesearch.search.probes import Probe

__all__ = ["companions", "note_guess", "photos_of", "probes_of"]

_ODD_FMR = 1e-2
"""A photo that so many strangers are like is of a stranger: one in 200 of a person's own photos is taken for one."""


def photos_of(paths: Sequence[Path]) -> list[str]:
    """The photos to ask about: files as they are named, folders as all the photos in them. Raises `InputError`."""
    photos: list[str] = []
    for path in paths:
        if not os.path.isdir(path):
            photos.append(str(path))
            continue
        from facesearch.photos.scan import photos_in

        found = photos_in(path, unreadable=_unreadable(path))
        if not found:
            raise InputError(f"{path}: a folder without photos; name photos of the person to look for")
        photos += map(str, found)
    return photos


def _unreadable(folder: Path) -> Callable[[bytes, str], None]:
    return lambda path, reason: say(f"{folder / os.fsdecode(path)}: cannot be read ({reason})")


def probes_of(
    question: Question,
    model: FaceModel,
    calibration: Calibration,
    photos: Sequence[str],
    *,
    each: bool = False,
    rotations: bool = True,
    mark: Callable[[str], None] = lambda _step: None,
) -> list[Probe]:
    """The faces that are asked about: those of one photo, one of each photo, or a template of them all.

    Of several photos those that cannot be used, and those that show somebody else than the others, are told and left
    out. Raises `InputError` where none is left, and what `probe_faces` raises for a single photo.
    """
    from facesearch.search.probes import probe_faces

    number = parse_face(question.face)
    if len(photos) == 1:
        faces = probe_faces(model, photos[0], rotations=rotations, max_pixels=question.max_pixels, mark=mark)
        return _chosen(faces, number, quiet=question.quiet)
    if number is not None and not each:
        raise UsageError(f"--face {question.face} picks a face of one photo; several photos make one question")
    seen = _faces_of_many(question, model, photos, rotations=rotations)
    mark(f"faces of {len(photos)} photos")
    chosen = _each(seen, number, quiet=question.quiet) if each else _one_person(seen, calibration, question)
    if not chosen:
        raise InputError(f"none of the {len(photos):,} photos can be asked about")
    return chosen


def note_guess(calibration: Calibration, model: str, *, quiet: bool) -> None:
    """Say where verdicts rest on nothing that was measured, or not on the table that the user would expect."""
    tell_guess(model, measured=calibration.measured, surest=calibration.surest, note=calibration.note, quiet=quiet)


def companions(
    question: Question, model: FaceModel, calibration: Calibration, *, rotations: bool = True
) -> tuple[Probe, ...]:
    """Who has to be in a photo as well: one probe for each `--together`, a photo or a folder of photos."""
    return tuple(
        probes_of(replace(question, face=None), model, calibration, photos_of([path]), rotations=rotations)[0]
        for path in question.together or ()
    )


def _faces_of_many(
    question: Question, model: FaceModel, photos: Sequence[str], *, rotations: bool
) -> list[list[Probe]]:
    """The faces of every photo that can be used."""
    from concurrent.futures import ThreadPoolExecutor

    from facesearch.search.probes import probe_faces

    def faces_of(photo: str) -> list[Probe] | FacesearchError:
        try:
            return probe_faces(model, photo, rotations=rotations, max_pixels=question.max_pixels)
        except FacesearchError as error:
            return error

    seen: list[list[Probe]] = []
    with ThreadPoolExecutor(model.runtime.streams) as pool:
        for faces in pool.map(faces_of, photos):
            if isinstance(faces, FacesearchError):
                say(f"{faces}; left out")
            else:
                seen.append(faces)
    return seen


def _each(seen: Sequence[list[Probe]], number: int | None, *, quiet: bool) -> list[Probe]:
    """Every photo as a question of its own."""
    chosen: list[Probe] = []
    for faces in seen:
        try:
            chosen += _chosen(faces, number, quiet=quiet)
        except UsageError as error:  # one of them has no such face
            say(f"{error}; left out")
    return chosen


def _one_person(seen: Sequence[list[Probe]], calibration: Calibration, question: Question) -> list[Probe]:
    """One template for photos of one person; what shows somebody else is left out."""
    from facesearch.search.probes import odd_ones, pick_by_others, template, without_copies

    if not seen:
        return []
    photos = without_copies(seen)
    picked = pick_by_others(photos)
    for faces, probe in zip(photos, picked, strict=True):
        if len(faces) > 1 and not question.quiet:
            say(f"{probe.path} shows {len(faces)} faces: using the one most like the other photos', at {_place(probe)}")

    def similar_from(photos: int) -> float:
        return calibration.similarity_at(_ODD_FMR, photos)

    odd = odd_ones(picked, similar_from=similar_from)
    for probe, similarity in odd:
        say(f"{probe.path}: somebody else than in the other photos (similarity {similarity:.2f}); left out")
    kept = [probe for probe in picked if all(probe is not other for other, _ in odd)]
    if len(kept) == 2:
        similarity = float(kept[0].face.embedding @ kept[1].face.embedding)
        if similarity < similar_from(1):
            say(
                f"{kept[0].path} and {kept[1].path} may show two people (similarity {similarity:.2f}); both are used: "
                "--each asks about each"
            )
    return [template(kept)]


def _chosen(probes: list[Probe], number: int | None, *, quiet: bool) -> list[Probe]:
    """Those of a photo's faces that `--face` asks for; the largest without it. Raises `UsageError`."""
    photo = probes[0].path
    if number == 0:
        return probes
    if number is not None and number > len(probes):
        choice = "1 (the largest)" if len(probes) == 1 else f"from 1 (the largest) to {len(probes)}"
        raise UsageError(f"--face {number}: {photo} shows {counted(len(probes), 'face')}; choose {choice}")
    if number is None and len(probes) > 1 and not quiet:
        others = "; ".join(f"{probe.number} at {_place(probe)}" for probe in probes[1:])
        used = _place(probes[0])
        say(f"{photo} shows {len(probes)} faces: using the largest, at {used}; --face picks another ({others})")
    return [probes[(number or 1) - 1]]


def _place(probe: Probe) -> str:
    box = probe.face.detection.box
    return f"{box.left:.0f},{box.top:.0f} ({box.shorter:.0f} px)"
