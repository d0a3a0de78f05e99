"""What a command says: data to stdout, byte for byte; messages and progress to stderr."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from facesearch.errors import StorageError, UsageError

__all__ = [
    "ReaderGone",
    "RunProgress",
    "StopSignal",
    "Stopwatch",
    "claim_stdout",
    "confirm",
    "examples",
    "is_terminal",
    "say",
    "use_log_format",
    "write",
]

_LINE_SECONDS = 30.0


class ReaderGone(Exception):  # noqa: N818 - no error: `head` has seen enough
    """Whoever read our stdout does so no more. Not a `BrokenPipeError`: typer takes those for its own, with code 1."""


class _Stdout:
    """Where our own data goes; None as long as it is the stdout that everybody has."""

    descriptor: int | None = None


def claim_stdout() -> None:
    """From now on `write` alone reaches stdout; whatever a library prints there, also from C, goes to stderr."""
    if _Stdout.descriptor is not None:
        return
    try:
        shared = sys.stdout.fileno()
        own = os.dup(shared)
    except (AttributeError, OSError, ValueError):
        return  # closed, or taken away at the start: `write` tells
    try:
        os.dup2(2, shared)
    except OSError:  # stderr is closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), shared)
    _Stdout.descriptor = own


def write(pieces: Iterable[str]) -> None:
    """Text to stdout; file names keep their bytes, whatever the terminal's encoding.

    Raises `StorageError` when it cannot be written, and `ReaderGone` when whoever read it has gone away.
    """
    try:
        descriptor = sys.stdout.fileno() if _Stdout.descriptor is None else _Stdout.descriptor
    except (AttributeError, OSError, ValueError) as error:  # closed, or taken away at the start
        raise StorageError("the answer cannot be written: stdout is closed") from error
    try:
        with open(descriptor, "wb", closefd=False) as stream:
            for piece in pieces:
                stream.write(piece.encode("utf-8", "surrogateescape"))
    except BrokenPipeError as error:
        raise ReaderGone from error
    except OSError as error:
        raise StorageError(f"the answer cannot be written: {error.strerror}; check where stdout goes") from error


def is_terminal() -> bool:
    """Whether a person sees what is written to stderr."""
    return sys.stderr is not None and sys.stderr.isatty()


class _Log:
    """How messages are written; one for the process, as stderr is."""

    as_json = False


def use_log_format(layout: str) -> None:
    """`text`, or `json` for one object a line with `time` (UTC) and `message`. Raises `UsageError`."""
    if layout not in ("text", "json"):
        raise UsageError(f"--log-format {layout}: choose text or json")
    _Log.as_json = layout == "json"


def say(message: str) -> None:
    """One line to stderr; control characters in file names are made visible, so that it stays one line."""
    shown = "".join(character if character.isprintable() else repr(character)[1:-1] for character in message)
    if _Log.as_json:
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        line = json.dumps({"time": moment, "message": shown}) + "\n"
    else:
        line = f"facesearch: {shown}\n"
    try:
        os.write(sys.stderr.fileno(), line.encode("utf-8", "surrogateescape"))
    except (AttributeError, OSError, ValueError):
        pass  # stderr is closed: nobody is listening


def confirm(what: str, *, yes: bool) -> None:
    """Ask before something is deleted for good. Raises `UsageError` where nobody can be asked or the answer is no."""
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"{what}; nobody is there to be asked: give --yes, or --dry-run to look first")
    say(f"{what}. Go on? [y/N] ")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was done")


def examples(*lines: tuple[str, str]) -> str:
    """The end of a command's help: commands, and what they do, one a line."""
    width = max(len(command) for command, _ in lines)
    shown = [
        f"  {command:<{width}}  {purpose}" if width < 50 else f"  {command}\n      {purpose}"
        for command, purpose in lines
    ]
    return "\b\nExamples:\n" + "\n".join(shown)


class Stopwatch:
    """Where the time of a command goes, step by step, from the start of its process."""

    def __init__(self) -> None:
        self._laps = [("start Python, read the command line", _process_age())]
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        """This step ends now."""
        now = time.perf_counter()
        self._laps.append((step, now - self._last))
        self._last = now

    def total(self) -> float:
        """Seconds since the start."""
        return sum(seconds for _, seconds in self._laps) + time.perf_counter() - self._last

    def tell(self) -> None:
        """All steps in milliseconds, to stderr."""
        laps = [*self._laps, ("all until now", sum(seconds for _, seconds in self._laps))]
        for step, seconds in laps:
            say(f"{seconds * 1000:7.1f} ms  {step}")


def _process_age() -> float:
    """Seconds since this process was started, where the system tells, to a hundredth; else the processor time used."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return time.process_time()


class StopSignal:
    """Notes Ctrl-C and SIGTERM, so that a run can finish what it has in hand; a second one ends it at once.

    After `seconds`, too, it is time to stop.
    """

    any_was_noted = False

    def __init__(self, seconds: float | None = None, *, keeps: bool = True) -> None:
        """`keeps` tells that what was done until then is kept."""
        self.number: int | None = None
        self._keeps = keeps
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def __call__(self) -> bool:
        """Whether to stop."""
        return self.number is not None or (self._deadline is not None and time.monotonic() >= self._deadline)

    @property
    def exit_code(self) -> int:
        """128 and the signal's number, as a shell counts."""
        return 128 + (self.number or 0)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """While this lasts, signals are noted."""
        before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.number is not None:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        self.number = number
        StopSignal.any_was_noted = True
        kept = "; what is done is kept" if self._keeps else ""
        say(f"stopping: finishing the photos in hand{kept} (again to stop at once)")


class RunProgress:
    """How far an indexing run is: a bar on a terminal, a line every half minute in a log, nothing when quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        self._started = self._said = time.monotonic()

    def __enter__(self) -> RunProgress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int, faces: int, failed: int) -> None:
        """See `facesearch.indexing.Progress`."""
        if self._quiet:
            return
        if is_terminal():
            self._show(done, total, faces, failed)
        elif time.monotonic() - self._said >= _LINE_SECONDS:
            self._said = time.monotonic()
            rate = done / max(self._said - self._started, 1e-9)
            left = (total - done) / rate if rate else 0.0
            pace = f"{rate:.1f} photos/s, {_time(left)} left"
            say(f"{done:,} of {total:,} photos, {faces:,} faces, {failed:,} failed, {pace}")

    def _show(self, done: int, total: int, faces: int, failed: int) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn(
                    "photos  {task.fields[faces]:,} faces  {task.fields[failed]:,} failed  {task.fields[rate]:.1f}/s"
                ),
                TimeRemainingColumn(),
                TextColumn("left"),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("", total=total, faces=0, failed=0, rate=0.0)
            self._bar.start()
        rate = done / max(time.monotonic() - self._started, 1e-9)
        self._bar.update(self._task, completed=done, faces=faces, failed=failed, rate=rate)


def _time(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, seconds_left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds_left:02}" if hours else f"{minutes}:{seconds_left:02}"
