"""The command line: parse, call one function, render. Every failure ends in one line and an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
import warnings
from collections.abc import Callable
from functools import wraps
from types import FrameType
from typing import Any

import typer

from facesearch.cli import (
    backup,
    check,
    compare,
    doctor,
    export,
    folders,
    forget,
    gallery,
    index,
    models,
    people,
    query,
    reindex,
    scan,
    serve,
    sql,
    status,
    who,
)
from facesearch.cli.advice import in_options
from facesearch.cli.layout import Command, Sections, help_width
from facesearch.cli.messages import say
from facesearch.cli.options import examples
from facesearch.cli.signals import StopSignal, stop_signals
from facesearch.cli.stdout import ReaderGone, claim_stdout, write
from facesearch.errors import FacesearchError, UsageError
from facesearch.interrupts import end_at_once

__all__ = ["app", "main"]

app = typer.Typer(
    cls=Sections,
    help="Find a person in a library of photos, on your own machine.",
    epilog=examples(
        ("facesearch index ~/Pictures", "find every face in your photos, once"),
        ("facesearch query me.jpg", "find the photos that show you"),
        ("facesearch query --help", "show the options of a command"),
    ),
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for register in (
    query.register, who.register, compare.register, scan.register,
    index.register, folders.register, status.register, check.register, backup.register, forget.register,
    people.register, serve.register, gallery.register, sql.register, export.register, models.register, reindex.register,
    doctor.register,
):  # fmt: skip
    register(app)


def _prepare(commands: typer.Typer) -> None:
    """Give every command its help's layout, and stdout for itself once it begins; typer prints help before that."""
    for group in commands.registered_groups:
        if group.typer_instance is not None:
            _prepare(group.typer_instance)
    for command in commands.registered_commands:
        if command.callback is not None:
            command.callback = _with_own_stdout(command.callback)
            command.cls = Command


def _with_own_stdout(command: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        claim_stdout()
        return command(*arguments, **options)

    return run


_prepare(app)

_INTERRUPTED = 130
_BROKEN_PIPE = 141
_BUG = 70


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Show the version and exit."),
) -> None:
    if version:
        from facesearch import __version__

        write([f"facesearch {__version__}\n"])
        raise typer.Exit
    if context.invoked_subcommand is None:
        write([context.get_help() + "\n"])
        raise typer.Exit(2)


def main() -> None:
    """Run the command line and end the process. `facesearch.errors` lists the exit codes.

    `os._exit` skips the shutdown of the interpreter and its libraries, which takes 70 ms, a sixth of a query's time.
    All files are closed by then.
    """
    try:
        code = _run()
    except KeyboardInterrupt:  # a second one, while the first was reported
        code = _INTERRUPTED
    end_at_once()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _BROKEN_PIPE
    except OSError as error:
        code = code or _complain(f"cannot write to stdout ({error.strerror}); check where it goes", 3)
    except (AttributeError, ValueError):
        pass  # it is missing or closed, and `write` has reported that
    os._exit(code)


def _run() -> int:
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # libraries warn developers; users cannot act on it
    try:
        _handle_signals()
        if "" in sys.argv[1:]:
            raise UsageError("an argument is empty; check for an unset variable in your script")
        code = app(standalone_mode=False, prog_name="facesearch", terminal_width=help_width())
    except FacesearchError as error:
        return _complain(in_options(error), error.exit_code)
    except typer.TyperException as error:  # a wrong option, argument or command
        context = getattr(error, "ctx", None)
        command = "facesearch" if context is None else context.command_path
        return _complain(f"{error.format_message()} (see {command} --help)", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _complain("interrupted", _INTERRUPTED)
    except ReaderGone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return _BROKEN_PIPE
    except SystemExit as end:  # after a second signal; typer's own, with 1, if the reader of its help is gone
        return end.code if isinstance(end.code, int) and end.code != 1 else _BROKEN_PIPE
    except MemoryError:
        return _complain("out of memory; close other programs, or lower --threads", 3)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            return _unexpected(error)
        return _complain(f"{error.filename or 'stdout'}: the disk is full; free some space and try again", 3)
    except Exception as error:
        return _unexpected(error)
    if code == _INTERRUPTED and not StopSignal.any_was_noted:  # typer turned the exception into an exit
        return _complain("interrupted", _INTERRUPTED)
    return code if isinstance(code, int) else 0


def _handle_signals() -> None:
    """Have signals end the command through an exception, unless they are ignored."""
    for number in stop_signals():
        if number != signal.SIGINT:
            signal.signal(number, _terminated)
        elif signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def _terminated(number: int, _frame: FrameType | None) -> None:
    """End through an exception, so that unfinished files are removed."""
    StopSignal.hung_up = number == getattr(signal, "SIGHUP", None)
    raise SystemExit(128 + number)


def _unexpected(error: Exception) -> int:
    if os.environ.get("FACESEARCH_DEBUG"):
        raise error
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return _complain(
        f"unexpected error ({what}); this is a bug in facesearch: FACESEARCH_DEBUG=1 shows the traceback", _BUG
    )


def _complain(message: str, code: int) -> int:
    say(message)
    return code
