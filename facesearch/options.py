"""Descriptions of options, kept where the options are declared; each front end makes its own kind of switch of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from typing import Any, Literal

__all__ = ["Described", "described", "described_fields"]

_KEY = "described"


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a front end needs to know about an option.

    `value` is the kind of value: text or a path as typed, a number or a count between `least` and `most`, or a flag.
    `metavar` names the value in help texts, `short` is a one-letter name. A `repeated` option may be given several
    times. `called` is the option's name for people if it differs from the field's, as it does for a reserved word of
    Python.
    """

    help: str
    value: Literal["flag", "text", "path", "number", "count"] = "flag"
    metavar: str | None = None
    short: str | None = None
    least: float | None = None
    most: float | None = None
    repeated: bool = False
    called: str | None = None


def described(default: Any, help_text: str, **about: Any) -> Any:
    """Return a dataclass field with a default and a description; `about` holds the other fields of `Described`."""
    return field(default=default, metadata={_KEY: Described(help=help_text, **about)})


def described_fields(options: type[Any]) -> Iterator[tuple[Field[Any], Described]]:
    """Yield the described fields of a dataclass in the order of their declaration."""
    for option in fields(options):
        about = option.metadata.get(_KEY)
        if about is not None:
            yield option, about
