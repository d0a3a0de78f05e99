"""The bodies of requests. What they hold is checked here for its shape, and by the library for its meaning."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request

from facesearch.api.results import PhotoBytes
from facesearch.filters import Filter
from facesearch.query_options import BY_MODEL, QueryOptions
from facesearch.web.problems import ProblemError

__all__ = [
    "MOST_PHOTOS",
    "PHOTO_PATHS",
    "Asked",
    "Id",
    "PhotoData",
    "Question",
    "Where",
    "Whom",
    "fault_of",
    "first_fault",
    "photos_and_question",
    "validated",
]

MOST_PHOTOS = 20
"""Photos in one request."""
PHOTO_PATHS = ("/api/v1/search", "/api/v1/compare", "/api/v1/faces", "/api/v1/uploads")
"""Where requests have photos."""
_MOST_PHOTO_BYTES = 100 * 2**20

Kind = TypeVar("Kind", bound=BaseModel)

Id = Annotated[int, Field(ge=1, le=2**53)]
_Text = Annotated[str, Field(min_length=1, max_length=1000)]
Whom = Id | Annotated[str, Field(min_length=1, max_length=200)]
"""A person: a number, or a name."""


class Asked(BaseModel):
    """What a request asks for; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Where(Asked):
    """Which photos are searched; see `facesearch.Filter`."""

    under: list[_Text] = Field(default=[], max_length=100, description="Only photos in these folders.")
    not_under: list[_Text] = Field(default=[], max_length=100, description="No photos in these folders.")
    since: str | None = Field(default=None, max_length=30, description="Taken on this date or later.")
    until: str | None = Field(default=None, max_length=30, description="Taken on this date or earlier.")
    min_face: float = Field(default=0, ge=0, le=1e6, description="The least shorter side of a face in pixels.")
    min_quality: float = Field(default=0, ge=0, le=1, description="The least quality of a face.")
    faces: str | None = Field(default=None, max_length=20, description="The number of faces in a photo, as 2 or 1..3.")


class PhotoData(Asked):
    """A photo in the body of a request."""

    name: str = Field(default="photo", max_length=255, description="What it is called in the answer.")
    data: str = Field(max_length=_MOST_PHOTO_BYTES * 4 // 3 + 4, description="The content of its file, in base64.")


class Question(Asked):
    """Whom to search for: photos of one person, faces of the index by their ids, or a person; and how."""

    photos: list[PhotoData] = Field(default=[], max_length=MOST_PHOTOS)
    face_ids: list[Id] = Field(default=[], max_length=MOST_PHOTOS, description="Faces of the index that show them.")
    person: Whom | None = Field(default=None, description="A person of the index, by number or name.")
    face: Annotated[int, Field(ge=1, le=10_000)] | Literal["all"] | None = Field(
        default=None, description="The face in a single photo; 1 is the largest, which is the default."
    )
    top_k: int | None = Field(default=None, ge=1, le=100_000, description="Return this many photos.")
    threshold: float | None = Field(default=None, ge=-1, le=1, description="The least similarity, to three digits.")
    fmr: float | None = Field(default=None, gt=0, lt=1, description="The threshold by its false-match rate.")
    each: bool = Field(default=False, description="Make a query of its own for each photo.")
    expand: bool = Field(default=False, description="Query again with the mean of the face and its strong hits.")
    with_: list[Whom] = Field(
        default=[], alias="with", max_length=20, description="Photos that also show these people."
    )
    without: list[Whom] = Field(default=[], max_length=20, description="Photos that do not show these people.")
    alone: bool = Field(default=False, description="Photos that show nobody else.")
    all_faces: bool = Field(default=False, description="Return every face instead of one hit per photo.")
    fold: bool = Field(default=False, description="Combine near-identical shots into one hit.")
    direct: bool = Field(default=False, description="Only photos similar to the query, no others of the same person.")
    where: Where = Field(default_factory=Where)
    index: str | None = Field(default=None, max_length=100, description="Of a shared gallery: only this index.")

    def filter(self) -> Filter:
        """Return which faces are searched. Raises `UsageError`."""
        return Filter(**self.where.model_dump(), index=self.index)

    def options(self, with_people: list[int], without_people: list[int], person: int | None) -> QueryOptions:
        """Return the options of the query, with people by their numbers. Raises `UsageError`.

        Limits are taken to three digits: with finer ones, the exact similarity of a face could be found by trying.
        """
        return QueryOptions(
            top_k=self.top_k, threshold=BY_MODEL if self.threshold is None else round(self.threshold, 3),
            fmr=None if self.fmr is None else float(f"{self.fmr:.0e}"), face=self.face, each=self.each,
            expand=self.expand, together=with_people, without=without_people, alone=self.alone,
            all_faces=self.all_faces, fold=self.fold, direct=self.direct, person=person,
        )  # fmt: skip


async def photos_and_question(request: Request) -> tuple[list[PhotoBytes], Question]:
    """Return the photos of a request and the rest of its question, as JSON or as a form with files.

    A form has its photos in `photo`, and all else as JSON in `question`. Raises `ProblemError`.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return await asyncio.to_thread(_in_json, await _json(request))
    if kind == "multipart/form-data":
        photos, text = await _form(request)
        question = validated(Question, text)
        if question.photos:
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "photos: send them as files, or all in JSON")
        return photos, question
    raise ProblemError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"{kind[:60] or 'no type'}: send application/json or multipart/form-data"
    )


def _in_json(text: bytes) -> tuple[list[PhotoBytes], Question]:
    """Return the photos and the question in a body, which may be large: other requests go on meanwhile."""
    question = validated(Question, text)
    return [_decoded(photo) for photo in question.photos], question


def validated(kind: type[Kind], text: bytes | str) -> Kind:
    """Return a body from its JSON. Raises `ProblemError` with the first thing that is wrong."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, first_fault(error)) from None


async def _json(request: Request) -> bytes:
    try:
        return await request.body()
    except ClientDisconnect as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "the request ended early") from error


async def _form(request: Request) -> tuple[list[PhotoBytes], str]:
    """Return the photos and the question of a form. Files are held in memory or in unnamed temporary files."""
    photos, text = [], "{}"
    try:
        async with request.form(max_files=MOST_PHOTOS + 1, max_fields=10, max_part_size=2**20) as form:
            for name, value in form.multi_items():
                if name == "photo" and isinstance(value, UploadFile):
                    photos.append(PhotoBytes(_called(value.filename), await _content(value)))
                elif name == "question" and isinstance(value, str):
                    text = value or "{}"
                else:
                    raise ProblemError(
                        HTTPStatus.UNPROCESSABLE_ENTITY, f"{name[:60]}: send files as photo, and all else in question"
                    )
    except MultiPartException as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, error.message) from error
    except ClientDisconnect as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "the request ended early") from error
    _require_few(len(photos))
    return photos, text


async def _content(file: UploadFile) -> bytes:
    if (file.size or 0) > _MOST_PHOTO_BYTES:
        raise ProblemError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a photo is larger than {_MOST_PHOTO_BYTES // 2**20} MB"
        )
    return await file.read()


def _require_few(photos: int) -> None:
    if photos > MOST_PHOTOS:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{photos} photos: send at most {MOST_PHOTOS}")


def _decoded(photo: PhotoData) -> PhotoBytes:
    try:
        return PhotoBytes(_called(photo.name), base64.b64decode(photo.data, validate=True))
    except (binascii.Error, ValueError):
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "photos: data is not base64") from None


def _called(name: str | None) -> str:
    """Return what an uploaded file is called in messages: printable, without folders."""
    last = (name or "").replace("\\", "/").rpartition("/")[2]
    return "".join(one if one.isprintable() else "\ufffd" for one in last)[:255] or "photo"


def first_fault(error: ValidationError) -> str:
    """Return the first thing that is wrong with a body, in one line."""
    return fault_of(error.errors(include_url=False, include_context=False, include_input=False)[0])


def fault_of(fault: Mapping[str, Any]) -> str:
    """Return one thing that is wrong with a request: where, and what."""
    place = ".".join(str(part) for part in fault["loc"] if part not in ("body", "query", "path"))
    message = fault["msg"][:1].lower() + fault["msg"][1:]
    return f"{place}: {message}" if place else message
