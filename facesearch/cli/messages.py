"""Messages on stderr, one line each, and questions to the user at the terminal."""

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
    """Return True if stderr is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


class _Log:
    """The format of messages, one for the process."""

    as_json = False


def use_log_format(layout: str) -> str:
    """Write messages as `text`, or as `json` with `time` (UTC) and `message`, one per line. Raises `UsageError`."""
    if layout not in ("text", "json"):
        raise UsageError(f"--log-format {layout}: choose text or json")
    _Log.as_json = layout == "json"
    return layout


def say(message: str, *, end: str = "\n") -> None:
    """Write one line to stderr. Control characters in file names are escaped, so that it stays one line."""
    shown = visible(with_options(message))
    if _Log.as_json:
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        line = json.dumps({"time": moment, "message": shown}) + "\n"
    else:
        line = f"facesearch: {shown}{end}"
    try:
        os.write(sys.stderr.fileno(), line.encode("utf-8", "surrogateescape"))
    except (AttributeError, OSError, ValueError):
        pass  # stderr is closed


def is_somebody_there() -> bool:
    """Return True if a user at the terminal can answer questions."""
    return sys.stdin is not None and sys.stdin.isatty() and is_terminal()


def confirm(what: str, *, yes: bool) -> None:
    """Ask before something is done. Raises `UsageError` if the user declines or cannot be asked."""
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"{what}; cannot ask without a terminal; confirm with --yes")
    say(f"{what}. Continue? [y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was changed")
