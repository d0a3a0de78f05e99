"""What a command says: data to stdout, byte for byte to files and pipes; messages and progress to stderr.

A terminal gets nothing that it would obey instead of showing it; see `facesearch.visible`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from facesearch.errors import StorageError, UsageError
from facesearch.visible import visible, visible_in_json

__all__ = [
    "ReaderGone",
    "RunProgress",
    "StopSignal",
    "Stopwatch",
    "claim_stdout",
    "confirm",
    "examples",
    "for_stdout",
    "is_somebody_there",
    "is_terminal",
    "say",
    "stop_signals",
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


def write(pieces: Iterable[str], *, raw: bool = False) -> None:
    """Text to stdout; file names keep their bytes, whatever the terminal's encoding.

    On a terminal what cannot be seen is shown as an escape, unless `raw` data is asked for. Raises `StorageError` when
    it cannot be written, and `ReaderGone` when whoever read it has gone away.
    """
    descriptor = _stdout()
    if descriptor is None:
        raise StorageError("the answer cannot be written: stdout is closed")
    shown = visible_in_json if os.isatty(descriptor) and not raw else str
    try:
        with open(descriptor, "wb", closefd=False) as stream:
            for piece in pieces:
                stream.write(shown(piece).encode("utf-8", "surrogateescape"))
    except BrokenPipeError as error:
        raise ReaderGone from error
    except OSError as error:
        if StopSignal.hung_up:
            return  # nobody is left to read it, and the exit code tells that
        raise StorageError(f"the answer cannot be written: {error.strerror}; check where stdout goes") from error


def for_stdout() -> Callable[[str], str]:
    """How a file name is to be shown on stdout: made visible on a terminal, as it is to files and pipes."""
    descriptor = _stdout()
    return visible if descriptor is not None and os.isatty(descriptor) else str


def _stdout() -> int | None:
    """None where it is closed, or was taken away at the start."""
    try:
        return sys.stdout.fileno() if _Stdout.descriptor is None else _Stdout.descriptor
    except (AttributeError, OSError, ValueError):
        return None


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
    """One line to stderr; what cannot be seen in file names is shown as an escape, so that it stays one line."""
    shown = visible(message)
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


def stop_signals() -> list[signal.Signals]:
    """What ends a command politely: Ctrl-C, SIGTERM, and a terminal that is closed, unless `nohup` has it ignored."""
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    heard = hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([hangup] if heard and hangup is not None else [])]


class StopSignal:
    """Notes the signals that end a command, so that a run can finish what it has in hand; a second one ends it at once,
    unless it is SIGHUP.

    After `seconds`, too, it is time to stop.
    """

    any_was_noted = False
    hung_up = False
    """Whether the terminal was closed: what is written to it fails."""

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
        before = {number: signal.signal(number, self._note) for number in stop_signals()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        hung_up = number == getattr(signal, "SIGHUP", None)
        StopSignal.hung_up = StopSignal.hung_up or hung_up
        if self.number is not None:
            if hung_up:
                return  # a closed terminal sends it more than once: its shell does, and the system
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
            try:
                self._bar.stop()
            except OSError:  # the terminal was closed
                pass

    def __call__(self, done: int, total: int, faces: int, failed: int) -> None:
        """See `facesearch.events.Observer.progress`."""
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
        try:
            self._bar.update(self._task, completed=done, faces=faces, failed=failed, rate=rate)
        except OSError:  # the terminal was closed
            pass


def _time(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, seconds_left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds_left:02}" if hours else f"{minutes}:{seconds_left:02}"
