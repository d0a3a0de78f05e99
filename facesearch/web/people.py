"""People: who there is, what is said of them, and the questions that are open."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse
from pydantic import Field, TypeAdapter, ValidationError

from facesearch.api.index import Index
from facesearch.api.people import People
from facesearch.render.people import details_record, history_records, news_record, part_records, people_records
from facesearch.render.review import problem_records, question_records
from facesearch.web.asked import Asked, Id, Whom, first_fault
from facesearch.web.problems import ProblemError
from facesearch.web.records import answer_record, coarse
from facesearch.web.rights import Rights, Visitor
from facesearch.web.serving import needs, serving_of

__all__ = [
    "STATEMENT", "Reply", "SayCall", "SayCover", "SayIgnore", "SayIs", "SayMerge", "SayName", "SayNot", "SayNotAFace",
    "SayNotice", "SaySplit", "SayUndo", "SayUnname", "Tag", "router",
]  # fmt: skip

router = APIRouter(prefix="/api/v1", tags=["people"])

Looks = Annotated[Visitor, Depends(needs(Rights.LOOK))]
Names = Annotated[Visitor, Depends(needs(Rights.NAME))]

_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Faces = Annotated[list[Id], Field(min_length=1, max_length=10_000)]
_Someone = Annotated[list[Whom], Field(min_length=1, max_length=1000)]


class SayName(Asked):
    """A person is called so, was born then, or has an id elsewhere."""

    say: Literal["name"]
    person: Whom
    name: _Name | None = None
    aliases: list[_Name] = Field(default=[], max_length=50)
    born: Annotated[str, Field(max_length=10)] | None = None
    external_id: _Name | None = None
    if_taken: Literal["merge", "keep"] | None = None

    def to(self, people: People) -> int:
        """Say it, and return the number of the action."""
        return people.name(
            self.person, self.name, aliases=self.aliases, born=self.born, external_id=self.external_id,
            if_taken=self.if_taken,
        )  # fmt: skip


class SayUnname(Asked):
    """A person has no name."""

    say: Literal["unname"]
    person: Whom

    def to(self, people: People) -> int:
        """Say it, and return the number of the action."""
        return people.unname(self.person)


class SayMerge(Asked):
    """People are one person, the first."""

    say: Literal["merge"]
    people: Annotated[list[Whom], Field(min_length=2, max_length=1000)]

    def to(self, people: People) -> int:
        """Say it, and return the number of the action."""
        return people.merge(self.people)


class SaySplit(Asked):
    """Parts of a person, by their numbers, or faces, by their ids, are somebody else."""

    say: Literal["split"]
    person: Whom
    parts: list[Annotated[int, Field(ge=1)]] = Field(default=[], max_length=1000)
    faces: list[Id] = Field(default=[], max_length=100_000)

    def to(self, people: People) -> int:
        """Say it, and return the number of the action."""
        return people.split(self.person, self.parts, faces=self.faces)


class SayIs(Asked):
    """Faces show a person."""

    say: Literal["is"]
    person: Whom
    faces: _Faces

    def to(self, people: People) -> int:
        """Say it, and return the number of the action."""
        return people.is_person(self.person, self.faces)


class SayCall(Asked):
    """Faces show the person of this name, who may be new."""

    say: Literal["call"]
    name: _Name
    faces: _Faces

    def to(self, people: People) -> int:
        """Say it, and return the number of the action."""
        return people.call(self.faces, self.name)


class SayNot(Asked):
    """Faces do not show a person."""

    say: Literal["not"]
    person: Whom
    faces: _Faces

    def to(self, people: People) -> int:
        """Say it, and return the number of the action."""
        return people.is_not(self.person, faces=self.faces)


class SayIgnore(Asked):
    """People are strangers, who are not listed."""

    say: Literal["ignore"]
    people: _Someone

    def to(self, people: People) -> int:
        """Say it, and return the number of the action."""
        return people.ignore(self.people)


class SayNotice(Asked):
    """People are no strangers after all."""

    say: Literal["notice"]
    people: _Someone

    def to(self, people: People) -> int:
        """Say it, and return the number of the action."""
        return people.notice(self.people)


class SayCover(Asked):
    """A face stands for a person."""

    say: Literal["cover"]
    person: Whom
    face: Id

    def to(self, people: People) -> int:
        """Say it, and return the number of the action."""
        return people.cover(self.person, self.face)


class SayNotAFace(Asked):
    """This is not a face."""

    say: Literal["not_a_face"]
    face: Id

    def to(self, people: People) -> int:
        """Say it, and return the number of the action."""
        return people.not_a_face(self.face)


class SayUndo(Asked):
    """An action is taken back; by default the last one."""

    say: Literal["undo"]
    action: Id | None = None

    def to(self, people: People) -> int:
        """Say it, and return the number of the action."""
        return people.undo(self.action)


class Tag(Asked):
    """A face that the detector missed: left, top, width and height in pixels of the upright photo."""

    box: Annotated[list[float], Field(min_length=4, max_length=4)]
    name: _Name | None = None


_Statement = Annotated[
    SayName | SayUnname | SayMerge | SaySplit | SayIs | SayCall | SayNot | SayIgnore | SayNotice | SayCover
    | SayNotAFace | SayUndo,
    Field(discriminator="say"),
]  # fmt: skip
STATEMENT: TypeAdapter[Any] = TypeAdapter(_Statement)


@router.get("/people", summary="List people")
async def people(
    request: Request,
    _: Looks,
    search: Annotated[str, Query(max_length=200, description="Part of a name.")] = "",
    unnamed: Annotated[bool, Query(description="Only people without a name.")] = False,
    ignored: Annotated[bool, Query(description="Also people who are ignored.")] = False,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> JSONResponse:
    """Return people, those with the most photos first, each with the face that stands for them."""

    def listed(index: Index) -> dict[str, Any]:
        wanted = search.casefold().strip()
        found = [
            one
            for one in index.people.list(unnamed=unnamed, ignored=ignored)
            if not wanted or any(wanted in name.casefold() for name in (*one.names, f"#{one.number}"))
        ]
        shown = found[offset : offset + limit]
        return {"total": len(found), "people": _with_covers(index, people_records(shown))}

    return JSONResponse(await serving_of(request).ask(listed))


@router.get("/people/{person}", summary="Show a person")
async def person(request: Request, person: Id, _: Looks) -> JSONResponse:
    """Return a person, with the number of photos by year, and of photos together with others."""

    def shown(index: Index) -> dict[str, Any]:
        (record,) = _with_covers(index, [details_record(index.people.show(person))])
        return record

    return JSONResponse(await serving_of(request).ask(shown))


@router.get("/people/{person}/photos", summary="Find the photos of a person")
async def photos(request: Request, person: Id, _: Looks) -> JSONResponse:
    """Return the photos of a person, as a search for that person."""

    def found(index: Index) -> dict[str, Any]:
        return answer_record(index.query(person=index.people.find(person).number))

    return JSONResponse(await serving_of(request).ask(found))


@router.get("/people/{person}/parts", summary="Show the parts of a person")
async def parts(request: Request, person: Id, _: Looks) -> JSONResponse:
    """Return the parts of a person, the largest first: if two people were taken for one, they differ."""

    def divided(index: Index) -> dict[str, Any]:
        found = index.people.parts(person)
        samples = [{"samples": [face.face_id for face in part.samples]} for part in found]
        return {"parts": [{**record, **more} for record, more in zip(part_records(found), samples, strict=True)]}

    return JSONResponse(await serving_of(request).ask(divided))


@router.get("/statements", summary="Show what was said")
async def history(request: Request, _: Looks, limit: Annotated[int, Query(ge=1, le=10_000)] = 100) -> JSONResponse:
    """Return what was said about people, by whom and when, the last first."""

    def told(index: Index) -> dict[str, Any]:
        return {"actions": history_records(index.people.history()[:limit])}

    return JSONResponse(await serving_of(request).ask(told))


@router.post("/statements", status_code=201, summary="Say something about people")
async def say(request: Request, visitor: Names) -> JSONResponse:
    """Say something about people; the answer has the number of the action, with which it can be taken back."""
    try:
        statement = STATEMENT.validate_json(await request.body())
    except ValidationError as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, first_fault(error)) from None
    return await _said(request, visitor, statement.to)


@router.post("/photos/{photo}/faces", status_code=201, summary="Give a face by hand")
async def tag(request: Request, photo: Id, given: Tag, visitor: Names) -> JSONResponse:
    """Give a face that the detector missed."""

    def tagged(index: Index) -> dict[str, Any]:
        with index.another(author=visitor.name) as own:
            face = own.people.tag(index.photos.path(photo), given.box, name=given.name)
        box = face.box
        return {
            "action": face.action, "face_id": face.face, "person": face.person, "known": face.known,
            "box": [round(side, 1) for side in (box.left, box.top, box.width, box.height)],
            "quality": None if face.quality is None else round(face.quality, 3),
        }  # fmt: skip

    return JSONResponse(await serving_of(request).write(tagged), 201)


@router.get("/review", summary="Show the questions that are open")
async def questions(request: Request, _: Names, limit: Annotated[int, Query(ge=1, le=200)] = 20) -> JSONResponse:
    """Return the questions about people whose answers help most, the best first."""

    def asked(index: Index) -> dict[str, Any]:
        found = index.people.questions(limit)
        return {"questions": coarse(question_records(found))}

    return JSONResponse(await serving_of(request).ask(asked))


class Reply(Asked):
    """The answer to a question."""

    answer: Literal["yes", "no", "skip"]


@router.post("/review/{question}", summary="Answer a question")
async def reply(
    request: Request, question: Annotated[str, Field(max_length=60)], given: Reply, visitor: Names
) -> JSONResponse:
    """Answer a question, or ask it after all others; the answer has the number of the action, null for a skip."""

    def answered(index: Index) -> dict[str, Any]:
        with index.another(author=visitor.name) as own:
            if given.answer == "skip":
                own.people.skip(question)
                return {"action": None}
            return {"action": own.people.answer(question, given.answer == "yes")}

    return JSONResponse(await serving_of(request).write(answered))


@router.get("/problems", summary="Show what looks wrong")
async def problems(request: Request, _: Names) -> JSONResponse:
    """Return what looks wrong with people."""

    def found(index: Index) -> dict[str, Any]:
        return {"problems": coarse(problem_records(index.people.problems()))}

    return JSONResponse(await serving_of(request).ask(found))


@router.get("/news", summary="Show who is new")
async def news(
    request: Request, visitor: Looks, bookmark: Annotated[str, Query(min_length=1, max_length=100)] = "page"
) -> JSONResponse:
    """Return who is in photos that were indexed since the bookmark was moved."""
    return JSONResponse(
        await serving_of(request).ask(
            lambda index: news_record(index.people.seen(f"{visitor.name}: {bookmark}", keep=False))
        )
    )


@router.post("/news", status_code=201, summary="Move a bookmark")
async def move_bookmark(
    request: Request, visitor: Looks, bookmark: Annotated[str, Query(min_length=1, max_length=100)] = "page"
) -> JSONResponse:
    """Move a bookmark to what is there now."""

    def moved(index: Index) -> dict[str, Any]:
        return news_record(index.people.seen(f"{visitor.name}: {bookmark}"))

    return JSONResponse(await serving_of(request).write(moved), 201)


async def _said(request: Request, visitor: Visitor, statement: Callable[[People], int]) -> JSONResponse:
    """Make a statement in the name of a visitor."""

    def said(index: Index) -> dict[str, int]:
        with index.another(author=visitor.name) as own:
            return {"action": statement(own.people)}

    return JSONResponse(await serving_of(request).write(said), 201)


def _with_covers(index: Index, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return records of people with the id of the face that stands for each, null if none can be found."""
    covers = index.people.covers([record["number"] for record in records])
    return [
        {**record, "cover": covers[record["number"]].face_id if record["number"] in covers else None}
        for record in records
    ]
