"""The statement file: all statements as JSON lines beside the catalog, so that names outlive a lost catalog.

It is brought up to date after each statement and each run. A process that is killed in between leaves it behind; the
next one appends what is missing. Where faces are whose photos were edited is kept in it, too. A file that does not fit
the catalog is written anew. If it has statements that the catalog lacks, because that was lost or restored from a
backup, it is set aside under another name first.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from facesearch.errors import Hint, InputError
from facesearch.files import replacing, sync_folder
from facesearch.people.exchange.document import header_line, read_document
from facesearch.people.exchange.log_lines import END, START, Place, before, is_statement, last_place, log_lines
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.catalog.catalog import Catalog
    from facesearch.catalog.statements import StatementRow

__all__ = ["STATEMENT_FILE", "Fault", "bring_up_to_date", "find_fault", "rewrite"]

STATEMENT_FILE = "statements.jsonl"
_ASIDE = "statements.{}.jsonl"
_BLOCK = 1 << 16


class Fault(NamedTuple):
    """What is wrong with a statement file; one that is only behind is `harmless`."""

    problem: str
    harmless: bool


def bring_up_to_date(catalog: Catalog, folder: Path) -> str | None:
    """Write to the statement file what it lacks; return one line for the user if there is something to say.

    Raises `OSError`, and what the catalog raises.
    """
    path = folder / STATEMENT_FILE
    if _is_complete(catalog, path):
        return None
    with catalog.transaction():  # which nobody else is in: two processes never write the file at once
        last = _fitting_until(catalog, path)
        _give_ids(catalog, after=last[0] if last else 0)
        if last is None:
            return _rewrite(catalog, path)
        lines = list(_lines(catalog, after=last))
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        with open(descriptor, "ab") as stream:
            stream.writelines(lines)
            stream.flush()
            os.fsync(stream.fileno())
    return None


def rewrite(catalog: Catalog, folder: Path) -> str | None:
    """Write the statement file anew; see `bring_up_to_date`."""
    with catalog.transaction():
        _give_ids(catalog)
        return _rewrite(catalog, folder / STATEMENT_FILE)


def find_fault(catalog: Catalog, folder: Path) -> Fault | None:
    """Compare the statement file with the catalog, line by line; None if they match."""
    path = folder / STATEMENT_FILE
    last = catalog.statements.last_id()
    if not path.exists():
        later = "the next statement or run writes it again"
        return Fault(f"the file {STATEMENT_FILE} is missing; {later}", harmless=True) if last else None
    number, lines = 0, _everything(catalog)
    try:
        with path.open("rb") as stream:
            for number, expected in enumerate(lines, start=1):
                line = stream.readline()
                if number > 1 and not line.endswith(b"\n") and expected.startswith(line):
                    behind = counted(sum(map(is_statement, [expected, *lines])), "statement")
                    return Fault(
                        f"{STATEMENT_FILE} lacks the last {behind}; the next statement or run adds what is missing",
                        harmless=True,
                    )
                if line != expected:
                    return Fault(f"{STATEMENT_FILE} does not match the catalog (line {number:,})", harmless=False)
            if stream.readline():
                return Fault(f"{STATEMENT_FILE} has more statements than the catalog", harmless=False)
    except OSError as error:
        return Fault(f"{STATEMENT_FILE} cannot be read ({error.strerror})", harmless=False)
    return None


def _give_ids(catalog: Catalog, *, after: int = 0) -> None:
    """Give an id outside the catalog to everybody spoken of who has none: an earlier version made the statement."""
    spoken_of = _people_in(catalog.statements.all(after=after))
    known = catalog.statements.identities_of(spoken_of)
    for person in spoken_of:
        if person not in known:
            catalog.statements.identity(person)


def _is_complete(catalog: Catalog, path: Path) -> bool:
    last = last_place(catalog)
    if not path.exists():
        return last == START
    return _fitting_until(catalog, path) == last


def _fitting_until(catalog: Catalog, path: Path) -> Place | None:
    """Return the place in the log of the last line of a file that fits the catalog; None if the file does not fit."""
    try:
        with path.open("rb") as stream:
            head = stream.readline()
            if head != header_line(catalog.meta.uuid, catalog.models.current()):
                return None
            line = _last_line(stream.fileno())
    except OSError:
        return None
    if line == head:
        return START
    place = _place_in(catalog, line)
    return place if place is not None and list(_lines(catalog, after=before(place), until=place)) == [line] else None


def _last_line(descriptor: int) -> bytes:
    """Return the last line of an open file, with its end if it has one."""
    end = os.fstat(descriptor).st_size
    data, start = b"", end
    while start > 0 and b"\n" not in data[:-1]:
        size = min(_BLOCK, start)
        start -= size
        data = os.pread(descriptor, size, start) + data
    return data[data.rfind(b"\n", 0, len(data) - 1) + 1 :]


def _place_in(catalog: Catalog, line: bytes) -> Place | None:
    import json

    try:
        values = json.loads(line)
        number = values["edit"] if "edit" in values else values["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if type(number) is not int or not 0 < number < 2**62 or not line.endswith(b"\n"):
        return None
    return catalog.carried.place_of(number) if "edit" in values else (number, 0)


def _rewrite(catalog: Catalog, path: Path) -> str | None:
    told = _set_aside(catalog, path)
    if last_place(catalog) != START:
        _write(catalog, path)
    else:
        path.unlink(missing_ok=True)
    return told


def _write(catalog: Catalog, path: Path) -> None:
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        leftover.unlink(missing_ok=True)
    with replacing(path) as stream:
        stream.writelines(_everything(catalog))


def _set_aside(catalog: Catalog, path: Path) -> str | None:
    """Keep a file under another name if it has statements that the catalog lacks; return a line that says so."""
    try:
        found = read_document(path)
    except InputError:
        return None  # missing, or nothing that could be read again
    rows = {row.id: row for row in catalog.statements.all()}
    ever = catalog.exchange.last_statement_ever() if found.source == catalog.meta.uuid.hex() else 0
    lacking = [
        told
        for told in found.statements
        if told.id > ever or (told.id in rows and _differs(rows[told.id], told.said_at, told.author, told.kind))
    ]
    if not lacking:
        return None
    number = 1
    while os.path.lexists(aside := path.with_name(_ASIDE.format(number))):
        number += 1
    path.rename(aside)
    sync_folder(path.parent)
    lacked = counted(len(lacking), "statement")
    return f"{path} has {lacked} that this index lacks, and is {aside.name} now; {Hint.RESTORE_STATEMENTS}"


def _differs(row: StatementRow, *about: object) -> bool:
    return (row.said_at, row.author, row.kind) != about


def _everything(catalog: Catalog) -> Iterator[bytes]:
    yield header_line(catalog.meta.uuid, catalog.models.current())
    yield from _lines(catalog)


def _lines(catalog: Catalog, *, after: Place = START, until: Place = END) -> Iterator[bytes]:
    rows = [row for row in catalog.statements.all(after=after[0]) if row.id <= until[0]]
    yield from log_lines(catalog, catalog.statements.identities_of(_people_in(rows)), after=after, until=until)


def _people_in(rows: Iterable[StatementRow]) -> list[int]:
    """Return the people whom statements are about, in order."""
    return sorted({person for row in rows for person in (row.person, row.other) if person is not None})
