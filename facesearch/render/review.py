"""Questions about people and what looks wrong with them, as text, as data and as pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facesearch.render.face_tiles import MOST_PANELS, FacePanel, FaceTile, check_tiles_name, save_face_tiles
from facesearch.render.text import table
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.api.results import Problem, Question, Whom
    from facesearch.types import FaceRecord, Somebody

__all__ = [
    "check_sheet",
    "problem_records",
    "question_line",
    "question_paths",
    "question_records",
    "render_problems",
    "save_questions",
]

_PROBLEMS = {
    "contaminated": "faces are nearer to somebody else",
    "alike": "look like one person",
    "twice": "one photo shows this person twice",
    "before-birth": "taken before the date of birth",
}


def question_line(question: Question) -> str:
    """Return a question in words, on one line."""
    person = _with_photos(question.person)
    if question.kind == "merge" and question.other is not None:
        asked = f"{person} and {_with_photos(question.other)}: the same person?"
    elif question.kind == "outsider":
        asked = f"a face of {question.other}: is it {person} instead?"
    elif question.kind == "member":
        asked = f"a face of {person}: is it really {question.person}?"
    else:
        asked = f"a face that belongs to nobody: is it {person}?"
    settled = f", settles {question.photos:,} photos" if question.photos > 1 else ""
    return f"{asked} similarity {question.similarity:.2f}{settled}"


def question_paths(question: Question) -> tuple[str, str]:
    """Return the photos of the two faces, each with what it shows."""
    first, second = (os.fsdecode(face.path) for face in question.faces)
    return f"{_shown(question, 0)}: {first}", f"{_shown(question, 1)}: {second}"


def question_records(questions: Sequence[Question]) -> list[dict[str, Any]]:
    """Return questions as plain values."""
    return [
        {
            "id": one.id, "kind": one.kind, "question": question_line(one),
            "people": [_whom(whom) for whom in (one.person, one.other) if whom is not None],
            "faces": [_face(face) for face in one.faces], "similarity": round(one.similarity, 4),
            "photos": one.photos, "chance": round(one.chance, 4), "skipped": one.skipped,
        }
        for one in questions
    ]  # fmt: skip


def check_sheet(path: Path) -> None:
    """Raise `UsageError` unless the file name is that of a picture, `StorageError` if it cannot be written."""
    check_tiles_name(path)


def save_questions(questions: Sequence[Question], path: Path) -> int:
    """Draw the two faces of each question side by side; return the number of questions drawn, at most `MOST_PANELS`."""
    panels = [
        FacePanel(
            [
                FaceTile(face.file, face.detection.box, (_shown(one, place), os.path.basename(os.fsdecode(face.path))))
                for place, face in enumerate(one.faces)
            ],
            f"{number}.  {one.id}  ·  {one.similarity:.2f}  ·  {counted(one.photos, 'photo')}",
        )
        for number, one in enumerate(questions[:MOST_PANELS], start=1)
    ]
    save_face_tiles(panels, path, title="The same person?" if panels else "No questions")
    return len(panels)


def render_problems(problems: Sequence[Problem], show: Callable[[str], str] = str) -> str:
    """Return a table of problems, one per line."""
    rows = [
        (
            show(str(one.person)), "" if one.other is None else show(str(one.other)), f"{len(one.faces):,}",
            "" if one.similarity is None else f"{one.similarity:.2f}", _PROBLEMS[one.kind],
            show(os.fsdecode(one.faces[0].path)),
        )
        for one in problems
    ]  # fmt: skip
    head = ("person", "other", "faces", "similarity", "problem", "photo")
    return table(head, rows, ("person", "other", "problem", "photo")) if rows else ""


def problem_records(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """Return problems as plain values."""
    return [
        {
            "kind": one.kind, "problem": _PROBLEMS[one.kind],
            "people": [_somebody(who) for who in (one.person, one.other) if who is not None],
            "faces": [_face(face) for face in one.faces],
            "similarity": None if one.similarity is None else round(one.similarity, 4),
        }
        for one in problems
    ]  # fmt: skip


def _with_photos(whom: Whom) -> str:
    return f"{whom} ({counted(whom.photos, 'photo')})"


def _shown(question: Question, place: int) -> str:
    """Return what one of the two faces is: whose, or that it is the one asked about."""
    if question.kind == "merge" and question.other is not None:
        return str((question.person, question.other)[place])
    if place == 1:
        return str(question.person)
    return {"outsider": f"{question.other}, or not?", "member": f"{question.person}?"}.get(question.kind, "nobody yet")


def _whom(whom: Whom) -> dict[str, Any]:
    return {**_somebody(whom.person), "photos": whom.photos}


def _somebody(who: Somebody) -> dict[str, Any]:
    return {"person": who.number, "name": who.name}


def _face(face: FaceRecord) -> dict[str, Any]:
    box = face.detection.box
    return {
        "face_id": face.face_id, "photo_id": face.photo_id, "path": os.fsdecode(face.path),
        "person": face.person, "name": face.name,
        "box": [round(side, 1) for side in (box.left, box.top, box.width, box.height)],
    }  # fmt: skip
