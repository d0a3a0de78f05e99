"""What `query` and `scan` share: the probe, the question, the answer and its exit code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from facesearch.cli.console import say, write
from facesearch.cli.options import parse_face
from facesearch.errors import UsageError
from facesearch.render.sheet import check_sheet_name, save_sheet

if TYPE_CHECKING:
    from facesearch.faces.model import FaceModel
    from facesearch.searching import Answer, Probe
    from facesearch.store.store import Store

__all__ = ["Question"]


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
        if self.sheet is not None:
            check_sheet_name(self.sheet)

    def probes(self, model: FaceModel, photo: str, *, rotations: bool) -> list[Probe]:
        """The faces of the query photo that are asked about."""
        from facesearch.searching import probe_faces

        probes = probe_faces(model, photo, rotations=rotations, max_pixels=self.max_pixels)
        number = parse_face(self.face)
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

    def answer(self, store: Store, probes: list[Probe], where: str) -> None:
        """Search, write what was found, and end with exit code 1 when nothing reached the threshold."""
        from facesearch.render.records import shown_path
        from facesearch.render.text import Format, render_answers
        from facesearch.searching import Want, find

        threshold = self._threshold(store)
        cut = threshold if self.top_k is None or self.threshold is not None else None
        want = Want(top_k=self.top_k, threshold=cut, min_face=self.min_face, all_faces=self.all_faces)
        answers = [find(store, probe, want) for probe in probes]
        counts = store.catalog.counts()
        index = {"path": shown_path(where), "model": store.model.name, "faces": counts.faces, "photos": counts.photos}
        layout = Format.paths if self.nul else Format(self.layout)
        write(render_answers(answers, threshold, index, layout, nul=self.nul))
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
