"""Groups of commands about an index, which list without a further command."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import typer

from facesearch.cli.options import IndexPath
from facesearch.errors import UsageError

__all__ = ["listing_group"]


def listing_group(
    name: str,
    what: str,
    list_all: Callable[..., None],
    commands: Mapping[str, tuple[str, Callable[..., None]]],
    epilog: str,
) -> typer.Typer:
    """Return a group with a command `list` and others, each with its short help; without a command it lists."""

    def without_command(context: typer.Context, index_path: IndexPath = None) -> None:
        if context.invoked_subcommand is None:
            list_all(index_path)
        elif index_path is not None:
            command = f"facesearch {name} {context.invoked_subcommand}"
            raise UsageError(f"give --index after the command: {command} --index DIR")

    group = typer.Typer(
        epilog=epilog, invoke_without_command=True, callback=without_command,
        help=f"{what} Without a command, list them.",
    )  # fmt: skip
    for command, (short, function) in commands.items():
        group.command(name=command, short_help=short)(function)
    return group
