"""`facesearch models pull`: the only command that uses the network, after the user has accepted the licence."""

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
    ("facesearch models pull buffalo_l", "show the licence, ask, then download and install"),
    ("facesearch models pull buffalo_l --from buffalo_l.zip", "install from an archive"),
)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="A pack, as listed by `facesearch models`.")]
_Accept = Annotated[bool, typer.Option("--accept-licence", help="Accept the licence of the pack without being asked.")]
_Source = Annotated[
    str | None,
    typer.Option("--from", metavar="URL_OR_ZIP", help="Download from another address, or install an archive."),
]


def register(models: typer.Typer) -> None:
    """Add the command to its group."""
    models.command(name="pull", short_help="Download and install a pack.", epilog=_EXAMPLES)(pull)


def pull(name: _Name, accept_licence: _Accept = False, source: _Source = None, quiet: Quiet = False) -> None:
    """Download a pack and install it where insightface looks for it. No other command uses the network."""
    from facesearch.api.models import pull as pulled

    console, progress = Console(quiet=quiet), DownloadProgress()
    try:
        done = pulled(
            name, source=source, accept=lambda licence: _accepted(licence, accepted=accept_licence),
            progress=None if quiet else progress, observer=console,
        )  # fmt: skip
    except KeyboardInterrupt:
        progress.close()
        say("the downloaded part is kept; run the same command again to continue")
        raise
    finally:
        progress.close()
    if done.is_new:
        console.note(f"{name} is installed in {done.folder}; new indexes can use it: --model {name}")
    else:
        say(f"{name} is already installed in {done.folder} and has no faults")


def _accepted(licence: Licence, *, accepted: bool) -> bool:
    """Show the licence and ask, unless it is `accepted`. Raises `UsageError` if stdin is no terminal."""
    unknown = ", not known to facesearch; see the source of the archive"
    say(f"licence of {licence.pack}: {licence.text}{unknown if licence.url is None else f' ({licence.url})'}")
    if accepted:
        return True
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            f"cannot ask about the licence of {licence.pack} without a terminal; read it, then use --accept-licence"
        )
    say("Do you accept it? [y/N] ", end="")
    return sys.stdin.readline().strip().lower() in ("y", "yes")
