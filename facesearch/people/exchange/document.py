"""Statements as JSON lines: how a line is written, and read again with everything in it checked.

The first line says what the file is. Then there is a line per statement, in the order in which they were made. People
are given by their ids outside the catalog, faces by the SHA-256 of their photo and their box. A file for another
machine also has a line per person, with the faces that grouping takes for this person; those are derived data. A line
between statements says where a face is since its photo was edited.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from facesearch.catalog.carried import Carry
from facesearch.catalog.exchange import PlacedFace
from facesearch.catalog.statements import StatementRow
from facesearch.errors import Hint, InputError
from facesearch.people.statements import Kind
from facesearch.types import Box, ModelInfo
from facesearch.wording import counted

__all__ = [
    "Document", "Spoken", "ToldRow", "carry_line", "header_line", "person_line", "read_document", "statement_line",
]  # fmt: skip

VERSION = 1
_FORMAT = "statements"
_MOST_SIDE = 1e7
_MOST_ID = 2**62
_LONGEST = 10_000


class ToldRow(NamedTuple):
    """A statement as it is in a file. `person` and `other` are the ids of people outside the catalog."""

    id: int
    said_at: int
    author: str
    origin: str
    kind: str
    person: str | None
    other: str | None
    value: str | None
    batch: int | None
    undoes: int | None
    faces: tuple[PlacedFace, ...] = ()


class Spoken(NamedTuple):
    """A person in a file: the faces that grouping takes for this person, or the person that it became part of."""

    uid: str
    members: tuple[PlacedFace, ...] = ()
    into: str | None = None


class Document(NamedTuple):
    """A file of statements. `source` is the id of its index, `cut` is set if its last line is not complete.

    `refused` says why statements were left out, one line each. `carries` are the faces whose photos were edited: to
    which statements they apply is told by ids in the file.
    """

    source: str
    model: str
    statements: list[ToldRow]
    people: list[Spoken]
    carries: list[Carry]
    refused: list[str]
    cut: bool = False


def header_line(index: bytes, model: ModelInfo, counts: Mapping[str, int] | None = None) -> bytes:
    """Return the first line; with `counts` of lines, a reader notices if the file was cut short."""
    about = {"name": model.name, "dim": model.dim, "revision": model.revision}
    return _line({"facesearch": _FORMAT, "version": VERSION, "index": index.hex(), "model": about, **(counts or {})})


def person_line(spoken: Spoken) -> bytes:
    """Return the line of a person."""
    if spoken.into is not None:
        return _line({"person": spoken.uid, "into": spoken.into})
    return _line({"person": spoken.uid, "members": [_face(place) for place in spoken.members]})


def statement_line(
    row: StatementRow, uids: Mapping[int, str], faces: Sequence[PlacedFace], so_far: Sequence[int]
) -> bytes:
    """Return the line of a statement. `so_far` is the number of statements and of their faces up to this one.

    After the first edit of a photo, that of edits follows.
    """
    told: dict[str, Any] = {
        "id": row.id,
        "said_at": datetime.fromtimestamp(row.said_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "author": row.author,
        "origin": row.origin,
        "kind": row.kind,
    }
    people = {
        key: None if number is None else uids.get(number, "")
        for key, number in (("person", row.person), ("other", row.other))
    }
    more = {**people, "value": row.value, "batch": row.batch, "undoes": row.undoes}
    told |= {key: value for key, value in more.items() if value is not None}
    if faces:
        told["faces"] = [_face(place) for place in faces]
    return _line({**told, "so_far": list(so_far)})


def carry_line(carry: Carry, so_far: Sequence[int]) -> bytes:
    """Return the line that says where a face is since its photo was edited; for `so_far` see `statement_line`."""
    places = {"from": _face(carry.old), "to": _face(carry.new)}
    return _line({"edit": carry.id, "until": carry.until, **places, "so_far": list(so_far)})


def _face(place: PlacedFace) -> list[Any]:
    box = place.box
    return [None if place.content is None else place.content.hex(), [box.left, box.top, box.width, box.height]]


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


# Reading


def read_document(path: Path) -> Document:
    """Read a file of statements.

    A statement with an invalid name or date is left out. Raises `InputError`, with the line, if it is no such file, of
    a newer version, or cut short, or if no statement is valid. A file without counts, as an index has one, may end
    within a line: that one is left out.
    """
    try:
        data = path.read_bytes()
    except IsADirectoryError as error:
        raise InputError(f"{path}: a folder; give a file of statements") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    head, *lines = data.split(b"\n")
    index, model, counts = _header(path, head)
    cut = bool(lines) and lines[-1] != b""
    statements, people, carries, refused = [], [], [], []
    for number, line in enumerate(lines[:-1], start=2):
        try:
            values = json.loads(line)
            if not isinstance(values, dict):
                raise _InvalidError("not an object")
            if "kind" in values:
                statements.append(_statement(values))
            elif "edit" in values:
                carries.append(_carry(values))
            else:
                people.append(_person(values))
        except _RefusedError as error:
            refused.append(f"{path}, line {number}: {error}")
        except (ValueError, RecursionError) as error:
            why = str(error) if isinstance(error, _InvalidError) else "not JSON"
            raise InputError(f"{path}, line {number}: {why}; export it again") from error
    expected = {"statements": len(statements) + len(refused), "people": len(people)}
    for what, count in counts.items():
        if expected[what] != count:
            raise InputError(
                f"{path}: cut short: it has {expected[what]:,} of {counted(count, 'line')} of {what}; export it again"
            )
    if refused and not statements:
        raise InputError(refused[0])
    return Document(index, model, statements, people, carries, refused, cut)


class _InvalidError(ValueError):
    """A line has an invalid value."""


class _RefusedError(_InvalidError):
    """A statement cannot be made: its name or date is not valid."""


def _header(path: Path, line: bytes) -> tuple[str, str, dict[str, int]]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or values.get("facesearch") != _FORMAT:
        raise InputError(f"{path}: not a file of statements made by facesearch; choose another file")
    version = values.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise InputError(
            f"{path}: made by a newer facesearch (format {version!s:.20}, this version reads {VERSION})",
            Hint.NEWER_VERSION,
        )
    model, index = values.get("model"), values.get("index")
    if not isinstance(index, str) or not isinstance(model, dict):
        raise InputError(f"{path}: its first line is damaged; export it again")
    counts = {key: values[key] for key in ("statements", "people") if isinstance(values.get(key), int)}
    return index, str(model.get("name")), counts


def _statement(values: Mapping[str, Any]) -> ToldRow:
    kind = _text(values, "kind")
    if kind not in list(Kind):
        raise _InvalidError(f"kind {kind!r:.40} is not known; a newer facesearch made it")
    try:
        moment = datetime.strptime(str(values.get("said_at")), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise _InvalidError(f"said_at {values.get('said_at')!r:.40} is no moment") from None
    number = _number(values, "id")
    if number is None:
        raise _InvalidError("it has no id")
    return ToldRow(
        id=number, said_at=int(moment.timestamp()), author=_text(values, "author"), origin=_text(values, "origin"),
        kind=kind, person=_uid(values, "person"), other=_uid(values, "other"),
        value=_checked(kind, values.get("value")), batch=_number(values, "batch"), undoes=_number(values, "undoes"),
        faces=_faces(values.get("faces", [])),
    )  # fmt: skip


def _checked(kind: str, value: object) -> str | None:
    """Return a value that a statement of this kind may have."""
    from facesearch.errors import UsageError
    from facesearch.people.names import checked_born, checked_name

    if value is None:
        return None
    text = _text({"value": value}, "value")
    try:
        if kind in (Kind.name, Kind.alias, Kind.no_alias):
            return checked_name(text, kind)
        return checked_born(text) if kind == Kind.born else text
    except UsageError as error:
        raise _RefusedError(error.problem) from error


def _carry(values: Mapping[str, Any]) -> Carry:
    old, new = _place(values.get("from")), _place(values.get("to"))
    if old.content is None or new.content is None or old.content == new.content:
        raise _InvalidError("an edit without a content before and after")
    until = _number(values, "until") if values.get("until") != 0 else 0
    return Carry(_number(values, "edit") or 0, 0, until or 0, old, new)


def _person(values: Mapping[str, Any]) -> Spoken:
    uid = _uid(values, "person")
    if uid is None:
        raise _InvalidError("neither a statement nor a person")
    return Spoken(uid, _faces(values.get("members", [])), _uid(values, "into"))


def _text(values: Mapping[str, Any], key: str) -> str:
    text = values.get(key)
    if not isinstance(text, str) or "\0" in text or len(text) > _LONGEST or not _is_unicode(text):
        raise _InvalidError(f"{key} {text!r:.40} is no text")
    return text


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number(values: Mapping[str, Any], key: str) -> int | None:
    number = values.get(key)
    if number is None:
        return None
    if type(number) is not int or not 0 < number <= _MOST_ID:
        raise _InvalidError(f"{key} {number!r:.40} is no number of a statement")
    return number


def _uid(values: Mapping[str, Any], key: str) -> str | None:
    uid = values.get(key)
    if uid is None:
        return None
    if not isinstance(uid, str) or len(uid) != 32 or not set(uid) <= set("0123456789abcdef"):
        raise _InvalidError(f"{key} {uid!r:.40} is no id of a person")
    return uid


def _faces(values: object) -> tuple[PlacedFace, ...]:
    if not isinstance(values, list):
        raise _InvalidError("faces are no list")
    return tuple(_place(value) for value in values)


def _place(value: object) -> PlacedFace:
    try:
        content: Any
        numbers: Any
        content, numbers = value  # type: ignore[misc]
        box = [float(number) for number in numbers]
        known = None if content is None else bytes.fromhex(content)
    except (TypeError, ValueError, OverflowError):
        raise _InvalidError(f"face {value!r:.40} is not a content and a box") from None
    usable = len(box) == 4 and all(math.isfinite(side) and abs(side) <= _MOST_SIDE for side in box)
    if not usable or min(box[2:]) <= 0 or len(known or b"\0" * 32) != 32:
        raise _InvalidError(f"face {value!r:.40} is not a content and a box")
    return PlacedFace(known, Box(*box))
