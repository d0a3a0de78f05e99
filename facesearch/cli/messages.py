"""Messages to the user: one line each, to stderr; and questions that somebody at the terminal answers."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime

from facesearch.cli.advice import with_options
from facesearch.errors import UsageError
from facesearch.visible import visible

__all__ = ["confirm", "is_somebody_there", "is_terminal", "say", "use_log_format"]


def is_terminal() -> bool:
    """Whether a person sees what is written to stderr."""
    return sys.stderr is not None and sys.stderr.isatty()


class _Log:
    """How messages are written; one for the process, as stderr is."""

    as_json = False


def use_log_format(layout: str) -> str:
    """`text`, or `json` for one object a line with `time` (UTC) and `message`. Raises `UsageError`."""
    if layout not in ("text", "json"):
        raise UsageError(f"--log-format {layout}: choose text or json")
    _Log.as_json = layout == "json"
    return layout


def say(message: str) -> None:
    """One line to stderr; what cannot be seen in file names is shown as an escape, so that it stays one line."""
    shown = visible(with_options(message))
    if _Log.as_json:
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        line = json.dumps({"time": moment, "message": shown}) + "\n"
    else:
        line = f"facesearch: {shown}\n"
    try:
        os.write(sys.stderr.fileno(), line.encode("utf-8", "surrogateescape"))
    except (AttributeError, OSError, ValueError):
        pass  # stderr is closed: nobody is listening


def is_somebody_there() -> bool:
    """Whether a person can be asked, and answer."""
    return sys.stdin is not None and sys.stdin.isatty() and is_terminal()


def confirm(what: str, *, yes: bool) -> None:
    """Ask before something is done that may be unwanted. Raises `UsageError` where nobody can say yes, or does not."""
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"{what}; nobody is there to be asked: give --yes, or --dry-run to look first")
    say(f"{what}. Go on? [y/N] ")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was done")
