"""What would be forgotten with a person, and the people who are left out, as text."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facesearch.errors import StorageError
from facesearch.files import output_file
from facesearch.render.records import path_keys
from facesearch.render.text import moment, table
from facesearch.visible import shown_path
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.api.results import Forgetting, SweptFace, Template

__all__ = ["forgetting_record", "left_out_records", "render_left_out", "save_receipt", "sweep_lines"]

_LISTED = 30


def sweep_lines(going: Forgetting) -> Iterator[str]:
    """Yield what a sweep found, one line each: similar faces in full, and how many there are of the others."""
    found = going.sweep
    if found is None:
        return
    own = [one for one in going.going if one.own]
    similar = [one for one in going.going if not one.own]
    yield f"faces of this person: {len(own):,}"
    if similar:
        yield f"similar faces, of others or of nobody: {len(similar):,}"
        for one in similar[:_LISTED]:
            yield f"  {_line(one)}"
        if len(similar) > _LISTED:
            yield f"  and {len(similar) - _LISTED:,} more"
    for one in going.spared:
        yield f"spared: {_line(one)}"
    if found.fit_others:
        yield f"similar faces that fit somebody else better, and stay: {len(found.fit_others):,}"
    if found.said_otherwise:
        yield f"similar faces that are somebody else by your word, and stay: {len(found.said_otherwise):,}"


def _line(one: SweptFace) -> str:
    whose = "nobody" if one.face.person is None else one.face.name or f"#{one.face.person}"
    likeness = "no embedding" if one.similarity is None else f"similarity {one.similarity:.3f}"
    return f"face {one.face.face_id}, {likeness}, {whose}: {os.fsdecode(one.face.path)}"


def forgetting_record(what: Forgetting) -> dict[str, Any]:
    """Return what is forgotten as plain values; of a person, each face that goes, with its similarity."""
    return {
        "what": what.what,
        "copies": [shown_path(path) for path in what.copies] if what.takes_copies else [],
        "owed": list(what.owed),
        "going": [_swept(one) for one in what.going],
        "spared": [_swept(one) for one in what.spared],
        "receipt": dict(what.receipt) or None,
    }


def _swept(one: SweptFace) -> dict[str, Any]:
    face = one.face
    return {
        "face_id": face.face_id, "photo_id": face.photo_id, **path_keys("path", face.path), "own": one.own,
        "person": face.person, "name": face.name, "similarity": one.similarity,
    }  # fmt: skip


def save_receipt(receipt: Mapping[str, Any], path: Path) -> None:
    """Write a receipt as JSON to a file that only its owner can read. Raises `StorageError`."""
    try:
        with output_file(path, private=True) as stream:
            stream.write((json.dumps(receipt, indent=1) + "\n").encode())
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror}); check the folder") from error


def left_out_records(templates: Sequence[Template]) -> list[dict[str, Any]]:
    """Return the people who are left out as plain values."""
    return [
        {"number": one.id, "faces": one.faces, "since": moment(one.made_at), "until": moment(one.until)}
        for one in templates
    ]


def render_left_out(templates: Sequence[Template], show: Callable[[str], str] = str) -> str:
    """Return a table of the people who are left out."""
    rows = [
        (str(one.id), counted(one.faces, "face"), show(_day(one.made_at)), show(_day(one.until))) for one in templates
    ]
    return table(("number", "made from", "since", "until"), rows, ("made from", "since", "until")) if rows else ""


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds).date().isoformat()
