"""Export people to folders: one folder per person with the photos, which can be kept up to date night after night.

A file in the folder, the manifest, lists what facesearch put there, with size and time. Only files that are listed and
unchanged are ever removed, and no file is ever overwritten. What is to be made is listed before it is made: a run that
is killed leaves nothing that the next one does not know. The manifest also has names that no folder can have.
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from facesearch.care.copies import make_copy, make_hard_link, names_for
from facesearch.errors import InputError, PhotoError, StorageError, UsageError
from facesearch.files import replacing
from facesearch.people.exchange.csv_file import named_faces
from facesearch.people.exchange.folders import MANIFEST, true_names
from facesearch.visible import visible

if TYPE_CHECKING:
    from facesearch.catalog.catalog import Catalog
    from facesearch.types import FaceRecord, KnownFile

__all__ = ["MANIFEST", "FolderExport", "export_folders", "folder_names"]

_FORMAT, _VERSION = "people in folders", 1
_LONGEST = 100
_RESERVED = {"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(1, 10))}


@dataclass(slots=True)
class FolderExport:
    """What an export to folders did: people, files `made`, `kept`, `removed`, and `left` because they were changed.

    `failed` are photos that could not be read, each with the reason.
    """

    people: int = 0
    made: int = 0
    kept: int = 0
    removed: int = 0
    left: int = 0
    failed: list[str] = field(default_factory=list)


class _Entry(NamedTuple):
    """A file that facesearch made: its size and time, and the content of its photo."""

    size: int
    mtime_ns: int
    content: str


class _Person(NamedTuple):
    """A person with the name of the folder, and the faces whose photos belong there."""

    number: int
    name: str
    folder: str
    faces: list[FaceRecord]


class _Wanted(NamedTuple):
    """The photos of each person by the name of the folder: files by content, each content once.

    `everything` are the contents of all photos of the person, also of hidden ones.
    """

    files: dict[str, dict[str, KnownFile]]
    everything: dict[str, set[str]]


def export_folders(catalog: Catalog, folder: Path, *, sync: bool = False, hard_links: bool = False) -> FolderExport:
    """Put the photos of everybody who has a name into a folder per person, as copies or as hard links.

    With `sync`, files that an earlier export made and that do not belong there any more are removed. Raises
    `UsageError` if the folder is in the index or among its photos, `InputError` if the manifest is damaged or that of
    another index, `StorageError` if the folder cannot be written to.
    """
    index = catalog.meta.uuid.hex()
    entries = _read_manifest(folder, index)
    done = FolderExport()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        people = _people(catalog)
        planned, gone = _plan(_wanted(catalog, people), folder, entries, done)
        names = {**true_names(folder), **{one.folder: one.name for one in people}}
        if not sync:
            gone = []
        _write_manifest(folder, index, names, {**entries, **{path: entry for path, entry, _ in planned}})
        for path, _, file in planned:
            made = _make(folder / path, file, done, hard=hard_links)
            if made is None:
                entries.pop(path, None)
            else:
                entries[path] = made
        for path in gone:
            _remove(folder / path, entries.pop(path), done)
        _write_manifest(folder, index, names, entries)
        _remove_empty({folder / os.path.dirname(path) for path in gone})
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be written ({error.strerror}); choose another folder, no file of yours was touched"
        ) from error
    return done


def _plan(
    wanted: _Wanted, folder: Path, entries: dict[str, _Entry], done: FolderExport
) -> tuple[list[tuple[str, _Entry, KnownFile]], list[str]]:
    """Return the files to make, and the listed ones that do not belong there."""
    done.people = len(wanted.files)
    there = {(os.path.dirname(path), entry.content): path for path, entry in sorted(entries.items(), reverse=True)}
    planned: list[tuple[str, _Entry, KnownFile]] = []
    belongs: set[str] = set()
    taken = set(entries)
    for name, files in wanted.files.items():
        for content, file in files.items():
            path = there.get((name, content))
            if path is not None and os.path.lexists(folder / path):
                done.kept += 1
                belongs.add(path)
                continue
            if path is None:
                path = _free(folder, name, os.path.basename(os.fsdecode(file.path)), taken)
            try:
                found = os.stat(file.path)
            except OSError as error:
                done.failed.append(f"{os.fsdecode(file.path)}: {error.strerror}")
                belongs.add(path)
                continue
            taken.add(path)
            belongs.add(path)
            planned.append((path, _Entry(found.st_size, found.st_mtime_ns, content), file))
    # A photo that is out of sight takes nothing away.
    belongs |= {path for (name, content), path in there.items() if content in wanted.everything.get(name, ())}
    return planned, sorted(set(entries) - belongs)


def _people(catalog: Catalog) -> list[_Person]:
    """Return everybody who has a name, with the folder."""
    people: dict[int, list[FaceRecord]] = {}
    for record in named_faces(catalog):
        assert record.person is not None
        people.setdefault(record.person, []).append(record)
    folders = folder_names({person: faces[0].name or "" for person, faces in people.items()})
    return [_Person(person, faces[0].name or "", folders[person], faces) for person, faces in people.items()]


def _wanted(catalog: Catalog, people: Iterable[_Person]) -> _Wanted:
    wanted, everything = {}, {}
    for one in people:
        faces = sorted(
            one.faces, key=lambda face: face.path, reverse=True
        )  # so that the first path of a content counts
        wanted[one.folder] = {face.content.hex(): face.file for face in faces if face.content is not None}
        rows = catalog.people.face_rows_of(catalog.people.vectors_of([one.number]))
        everything[one.folder] = {row.content.hex() for row in rows if row.content is not None}
    return _Wanted(wanted, everything)


def folder_names(people: Mapping[int, str]) -> dict[int, str]:
    """Return a file name for each person that every system allows; two of one name get their numbers appended."""
    safe = {person: _safe(name) for person, name in people.items()}
    count: dict[str, int] = {}
    for name in safe.values():
        count[name.casefold()] = count.get(name.casefold(), 0) + 1
    return {person: name if count[name.casefold()] == 1 else f"{name} #{person}" for person, name in safe.items()}


def _safe(name: str) -> str:
    """Return a name without what some system forbids in file names."""
    text = "".join("_" if letter in '/\\:*?"<>|' else letter for letter in unicodedata.normalize("NFC", visible(name)))
    text = text.replace("\\", "_").strip(". ")
    while len(text.encode()) > _LONGEST:
        text = text[:-1].rstrip(". ")
    if text.casefold().split(".")[0] in _RESERVED or not text:
        return f"_{text}"
    return text


def _free(folder: Path, name: str, photo: str, taken: Iterable[str]) -> str:
    """Return a path of a file that does not exist, for a photo of a person."""
    for target in names_for(folder / name, photo):
        path = os.path.relpath(target, folder)
        if path not in taken and not os.path.lexists(target):
            return path
    raise StorageError(f"{folder / name}: too many files named {photo}; choose another folder")


def _make(target: Path, file: KnownFile, done: FolderExport, *, hard: bool) -> _Entry | None:
    """Make a file; return what it is, None if the photo cannot be read."""
    if target.parent.is_symlink():
        done.failed.append(f"{target.parent}: a link; nothing is put behind it")
        return None
    target.parent.mkdir(exist_ok=True)
    try:
        (make_hard_link if hard else make_copy)(file, str(target))
    except FileExistsError:
        done.failed.append(f"{target}: another program made this file just now; it was not touched")
        return None
    except PhotoError as error:
        done.failed.append(f"{os.fsdecode(file.path)}: {error}")
        return None
    done.made += 1
    found = os.lstat(target)
    return _Entry(found.st_size, found.st_mtime_ns, (file.content or b"").hex())


def _remove(target: Path, entry: _Entry, done: FolderExport) -> None:
    """Remove a file that facesearch made, unless somebody changed it since."""
    try:
        found = os.lstat(target)
    except (FileNotFoundError, NotADirectoryError):
        return
    if target.parent.is_symlink() or target.is_symlink() or (found.st_size, found.st_mtime_ns) != entry[:2]:
        done.left += 1
        return
    target.unlink()
    done.removed += 1


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            pass  # not empty


def _read_manifest(folder: Path, index: str) -> dict[str, _Entry]:
    path = folder / MANIFEST
    try:
        values = json.loads(path.read_bytes())
        if values["facesearch"] != _FORMAT or values["version"] != _VERSION:
            raise InputError(f"{path}: made by a newer facesearch; upgrade facesearch, or choose another folder")
        if values["index"] != index:
            raise InputError(f"{folder}: holds the people of another index; choose another folder")
        return dict(_entries(values["files"]))
    except FileNotFoundError:
        return {}
    except NotADirectoryError as error:
        raise UsageError(f"{folder}: not a folder; give a folder") from error
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror}); choose another folder") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path}: damaged, so it is not known which files are yours; choose another folder"
        ) from error  # fmt: skip


def _entries(files: Mapping[str, tuple[int, int, str]]) -> Iterator[tuple[str, _Entry]]:
    for path, (size, mtime_ns, content) in files.items():
        parts = path.split(os.sep)
        if len(parts) != 2 or not all(parts) or ".." in parts or "\0" in path:  # never outside the folder
            raise ValueError(path)
        yield path, _Entry(int(size), int(mtime_ns), str(content))


def _write_manifest(folder: Path, index: str, names: Mapping[str, str], entries: Mapping[str, _Entry]) -> None:
    files = {path: list(entry) for path, entry in sorted(entries.items())}
    there = {os.path.dirname(path) for path in files}
    names = {inner: name for inner, name in sorted(names.items()) if inner in there and inner != name}
    values = {"facesearch": _FORMAT, "version": _VERSION, "index": index, "names": names, "files": files}
    with replacing(folder / MANIFEST) as stream:
        stream.write(json.dumps(values, indent=0).encode() + b"\n")
