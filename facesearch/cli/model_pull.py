"""`facesearch models pull`: the only command that uses the network, and only after the licence has been accepted."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli.console import Console
from facesearch.cli.messages import say
from facesearch.cli.options import Quiet, examples
from facesearch.cli.progress import DownloadProgress
from facesearch.errors import UsageError

if TYPE_CHECKING:
    from facesearch.api.results import Licence

__all__ = ["register"]

_EXAMPLES = examples(
    ("facesearch models pull buffalo_l", "fetch and install it, once its licence is accepted"),
    ("facesearch models pull buffalo_l --from buffalo_l.zip", "the archive came by other means"),
)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="A pack; `facesearch models list` shows them.")]
_Accept = Annotated[bool, typer.Option("--accept-licence", help="Accept the pack's licence; otherwise you are asked.")]
_Source = Annotated[
    str | None,
    typer.Option("--from", metavar="URL_OR_ZIP", help="Another address, or an archive that is here already."),
]


def register(models: typer.Typer) -> None:
    """Add the command to its group."""
    models.command(name="pull", short_help="Fetch a pack and install it.", epilog=_EXAMPLES)(pull)


def pull(name: _Name, accept_licence: _Accept = False, source: _Source = None, quiet: Quiet = False) -> None:
    """Fetch a pack of models and install it where insightface looks for it; the only command that uses the network."""
    from facesearch.api.models import pull as pulled

    console, progress = Console(quiet=quiet), DownloadProgress()
    try:
        done = pulled(
            name, source=source, accept=lambda licence: _accepted(licence, accepted=accept_licence),
            progress=None if quiet else progress, observer=console,
        )  # fmt: skip
    except KeyboardInterrupt:
        progress.close()
        say("what has come is kept; the same command goes on from there")
        raise
    finally:
        progress.close()
    if done.is_new:
        console.note(f"{name} is installed in {done.folder}; new indexes can use it: --model {name}")
    else:
        say(f"{name} is installed in {done.folder}, and sound")


def _accepted(licence: Licence, *, accepted: bool) -> bool:
    """Show the licence and ask, unless it has been `accepted`. Raises `UsageError` where nobody is there."""
    unknown = ", which facesearch does not know; look where the archive is from"
    say(f"licence of {licence.pack}: {licence.text}{unknown if licence.url is None else f' ({licence.url})'}")
    if accepted:
        return True
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            f"nobody is there to accept the licence of {licence.pack}; read it, then give --accept-licence"
        )
    say("Do you accept it? [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")
