"""What the endpoints share: the workers with their open indexes, who may enter, and the faces of photos seen lately."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import Literal, TypeVar

from starlette.requests import Request

from facesearch.api.gallery import Gallery
from facesearch.api.index import Index
from facesearch.api.results import PhotoBytes, QueryPhoto
from facesearch.errors import ModelSwitchedError
from facesearch.web.problems import ProblemError
from facesearch.web.refreshing import Refreshing
from facesearch.web.rights import Keyring, Rights, Visitor
from facesearch.web.workers import Workers

__all__ = ["SeenPhotos", "Serving", "needs", "serving_of", "visitor_of"]

T = TypeVar("T")

_THREADS, _WAITING = 2, 16
_PICTURE_THREADS, _PICTURES_WAITING = 2, 256
_FILES_WAITING = 4
_MOST_SEEN = 64
_WAIT_FOR_LOCK = 10.0


class SeenPhotos:
    """The faces of photos that were sent lately, by content: a page asks about several faces of one photo in turn.

    The photos themselves are not kept.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, QueryPhoto] = OrderedDict()
        self._lock = Lock()

    def look_at(self, index: Index | Gallery, photo: PhotoBytes) -> QueryPhoto:
        """Return the faces of a photo. Raises what `Index.look_at` raises."""
        # What the user says about the faces of a photo changes what is seen in it.
        version = index.version() if isinstance(index, Index) else ()
        key = repr(version).encode() + photo.name.encode("utf-8", "surrogatepass") + b"\0" + photo.data
        key = hashlib.sha256(key).digest()
        with self._lock:
            known = self._seen.get(key)
        if known is None or known.model.identity != index.model.identity:
            known = index.look_at(photo)
        with self._lock:
            self._seen[key] = known
            self._seen.move_to_end(key)
            while len(self._seen) > _MOST_SEEN:
                self._seen.popitem(last=False)
        return known


class Serving:
    """One index that is served. Questions, pictures, files and statements have workers of their own.

    A grid of pictures or a large download does not delay a question, and one writer makes statements in their order.
    `version` returns that of the index.
    """

    kind: Literal["index", "gallery"] = "index"

    def __init__(self, index: Index, keyring: Keyring, *, uploads: Path | None = None) -> None:
        self.path = index.path
        self.version = index.version
        self.keyring = keyring
        self.uploads = uploads
        self.ending = asyncio.Event()
        self.seen = SeenPhotos()
        self.refreshing = Refreshing(index.path)
        self._questions = Workers(index.another, threads=_THREADS, waiting=_WAITING, name="question")
        self._pictures = Workers(index.another, threads=_PICTURE_THREADS, waiting=_PICTURES_WAITING, name="picture")
        self._files = Workers(index.another, threads=1, waiting=_FILES_WAITING, name="files")
        self._writer = Workers(lambda: index.another(wait=_WAIT_FOR_LOCK), threads=1, waiting=_WAITING, name="writer")

    async def ask(self, question: Callable[[Index], T]) -> T:
        """Answer a question. If the model is switched meanwhile, it is asked once more."""
        try:
            return await self._questions.run(question)
        except ModelSwitchedError:
            return await self._questions.run(question)

    async def draw(self, picture: Callable[[Index], T]) -> T:
        """Make a picture."""
        return await self._pictures.run(picture)

    async def pack(self, files: Callable[[Index], T]) -> T:
        """Read many files, for one client after another."""
        return await self._files.run(files)

    async def write(self, statement: Callable[[Index], T]) -> T:
        """Write something: statements, uploads, deletions, one after another."""
        return await self._writer.run(statement)

    def close(self) -> None:
        """End the threads and the run in progress."""
        self.refreshing.close()
        for workers in (self._questions, self._pictures, self._files, self._writer):
            workers.close()


def serving_of(request: Request) -> Serving:
    """Return what is served to a request."""
    serving: Serving = request.app.state.serving
    return serving


def visitor_of(request: Request) -> Visitor | None:
    """Return who asks."""
    visitor: Visitor | None = request.scope.get("state", {}).get("visitor")
    return visitor


def needs(rights: Rights) -> Callable[[Request], Awaitable[Visitor]]:
    """Return a dependency that requires rights, and returns the visitor."""

    async def required(request: Request) -> Visitor:
        visitor = visitor_of(request)
        if visitor is None:
            raise ProblemError(HTTPStatus.UNAUTHORIZED, "a token is needed")
        if visitor.rights < rights:
            raise ProblemError(
                HTTPStatus.FORBIDDEN, f"this needs the right {rights}; {visitor.name} has {visitor.rights}"
            )
        return visitor

    return required
