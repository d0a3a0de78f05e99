"""Query an index."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING

from facesearch.arguments import require_whole_number
from facesearch.errors import Hint, InputError, ModelSwitchedError, UsageError
from facesearch.events import Observer

if TYPE_CHECKING:
    from collections.abc import Callable

    from facesearch.api.opening import Models, Stores
    from facesearch.filters import Filter
    from facesearch.galleries.protocol import Gallery
    from facesearch.galleries.shared import SharedGallery
    from facesearch.index.store import Store
    from facesearch.query_options import QueryOptions
    from facesearch.search.naming import NamedFace
    from facesearch.search.probes import Probe, QueryPhoto, QuerySource, Said
    from facesearch.search.questions import AnyPhoto, AnyPhotos
    from facesearch.search.result import QueryResult
    from facesearch.types import Corrections

__all__ = ["indexed_face", "look_at", "query", "query_shared", "who"]

_MANY = 16
"""The number of photos from which the fastest runtime beats the one that starts fastest."""


def query(
    stores: Stores,
    models: Models,
    photos: AnyPhotos,
    options: QueryOptions,
    where: Filter,
    observer: Observer,
    *,
    keep: bool = True,
) -> QueryResult:
    """Query an index; see `Index.query`.

    Raises what opening the index raises, and what `ask` and `answer` of `search.query` raise.
    """
    from facesearch.search.query import require_filter
    from facesearch.search.questions import photos_of

    require_filter(where, options)
    if options.person is not None:
        _require_no_photos(photos)
        return _query_person(stores, models, options, where, observer, keep=keep)
    asked_about = photos_of(photos, observer)
    observer.lap("imports")
    try:
        return _query_once(stores, models, asked_about, options, where, observer, keep=keep)
    except ModelSwitchedError:  # just now, before anything was answered; it does not happen twice
        stores.close()
        return _query_once(stores, models, asked_about, options, where, observer, keep=keep)


def _query_once(
    stores: Stores,
    models: Models,
    photos: Sequence[QuerySource],
    options: QueryOptions,
    where: Filter,
    observer: Observer,
    *,
    keep: bool,
) -> QueryResult:
    """Query an index. Raises `ModelSwitchedError` if the model is switched between opening catalog and vectors."""
    from facesearch.search.query import answer, ask
    from facesearch.vectors.faiss_tools import preload

    store = stores.reading(keep=keep)
    observer.lap("open the catalog")
    model = models.open_for(store, few=len(photos) < _MANY, at_once=len(photos) > 1)
    Thread(target=preload).start()
    observer.lap("load the model")
    observer.detail(f"index {stores.path}, model {store.model.name}; {model.runtime}")
    gallery = stores.gallery(keep=keep)
    asked = ask(model, photos, options, observer, _named(store, gallery), gallery.own_calibration(), _said(store))
    len(store)
    observer.lap("open the vectors")
    return replace(answer(gallery, asked, options, where, observer), folders=tuple(gallery.folders()))


def who(
    stores: Stores, models: Models, photo: AnyPhoto, observer: Observer, *, rotations: bool, max_pixels: int
) -> list[NamedFace]:
    """Return the faces of a photo with the people whom they show; see `Index.who`."""
    from facesearch.search.naming import name_faces

    seen = look_at(stores, models, photo, observer, rotations=rotations, max_pixels=max_pixels)
    store = stores.reading()
    known = store.catalog.faces.held([face.face for face in store.catalog.given.faces_in(seen.faces[0].content)])
    return name_faces(stores.gallery(), seen.faces, list(known.values()))


def look_at(
    stores: Stores, models: Models, photo: AnyPhoto, observer: Observer, *, rotations: bool, max_pixels: int
) -> QueryPhoto:
    """Detect the faces of a photo; see `Index.look_at`."""
    from facesearch.search.probes import QueryPhoto, probe_faces
    from facesearch.search.questions import given_photos

    require_whole_number("max_pixels", max_pixels, 1)
    store = stores.reading()
    model = models.open_for(store, few=True, at_once=False)
    (source,) = given_photos(photo)
    faces = probe_faces(model, source, rotations=rotations, max_pixels=max_pixels, said=_said(store), mark=observer.lap)
    return QueryPhoto(tuple(faces), model.info)


def indexed_face(stores: Stores, face: int) -> QueryPhoto:
    """Return a face of the index as a query photo; see `Index.indexed_face`."""
    from facesearch.search.probes import Probe, QueryPhoto
    from facesearch.types import Face

    require_whole_number("face", face, 1)
    store = stores.reading()
    record = store.catalog.faces.held([face]).get(face)
    if record is None or not record.vector_id:
        raise InputError(f"face {face}: not in {stores.path}", Hint.FACE_IDS)
    (embedding,) = store.catalog.vectors.get([record.vector_id], store.model.dim)
    seen = Face(record.detection, embedding, record.quality)
    probe = Probe(os.fsdecode(record.path), 1, 1, seen, content=record.content or b"")
    return QueryPhoto((probe,), store.model)


def query_shared(
    gallery: SharedGallery,
    models: Models,
    photos: AnyPhotos,
    options: QueryOptions,
    where: Filter,
    observer: Observer,
) -> QueryResult:
    """Query a shared gallery; see `Gallery.query`. Raises what `query` raises."""
    from facesearch.search.query import answer, answer_person, ask, ask_company, require_filter
    from facesearch.search.questions import photos_of

    require_filter(where, options)
    names = [index.name for index in gallery.indexes()]
    if where.index is not None and where.index not in names:
        known = ", ".join(names) or "none"
        raise InputError(f"{where.index}: no index of this name in {gallery.name} (indexes: {known})")
    if options.person is not None:
        _require_no_photos(photos)
        if where.index is None:
            raise UsageError("a person by number belongs to one index", Hint.NAME_INDEX, option="person")
        asked = ask_company(lambda: models.open_like(gallery.model), gallery.model, options, observer)
        return answer_person(gallery, asked, options, where, observer)
    asked_about = photos_of(photos, observer)
    model = models.open_like(gallery.model, few=len(asked_about) < _MANY, at_once=len(asked_about) > 1)
    observer.detail(f"gallery {gallery.name}, model {gallery.model.name}; {model.runtime}")
    found = answer(gallery, ask(model, asked_about, options, observer), options, where, observer)
    return replace(found, folders=tuple(gallery.folders()))


def _named(store: Store, gallery: Gallery) -> Callable[[str | int], Probe | None]:
    """Return what finds the person of a name or number; for the path of a file it returns None.

    It raises `InputError` for what is neither.
    """

    def find(given: str | int) -> Probe | None:
        from facesearch.people.names import described, people_called, person_of
        from facesearch.search.engine import probe_of_person

        profiles = store.catalog.people.profiles()
        if isinstance(given, int):
            person = person_of(store.catalog, given, gallery.name)
            return probe_of_person(gallery, person, described(profiles, person))
        is_known = bool(people_called(profiles, given))
        if os.path.lexists(given) or (os.sep in given and not is_known):
            return None
        try:
            person = person_of(store.catalog, given, gallery.name)
        except InputError as error:
            why = error.problem.removeprefix(f"{given}: ")
            raise InputError(f"{given}: no such photo, and {why}", error.hint) from None
        return probe_of_person(gallery, person, described(profiles, person))

    return find


def _said(store: Store) -> Said:
    """Return what tells what was said about the faces in a content."""

    def said(content: bytes) -> Corrections | None:
        from facesearch.people.given import corrections

        return corrections(store.catalog, content).get(content)

    return said


def _require_no_photos(photos: AnyPhotos) -> None:
    from facesearch.search.questions import given_photos

    if given_photos(photos):
        raise UsageError("a person is asked for by name or by photos; omit one of them", option="person")


def _query_person(
    stores: Stores, models: Models, options: QueryOptions, where: Filter, observer: Observer, *, keep: bool
) -> QueryResult:
    """Return the photos of a person by name or number."""
    from facesearch.people.names import described, number_in, person_of
    from facesearch.search.query import answer_person, ask_company

    assert options.person is not None
    store = stores.reading(keep=keep)
    gallery = stores.gallery(keep=keep)
    if number_in(options.person) is None:
        options = replace(options, person=person_of(store.catalog, options.person, gallery.name))
    model = partial(models.open_for, store, few=True)
    asked = ask_company(model, store.model, options, observer, _named(store, gallery), gallery.own_calibration())
    called = described(store.catalog.people.profiles(), options.person_number)
    found = answer_person(gallery, asked, options, where, observer, called)
    return replace(found, folders=tuple(gallery.folders()))
