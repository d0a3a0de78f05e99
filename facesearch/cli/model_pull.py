"""`facesearch models pull`: the only command that uses the network, and only after the licence has been accepted."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facesearch.cli.console import examples, is_terminal, say
from facesearch.cli.options import Quiet
from facesearch.errors import UsageError

if TYPE_CHECKING:
    from facesearch.models.packs.known import KnownPack

__all__ = ["register"]

_LINE_SECONDS = 30.0
_EXAMPLES = examples(
    ("facesearch models pull buffalo_l", "fetch and install it, once its licence is accepted"),
    ("facesearch models pull buffalo_l --from buffalo_l.zip", "the archive came by other means"),
)


def register(models: typer.Typer) -> None:
    """Add the command to its group."""
    models.command(name="pull", short_help="Fetch a pack and install it.", epilog=_EXAMPLES)(pull)


def pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A pack; `facesearch models list` shows them.")],
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Accept the pack's licence; otherwise you are asked.")
    ] = False,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="URL_OR_ZIP", help="Another address, or an archive that is here already."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Fetch a pack of models and install it where insightface looks for it; the only command that uses the network."""
    from facesearch.models.packs import install
    from facesearch.models.packs.download import is_address
    from facesearch.models.packs.known import KNOWN_PACKS, known_pack
    from facesearch.models.packs.registry import require_name

    known = known_pack(require_name(name))
    if known is None and source is None:
        names = ", ".join(pack.name for pack in KNOWN_PACKS)
        raise UsageError(f"no pack {name!r} is known (known: {names}); --from says where another one is")
    folder = install.sound_pack(name)
    if folder is not None:
        say(f"{name} is installed in {folder}, and sound")
        return
    origin = source or (known.url if known else "")
    licence = _accepted_licence(name, known, accepted=accept_licence)
    notify = (lambda _: None) if quiet else say
    if is_address(origin):
        notify(f"fetching {origin}")
    with _PullProgress(quiet=quiet) as progress:
        try:
            folder = install.pull(name, origin, licence=licence, progress=progress, notify=notify, fault_in=_fault_in)
        except KeyboardInterrupt:
            progress.close()
            say("what has come is kept; the same command goes on from there")
            raise
    notify(f"{name} is installed in {folder}; new indexes can use it: --model {name}")


def _fault_in(folder: Path) -> str | None:
    from facesearch.faces.trial import tried

    return tried(str(folder)).fault


def _accepted_licence(name: str, known: KnownPack | None, *, accepted: bool) -> str:
    """The licence, once it has been shown and accepted. Raises `UsageError` when it is not."""
    from facesearch.models.packs.known import UNKNOWN_LICENCE

    licence = known.licence if known else UNKNOWN_LICENCE
    where = f" ({known.licence_url})" if known else ", which facesearch does not know; look where the archive is from"
    say(f"licence of {name}: {licence}{where}")
    if accepted:
        return licence
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"nobody is there to accept the licence of {name}; read it, then give --accept-licence")
    say("Do you accept it? [y/N] ")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("not accepted; nothing was fetched")
    return licence


class _PullProgress:
    """How far a download is: a bar on a terminal, a line every half minute in a log, nothing when quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        self._from: int | None = None
        self._started = self._said = time.monotonic()

    def __enter__(self) -> _PullProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int | None) -> None:
        """See `facesearch.models.packs.download.Progress`."""
        if self._quiet:
            return
        if is_terminal():
            self._show(done, total)
            return
        now = time.monotonic()
        if self._from is None:
            self._from, self._started, self._said = done, now, now
        if now - self._said >= _LINE_SECONDS:
            self._said = now
            rate = max(0, done - self._from) / (now - self._started)
            of = "" if total is None else f" of {total / 1e6:,.1f}"
            say(f"{done / 1e6:,.1f}{of} MB, {rate / 1e6:.1f} MB/s")

    def _show(self, done: int, total: int | None) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

            columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("", total=total)
            self._bar.start()
        self._bar.update(self._task, completed=done, total=total)
