"""What `query` and `scan` share: the probes, the question, the answers and their exit code."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from facesearch.cli.console import say, write
from facesearch.cli.options import parse_face
from facesearch.errors import FacesearchError, InputError, UsageError
from facesearch.render.sheet import check_sheet_name, save_sheet

if TYPE_CHECKING:
    from facesearch.faces.model import FaceModel
    from facesearch.probing import Probe
    from facesearch.searching import Answer
    from facesearch.store.store import Store

__all__ = ["Question", "photos_of"]


def photos_of(paths: Sequence[Path]) -> list[str]:
    """The photos to ask about: files as they are named, folders as all the photos in them. Raises `InputError`."""
    photos: list[str] = []
    for path in paths:
        if not os.path.isdir(path):
            photos.append(str(path))
            continue
        from facesearch.photos.scan import scan

        folder = os.fsencode(path)
        found = [os.fsdecode(os.path.join(folder, file.path)) for file in scan(folder, unreadable=_unreadable(path))]
        if not found:
            raise InputError(f"{path}: a folder without photos; name photos of the person to look for")
        photos += found
    return photos


def _unreadable(folder: Path) -> Callable[[bytes, str], None]:
    return lambda path, reason: say(f"{folder / os.fsdecode(path)}: cannot be read ({reason})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The options of a question, as they were given; checked by `check` before anything heavy is loaded."""

    top_k: int | None
    threshold: float | None
    no_threshold: bool
    min_face: float
    all_faces: bool
    face: str | None
    layout: str
    nul: bool
    sheet: Path | None
    max_pixels: int
    quiet: bool
    each: bool = False

    def check(self) -> None:
        """Raises `UsageError` for options that contradict each other."""
        formats = ("table", "json", "jsonl", "csv", "paths")
        if self.layout not in formats:
            raise UsageError(f"--format {self.layout}: choose one of {', '.join(formats)}")
        if self.nul and self.layout not in ("table", "paths"):
            raise UsageError(f"--print0 writes bare paths; it cannot be combined with --format {self.layout}")
        if self.no_threshold and self.threshold is not None:
            raise UsageError("--threshold and --no-threshold contradict each other; give one of them")
        if parse_face(self.face) == 0 and self.sheet is not None:
            raise UsageError("--sheet draws the hits of one face; give --face a number")
        if self.each and self.sheet is not None:
            raise UsageError("--sheet draws the hits of one question; leave --each away, or the sheet")
        if self.sheet is not None:
            check_sheet_name(self.sheet)

    def probes(
        self,
        model: FaceModel,
        photos: Sequence[str],
        *,
        rotations: bool,
        mark: Callable[[str], None] = lambda _step: None,
    ) -> list[Probe]:
        """The faces that are asked about: those of one photo, one of each photo, or a template of them all.

        Of several photos those that cannot be used are told and left out. Raises `InputError` where none is left, and
        what `probe_faces` raises for a single photo.
        """
        from facesearch.probing import probe_faces, template

        if len(photos) == 1:
            probes = probe_faces(model, photos[0], rotations=rotations, max_pixels=self.max_pixels, mark=mark)
            return self._chosen(probes)
        if self.face is not None and not self.each:
            raise UsageError(f"--face {self.face} picks a face of one photo; several photos make one question")
        chosen = self._of_many(model, photos, rotations=rotations)
        mark(f"faces of {len(photos)} photos")
        if not chosen:
            raise InputError(f"none of the {len(photos):,} photos can be asked about")
        return chosen if self.each else [template(chosen)]

    def _of_many(self, model: FaceModel, photos: Sequence[str], *, rotations: bool) -> list[Probe]:
        from concurrent.futures import ThreadPoolExecutor

        from facesearch.probing import probe_faces

        def faces_of(photo: str) -> list[Probe] | FacesearchError:
            try:
                return probe_faces(model, photo, rotations=rotations, max_pixels=self.max_pixels)
            except FacesearchError as error:
                return error

        chosen: list[Probe] = []
        with ThreadPoolExecutor(model.runtime.streams) as pool:
            for probes in pool.map(faces_of, photos):
                try:
                    if isinstance(probes, FacesearchError):
                        raise probes
                    chosen += self._chosen(probes)
                except FacesearchError as error:  # a photo that cannot be used, or has no such face
                    say(f"{error}; left out")
        return chosen

    def _chosen(self, probes: list[Probe]) -> list[Probe]:
        """Those of a photo's faces that `--face` asks for; the largest without it."""
        number, photo = parse_face(self.face), probes[0].path
        if number == 0:
            return probes
        if number is not None and number > len(probes):
            raise UsageError(
                f"--face {number}: {photo} shows {len(probes)}; choose from 1 (the largest) to {len(probes)}"
            )
        if number is None and len(probes) > 1 and not self.quiet:
            others = "; ".join(f"{probe.number} at {_place(probe)}" for probe in probes[1:])
            used = _place(probes[0])
            say(f"{photo} shows {len(probes)} faces: using the largest, at {used}; --face picks another ({others})")
        return [probes[(number or 1) - 1]]

    def answer(
        self, store: Store, probes: list[Probe], where: str, mark: Callable[[str], None] = lambda _step: None
    ) -> None:
        """Search, write what was found, and end with exit code 1 when nothing reached the threshold."""
        from facesearch.render.records import shown_path
        from facesearch.render.text import Format, render_answers
        from facesearch.searching import Want, find_all
        from facesearch.types import Filter

        threshold = self._threshold(store)
        cut = threshold if self.top_k is None or self.threshold is not None else None
        want = Want(top_k=self.top_k, threshold=cut, filter=Filter(min_face=self.min_face), all_faces=self.all_faces)
        answers = find_all(store, probes, want)
        mark("search")
        counts = store.catalog.counts()
        index = {"path": shown_path(where), "model": store.model.name, "faces": counts.faces, "photos": counts.photos}
        layout = Format.paths if self.nul else Format(self.layout)
        write(render_answers(answers, threshold, index, layout, nul=self.nul))
        mark("write the answer")
        if self.sheet is not None:
            save_sheet(answers[0], threshold, self.sheet, max_pixels=self.max_pixels)
            if not self.quiet:
                say(f"contact sheet in {self.sheet}")
        if not any(_reached(answer, threshold) for answer in answers):
            if not self.quiet:
                say(self._nothing(threshold, index))
            raise typer.Exit(1)

    def _threshold(self, store: Store) -> float | None:
        if self.no_threshold:
            return None
        return store.model.threshold if self.threshold is None else self.threshold

    def _nothing(self, threshold: float | None, index: dict[str, object]) -> str:
        searched = f"among {index['faces']:,} faces in {index['path']}"
        sized = f" of {self.min_face:g} pixels or more" if self.min_face else ""
        if threshold is None:
            return f"no face{sized} {searched}"
        advice = "" if self.top_k else "; --top-k 5 --no-threshold shows the nearest"
        return f"no face{sized} reaches a similarity of {threshold:g} {searched}{advice}"


def _reached(answer: Answer, threshold: float | None) -> bool:
    return any(threshold is None or hit.similarity >= threshold for hit in answer.hits)


def _place(probe: Probe) -> str:
    box = probe.face.detection.box
    return f"{box.left:.0f},{box.top:.0f} ({box.shorter:.0f} px)"
