"""The options that `query` and `scan` share; most are described where they are declared."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from facesearch.cli.options import MaxMegapixels, NoRotations, Quiet, check_limits
from facesearch.cli.outputs import OUTPUT_OPTIONS, Outputs
from facesearch.errors import UsageError
from facesearch.filters import Filter
from facesearch.options import Described, described_fields
from facesearch.query_options import BY_MODEL, QueryOptions
from facesearch.settings import EMBEDDED_THRESHOLD

__all__ = ["Question", "asks"]


@dataclass(frozen=True, slots=True)
class Question:
    """The options of a query, its filter, and what is done with the answer."""

    options: QueryOptions
    where: Filter
    outputs: Outputs
    quiet: bool


_LIMITS: dict[str, tuple[Any, Any]] = {
    "threshold": (
        Annotated[
            float | None,
            typer.Option(
                "--threshold",
                "-t",
                metavar="T",
                min=-1,
                max=1,
                help="Minimum cosine similarity of a hit. [default: that of the model, "
                f"{EMBEDDED_THRESHOLD} for the embedded one]",
            ),
        ],
        None,
    ),
    "fmr": (
        Annotated[
            float | None,
            typer.Option(
                "--fmr",
                metavar="RATE",
                help="Set the threshold by its false-match rate: 1e-5 is one stranger in 100,000.",
            ),
        ],
        None,
    ),
    "no_threshold": (
        Annotated[bool, typer.Option("--no-threshold", help="Return all photos, the most similar first.")],
        False,
    ),
    "face": (
        Annotated[
            str | None,
            typer.Option(
                "--face", metavar="N", help="Face of the query photo to use: 1 is the largest; all: a query for each."
            ),
        ],
        None,
    ),
}
"""Options that the command line takes in another form than the library."""

_OTHERS: dict[str, tuple[Any, Any]] = {
    "no_rotations": (NoRotations, False),
    "max_megapixels": (MaxMegapixels, 200),
    "quiet": (Quiet, False),
}


def _declared(about: Described, name: str, default: Any) -> tuple[Any, Any]:
    """Return the annotation and the default of an option."""
    names = [f"--{about.called or name.replace('_', '-')}"] + ([f"-{about.short}"] if about.short else [])
    limits: dict[str, Any] = {"min": about.least, "max": about.most} if about.value in ("number", "count") else {}
    option = typer.Option(*names, help=about.help, metavar=about.metavar, **limits)
    kind: Any = {"flag": bool, "text": str, "path": Path, "number": float, "count": int}[about.value]
    if about.repeated:
        return Annotated[list[kind] | None, option], None
    return Annotated[kind if default is not None else kind | None, option], default


def _declarations() -> Iterator[tuple[str, tuple[Any, Any]]]:
    for number, (option, about) in enumerate(described_fields(QueryOptions)):
        yield option.name, _declared(about, option.name, option.default)
        if number == 0:
            yield from _LIMITS.items()
    for option, about in described_fields(Filter):
        yield option.name, _declared(about, option.name, option.default)
    yield from OUTPUT_OPTIONS.items()
    yield from _OTHERS.items()


_OWN = ("each", "direct", "person")

_ALL = dict(_declarations())


def asks(command: Callable[..., None]) -> Callable[..., None]:
    """Add the shared options to those of a command, which receives them as its parameter `question`.

    The command's own options `each`, `direct` and `person` are also part of the query's options.
    """
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        if parameter.name != "question"
    ]
    asked = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in _ALL.items()
    ]

    @wraps(command)
    def run(**values: Any) -> None:
        given = {name: values.pop(name) for name in _ALL}
        also = {name: values[name] for name in _OWN if name in values}
        if "person" in also:
            also["person"] = _one_person(also["person"] or ())
        command(**values, question=_question(given, also))

    first = [parameter for parameter in own if parameter.default is inspect.Parameter.empty]
    rest = [parameter for parameter in own if parameter.default is not inspect.Parameter.empty]
    signature = inspect.Signature([*first, *rest[:1], *asked, *rest[1:]])
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    return run


def _one_person(given: Sequence[str]) -> str | None:
    """Return whom --person names. Raises `UsageError` if it was given several times."""
    if len(given) > 1:
        raise UsageError(
            f"--person was given {len(given):,} times; give it once, and --with {given[-1]} for photos of both"
        )
    return given[0] if given else None


def _question(given: dict[str, Any], also: dict[str, Any]) -> Question:
    """Parse the options before anything heavy is loaded. Raises `UsageError` if they are invalid or contradictory."""
    check_limits(given["threshold"], given["fmr"], no_threshold=given["no_threshold"])
    outputs = Outputs(**{name: given[name] for name in OUTPUT_OPTIONS})
    face = _face(given["face"])
    outputs.check(several_questions=also.get("each", False) or face == "all")
    threshold = BY_MODEL if given["threshold"] is None else given["threshold"]
    options = QueryOptions(
        **_given(QueryOptions, given),
        threshold=None if given["no_threshold"] else threshold,
        fmr=given["fmr"],
        face=face,
        **also,
        rotations=not given["no_rotations"],
        max_pixels=round(given["max_megapixels"] * 1e6),
    )
    if options.alone and given["faces"] is not None:
        raise UsageError("--alone sets how many faces a photo shows; omit --faces or --alone")
    return Question(options, Filter(**_given(Filter, given)), outputs, given["quiet"])


def _given(options: type[Any], given: dict[str, Any]) -> dict[str, Any]:
    return {
        option.name: given[option.name] for option, _ in described_fields(options) if given[option.name] is not None
    }


def _face(text: str | None) -> Any:
    if text is None or text == "all":
        return text
    if text.isascii() and text.isdigit() and int(text) >= 1:
        return int(text)
    raise UsageError(f"--face {text}: give a number from 1, or all")
