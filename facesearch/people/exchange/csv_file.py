"""People as a table: one line per face, written for spreadsheets and other programs, and read from them."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facesearch.cells import csv_lines, plain_cell
from facesearch.errors import InputError, PhotoError, StorageError, UsageError
from facesearch.events import Observer
from facesearch.files import output_file
from facesearch.people.exchange.exporting import Exported
from facesearch.people.exchange.labels import Label, Labels, Shown
from facesearch.people.names import checked_born, checked_name
from facesearch.types import Box

if TYPE_CHECKING:
    from facesearch.catalog.catalog import Catalog
    from facesearch.people.exchange.photos import PhotoReader
    from facesearch.types import FaceRecord

__all__ = ["named_faces", "read_table", "save_table"]

_FIELDS = ("name", "external_id", "person", "path", "left", "top", "width", "height", "date", "born", "content")
_BOX = ("left", "top", "width", "height")


def named_faces(catalog: Catalog) -> list[FaceRecord]:
    """Return the faces of everybody who has a name and is not ignored: by person, and in the order of their paths."""
    named = [
        person for person, said in catalog.people.profiles().items() if said.name is not None and not said.ignored
    ]  # fmt: skip
    records = catalog.faces.records(catalog.people.vectors_of(named)).values()
    return sorted(records, key=lambda record: (record.name or "", record.person or 0, record.path, record.face_id))


def save_table(catalog: Catalog, path: Path) -> Exported:
    """Write the faces of named people to a file, completely or not at all. Raises `StorageError`."""
    faces, profiles = named_faces(catalog), catalog.people.profiles()

    def row(record: FaceRecord) -> Mapping[str, Any]:
        assert record.person is not None
        box, said = record.detection.box, profiles[record.person]
        sides = zip(_BOX, (box.left, box.top, box.width, box.height), strict=True)
        return {
            "name": said.name, "external_id": said.external_id, "person": record.person, "born": said.born,
            "path": os.fsdecode(record.path), **{side: round(value, 1) for side, value in sides}, "date": record.date,
            "content": None if record.content is None else record.content.hex(),
        }  # fmt: skip

    try:
        with output_file(path, private=True) as stream:
            lines = csv_lines(_FIELDS, map(row, faces))
            stream.writelines(line.encode("utf-8", "surrogateescape") for line in lines)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror}); check the folder") from error
    return Exported(people=len({record.person for record in faces}), faces=len(faces))


def read_table(path: Path, reader: PhotoReader, observer: Observer) -> Labels:
    """Return who is in the photos of a table; a line without a box means the person, whichever face that is.

    Lines with an invalid name or another invalid value are left out. Raises `InputError` for a file that is no such
    table, or that has no valid line.
    """
    labels: dict[tuple[str, str | None, str | None], Label] = {}
    refused: list[str] = []
    rows = list(_rows(path))
    faces = failed = 0
    for done, (number, row) in enumerate(rows, start=1):
        try:
            label = _label(path, number, row)
            box = _box(path, number, row)
            content = _content(path, number, row)
        except InputError as error:
            refused.append(str(error))
            continue
        known = labels.setdefault((label.name, label.external_id, label.person), label)
        known.born = known.born or label.born
        label = known
        try:
            shown = _shown(row, content, box, reader)
            label.photos.append(shown)
            faces += len(shown.faces)
        except PhotoError as error:
            failed += 1
            label.failed += 1
            observer.warn(f"{path}, line {number}: {row.get('path') or row.get('content')}: {error}; skipped")
        observer.progress(done, len(rows), faces, failed)
    return Labels.of(list(labels.values()), refused)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the lines of a table, with their numbers."""
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            table = csv.DictReader(stream)
            columns = [name.strip().lower() for name in table.fieldnames or ()]
            if "name" not in columns or not {"path", "content"} & set(columns):
                listed = ", ".join(columns)
                raise InputError(
                    f"{path}: a table of people has the columns name and path, or name and content; "
                    f"this file has {f'{listed:.60}' if listed else 'none'}"
                )
            table.fieldnames = columns
            for row in table:
                cells = {key: plain_cell(value).strip() for key, value in row.items() if key and value}
                if cells:
                    yield table.line_num, cells
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except csv.Error as error:
        raise InputError(f"{path}: not a table ({error}); export it as CSV again") from error


def _label(path: Path, number: int, row: Mapping[str, str]) -> Label:
    """Return the person of a line. Raises `InputError` for an invalid name or date of birth."""
    try:
        name = checked_name(row.get("name", ""))
        external = checked_name(row["external_id"], "external id") if "external_id" in row else None
        born = checked_born(row["born"]) if "born" in row else None
    except UsageError as error:
        raise InputError(f"{path}, line {number}: {error.problem}") from error
    return Label(name, row.get("person"), external_id=external, born=born)


def _content(path: Path, number: int, row: Mapping[str, str]) -> bytes | None:
    try:
        return bytes.fromhex(row["content"]) if "content" in row else None
    except ValueError:
        raise InputError(f"{path}, line {number}: content {row['content']:.20}: give a SHA-256") from None


def _shown(row: Mapping[str, str], content: bytes | None, box: Box | None, reader: PhotoReader) -> Shown:
    if content is not None:
        found = reader.of(content, row.get("path", row["content"]), box)
        if found is not None:
            return found
    if "path" not in row:
        raise PhotoError("no photo of the index has this content")
    return reader.at(row["path"], box)


def _box(path: Path, number: int, row: Mapping[str, str]) -> Box | None:
    """Return the box of a line, in four columns or in one; None without any."""
    given: Sequence[str] = [row.get(side, "") for side in _BOX]
    if "box" in row:
        given = row["box"].replace(",", " ").split()
    if not any(given):
        return None
    try:
        left, top, width, height = (float(value) for value in given)
    except ValueError:
        raise InputError(f"{path}, line {number}: a box has left, top, width and height, in pixels") from None
    if not (width > 0 and height > 0):
        raise InputError(f"{path}, line {number}: a box needs a width and a height above 0")
    return Box(left, top, width, height)
