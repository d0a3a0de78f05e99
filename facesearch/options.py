"""How an option is described, once, where it is declared; every front end makes its own kind of switch of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from typing import Any, Literal

__all__ = ["Described", "described", "described_fields"]

_KEY = "described"


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a front end has to know of an option.

    `value` is the kind of value that a person gives: text and paths as they are typed, numbers and counts between
    `least` and `most`, or nothing but a flag. `metavar` names the value, `short` is a letter for it. What is `repeated`
    may be given several times.
    """

    help: str
    value: Literal["flag", "text", "path", "number", "count"] = "flag"
    metavar: str | None = None
    short: str | None = None
    least: float | None = None
    most: float | None = None
    repeated: bool = False


def described(default: Any, help_text: str, **about: Any) -> Any:
    """A field of a dataclass with a default and a description; `about` are the other fields of `Described`."""
    return field(default=default, metadata={_KEY: Described(help=help_text, **about)})


def described_fields(options: type[Any]) -> Iterator[tuple[Field[Any], Described]]:
    """The fields of a dataclass that are described, in the order in which they are declared."""
    for option in fields(options):
        about = option.metadata.get(_KEY)
        if about is not None:
            yield option, about
