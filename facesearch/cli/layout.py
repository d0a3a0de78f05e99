"""The layout of help texts, and the names that commands and options had in earlier versions."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from typing import Any, ClassVar

from typer.core import TyperCommand, TyperGroup

from facesearch.cli.messages import say

__all__ = ["Command", "Sections", "help_width"]

_TYPE = re.compile(r" <[^>]*>$")
_RANGE = re.compile(r"(; )?-?[\d.]*(<=)?x[<>]=-?[\d.]+")
"""What typer adds to arguments and numbers: types and ranges of Python."""

_SECTIONS = {
    "Find": ("query", "who", "compare", "scan"),
    "Keep": ("index", "folders", "status", "check", "backup", "restore", "forget"),
    "People": ("people",),
    "More": ("serve", "gallery", "sql", "export", "models", "reindex", "doctor"),
}
_OLD_COMMANDS = {"faces": "who", "roots": "folders"}
_OLD_OPTIONS: Mapping[str, Mapping[str, str | None]] = {
    "query": {"--together": "--with"},
    "scan": {"--together": "--with"},
    "forget": {"--root": "--folder"},
    "export": {"--no-vectors": None},
}
"""By command: the old name of an option and its present one; None if the option is no longer needed."""


def help_width() -> int:
    """Return the width of help texts; typer's own is never below 50 columns."""
    return max(30, min(shutil.get_terminal_size().columns, 80) - 2)


_WIDE = 58
"""The least width, in columns, at which descriptions stand beside the options and not below them."""


class Command(TyperCommand):
    """A command whose help names arguments and options without Python's types and ranges."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage line, without braces around arguments."""
        return [re.sub("[{}]", "", piece) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and the options."""
        for title, kind in (("Arguments", "argument"), ("Options", "option")):
            records = [parameter.get_help_record(ctx) for parameter in self.get_params(ctx) if _is(parameter, kind)]
            lines = [(_TYPE.sub("", names), _plain(text)) for names, text in filter(None, records)]
            if lines:
                with formatter.section(title):
                    formatter.write_dl(lines, col_max=30 if formatter.width >= _WIDE else 6)


class Sections(TyperGroup):
    """All commands, in sections. Old names work, with a warning, but are neither listed nor completed."""

    warned: ClassVar[set[str]] = set()
    """The old names that this process has warned about."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the sections, with aligned columns."""
        width = max(map(len, self.commands))
        for title, names in _SECTIONS.items():
            with formatter.section(title):
                helps = [self.commands[name].get_short_help_str(formatter.width) for name in names]
                formatter.write_dl([(name.ljust(width), text) for name, text in zip(names, helps, strict=True)])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the name, the command and its arguments, with old names replaced by present ones."""
        quiet = bool(ctx.resilient_parsing)  # a shell completes a command line
        name, *rest = args
        present = _OLD_COMMANDS.get(name, name)
        if present != name and not quiet:
            self._warn(name, present)
        options = _OLD_OPTIONS.get(present, {})
        return super().resolve_command(ctx, [present, *self._renamed(rest, options, quiet=quiet)])

    def _renamed(self, arguments: list[str], options: Mapping[str, str | None], *, quiet: bool) -> list[str]:
        end = arguments.index("--") if "--" in arguments else len(arguments)
        renamed = []
        for argument in arguments[:end]:
            name, equals, value = argument.partition("=")
            if name not in options:
                renamed.append(argument)
                continue
            present = options[name]
            if not quiet:
                self._warn(name, present)
            if present is not None:
                renamed.append(f"{present}{equals}{value}")
        return renamed + arguments[end:]

    def _warn(self, name: str, present: str | None) -> None:
        if name in self.warned:
            return
        self.warned.add(name)
        if present is None:
            say(f"{name} is the default now and no longer needed")
        else:
            say(f"{name} is now called {present}; the old name still works")


def _is(parameter: Any, kind: str) -> bool:
    return bool(parameter.param_type_name == kind)


def _plain(text: str) -> str:
    """Return the help of an option without the range of its values."""
    return re.sub(r"  \[(required)?\]$", "", _RANGE.sub("", text))
