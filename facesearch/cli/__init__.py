"""The command line: parse, call one function, render. What goes wrong leaves as one line and an exit code."""

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

from facesearch.cli import care, compare, doctor, faces, index, models, query, reindex, roots, scan, status
from facesearch.cli.advice import in_options
from facesearch.cli.messages import say
from facesearch.cli.options import examples
from facesearch.cli.signals import StopSignal, stop_signals
from facesearch.cli.stdout import ReaderGone, claim_stdout, write
from facesearch.errors import FacesearchError, UsageError

__all__ = ["app", "main"]

app = typer.Typer(
    help="Find a person in a folder of photos, on your own machine.",
    epilog=examples(
        ("facesearch index ~/Pictures", "find every face once"),
        ("facesearch query me.jpg", "then ask, as often as you like"),
    ),
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
index.register(app)
query.register(app)
scan.register(app)
compare.register(app)
faces.register(app)
status.register(app)
roots.register(app)
reindex.register(app)
care.register(app)
models.register(app)
doctor.register(app)


def _let_nobody_else_print(commands: typer.Typer) -> None:
    """Every command, once it begins, has stdout for itself. Help is printed before that, by typer."""
    for group in commands.registered_groups:
        if group.typer_instance is not None:
            _let_nobody_else_print(group.typer_instance)
    for command in commands.registered_commands:
        if command.callback is not None:
            command.callback = _with_own_stdout(command.callback)


def _with_own_stdout(command: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        claim_stdout()
        return command(*arguments, **options)

    return run


_let_nobody_else_print(app)

_INTERRUPTED = 130
_BROKEN_PIPE = 141
_BUG = 70


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and end."),
) -> None:
    if version:
        from facesearch import __version__

        write([f"facesearch {__version__}\n"])
        raise typer.Exit
    if context.invoked_subcommand is None:
        write([context.get_help() + "\n"])
        raise typer.Exit(2)


def main() -> None:
    """Run the command line and end the process. The exit codes are listed in `facesearch.errors`.

    All files are closed by then. Taking the interpreter and the libraries in it down, part by part, would take another
    70 ms, a sixth of a question's time.
    """
    code = _run()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _BROKEN_PIPE
    except OSError as error:
        code = code or _complain(f"the answer cannot be written: {error.strerror}; check where stdout goes", 3)
    except (AttributeError, ValueError):
        pass  # there is none, or it is closed; whoever wanted to write to it has been told
    os._exit(code)


def _run() -> int:
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # libraries warn developers; a user cannot act on it
    _heed_signals()
    try:
        if "" in sys.argv[1:]:
            raise UsageError("an argument is empty; a variable in a script may not be set")
        code = app(standalone_mode=False, prog_name="facesearch")
    except FacesearchError as error:
        return _complain(in_options(error), error.exit_code)
    except typer.TyperException as error:  # a wrong option, argument or command
        return _complain(f"{error.format_message()} (see facesearch --help)", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _complain("interrupted", _INTERRUPTED)
    except ReaderGone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return _BROKEN_PIPE
    except SystemExit as end:  # of a second signal; and typer's own, with 1, when nobody reads its help any more
        return end.code if isinstance(end.code, int) and end.code != 1 else _BROKEN_PIPE
    except MemoryError:
        return _complain("out of memory; close other programs or lower --threads", 3)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            return _unexpected(error)
        return _complain(f"the disk is full: {error.filename or 'where the answer goes'}; make room and try again", 3)
    except Exception as error:
        return _unexpected(error)
    if code == _INTERRUPTED and not StopSignal.any_was_noted:  # typer has taken the exception for an exit
        return _complain("interrupted", _INTERRUPTED)
    return code if isinstance(code, int) else 0


def _heed_signals() -> None:
    for number in stop_signals():
        if number != signal.SIGINT:  # which Python turns into an exception by itself
            signal.signal(number, _terminated)


def _terminated(number: int, _frame: FrameType | None) -> None:
    """A polite end: what is unfinished is taken away."""
    StopSignal.hung_up = number == getattr(signal, "SIGHUP", None)
    raise SystemExit(128 + number)


def _unexpected(error: Exception) -> int:
    if os.environ.get("FACESEARCH_DEBUG"):
        raise error
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return _complain(f"unexpected failure ({what}); this is a bug: FACESEARCH_DEBUG=1 shows where", _BUG)


def _complain(message: str, code: int) -> int:
    say(message)
    return code
