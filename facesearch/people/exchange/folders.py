"""Read people from folders: one folder per person, named after the person.

A name that no folder can have is in the manifest of an export, beside the folders.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.errors import InputError, PhotoError, UsageError
from facesearch.events import Observer
from facesearch.people.exchange.labels import Label, Labels
from facesearch.people.names import checked_name
from facesearch.photos.scan import photos_in
from facesearch.visible import visible
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.people.exchange.photos import PhotoReader

__all__ = ["MANIFEST", "people_in", "read_folders", "true_names"]

MANIFEST = ".facesearch-people.json"
"""The file in which an export to folders lists what it put there."""


def people_in(folder: Path) -> list[Path]:
    """Return the folders of people. Raises `InputError` if there are none."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except NotADirectoryError as error:
        raise InputError(f"{folder}: not a folder; give a folder with one folder per person") from error
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}); check the path") from error
    if not entries:
        raise InputError(f"{folder}: no folder of a person in it; put the photos of each person into one")
    return entries


def true_names(folder: Path) -> dict[str, str]:
    """Return the names of people whose folders are called differently, by folder; empty without a legible manifest."""
    try:
        names = json.loads((folder / MANIFEST).read_bytes())["names"]
        return {str(inner): str(name) for inner, name in names.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def read_folders(folder: Path, reader: PhotoReader, observer: Observer) -> Labels:
    """Return who is in the photos of each folder; those with an invalid name are left out.

    Raises `InputError` if there is no photo in any, or if no name is valid.
    """
    unreadable: Callable[[bytes, str], None] = lambda path, why: observer.warn(  # noqa: E731
        f"{os.fsdecode(path) or folder}: {why}; skipped"
    )
    files: list[tuple[Label, Path]] = []
    labels: list[Label] = []
    refused: list[str] = []
    names = true_names(folder)
    for person in people_in(folder):
        try:
            name = checked_name(names.get(person.name, person.name))
        except UsageError as error:
            refused.append(str(error.about(f"{folder / visible(person.name)}")))
            continue
        label = Label(name, person.name if person.name in names else None)
        labels.append(label)
        files += [(label, path) for path in photos_in(person, unreadable=unreadable)]
    if not files and labels:
        raise InputError(f"{folder}: no photos in {counted(len(labels), 'folder')} of people; check the path")
    faces = failed = 0
    for number, (label, path) in enumerate(files, start=1):
        try:
            shown = reader.at(str(path))
            label.photos.append(shown)
            faces += len(shown.faces)
        except PhotoError as error:
            failed += 1
            label.failed += 1
            observer.warn(f"{path}: {error}; skipped")
        observer.progress(number, len(files), faces, failed)
    return Labels.of(labels, refused)
