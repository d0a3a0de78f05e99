"""`Index.people.export_to` and `import_from`: people as statements, as a table, and as folders of photos."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.api.opening import as_path
from facesearch.arguments import AnyPath
from facesearch.errors import LockedError, UsageError
from facesearch.events import CancelledError, Observer
from facesearch.locations import absolute, is_inside, resolved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facesearch.api.opening import Models, Stores
    from facesearch.care.person_folders import FolderExport
    from facesearch.catalog.catalog import Catalog
    from facesearch.people.exchange.exporting import Exported
    from facesearch.people.exchange.importing import Imported
    from facesearch.people.exchange.labels import Labels
    from facesearch.people.exchange.photos import PhotoReader

__all__ = ["export_people", "export_people_to_folders", "import_people", "import_statements"]

_SHOWN = 5


def export_people(stores: Stores, *, json: AnyPath | None, csv: AnyPath | None, overwrite: bool) -> Exported:
    """Write people to a file; see `People.export_to`."""
    _require_one(json=json, csv=csv)
    path = as_path("file", json if json is not None else csv or "")
    stores.require_writable(path, overwrite=overwrite)
    catalog = stores.reading().catalog
    catalog.view()
    try:
        if json is not None:
            from facesearch.people.exchange.exporting import save_lines

            return save_lines(catalog, path)
        from facesearch.people.exchange.csv_file import save_table

        return save_table(catalog, path)
    finally:
        catalog.end_view()


def export_people_to_folders(stores: Stores, folder: AnyPath, *, sync: bool, hard_links: bool) -> FolderExport:
    """Put photos into one folder per person; see `People.export_folders`."""
    from facesearch.care.person_folders import export_folders

    target, catalog = as_path("folder", folder), stores.reading().catalog
    _require_outside(stores, catalog, target)
    return export_folders(catalog, target, sync=sync, hard_links=hard_links)


def import_people(
    stores: Stores, models: Models, observer: Observer, *, json: AnyPath | None, csv: AnyPath | None,
    folders: AnyPath | None, max_pixels: int,
) -> Imported:  # fmt: skip
    """Say what a file or folders hold; see `People.import_from`."""
    _require_one(json=json, csv=csv, folders=folders)
    if json is not None:
        return import_statements(stores, observer, as_path("json", json))
    from facesearch.people.exchange.csv_file import read_table
    from facesearch.people.exchange.folders import read_folders

    source = as_path("folders" if folders is not None else "csv", folders if folders is not None else csv or "")
    if folders is not None and is_inside(os.path.realpath(os.fsencode(source)), _real(stores.path)):
        raise UsageError(f"{source}: part of the index itself; give a folder outside {stores.path}")

    def read(reader: PhotoReader) -> Labels:
        return read_table(source, reader, observer) if folders is None else read_folders(source, reader, observer)

    return _import_labels(
        stores, models, observer, read, source, "folder" if folders is not None else "csv", max_pixels
    )


def _import_labels(
    stores: Stores, models: Models, observer: Observer, read: Callable[[PhotoReader], Labels], source: Path,
    origin: str, max_pixels: int,
) -> Imported:  # fmt: skip
    from facesearch.people.exchange.labels import choose, say_labels
    from facesearch.people.exchange.photos import PhotoReader

    store = stores.reading()
    reader = PhotoReader(store, lambda: models.open_for(store, few=True), max_pixels)
    labels = read(reader)
    _tell_refused(observer, labels.refused)
    for label in labels.labels:
        choose(label, reader.calibration)
    with stores.telling() as catalog:
        done = say_labels(catalog, labels, origin=origin, source=source.name or str(source))
    _group(stores, observer, wanted=done.action is not None)
    return done


def import_statements(stores: Stores, observer: Observer, path: Path, *, restoring: bool = False) -> Imported:
    """Say what a file of statements holds. Raises `InputError` if it is another kind of file.

    `restoring` also brings back what was taken back in this index alone.
    """
    from facesearch.people.exchange.document import read_document
    from facesearch.people.exchange.importing import say_document

    document = read_document(path)
    if document.cut:
        observer.warn(f"{path}: its last line is cut short and was left out")
    _tell_refused(observer, document.refused)
    with stores.telling() as catalog:
        model = catalog.models.current()
        if document.model != model.name:
            observer.note(
                f"{path}: made with the model {document.model}, this index has {model.name}: "
                "faces are found by their place in the photo"
            )
        done = say_document(catalog, document, name=path.name, restoring=restoring)
    _group(stores, observer, wanted=True)
    return done


def _tell_refused(observer: Observer, refused: Sequence[str]) -> None:
    """Say what was left out: a few lines, and how many more there are."""
    for line in refused[:_SHOWN]:
        observer.warn(f"{line}; left out")
    if len(refused) > _SHOWN:
        observer.warn(f"{len(refused) - _SHOWN:,} more were left out for such reasons")


def _group(stores: Stores, observer: Observer, *, wanted: bool) -> None:
    """Group what follows from an import; a run in progress does that at its end, as does one after a cancellation."""
    from facesearch.people.regroup import is_up_to_date, regroup

    store = stores.reading()
    if not wanted or store.catalog.meta.grouped() is None or is_up_to_date(store):
        return
    try:
        with stores.writing() as writer:
            regroup(writer, check=observer.check)
    except LockedError:
        observer.note("another run is writing to the index; it groups the faces at its end")
    except CancelledError:
        pass


def _require_one(**given: AnyPath | None) -> None:
    if sum(one is not None for one in given.values()) != 1:
        raise UsageError(f"give one of {', '.join(given)}", option=tuple(given))


def _require_outside(stores: Stores, catalog: Catalog, folder: Path) -> None:
    """Raise `UsageError` for a folder in the index or among its photos, where the next run would find the copies."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: not a folder; give a folder")
    place = os.path.realpath(os.fsencode(folder))
    if is_inside(place, _real(stores.path)) or is_inside(_real(stores.path), place):
        raise UsageError(f"{folder}: part of the index itself; name a folder outside {stores.path}")
    for root in catalog.roots.all():
        if is_inside(place, resolved(root.path)):
            inside = os.fsdecode(root.path)
            raise UsageError(f"{folder}: inside {inside}, whose photos are in the index; name a folder outside")


def _real(path: Path) -> bytes:
    return os.path.realpath(absolute(path))
